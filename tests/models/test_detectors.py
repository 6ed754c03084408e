"""Every detector: what all must do, from one table, and what is special to each."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from mammostudy.errors import SpecError
from mammostudy.models import build_detector, detector_names
from mammostudy.models.detectors.common import Detector
from mammostudy.models.detectors.ssd import _hardest

Target = dict[str, Tensor]
SSD_LOSSES = {"bbox_regression", "classification"}
RCNN_LOSSES = {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
SMALL_PYRAMID = {"size": 64, "trunk": "resnet18"}


@dataclass(frozen=True)
class Case:
    parameters: int  # of the detector as published: without fields
    losses: set[str]
    golden: float  # sum of the losses, with weights set by rule
    fields: dict[str, Any]  # small, for the quick tests
    idle: tuple[str, ...] = ()  # parts that two images may leave without a gradient
    golden_fields: dict[str, Any] = field(default_factory=dict)


CASES = {
    "ssd-light": Case(
        2_775_944, SSD_LOSSES, 8.04799, {"size": 96, "width": 8},
        ("stages.2", "stages.3", "head"),
    ),
    "ssdlite-mobilenetv3": Case(
        2_206_520, SSD_LOSSES, 48.634, {"size": 96}, ("extra", "head", "features.1")
    ),
    "ssd300-vgg16": Case(
        23_745_908, SSD_LOSSES, 6.20936, {"size": 268}, ("extra", "head"), {"size": 300}
    ),
    "faster-rcnn": Case(41_352_281, RCNN_LOSSES, 13.0174, SMALL_PYRAMID),
    "retinanet": Case(32_201_069, SSD_LOSSES, 83.2033, SMALL_PYRAMID),
    "fcos": Case(32_115_270, SSD_LOSSES | {"bbox_ctrness"}, 4.8573, SMALL_PYRAMID),
}  # fmt: skip
SLOW = pytest.param("ssd300-vgg16", marks=pytest.mark.slow)
EVERY = pytest.mark.parametrize("name", [*sorted(CASES.keys() - {"ssd300-vgg16"}), SLOW])


def target(*boxes: tuple[float, float, float, float]) -> Target:
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
    }


def pair() -> tuple[list[Tensor], list[Target]]:
    """Two noisy images of unlike size with a bright mass each, on the left and on the right."""
    generator = torch.Generator().manual_seed(0)
    boxes = ((8, 10, 32, 34), (44, 30, 72, 56))
    images = []
    for extra, (x_min, y_min, x_max, y_max) in enumerate(boxes):
        image = 0.2 + 0.1 * torch.rand(1, 60 + 4 * extra, 80, generator=generator)
        image[:, y_min:y_max, x_min:x_max] += 0.5
        images.append(image)
    return images, [target(box) for box in boxes]


def build(name: str, seed: int = 0, **fields: Any) -> Detector:
    torch.manual_seed(seed)
    return build_detector(name, **{**CASES[name].fields, **fields})


def losses_of(model: Detector, *, empty: bool = False) -> dict[str, Tensor]:
    images, targets = pair()
    torch.manual_seed(7)  # some draw the boxes that they learn from
    losses: dict[str, Tensor] = model.train()(images, [target()] * 2 if empty else targets)
    return losses


def taught(model: Detector, *, empty: bool = False) -> tuple[float, float]:
    """Loss of the pair, and the largest gradient."""
    model.zero_grad()
    total = sum(losses_of(model, empty=empty).values(), torch.zeros(()))
    total.backward()
    grads = [each.grad for each in model.parameters() if each.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in grads)
    return float(total.detach()), max(float(grad.abs().max()) for grad in grads)


@pytest.mark.parametrize("name", detector_names())
def test_parameter_count(name: str) -> None:
    with torch.device("meta"):  # shapes without numbers
        whole = build_detector(name)
    assert sum(weights.numel() for weights in whole.parameters()) == CASES[name].parameters


@EVERY
def test_losses_teach_every_part_with_a_mass_and_without(name: str) -> None:
    model = build(name)
    losses = losses_of(model)
    assert set(losses) == CASES[name].losses
    assert all(loss.ndim == 0 and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    for part, weights in model.named_parameters():
        assert weights.grad is not None, part
        if weights.ndim > 1 and not any(each in part for each in CASES[name].idle):
            assert weights.grad.abs().max() > 0, part
    assert min(taught(model, empty=True)) > 0


@EVERY
def test_boxes_lie_inside_their_image_best_first_saved_or_not(name, tmp_path) -> None:
    images, _ = pair()
    fields = {"score_threshold": 0.0, "aspect": "letterbox"}
    model = build(name, **fields)
    losses_of(model)  # moves the running statistics
    found = model.eval()(images)
    assert any(len(one["boxes"]) for one in found)
    for image, one in zip(images, found, strict=True):
        boxes, scores, labels = one["boxes"], one["scores"], one["labels"]
        assert boxes.shape == (len(scores), 4)
        assert (boxes.dtype, scores.dtype, labels.dtype) == (
            torch.float32, torch.float32, torch.int64,
        )  # fmt: skip
        assert (labels == 1).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert boxes.min() >= 0
        assert (boxes[:, 2:] <= torch.tensor([image.shape[2], image.shape[1]])).all()
        assert (scores.diff() <= 0).all()
        assert 0 <= scores.min() <= scores.max() <= 1
        assert len(boxes) <= 100
    alone = model(images[1:])[0]["scores"][:5]
    torch.testing.assert_close(found[1]["scores"][:5], alone, atol=1e-5, rtol=0)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other = build(name, 6, **fields)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    for one, two in zip(found, other.eval()(images), strict=True):
        assert torch.equal(one["boxes"], two["boxes"])
        assert torch.equal(one["scores"], two["scores"])


@EVERY
def test_golden_number(name: str) -> None:
    model = build(name, **CASES[name].golden_fields)
    with torch.no_grad():
        for weights in model.parameters():
            values = torch.sin(torch.arange(weights.numel(), dtype=torch.float32))
            scale = (2 / weights[0].numel()) ** 0.5 if weights.ndim > 1 else 0.3
            weights.copy_((scale * values + 0.5 * (weights.ndim == 1)).reshape(weights.shape))
        total = sum(map(float, losses_of(model).values()))
    assert total == pytest.approx(CASES[name].golden, rel=2e-3)


def test_it_overfits_two_images() -> None:
    model, (images, targets) = build("ssd-light"), pair()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(45):
        optimiser.zero_grad()
        sum(model.train()(images, targets).values()).backward()
        optimiser.step()
    for one, truth in zip(model.eval()(images), targets, strict=True):
        assert box_iou(one["boxes"][:1], truth["boxes"]).item() > 0.5
        assert one["scores"][0] > 0.3


@pytest.mark.parametrize("name", ["ssd-light", "ssdlite-mobilenetv3"])
def test_without_the_mend_an_empty_image_teaches_nothing(name: str) -> None:
    """torchvision's own behaviour, and control of the mend, which leaves other images alone."""
    plain = build(name, negatives_on_empty=False)
    assert taught(plain) == taught(build(name))
    assert taught(plain, empty=True) == (0.0, 0.0)


def test_what_a_mixed_batch_costs() -> None:
    """An empty image counts as one with the batch's mean number of positives."""
    model = build("ssd-light")
    anchors = [torch.tensor([[0.0, 0, 10, 10]] * 2 + [[20, 20, 40, 40]] * 18)] * 2
    matched = [torch.tensor([0] * 2 + [-1] * 18), torch.full((20,), -1)]  # 2 positives, and none
    heads = {"cls_logits": torch.zeros(2, 20, 2), "bbox_regression": torch.zeros(2, 20, 4)}
    targets = [target((0, 0, 10, 10)), target()]
    ours = model.network.compute_loss(targets, heads, anchors, matched)
    theirs = SSD.compute_loss(model.network, targets, heads, anchors, matched)
    log2 = 0.6931472
    assert float(theirs["classification"]) == pytest.approx((2 + 6) * log2 / 2)
    assert float(ours["classification"]) == pytest.approx((2 + 6 + 6) * log2 / (2 + 2))
    assert torch.equal(ours["bbox_regression"], theirs["bbox_regression"])
    logits = torch.zeros(1, 5, 2)
    logits[0, :, 1] = torch.tensor([-3.0, 2.0, -1.0, 4.0, 0.0])  # for mass
    hardest = torch.nn.functional.softplus(torch.tensor([4.0, 2.0, 0.0])).sum()
    assert float(_hardest(logits, 3)) == pytest.approx(float(hardest))


def test_a_batch_too_small_for_batch_norm() -> None:
    images, targets = pair()
    with pytest.raises(SpecError, match="a batch of 1 at size 64"):
        build("ssd-light", size=64).train()(images[:1], targets[:1])
    build("ssd-light", size=96).train()(images[:1], targets[:1])  # control


@pytest.mark.slow
def test_ssd300_is_torchvisions() -> None:
    theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=2).eval()
    ours = build("ssd300-vgg16", size=300).network.eval()
    assert ours.anchor_generator.scales == theirs.anchor_generator.scales
    assert ours.anchor_generator.steps == theirs.anchor_generator.steps
    ours.load_state_dict(theirs.state_dict())
    squares = [torch.rand(3, 300, 300)]
    theirs.transform.image_mean, theirs.transform.image_std = [0.449] * 3, [0.226] * 3
    one, two = ours(squares)[0], theirs(squares)[0]
    assert torch.equal(one["boxes"][:100], two["boxes"][:100])
    assert torch.equal(one["scores"][:100], two["scores"][:100])


def test_fields_are_refused_by_name() -> None:
    for wrong in ({"sise": 3}, {"aspect": "squash"}, {"score_threshold": 1.0}, {"width": 9}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            build_detector("ssd-light", **wrong)
    with pytest.raises(SpecError, match="size = 32"):
        build_detector("ssd-light", size=32)
