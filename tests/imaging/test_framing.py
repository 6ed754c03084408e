"""Frames: tables worked out by hand, the way back, and what stretch does to shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from mammostudy.errors import DataError
from mammostudy.imaging import framing
from mammostudy.imaging.contours import box_of, inscribed_ellipse
from mammostudy.imaging.framing import crop_and_resize, frame_box, jitter_box, paste_back, whole_box

SHAPE = (400, 300)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"strategy": "tight"}, (100, 200, 140, 220)),
        ({"strategy": "tight", "aspect": "square"}, (100, 190, 140, 230)),
        ({}, (80, 190, 160, 230)),
        ({"scale": 3.0}, (60, 180, 180, 240)),
        ({"aspect": "square"}, (80, 170, 160, 250)),
        ({"strategy": "full"}, (0, 0, 300, 400)),
        ({"strategy": "full", "aspect": "square"}, (-50, 0, 350, 400)),
    ],
)
def test_frames_of_one_box(fields, expected):
    assert frame_box((100, 200, 140, 220), SHAPE, **fields) == expected


def span(limit):
    return st.lists(st.integers(0, limit), min_size=2, max_size=2, unique=True).map(sorted)


BOXES = st.tuples(span(SHAPE[1]), span(SHAPE[0])).map(
    lambda spans: (spans[0][0], spans[1][0], spans[0][1], spans[1][1])
)


@given(BOXES, st.floats(1, 4), st.sampled_from(("stretch", "square")))
def test_the_mass_stays_in_the_middle(box, scale, aspect):
    frame = frame_box(box, SHAPE, scale=scale, aspect=aspect)
    for axis in (0, 1):
        assert abs((frame[axis] + frame[axis + 2]) - (box[axis] + box[axis + 2])) <= 1
        assert frame[axis] <= box[axis]
        assert frame[axis + 2] >= box[axis + 2]
    if aspect == "square":
        assert frame[2] - frame[0] == frame[3] - frame[1]


@settings(max_examples=60)
@given(st.integers(-30, 60), st.integers(-30, 50), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_paste_back_is_the_inverse_when_nothing_is_resized(left, top, side, seed):
    shape = (50, 60)
    box = (left, top, left + side, top + side)
    rng = np.random.default_rng(seed)
    mask, image = rng.random(shape) < 0.5, rng.random(shape).astype(np.float32)
    window = np.zeros(shape, bool)
    window[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
    if not window.any():
        with pytest.raises(DataError, match="shows nothing of the image"):
            crop_and_resize(mask, box, side)
        return
    back = paste_back(crop_and_resize(mask, box, side), box, shape)
    assert back.dtype == np.bool_
    np.testing.assert_array_equal(back, mask & window)
    grey = paste_back(crop_and_resize(image, box, side), box, shape)
    assert grey.dtype == np.float32
    np.testing.assert_array_equal(grey, np.where(window, image, 0))


def test_stretch_makes_a_circle_and_an_oval_one_mask_and_square_does_not():
    circle, oval = (100, 200, 150, 250), (100, 200, 200, 250)

    def cut(box, aspect):
        frame = frame_box(box, SHAPE, aspect=aspect)
        return crop_and_resize(inscribed_ellipse(box, SHAPE), frame, 128)

    alike, unlike = (
        f1_score(cut(circle, aspect).ravel(), cut(oval, aspect).ravel())
        for aspect in ("stretch", "square")
    )
    assert alike > 0.985
    assert unlike < 0.75
    x_min, y_min, x_max, y_max = box_of(cut(oval, "square"))
    assert (x_max - x_min) / (y_max - y_min) == pytest.approx(2, abs=0.05)


@settings(max_examples=100)
@given(BOXES, st.integers(0, 2**32 - 1))
def test_jitter_stays_within_its_bounds(box, seed):
    moved = jitter_box(box, SHAPE, rng=np.random.default_rng(seed))
    framing.check_box(moved, SHAPE)
    for axis in (0, 1):
        side = box[axis + 2] - box[axis]
        assert moved[axis + 2] - moved[axis] >= 2
        # centre +-10 %, half a side +-10 %: each edge moves by at most a fifth of the side
        assert abs(moved[axis] - box[axis]) <= 0.2 * side + 2
        assert abs(moved[axis + 2] - box[axis + 2]) <= 0.2 * side + 2


def test_boxes_settings_and_stacks_are_refused():
    outside = [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 301, 5)]
    for box in [(5, 5, 5, 9), (5, 9, 8, 9), (8, 5, 5, 9), *outside]:
        with pytest.raises(DataError, match="empty or not inside the image of 300 x 400"):
            frame_box(box, SHAPE)
    for fields in ({"strategy": "lose"}, {"aspect": "wide"}, {"scale": 0.9}, {"scale": np.nan}):
        with pytest.raises(DataError, match=str(*fields.values())):
            frame_box((5, 5, 8, 9), SHAPE, **fields)
    with pytest.raises(DataError, match="is not one image"):
        crop_and_resize(np.zeros((2, 5, 5), np.float32), (0, 0, 5, 5), 4)


def test_golden_numbers():
    image = np.sin(np.arange(30 * 40) * 0.37).reshape(30, 40) ** 2
    box, shape = (3, 4, 14, 23), (30, 40)
    frame = frame_box(box, shape, scale=1.7)
    square = frame_box(box, shape, scale=1.7, aspect="square")
    assert (frame, square) == ((-1, -3, 18, 29), (-8, -3, 24, 29))
    assert jitter_box(box, shape, rng=np.random.default_rng(3)) == (1, 3, 14, 22)
    cut = crop_and_resize(image.astype(np.float32), frame, 16)
    numbers = [cut.mean(), cut[3, 5], cut[12, 9]]
    assert numbers == pytest.approx([0.428327, 0.755738, 0.233077], abs=1e-4)
    assert crop_and_resize(image > 0.5, square, 16).sum() == 117
    assert paste_back(cut > 0.4, frame, shape).sum() == 331


@pytest.mark.parametrize(
    ("edges", "box"),
    [
        ((1.4, 2.6, 10.2, 12.5), (1, 3, 10, 12)),
        ((-5, -5, 4, 4), (0, 0, 4, 4)),
        ((60, 30, 90, 90), (60, 30, 64, 40)),
        ((5.2, 5.2, 5.4, 5.4), (5, 5, 6, 6)),
        ((70, 50, 80, 60), (63, 39, 64, 40)),
    ],
)
def test_boxes_become_whole_inside_the_image(edges, box):
    assert whole_box(edges, (40, 64)) == box
