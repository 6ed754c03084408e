"""Detectors: what all must do, and how an image gets into one and boxes out of it, by hand."""

import math
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from mammostudy.errors import DataError, SpecError
from mammostudy.models import build_detector
from mammostudy.models.detectors import common as ours
from mammostudy.models.detectors import ssd
from mammostudy.models.detectors.pyramids import RETINA_STRIDES, pyramid_sizes

SSD_PARTS = {"bbox_regression", "classification"}
RCNN_PARTS = {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}
PYRAMID = {"size": 64, "trunk": "resnet18"}


class Case(NamedTuple):
    losses: set
    golden: float  # sum of the losses, with weights set by rule
    fields: dict  # small, for the quick tests
    idle: tuple = ()  # parts that two images may leave without a gradient


CASES = {
    "faster-rcnn": Case(RCNN_PARTS, 13.0174, PYRAMID),
    "fcos": Case(SSD_PARTS | {"bbox_ctrness"}, 4.8573, PYRAMID),
    "retinanet": Case(SSD_PARTS, 83.2033, PYRAMID),
    "ssd-light": Case(
        SSD_PARTS, 8.04799, {"size": 96, "width": 8}, ("stages.2", "stages.3", "head")
    ),
    "ssd300-vgg16": Case(SSD_PARTS, 6.20936, {"size": 268}, ("extra", "head")),
    "ssdlite-mobilenetv3": Case(SSD_PARTS, 48.634, {"size": 96}, ("extra", "head", "features.1")),
}
SLOW = pytest.param("ssd300-vgg16", marks=pytest.mark.slow)
EVERY = pytest.mark.parametrize("name", [*sorted(CASES.keys() - {"ssd300-vgg16"}), SLOW])


def target(*boxes):
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
    }


def pair():
    """Two noisy images of unlike size with a bright mass each, on the left and on the right."""
    generator = torch.Generator().manual_seed(0)
    boxes = ((8, 10, 32, 34), (44, 30, 72, 56))
    images = []
    for extra, (x_min, y_min, x_max, y_max) in enumerate(boxes):
        image = 0.2 + 0.1 * torch.rand(1, 60 + 4 * extra, 80, generator=generator)
        image[:, y_min:y_max, x_min:x_max] += 0.5
        images.append(image)
    return images, [target(box) for box in boxes]


def build(name, seed=0, **fields):
    torch.manual_seed(seed)
    return build_detector(name, **CASES[name].fields | fields)


def losses_of(model, *, empty=False):
    images, targets = pair()
    torch.manual_seed(7)  # some draw the boxes that they learn from
    return model.train()(images, [target()] * 2 if empty else targets)


def taught(model, *, empty=False):
    """Loss of the pair, and the largest gradient."""
    model.zero_grad()
    total = sum(losses_of(model, empty=empty).values())
    total.backward()
    grads = [each.grad for each in model.parameters() if each.grad is not None]
    assert all(torch.isfinite(grad).all() for grad in grads)
    return float(total.detach()), max(float(grad.abs().max()) for grad in grads)


@EVERY
def test_losses_teach_every_part_with_a_mass_and_without(name):
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
def test_boxes_lie_inside_their_image_best_first_saved_or_not(name, tmp_path):
    images, _ = pair()
    fields = {"score_threshold": 0.0, "aspect": "letterbox"}
    model = build(name, **fields)
    losses_of(model)  # moves the running statistics
    found = model.eval()(images)
    assert any(len(one["boxes"]) for one in found)
    for image, one in zip(images, found, strict=True):
        boxes, scores, labels = one["boxes"], one["scores"], one["labels"]
        assert boxes.shape == (len(scores), 4)
        assert boxes.dtype == scores.dtype == torch.float32
        assert torch.equal(labels, torch.ones(len(boxes), dtype=torch.int64))
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
def test_golden_number(name):
    model = build(name, **({"size": 300} if name == "ssd300-vgg16" else {}))
    with torch.no_grad():
        for weights in model.parameters():
            values = torch.sin(torch.arange(weights.numel(), dtype=torch.float32))
            scale = (2 / weights[0].numel()) ** 0.5 if weights.ndim > 1 else 0.3
            weights.copy_((scale * values + 0.5 * (weights.ndim == 1)).reshape(weights.shape))
        total = sum(map(float, losses_of(model).values()))
    assert total == pytest.approx(CASES[name].golden, rel=2e-3)


def test_it_overfits_two_images():
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
def test_without_the_mend_an_empty_image_teaches_nothing(name):
    """torchvision's own behaviour, and control of the mend, which leaves other images alone."""
    plain = build(name, negatives_on_empty=False)
    assert taught(plain) == taught(build(name))
    assert taught(plain, empty=True) == (0.0, 0.0)


def test_what_a_mixed_batch_costs():
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
    assert float(ssd._hardest(logits, 3)) == pytest.approx(float(hardest))


def test_a_batch_too_small_for_batch_norm():
    images, targets = pair()
    with pytest.raises(SpecError, match="a batch of 1 at size 64"):
        build("ssd-light", size=64).train()(images[:1], targets[:1])
    build("ssd-light", size=96).train()(images[:1], targets[:1])  # control


@pytest.mark.slow
def test_ssd300_is_torchvisions():
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


def test_fields_are_refused_by_name():
    for wrong in ({"sise": 3}, {"aspect": "squash"}, {"score_threshold": 1.0}, {"width": 9}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            build_detector("ssd-light", **wrong)
    with pytest.raises(SpecError, match="size = 32"):
        build_detector("ssd-light", size=32)


SIDES = (0.04, 0.09, 0.2)


def test_letterbox_by_hand():
    square, where = ours.place(torch.ones(1, 50, 100), 64, "letterbox")
    assert square.shape == (1, 64, 64)
    assert square[0].any(dim=1).tolist() == [False] * 16 + [True] * 32 + [False] * 16
    boxes = torch.tensor([[0.0, 0, 100, 50], [50, 25, 100, 50]])
    assert where.to_square(boxes).tolist() == [[0, 16, 64, 48], [32, 32, 64, 48]]
    # the first lies in the padding
    found = {"boxes": torch.tensor([[0.0, 0, 20, 10], [0, 16, 32, 48]]), "scores": torch.ones(2)}
    assert ours._on_image(found, where)["boxes"].tolist() == [[0, 0, 50, 50]]


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    size=st.integers(64, 320),
    aspect=st.sampled_from(["stretch", "letterbox"]),
    shares=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_there_and_back(height, width, size, aspect, shares):
    (x_min, x_max), (y_min, y_max) = sorted(shares[:2]), sorted(shares[2:])
    box = torch.tensor([[x_min * width, y_min * height, x_max * width, y_max * height]])
    square, where = ours.place(torch.zeros(1, height, width), size, aspect)
    assert square.shape == (1, size, size)
    inside = where.to_square(box)
    assert inside.min() >= -1e-3
    assert inside.max() <= size + 1e-3
    torch.testing.assert_close(where.to_image(inside), box, atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("image", [
    torch.rand(2, 8, 8), torch.rand(8, 8), torch.rand(1, 0, 8),
    torch.rand(1, 8, 8, dtype=torch.float64), torch.full((1, 8, 8), 255.0),
    torch.full((1, 8, 8), -1.0), torch.full((1, 8, 8), float("nan")),
], ids=range(7))  # fmt: skip
def test_images_are_refused_by_index(image):
    with pytest.raises(DataError, match="image 1 "):
        ours._check_images([torch.rand(1, 8, 9), image])


def test_boxes_are_refused_by_index():
    images, sound = [torch.rand(1, 8, 9)] * 2, torch.tensor([[0.0, 0, 9, 8], [0, 0, 4, 4]])
    free = {"boxes": torch.zeros(0, 4)}
    for faulty in ((5, 5, 5, 9), (6, 5, 5, 9), (0, 0, 9, 8.5), (-1, 0, 4, 4), (0, 0, math.nan, 4)):
        boxes = torch.cat([sound, torch.tensor([faulty])])
        with pytest.raises(DataError, match="of image 1"):
            ours._check_boxes(images, [free, {"boxes": boxes}])
    ours._check_boxes(images, [{"boxes": sound}, free])  # control


def test_sides_by_hand():
    boxes = [(0, 0, 10, 40), (5, 5, 25, 25)]  # both 20 pixels by area
    sizes = [(100, 100), (100, 400)]
    assert ours.box_side_quantiles(boxes, sizes) == (0.105, 0.125, 0.15, 0.175, 0.195)
    assert ours.box_side_quantiles(boxes, sizes, "letterbox")[0] == pytest.approx(0.0575)


def test_levels_by_hand():
    strides = [8 / 300, 16 / 300, 32 / 300, 64 / 300, 1 / 3, 1]
    sides = ours.level_sides(SIDES, strides)
    # The three maps whose stride is below 20 %, the first two raised to 1.8 strides.
    assert sides[:3] == pytest.approx([1.8 * 8 / 300, 1.8 * 16 / 300, 0.2])
    ratio = (ours.LARGEST / 0.2) ** (1 / 4)
    assert sides[3:] == pytest.approx([0.2 * ratio**n for n in (1, 2, 3, 4)])
    assert max(ours.level_sides((0.2, 1.0), (0.3, 0.7, 1.0))[:-1]) == 1.0  # none beyond the image


def test_pyramid_sizes_by_hand():
    one = pyramid_sizes((0.05, 0.2), (4, 8, 16, 32, 64), 320, 1)
    assert one == ((16,), (23,), (32,), (58,), (115,))  # the last two 1.8 strides
    three = pyramid_sizes((0.05, 0.2), (8, 16, 32, 64, 128), 320, 3)
    assert three[0] == (16, 19, 24)  # thirds of the way to the next level's 29
    assert [len(level) for level in three] == [3] * 5


def test_sides_are_refused_by_name():
    ours.check_fields("cohort", SIDES, 64, 64)  # control
    wrong = {"default": [SIDES], "cohort": [(0.1,), (0.2, 0.1), (0.0, 0.1), (0.1, 1.2)]}
    for anchors, choices in wrong.items():
        for sides in choices:
            with pytest.raises(SpecError, match="box_sides"):
                ours.check_fields(anchors, sides, 64, 64)


def test_boxes_of_a_cohort_reach_the_network():
    light = build_detector("ssd-light", size=320, anchors="cohort", box_sides=SIDES).network
    sides = ours.level_sides(SIDES, [stride / 320 for stride in ssd.STRIDES["ssd-light"]])
    assert light.anchor_generator.scales == pytest.approx(sides)
    pyramid = build_detector("retinanet", size=64, anchors="cohort", box_sides=SIDES).network
    sizes = pyramid_sizes(SIDES, RETINA_STRIDES, 64, 3)
    assert pyramid.anchor_generator.sizes == sizes


FROZEN = {"size": 64, "trunk": "efficientnet-lite0", "weights": "packaged"}


@pytest.mark.parametrize("name", ["fcos", "retinanet"])
def test_a_packaged_trunk_stays_as_published(name):
    model = build_detector(name, **FROZEN)
    trunk = model.network.backbone.trunk
    before = {key: each.clone() for key, each in trunk.state_dict().items()}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    sum(losses_of(model).values()).backward()
    optimiser.step()
    assert all(torch.equal(each, before[key]) for key, each in trunk.state_dict().items())
    learnt = {key.split(".")[1] for key, each in model.named_parameters() if each.grad is not None}
    assert learnt == {"backbone", "head"}
    assert model.network.transform.image_mean == [0.5] * 3
    seen = []
    trunk.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        model.eval()([torch.tensor([[[0.0, 1.0]]]).expand(1, 64, 2).repeat(1, 1, 32)])
    assert (seen[0].min(), seen[0].max()) == (-1, 1)  # what its weights learnt from
