"""How an image gets into a detector and boxes out of it: by hand, and there and back."""

from __future__ import annotations

import pytest
import torch
from detector_tester import target
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mammostudy.data.splits import check_images
from mammostudy.errors import DataError
from mammostudy.models.detectors import common
from mammostudy.models.detectors.common import check_targets, place


def test_letterbox_by_hand() -> None:
    square, where = place(torch.ones(1, 50, 100), 64, "letterbox")
    assert square.shape == (1, 64, 64)
    assert torch.equal(
        square[0].any(dim=1), torch.tensor([False] * 16 + [True] * 32 + [False] * 16)
    )
    boxes = torch.tensor([[0.0, 0, 100, 50], [50, 25, 100, 50]])
    assert where.to_square(boxes).tolist() == [[0, 16, 64, 48], [32, 32, 64, 48]]


def test_stretch_by_hand() -> None:
    square, where = place(torch.ones(1, 50, 100), 64, "stretch")
    torch.testing.assert_close(square, torch.ones(1, 64, 64))
    boxes = torch.tensor([[50.0, 25, 100, 50]])
    assert where.to_square(boxes).tolist() == [[32, 32, 64, 64]]


def test_an_image_of_the_right_size_is_left_alone() -> None:
    image = torch.rand(1, 64, 64)
    for aspect in ("stretch", "letterbox"):
        assert torch.equal(place(image, 64, aspect)[0], image)


def test_boxes_in_the_padding_are_clipped_away() -> None:
    _, where = place(torch.ones(1, 50, 100), 64, "letterbox")
    box = where.to_image(torch.tensor([[0.0, 0, 20, 10]]))[0]
    assert box[1] == box[3] == 0
    found = {"boxes": torch.tensor([[0.0, 0, 20, 10], [0, 16, 32, 48]]), "scores": torch.ones(2)}
    kept = common._on_image(found, where)
    assert kept["boxes"].tolist() == [[0, 0, 50, 50]]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size=st.integers(64, 320),
    aspect=st.sampled_from(["stretch", "letterbox"]),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_there_and_back(
    height: int, width: int, size: int, aspect: common.Aspect, shares: tuple[float, ...]
) -> None:
    (x_min, x_max), (y_min, y_max) = sorted(shares[:2]), sorted(shares[2:])
    box = torch.tensor([[x_min * width, y_min * height, x_max * width, y_max * height]])
    square, where = place(torch.zeros(1, height, width), size, aspect)
    assert square.shape == (1, size, size)
    inside = where.to_square(box)
    assert inside.min() >= -1e-3
    assert inside.max() <= size + 1e-3
    torch.testing.assert_close(where.to_image(inside), box, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("aspect", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [64, 200])
def test_pixels_go_where_boxes_go(aspect: common.Aspect, size: int) -> None:
    image = torch.zeros(1, 90, 130)
    image[:, 30:60, 50:90] = 1
    square, where = place(image, size, aspect)
    ys, xs = torch.nonzero(square[0] > 0.5, as_tuple=True)
    seen = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    expected = where.to_square(torch.tensor([[50.0, 30, 90, 60]]))[0]
    assert (seen - expected).abs().max() <= 0.51


IMAGES = (
    (torch.rand(2, 8, 8), r"image 1 is \(2, 8, 8\)"),
    (torch.rand(8, 8), r"image 1 is \(8, 8\)"),
    (torch.rand(1, 0, 8), r"image 1 is \(1, 0, 8\)"),
    (torch.rand(1, 8, 8, dtype=torch.float64), "image 1 is torch.float64"),
    (torch.full((1, 8, 8), 255.0), "image 1 has values from 255 to 255"),
    (torch.full((1, 8, 8), -1.0), "image 1 has values from -1"),
    (torch.full((1, 8, 8), float("inf")), "image 1 has values from inf"),
    (torch.full((1, 8, 8), float("nan")), "image 1 has values from nan"),
)


@pytest.mark.parametrize(("image", "message"), IMAGES)
def test_images_are_refused_by_index(image: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_images([torch.rand(1, 8, 8), image])
    with pytest.raises(DataError, match="needs one image or more"):
        check_images([])
    check_images([torch.rand(1, 8, 8)] * 2)  # control


TARGETS = (
    (target((5, 5, 5, 9)), r"box \(5.0, 5.0, 5.0, 9.0\) of image 1 has no area"),
    (target((6, 5, 5, 9)), "of image 1 has no area"),
    (target((0, 0, 9, 8.5)), "outside its 9 x 8 pixels"),
    (target((-1, 0, 4, 4)), "of image 1 has no area, or lies outside"),
    (target((0, 0, 4, 4), (0, 0, float("nan"), 4)), r"box \(0.0, 0.0, nan, 4.0\) of image 1"),
    (target((0, 0, 4, 4)) | {"labels": torch.zeros(1, dtype=torch.int64)}, "labels of image 1"),
    (target((0, 0, 4, 4)) | {"labels": torch.ones(1)}, "labels of image 1"),
    (target((0, 0, 4, 4)) | {"labels": torch.ones(2).long()}, "for each of its 1 boxes"),
    (target() | {"boxes": torch.zeros(0)}, r"boxes of image 1: \(0,\)"),
    (target((0, 0, 4, 4)) | {"boxes": torch.zeros(1, 4).long()}, "boxes of image 1"),
)


@pytest.mark.parametrize(("faulty", "message"), TARGETS)
def test_targets_are_refused_by_index(faulty: dict[str, Tensor], message: str) -> None:
    images = [torch.rand(1, 8, 9)] * 2
    with pytest.raises(DataError, match=message):
        check_targets(images, [target((0, 0, 9, 8)), faulty])
    assert len(check_targets(images, [target((0, 0, 9, 8)), target()])) == 2  # control


@pytest.mark.parametrize(("targets", "said"), [(None, "none"), ([target()], "1")])
def test_a_target_an_image(targets: list[dict[str, Tensor]] | None, said: str) -> None:
    with pytest.raises(DataError, match=f"2 images, targets: {said}"):
        check_targets([torch.rand(1, 8, 9)] * 2, targets)
