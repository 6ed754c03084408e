"""Single-shot detectors, mended to learn from images without a mass.

Two are torchvision's; ``ssd-light`` has a small residual trunk of our own, and trains from scratch
in minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import MobileNet_V3_Large_Weights, VGG16_BN_Weights, VGG16_Weights
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG, SSDHead
from torchvision.models.resnet import BasicBlock
from torchvision.models.vgg import cfgs, make_layers

from mammostudy.models.common import Count, he_initialise
from mammostudy.models.detectors import common
from mammostudy.models.detectors.common import Anchors, Aspect, Detector, Target, Threshold
from mammostudy.models.encoders import Weights, draw_vgg16, fetch, halving_block, load_vgg16

VGG_SIDE, VGG_SMALLEST = 300, 268  # below, the last convolutions have nothing left to see
VGG_STRIDES = (8, 16, 32, 64, 100, 300)
VGG_CHANNELS = (512, 1024, 512, 256, 256, 256)
VGG_RATIOS = ([2], [2, 3], [2, 3], [2, 3], [2], [2])
VGG_SCALES = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
CAFFE = ([0.48235, 0.45882, 0.40784], [1 / 255] * 3)  # of torchvision's VGG weights for SSD
LITE_STRIDES = (16, 32, 64, 128, 256, 512)
LITE_RATIOS = ([2, 3],) * 6
LIGHT_STRIDES = (8, 16, 32, 64)
LIGHT_RATIOS = ([2], [2, 3], [2, 3], [2])
Width = Annotated[int, Field(ge=8, multiple_of=2)]


class MassSSD(SSD):  # type: ignore[misc]  # the library has no types
    """torchvision's SSD, whose loss and gradient are no longer zero where there is no box.

    There, hard negatives are counted from an image's own positives, so that an image without a
    mass teaches nothing. Here, with ``negatives_on_empty``, such an image counts as one with the
    batch's mean number of positives an image (of those that have any; at least 1): three times as
    many of its hardest negatives join the classification loss, and the number joins the divisor.
    A batch in which every image has a mass gives torchvision's own losses.

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
    """Sum the ``count`` largest background losses of each image's logits."""
    background = logits.new_zeros(logits.shape[:2]).long()
    losses = functional.cross_entropy(logits.transpose(1, 2), background, reduction="none")
    return losses.topk(min(count, losses.shape[1]), dim=1).values.sum()


def _default_boxes(
    ratios: Sequence[Sequence[int]],
    box_sides: Sequence[float],
    strides: Sequence[float],
    size: int,
    *,
    scales: list[float] | None = None,
    steps: list[int] | None = None,
) -> DefaultBoxGenerator:
    """The boxes: of ``box_sides`` where given, else of ``scales``, else torchvision's from 0.2.

    A map has square boxes of its scale and of the geometric mean of its scale and the next, and
    oblong ones of its scale.
    """
    if box_sides:
        scales = common.level_sides(box_sides, [stride / size for stride in strides])
    return DefaultBoxGenerator(
        [list(each) for each in ratios], min_ratio=0.2, max_ratio=0.95, scales=scales, steps=steps
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

    As published its side is 300 (268 or more works), an image is squashed to a square, scales are
    7 % of the side and up, and the trunk has no batch norm, which is hard to train from scratch.
    With "imagenet" weights no layer is frozen. Source: Liu et al. 2016; torchvision.
    """
    common.check_fields(anchors, box_sides, size, VGG_SMALLEST)
    steps = list(VGG_STRIDES) if size == VGG_SIDE else None
    generator = _default_boxes(
        VGG_RATIOS, box_sides, VGG_STRIDES, VGG_SIDE, scales=VGG_SCALES, steps=steps
    )
    if weights == "none":
        trunk, grey = draw_vgg16(batch_norm=batch_norm), common.GREY
    else:
        bare, normed = VGG16_Weights.IMAGENET1K_FEATURES, VGG16_BN_Weights.IMAGENET1K_V1
        trunk = load_vgg16(make_layers(cfgs["D"], batch_norm), normed if batch_norm else bare)
        grey = common.IMAGENET if batch_norm else CAFFE
    extractor = SSDFeatureExtractorVGG(trunk, highres=False)
    head = SSDHead(list(VGG_CHANNELS), generator.num_anchors_per_location(), common.CLASSES)
    network = MassSSD(
        *(extractor, generator, (size, size), common.CLASSES, *grey, head),
        negatives_on_empty=negatives_on_empty,
        score_thresh=score_threshold,
        detections_per_img=detections,
    )
    return Detector(network, size, aspect)


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

    Its last map is a single pixel, so that a batch of one image cannot train it. From scratch its
    batch norm has a momentum of 0.1: torchvision's 0.03 is too slow for some hundred steps.

    Source: Howard et al. 2019; torchvision ``ssdlite320_mobilenet_v3_large``.
    """
    common.check_fields(anchors, box_sides, size, 64)
    scratch = weights == "none"
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.1 if scratch else 0.03)
    plain: Any = fetch(
        lambda: ssdlite320_mobilenet_v3_large(
            weights=None,
            weights_backbone=None if scratch else MobileNet_V3_Large_Weights.IMAGENET1K_V1,
            num_classes=common.CLASSES,
            progress=False,
            norm_layer=norm,
        ),
        weights,
    )
    generator = _default_boxes(LITE_RATIOS, box_sides, LITE_STRIDES, size)
    grey = common.GREY if scratch else common.IMAGENET
    network = MassSSD(
        *(plain.backbone, generator, (size, size), common.CLASSES, *grey, plain.head),
        negatives_on_empty=negatives_on_empty,
        score_thresh=score_threshold,
        nms_thresh=0.55,
        detections_per_img=detections,
        topk_candidates=300,
    )
    return Detector(network, size, aspect)


class LightTrunk(nn.Module):
    """Feature maps at strides 8, 16, 32 and 64 from residual blocks.

    A 3x3 convolution of stride 2 with ``width / 2`` filters; a block to ``width`` (stride 4); two
    blocks each to 2, 4 and 6 times ``width`` (strides 8, 16, 32); one more of stride 64.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_channels = [2 * width, 4 * width, 6 * width, 6 * width]
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width // 2),
            nn.ReLU(inplace=True),
            halving_block(width // 2, width),
        )
        stages: list[nn.Module] = []
        before = width
        for count, channels in zip((2, 2, 2, 1), self.out_channels, strict=True):
            same = [BasicBlock(channels, channels) for _ in range(count - 1)]
            stages.append(nn.Sequential(halving_block(before, channels), *same))
            before = channels
        self.stages = nn.ModuleList(stages)
        he_initialise(self, "fan_out")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map ``(n, 3, s, s)`` to the four feature maps, finest first."""
        maps: dict[str, Tensor] = {}
        features = self.stem(images)
        for index, stage in enumerate(self.stages):
            features = stage(features)
            maps[str(index)] = features
        return maps


def ssd_light(
    size: int = 320,
    aspect: Aspect = "stretch",
    anchors: Anchors = "default",
    box_sides: Sequence[float] = (),
    negatives_on_empty: bool = True,
    width: Width = 32,
    score_threshold: Threshold = 0.01,
    detections: Count = 100,
) -> Detector:
    """An SSD with :class:`LightTrunk`: 2,775,944 parameters at width 32, for the small presets.

    Time grows with the square of the width; default scales rise from 0.2.
    Source: the head, matching and loss of Liu et al. 2016; blocks of He et al. 2016; torchvision.
    """
    common.check_fields(anchors, box_sides, size, LIGHT_STRIDES[-1])
    generator = _default_boxes(LIGHT_RATIOS, box_sides, LIGHT_STRIDES, size)
    trunk = LightTrunk(width)
    head = SSDHead(trunk.out_channels, generator.num_anchors_per_location(), common.CLASSES)
    network = MassSSD(
        *(trunk, generator, (size, size), common.CLASSES, *common.GREY, head),
        negatives_on_empty=negatives_on_empty,
        score_thresh=score_threshold,
        detections_per_img=detections,
    )
    return Detector(network, size, aspect)
