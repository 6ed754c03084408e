"""Boxes are half-open wherever they are made, measured, framed or flipped: pixels are the judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.evaluation.boxes import box_sides, pairwise_centre_inside, pairwise_iou
from mammostudy.imaging.contours import box_of, fill_outline, inscribed_ellipse, outline_of
from mammostudy.imaging.framing import crop_and_resize, frame_box, paste_back

HEIGHT, WIDTH = 40, 56
Box = tuple[int, int, int, int]


def spans(limit: int) -> st.SearchStrategy[tuple[int, int]]:
    edges = st.lists(st.integers(0, limit), min_size=2, max_size=2, unique=True)
    return edges.map(lambda pair: (min(pair), max(pair)))


BOXES = st.tuples(spans(WIDTH), spans(HEIGHT)).map(lambda s: (s[0][0], s[1][0], s[0][1], s[1][1]))


def block(box: Box) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def mirrored(box: Box) -> Box:
    return WIDTH - box[2], box[1], WIDTH - box[0], box[3]


@settings(max_examples=50)
@given(BOXES)
def test_the_box_of_a_mask_and_its_measures(box: Box) -> None:
    mask = block(box)
    assert box_of(mask) == box
    assert np.prod(box_sides(np.array([box], float))) == mask.sum()


@settings(max_examples=50)
@given(BOXES)
def test_an_outline_has_the_box_of_its_mask(box: Box) -> None:
    (outline,) = outline_of(block(box))
    assert box_of(fill_outline(outline, (HEIGHT, WIDTH))) == box


@settings(max_examples=50)
@given(BOXES)
def test_an_ellipse_lies_within_its_box_and_mirrors_with_it(box: Box) -> None:
    mask = inscribed_ellipse(box, (HEIGHT, WIDTH))
    assert not (mask & ~block(box)).any()
    np.testing.assert_array_equal(mask[:, ::-1], inscribed_ellipse(mirrored(box), mask.shape))


@settings(max_examples=50)
@given(BOXES, BOXES)
def test_iou_counts_pixels(first: Box, second: Box) -> None:
    one, other = block(first), block(second)
    expected = (one & other).sum() / (one | other).sum()
    assert pairwise_iou([first], [second])[0, 0] == pytest.approx(expected)
    touching = (first[2], first[1], first[2] + 5, first[3])
    assert pairwise_iou([first], [touching])[0, 0] == 0


@settings(max_examples=50)
@given(BOXES)
def test_a_far_edge_is_outside(box: Box) -> None:
    x_min, y_min, x_max, y_max = box
    at_edge = (x_max - 1, y_min, x_max + 1, y_max)  # its centre is the edge itself
    assert not pairwise_centre_inside([at_edge], [box])[0, 0]
    assert pairwise_centre_inside([(x_min - 1, y_min, x_min + 1, y_max)], [box])[0, 0]


@settings(max_examples=50)
@given(BOXES)
def test_a_tight_frame_is_the_box(box: Box) -> None:
    assert frame_box(box, (HEIGHT, WIDTH), strategy="tight") == box


@settings(max_examples=50)
@given(BOXES, st.floats(1, 4), st.sampled_from(("stretch", "square")), st.integers(0, 2**32 - 1))
def test_frame_crop_and_paste_back_is_the_identity_inside_the_frame(
    box: Box, scale: float, aspect: str, seed: int
) -> None:
    """A frame as runs lay it, of its own size along its longer side, so that nothing is resized."""
    x_min, y_min, x_max, y_max = frame_box(box, (HEIGHT, WIDTH), scale=scale, aspect=aspect)
    side = max(x_max - x_min, y_max - y_min)
    frame = (x_min, y_min, x_min + side, y_min + side)
    mask = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.5
    window = np.zeros_like(mask)
    window[max(y_min, 0) : y_min + side, max(x_min, 0) : x_min + side] = True
    back = paste_back(crop_and_resize(mask, frame, side), frame, mask.shape)
    np.testing.assert_array_equal(back, mask & window)


@settings(max_examples=50)
@given(BOXES, st.integers(0, 2**32 - 1))
def test_a_flip_of_image_and_box_inverts_and_commutes_with_the_crop(box: Box, seed: int) -> None:
    image = np.random.default_rng(seed).random((HEIGHT, WIDTH)).astype(np.float32)
    assert mirrored(mirrored(box)) == box
    assert box_of(block(box)[:, ::-1]) == mirrored(box)
    side = max(box[2] - box[0], box[3] - box[1])
    frame = (box[0], box[1], box[0] + side, box[1] + side)
    crop = crop_and_resize(image, frame, side)
    again = crop_and_resize(image[:, ::-1].copy(), mirrored(frame), side)
    np.testing.assert_array_equal(again[:, ::-1], crop)
