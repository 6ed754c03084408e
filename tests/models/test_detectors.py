"""Every detector through the base tester, and what is special to each."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.error import URLError

import pytest
import torch
from detector_tester import DetectorTester, Taught, pair, target
from torch import Tensor
from torchvision.models.detection.ssd import SSD

from mammostudy.errors import DataError, SpecError
from mammostudy.models import build_detector, detector_names
from mammostudy.models.detectors.common import Detector

SIDES = (0.05, 0.09, 0.2)
SSD_LOSSES = {"bbox_regression", "classification"}


def loss_and_gradient(taught: Taught) -> tuple[float, float]:
    """Total loss and largest gradient."""
    largest = max(float(weights.grad.abs().max()) for weights in taught.model.parameters())
    return float(sum(taught.losses.values()).detach()), largest


class SsdTester(DetectorTester):
    losses = SSD_LOSSES

    def unmended(self, *, empty: bool) -> Taught:
        return self.teach(self.build(negatives_on_empty=False), empty=empty)

    def test_without_the_mend_an_empty_image_teaches_nothing(self, taught_by_empty: Taught) -> None:
        """torchvision's own behaviour, and control of the mend."""
        assert loss_and_gradient(self.unmended(empty=True)) == (0.0, 0.0)
        loss, gradient = loss_and_gradient(taught_by_empty)
        assert loss > 0
        assert gradient > 0

    def test_the_mend_leaves_images_with_a_mass_alone(self, taught: Taught) -> None:
        assert loss_and_gradient(taught) == loss_and_gradient(self.unmended(empty=False))

    def test_cohort_boxes_fit_and_change_the_match(self) -> None:
        plain, fitted = self.build(), self.build(anchors="cohort", box_sides=SIDES)
        scales = fitted.network.anchor_generator.scales
        assert scales != plain.network.anchor_generator.scales
        assert len(scales) == len(plain.network.anchor_generator.scales)
        assert sum(p.numel() for p in plain.parameters()) == sum(
            p.numel() for p in fitted.parameters()
        )
        assert all(torch.isfinite(loss) for loss in self.losses_of(fitted).values())
        with pytest.raises(SpecError, match="needs box_sides"):
            self.build(anchors="cohort")


class TestSsdLight(SsdTester):
    name = "ssd-light"
    fields: ClassVar = {"size": 96, "width": 8}
    parameters = 2_775_944
    golden = 8.04799
    idle = ("stages.2", "stages.3", "head")
    steps = 60

    def test_it_overfits_two_images(self) -> None:  # not slow
        self.overfit()

    def test_width_is_a_field(self) -> None:
        counts = [
            sum(p.numel() for p in build_detector("ssd-light", width=w).parameters())
            for w in (8, 16)
        ]
        assert counts[0] < counts[1] < self.parameters
        with pytest.raises(SpecError, match="width: Input should be a multiple of 2"):
            self.build(width=9)

    def test_a_batch_too_small_for_batch_norm(self) -> None:
        images, targets = pair()
        with pytest.raises(SpecError, match="a batch of 1 at size 64"):
            self.build(size=64).train()(images[:1], targets[:1])
        self.build(size=96).train()(images[:1], targets[:1])  # control


class TestSsdlite(SsdTester):
    name = "ssdlite-mobilenetv3"
    fields: ClassVar = {"size": 96}
    parameters = 2_206_520
    golden = 48.634
    idle = ("extra", "head", "features.1")
    rate = 2e-3
    steps = 120

    def test_default_scales_are_torchvisions(self) -> None:
        scales = self.build().network.anchor_generator.scales
        assert scales == pytest.approx([0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0])


@pytest.mark.slow
class TestSsd300(SsdTester):
    name = "ssd300-vgg16"
    fields: ClassVar = {"size": 268}  # the smallest it takes
    golden_fields: ClassVar = {"size": 300}
    parameters = 23_745_908
    golden = 6.20936
    idle = ("extra", "head")
    rate = 2e-4
    steps = 24
    look = 6

    def test_it_is_torchvisions(self) -> None:
        from torchvision.models.detection import ssd300_vgg16

        theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=2)
        ours = self.build(size=300).network
        shapes = {name: each.shape for name, each in theirs.state_dict().items()}
        assert {name: each.shape for name, each in ours.state_dict().items()} == shapes
        assert ours.anchor_generator.scales == theirs.anchor_generator.scales
        assert ours.anchor_generator.steps == theirs.anchor_generator.steps
        ours.load_state_dict(theirs.state_dict())
        squares = [torch.rand(3, 300, 300)]
        theirs.transform.image_mean, theirs.transform.image_std = [0.449] * 3, [0.226] * 3
        one, two = ours.eval()(squares)[0], theirs.eval()(squares)[0]
        assert torch.equal(one["boxes"][:100], two["boxes"][:100])
        assert torch.equal(one["scores"][:100], two["scores"][:100])


class PyramidTester(DetectorTester):
    fields: ClassVar = {"size": 64, "trunk": "resnet18"}
    rate = 1e-4
    steps = 40


class TestFasterRcnn(PyramidTester):
    name = "faster-rcnn"
    parameters = 41_352_281
    golden = 13.0174
    rate = 3e-4
    losses: ClassVar = {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"}

    def lighten(self, model: Detector) -> None:
        """A few proposals of each image go through its dense layers, not some hundreds."""
        model.network.rpn._post_nms_top_n = {"training": 100, "testing": 100}
        model.network.roi_heads.fg_bg_sampler.batch_size_per_image = 64

    def test_cohort_anchors(self) -> None:
        sizes = self.build(anchors="cohort", box_sides=SIDES).network.rpn.anchor_generator.sizes
        assert len(sizes) == 5
        assert sizes[0] == (7,)  # 1.8 strides of 4 pixels
        assert self.build().network.rpn.anchor_generator.sizes[0] == (32,)


class TestRetinanet(PyramidTester):
    name = "retinanet"
    parameters = 32_201_069
    golden = 83.2033
    rate = 3e-4
    losses: ClassVar = {"classification", "bbox_regression"}

    def test_cohort_anchors(self) -> None:
        model = self.build(anchors="cohort", box_sides=SIDES)
        assert [len(level) for level in model.network.anchor_generator.sizes] == [3] * 5
        assert all(torch.isfinite(loss) for loss in self.losses_of(model).values())


class TestFcos(PyramidTester):
    name = "fcos"
    parameters = 32_115_270
    golden = 4.8573
    losses: ClassVar = {"classification", "bbox_regression", "bbox_ctrness"}


def test_every_registered_detector_has_a_tester() -> None:
    def leaves(tester: type[DetectorTester]) -> set[type[DetectorTester]]:
        below = tester.__subclasses__()
        return set().union(*(leaves(each) for each in below)) if below else {tester}

    assert {tester.name for tester in leaves(DetectorTester)} == set(detector_names())


NETS = (
    ("ssdlite-mobilenetv3", {}),
    ("ssd300-vgg16", {}),
    ("ssd300-vgg16", {"batch_norm": True}),
    ("retinanet", {"trunk": "resnet18"}),
)


@pytest.mark.parametrize(("name", "fields"), NETS)
def test_weights_without_a_network_say_so(
    name: str, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        msg = "Name or service not known"
        raise URLError(msg)

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", no_network)
    with pytest.raises(DataError, match=r"weights = 'imagenet': .* not known.* weights = 'none'"):
        build_detector(name, weights="imagenet", **fields)
    build_detector(name, **fields)  # control: from scratch nothing is asked of the network


def test_what_a_mixed_batch_costs() -> None:
    """An empty image counts as one with the batch's mean number of positives."""
    model = build_detector("ssd-light", size=96, width=8)
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


def test_the_hardest_negatives_are_the_ones_mined() -> None:
    from mammostudy.models.detectors.ssd import _hardest

    logits = torch.zeros(1, 5, 2)
    logits[0, :, 1] = torch.tensor([-3.0, 2.0, -1.0, 4.0, 0.0])  # for mass
    expected = sum(float(torch.nn.functional.softplus(torch.tensor(v))) for v in (4.0, 2.0, 0.0))
    assert float(_hardest(logits, 3)) == pytest.approx(expected)
    assert _hardest(logits, 99).isfinite()  # no more than there are


def test_grey_reaches_all_three_channels() -> None:
    model = build_detector("ssd-light", size=64, width=8).eval()
    seen: list[Tensor] = []
    model.network.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0]))
    model([torch.rand(1, 64, 64)])
    assert seen[0].shape == (3, 64, 64)
    assert torch.equal(seen[0][0], seen[0][2])


def test_fields_are_refused_by_name_and_thresholds_cut() -> None:
    for wrong, message in (
        ({"sise": 3}, "'ssd-light' has no field sise: it has size, "),
        ({"aspect": "squash"}, "aspect: Input should be 'stretch' or 'letterbox'"),
        ({"score_threshold": 1.0}, "score_threshold: Input should be less than 1"),
        ({"size": 32}, "too small for this detector"),
    ):
        with pytest.raises(SpecError, match=message):
            build_detector("ssd-light", **wrong)
    fields: dict[str, Any] = {"size": 64, "width": 8, "aspect": "letterbox"}
    torch.manual_seed(0)
    every = build_detector("ssd-light", score_threshold=0.0, **fields).eval()
    torch.manual_seed(0)
    few = build_detector("ssd-light", score_threshold=0.5, detections=3, **fields).eval()
    found, cut = every(pair()[0])[0], few(pair()[0])[0]
    assert len(found["boxes"]) > 3 >= len(cut["boxes"])
    assert (cut["scores"] > 0.5).all()
    assert found["scores"].min() <= 0.5  # control
