"""Augmentation for detectors: boxes by hand, boxes against pixels, and the draw."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from mammostudy.training.detection_augmentation import DetectionAugmentation
from torch import Tensor
from torchvision.transforms import v2

from mammostudy.errors import SpecError
from mammostudy.study.detection import UNCHANGED
from mammostudy.training import detection_augmentation
from mammostudy.training.detection import augment_detection

HEIGHT, WIDTH = 60, 80


def target(*boxes: tuple[float, float, float, float]) -> dict[str, Tensor]:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
    }


def picture(*boxes: tuple[int, int, int, int]) -> Tensor:
    image = torch.full((1, HEIGHT, WIDTH), 0.2)
    for x_min, y_min, x_max, y_max in boxes:
        image[:, y_min:y_max, x_min:x_max] = 0.8
    return image


def bright_box(image: Tensor) -> list[float]:
    ys, xs = torch.nonzero(image[0] > 0.5, as_tuple=True)
    return [float(v) for v in (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)]


def test_a_flip_by_hand() -> None:
    box = (10, 20, 30, 50)
    recipe = replace(UNCHANGED, flip=1.0)
    image, out = augment_detection(
        picture(box), target(box), seed=0, epoch=0, index=0, recipe=recipe
    )
    assert out["boxes"].tolist() == [[50, 20, 70, 50]]
    assert torch.equal(image, picture(box).flip(-1))


@pytest.mark.parametrize("box", [(0, 0, 2, 2), (10, 20, 30, 50), (78, 0, 80, 60), (0, 3, 80, 5)])
def test_a_flip_inverts_itself(box: tuple[int, int, int, int]) -> None:
    recipe = replace(UNCHANGED, flip=1.0)
    image, out = picture(box), target(box)
    for _ in range(2):
        image, out = augment_detection(image, out, seed=0, epoch=0, index=0, recipe=recipe)
        assert bright_box(image) == out["boxes"][0].tolist()
    assert torch.equal(image, picture(box))
    assert out["boxes"].tolist() == [list(box)]


@pytest.mark.parametrize("index", range(12))
def test_boxes_stay_on_their_masses(index: int) -> None:
    box = (30, 20, 52, 38)  # far enough inside that no shift reaches the edge
    image, out = augment_detection(picture(box), target(box), seed=1, epoch=2, index=index)
    assert bright_box(image) == pytest.approx(out["boxes"][0].tolist(), abs=1.1)
    assert image.shape == (1, HEIGHT, WIDTH)
    assert type(image) is Tensor
    assert type(out["boxes"]) is Tensor
    assert (image.dtype, out["boxes"].dtype) == (torch.float32, torch.float32)
    assert out["labels"].tolist() == [1]


def test_how_far_it_goes() -> None:
    box = (30, 20, 50, 40)
    centres, sides = [], []
    for index in range(200):
        _, out = augment_detection(picture(), target(box), seed=0, epoch=0, index=index)
        x_min, _, x_max, _ = out["boxes"][0].tolist()
        centres.append((x_min + x_max) / 2)
        sides.append((x_max - x_min) / 20)
    assert 0.9 <= min(sides) < 0.93
    assert 1.07 < max(sides) <= 1.1 + 1e-6
    assert all(abs(x - 40) <= 0.05 * WIDTH + 0.5 for x in centres)  # a whole number of pixels
    assert max(centres) - min(centres) > 4


def test_values_stay_in_range_and_change() -> None:
    recipe = replace(UNCHANGED, brightness=0.5, contrast=0.5)
    lit = [
        augment_detection(picture((0, 0, 9, 9)), target(), seed=0, epoch=0, index=i, recipe=recipe)
        for i in range(20)
    ]
    assert all(image.min() >= 0 and image.max() <= 1 for image, _ in lit)
    assert len({float(image[0, 30, 30]) for image, _ in lit}) > 15


def test_boxes_are_clamped_and_degenerate_ones_dropped() -> None:
    boxes = target((-5, 10, 20, 30), (40, 20, 40, 50), (79, 10, 95, 30), (50, 20, 70, 50))
    _, out = augment_detection(picture(), boxes, seed=0, epoch=0, index=0, recipe=UNCHANGED)
    assert out["boxes"].tolist() == [[0, 10, 20, 30], [50, 20, 70, 50]]
    assert out["labels"].tolist() == [1, 1]


def test_without_the_sanitiser_they_would_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control of the test above."""
    monkeypatch.setattr(v2, "SanitizeBoundingBoxes", lambda **_: v2.Identity())
    detection_augmentation._transform.cache_clear()
    boxes = target((40, 20, 40, 50))
    _, out = augment_detection(picture(), boxes, seed=0, epoch=0, index=0, recipe=UNCHANGED)
    detection_augmentation._transform.cache_clear()
    assert len(out["boxes"]) == 1


def test_an_image_without_a_box() -> None:
    _, out = augment_detection(picture(), target(), seed=0, epoch=0, index=0)
    assert out["boxes"].shape == (0, 4)
    assert out["labels"].shape == (0,)


def test_the_draw_depends_on_its_three_numbers_alone() -> None:
    def draw(seed: int = 0, epoch: int = 0, index: int = 0) -> Tensor:
        return augment_detection(
            picture((30, 20, 52, 38)), target(), seed=seed, epoch=epoch, index=index
        )[0]

    torch.manual_seed(1)
    first = draw()
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))  # the global generator is as it was
    assert torch.equal(draw(), first)
    for other in (draw(seed=1), draw(epoch=1), draw(index=1)):
        assert not torch.equal(first, other)


def test_unchanged_changes_nothing_and_inputs_are_left_alone() -> None:
    image, boxes = torch.rand(1, HEIGHT, WIDTH), target((10, 20, 30, 50))
    before = image.clone()
    same, out = augment_detection(image, boxes, seed=0, epoch=0, index=0, recipe=UNCHANGED)
    assert torch.equal(same, image)
    assert torch.equal(out["boxes"], boxes["boxes"])
    augment_detection(image, boxes, seed=0, epoch=0, index=0)
    assert torch.equal(image, before)
    assert boxes["boxes"].tolist() == [[10, 20, 30, 50]]


def test_golden_numbers() -> None:
    image, out = augment_detection(
        picture((30, 20, 52, 38)), target((30, 20, 52, 38)), seed=3, epoch=4, index=5
    )
    assert detection_augmentation.VERSION == 1
    assert [*out["boxes"][0].tolist(), float(image.mean())] == pytest.approx(GOLDEN, rel=1e-4)


GOLDEN = [22.8249, 19.0207, 46.9793, 38.7834, 0.25963]


@pytest.mark.parametrize(
    ("field", "value"),
    [("flip", 1.5), ("shift", 1.0), ("zoom", -0.1), ("contrast", 2.0), ("least_side", 0.0)],
)
def test_numbers_out_of_range_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(SpecError, match=f"{field} = "):
        DetectionAugmentation(**{field: value})
