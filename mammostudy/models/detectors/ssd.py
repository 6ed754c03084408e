"""Single-shot detectors, mended to learn from images without a mass.

Two are torchvision's; ``ssd-light`` has a small residual trunk of our own, and trains from scratch
in minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDFeatureExtractorVGG
from torchvision.models.resnet import BasicBlock
from torchvision.models.vgg import cfgs, make_layers

from mammostudy.models.common import Count, he_initialise
from mammostudy.models.detectors import common
from mammostudy.models.detectors.common import Anchors, Aspect, Detector, Target, Threshold
from mammostudy.models.encoders import Weights, draw_vgg16, fetch, halving_block, load_vgg16

VGG_SIDE, VGG_SMALLEST = 300, 268  # below, the last convolutions have nothing left to see
VGG_SCALES = [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05]
CAFFE = ([0.48235, 0.45882, 0.40784], [1 / 255] * 3)  # of torchvision's VGG weights for SSD
STRIDES = {
    "ssd300-vgg16": (8, 16, 32, 64, 100, 300),
    "ssdlite-mobilenetv3": (16, 32, 64, 128, 256, 512),
    "ssd-light": (8, 16, 32, 64),
}
RATIOS = {
    "ssd300-vgg16": ([2], [2, 3], [2, 3], [2, 3], [2], [2]),
    "ssdlite-mobilenetv3": ([2, 3],) * 6,
    "ssd-light": ([2], [2, 3], [2, 3], [2]),
}
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

    negatives_on_empty = True

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


def _mobilenet(weights: Weights) -> Any:
    """Torchvision's SSDlite, of which trunk and head are taken.

    From scratch its batch norm has a momentum of 0.1: the 0.03 is too slow for some hundred steps.
    """
    scratch = weights == "none"
    return fetch(
        lambda: ssdlite320_mobilenet_v3_large(
            weights=None,
            weights_backbone=None if scratch else "IMAGENET1K_V1",
            num_classes=common.CLASSES,
            progress=False,
            norm_layer=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.1 if scratch else 0.03),
        ),
        weights,
    )


def _vgg16(weights: Weights, batch_norm: bool) -> Any:
    """VGG16 and the further layers of SSD300."""
    if weights == "none":
        return SSDFeatureExtractorVGG(draw_vgg16(batch_norm=batch_norm), highres=False)
    name = "VGG16_BN_Weights.IMAGENET1K_V1" if batch_norm else "VGG16_Weights.IMAGENET1K_FEATURES"
    trunk = load_vgg16(make_layers(cfgs["D"], batch_norm), name)
    return SSDFeatureExtractorVGG(trunk, highres=False)


def ssd(
    kind: Literal["ssd300-vgg16", "ssdlite-mobilenetv3", "ssd-light"],
    size: int | None = None,
    aspect: Aspect = "stretch",
    anchors: Anchors = "default",
    box_sides: Sequence[float] = (),
    negatives_on_empty: bool = True,
    weights: Weights = "none",
    batch_norm: bool = False,
    width: Width = 32,
    score_threshold: Threshold = 0.01,
    detections: Count = 100,
) -> Detector:
    """An SSD by name; from scratch with 23,745,908, 2,206,520 and 2,775,944 parameters.

    ``ssd300-vgg16`` is the journal's: as published its side is 300, scales are 7 % of the side and
    up, and the trunk has no ``batch_norm``, which is hard to train from scratch. The others see 320
    pixels a side. The last map of ``ssdlite-mobilenetv3`` is a single pixel, so that a batch of one
    image cannot train it. Time of ``ssd-light`` grows with the square of ``width``. No layer is
    frozen. A map has square boxes of its scale and of the geometric mean of its scale and the next,
    and oblong ones of its scale.

    Source: Liu et al. 2016; Howard et al. 2019; He et al. 2016 (blocks); torchvision.
    """
    vgg = kind == "ssd300-vgg16"
    size = size or (VGG_SIDE if vgg else 320)
    common.check_fields(anchors, box_sides, size, VGG_SMALLEST if vgg else 64)
    scales, strides = VGG_SCALES if vgg else None, STRIDES[kind]
    if box_sides:
        side = VGG_SIDE if vgg else size
        scales = common.level_sides(box_sides, [stride / side for stride in strides])
    steps = list(strides) if vgg and size == VGG_SIDE else None
    ratios = [list(each) for each in RATIOS[kind]]
    generator = DefaultBoxGenerator(ratios, 0.2, 0.95, scales=scales, steps=steps)
    fields: dict[str, Any] = {"score_thresh": score_threshold, "detections_per_img": detections}
    if kind == "ssdlite-mobilenetv3":
        plain = _mobilenet(weights)
        trunk = plain.backbone
        fields |= {"head": plain.head, "nms_thresh": 0.55, "topk_candidates": 300}
    else:
        trunk = _vgg16(weights, batch_norm) if vgg else LightTrunk(width)
    grey = CAFFE if vgg and not batch_norm else common.IMAGENET
    network = MassSSD(
        *(trunk, generator, (size, size), common.CLASSES),
        *(common.GREY if weights == "none" else grey),
        **fields,
    )
    network.negatives_on_empty = negatives_on_empty
    return Detector(network, size, aspect)
