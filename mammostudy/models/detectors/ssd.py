"""The single-shot detectors of torchvision, mended to learn from images without a mass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import MobileNet_V3_Large_Weights, VGG16_BN_Weights, VGG16_Weights
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG, SSDHead
from torchvision.models.vgg import cfgs, make_layers

from mammostudy.models.detectors.anchors import Anchors, Aspect, check_sides, ssd_scales
from mammostudy.models.detectors.common import (
    CLASSES,
    GREY,
    IMAGENET,
    Count,
    Detector,
    Target,
    Threshold,
    Weights,
    check_size,
    fetch,
)

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave these detectors change."""
VGG_SIDE = 300
VGG_STRIDES = (8, 16, 32, 64, 100, 300)
VGG_CHANNELS = (512, 1024, 512, 256, 256, 256)
VGG_RATIOS = ([2], [2, 3], [2, 3], [2, 3], [2], [2])
VGG_SCALES = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
VGG_SMALLEST = 268  # below, the last convolutions have nothing left to see
CAFFE = ([0.48235, 0.45882, 0.40784], [1 / 255] * 3)  # of torchvision's VGG weights for SSD
LITE_STRIDES = (16, 32, 64, 128, 256, 512)
LITE_RATIOS = ([2, 3],) * 6
LITE_MOMENTUM = 0.1


class MassSSD(SSD):  # type: ignore[misc]  # the library has no types
    """torchvision's SSD, whose loss and gradient are no longer zero where there is no box.

    There, hard negatives are counted from an image's own positives, so that an image without a
    mass teaches nothing. Here, with ``negatives_on_empty``, such an image counts as one with the
    batch's mean number of positives an image (of those that have any; at least 1): three times as
    many of its hardest negatives join the classification loss, and the number joins the divisor.
    A batch in which every image has a mass gives torchvision's own losses.

    Args:
        *args: as for torchvision's class.
        negatives_on_empty: False gives torchvision's own loss, for comparison.
        **kwargs: as for torchvision's class.

    Source: Liu et al. 2016, section 2.2 (hard negative mining); torchvision's SSD.
    """

    def __init__(self, *args: object, negatives_on_empty: bool = True, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.negatives_on_empty = negatives_on_empty

    def compute_loss(
        self,
        targets: list[Target],
        head_outputs: dict[str, Tensor],
        anchors: list[Tensor],
        matched_idxs: list[Tensor],
    ) -> dict[str, Tensor]:
        """Losses of a batch, by the name torchvision gives them; arguments as there."""
        losses: dict[str, Tensor] = super().compute_loss(
            targets, head_outputs, anchors, matched_idxs
        )
        positives = [int((matched >= 0).sum()) for matched in matched_idxs]
        empty = [index for index, count in enumerate(positives) if not count]
        if not self.negatives_on_empty or not empty:
            return losses
        found, full = sum(positives), len(positives) - len(empty)
        each = max(1, round(found / full)) if full else 1
        mined = _hardest(head_outputs["cls_logits"][empty], int(self.neg_to_pos_ratio * each))
        whole = losses["classification"] * max(1, found) + mined
        return losses | {"classification": whole / (found + each * len(empty))}


def _hardest(logits: Tensor, count: int) -> Tensor:
    """Sum the ``count`` largest background losses of each image's ``(boxes, classes)`` logits."""
    background = logits.new_zeros(logits.shape[:2]).long()
    losses = functional.cross_entropy(logits.transpose(1, 2), background, reduction="none")
    return losses.topk(min(count, losses.shape[1]), dim=1).values.sum()


def default_boxes(
    ratios: Sequence[Sequence[int]],
    scales: Sequence[float] | None,
    steps: Sequence[int] | None = None,
) -> DefaultBoxGenerator:
    """Make the generator of default boxes; without scales, torchvision's even ones from 0.2."""
    return DefaultBoxGenerator(
        [list(each) for each in ratios],
        min_ratio=0.2,
        max_ratio=0.95,
        scales=None if scales is None else list(scales),
        steps=None if steps is None else list(steps),
    )


def ssd300_vgg16(
    size: int = VGG_SIDE,
    aspect: Aspect = "stretch",
    anchors: Anchors = "default",
    box_sides: Sequence[float] = (),
    negatives_on_empty: bool = True,
    weights: Weights = "none",
    batch_norm: bool = False,
    score_threshold: Threshold = 0.01,
    detections: Count = 100,
) -> Detector:
    """SSD300 with the VGG16 trunk: the journal's detector. 23,745,908 parameters.

    Args:
        size: 300 as published; 257 or more.
        aspect: "stretch" as published, which squashes an image to a square.
        anchors: "default": published scales, 7 % of the side and up. "cohort": from ``box_sides``.
        box_sides: see :func:`~mammostudy.models.detectors.anchors.box_side_quantiles`.
        negatives_on_empty: see :class:`MassSSD`.
        weights: "imagenet" downloads a VGG16 trained for SSD; no layer is frozen.
        batch_norm: in the trunk; the published one has none, and is hard to train from scratch.
        score_threshold: boxes with a lower score are left out.
        detections: at most this many an image.

    Raises:
        SpecError: fields that contradict each other, or out of range.
        DataError: the weights cannot be downloaded.

    Source: Liu et al. 2016; torchvision ``ssd300_vgg16``.
    """
    check_sides(anchors, box_sides)
    check_size(size, VGG_SMALLEST)
    shares = [stride / VGG_SIDE for stride in VGG_STRIDES]
    scales = VGG_SCALES if anchors == "default" else ssd_scales(box_sides, shares)
    generator = default_boxes(VGG_RATIOS, scales, VGG_STRIDES if size == VGG_SIDE else None)
    trunk = fetch(lambda: _vgg(weights, batch_norm), weights)
    mean, std = GREY if weights == "none" else IMAGENET if batch_norm else CAFFE
    network = MassSSD(
        SSDFeatureExtractorVGG(trunk, highres=False),
        generator,
        (size, size),
        CLASSES,
        mean,
        std,
        SSDHead(list(VGG_CHANNELS), generator.num_anchors_per_location(), CLASSES),
        negatives_on_empty=negatives_on_empty,
        score_thresh=score_threshold,
        detections_per_img=detections,
    )
    return Detector(network, size, aspect)


def _vgg(weights: Weights, batch_norm: bool) -> nn.Module:
    """The convolutions of VGG16 without the 120 million dense weights that SSD has no use for."""
    layers: nn.Module = make_layers(cfgs["D"], batch_norm)
    if weights == "none":
        for layer in layers.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        return layers
    published = VGG16_Weights.IMAGENET1K_FEATURES
    if batch_norm:
        published = VGG16_BN_Weights.IMAGENET1K_V1
    state = published.get_state_dict(progress=False, check_hash=True)
    start = "features."
    layers.load_state_dict(
        {name.removeprefix(start): each for name, each in state.items() if name.startswith(start)}
    )
    return layers


def ssdlite_mobilenetv3(
    size: int = 320,
    aspect: Aspect = "stretch",
    anchors: Anchors = "default",
    box_sides: Sequence[float] = (),
    negatives_on_empty: bool = True,
    weights: Weights = "none",
    score_threshold: Threshold = 0.01,
    detections: Count = 100,
) -> Detector:
    """SSDlite with the MobileNetV3-large trunk. 2,206,520 parameters from scratch.

    Its finest map has a stride of 16 pixels and its last one a single pixel, so that a batch of
    one image cannot train it. Fields as for :func:`ssd300_vgg16`; default scales rise from 0.2.

    From scratch its batch norm keeps running statistics with a momentum of 0.1. torchvision's
    0.03, meant for hundreds of thousands of steps, leaves so much of the initial variance of 1
    after some hundred that the network predicts nothing of what it has learnt: two images that it
    had fitted to a loss of 0.003 were both missed.

    Raises:
        SpecError: fields that contradict each other, or out of range.
        DataError: the weights cannot be downloaded.

    Source: Howard et al. 2019; torchvision ``ssdlite320_mobilenet_v3_large``.
    """
    check_sides(anchors, box_sides)
    check_size(size, 64)
    plain = fetch(lambda: _lite(weights), weights)
    shares = [stride / size for stride in LITE_STRIDES]
    scales = None if anchors == "default" else ssd_scales(box_sides, shares)
    mean, std = GREY if weights == "none" else IMAGENET
    network = MassSSD(
        plain.backbone,
        default_boxes(LITE_RATIOS, scales),
        (size, size),
        CLASSES,
        mean,
        std,
        plain.head,
        negatives_on_empty=negatives_on_empty,
        score_thresh=score_threshold,
        nms_thresh=0.55,
        detections_per_img=detections,
        topk_candidates=300,
    )
    return Detector(network, size, aspect)


def _lite(weights: Weights) -> nn.Module:
    """The library's own SSDlite, for its trunk and head."""
    published = None if weights == "none" else MobileNet_V3_Large_Weights.IMAGENET1K_V1
    model: nn.Module = ssdlite320_mobilenet_v3_large(
        weights=None,
        weights_backbone=published,
        num_classes=CLASSES,
        progress=False,
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03 if published else LITE_MOMENTUM),
    )
    return model
