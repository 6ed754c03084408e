"""torchvision's detectors on a feature pyramid: Faster R-CNN, RetinaNet and FCOS."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7

from mammostudy.models.common import Count
from mammostudy.models.detectors import common
from mammostudy.models.detectors.common import Anchors, Aspect, Detector, Threshold
from mammostudy.models.encoders import RANGES, fetch
from mammostudy.models.segmenters.library_unets import unet_lite0

Trunk = Literal["resnet18", "resnet34", "resnet50", "resnet101", "efficientnet-lite0"]
Weights = Literal["none", "imagenet", "packaged"]
LITE_CHANNELS = 64  # of a frozen trunk's pyramid: with 256 the heads cost ten times the trunk
RCNN_STRIDES = (4, 8, 16, 32, 64)
RETINA_STRIDES = (8, 16, 32, 64, 128)
SIDE_RATIOS = (0.5, 1.0, 2.0)


def pyramid_sizes(
    box_sides: Sequence[float], strides: Sequence[float], size: int, octave: int
) -> tuple[tuple[int, ...], ...]:
    """Sizes of a pyramid's anchors for each level, in pixels of the network's input; 2 or more.

    ``octave`` is how many a level has, at even ratios up to the next level's.
    """
    sides = common.level_sides(box_sides, [stride / size for stride in strides])
    return tuple(
        tuple(max(2, round(size * low * (high / low) ** (step / octave))) for step in range(octave))
        for low, high in itertools.pairwise(sides)
    )


def pyramid_detector(
    kind: Literal["faster-rcnn", "retinanet", "fcos"],
    size: int = 320,
    aspect: Aspect = "letterbox",
    anchors: Anchors = "default",
    box_sides: Sequence[float] = (),
    trunk: Trunk = "resnet50",
    weights: Weights = "none",
    score_threshold: Threshold = 0.01,
    detections: Count = 100,
) -> Detector:
    """Faster R-CNN, RetinaNet or FCOS on a ResNet with a feature pyramid.

    With ResNet-50 they have 41,352,281, 32,201,069 and 32,115,270 parameters. From scratch all
    layers train, with batch norm; pretrained, batch norm and the first two stages stay as they are.
    Of EfficientNet-lite0 nothing trains: its pyramid, of 64 channels, does. RetinaNet and FCOS have
    one class and no background, FCOS no anchors.

    Source: Ren et al. 2015; Lin et al. 2017 (pyramid, focal loss); Tian et al. 2019; torchvision.
    """
    common.check_fields(anchors, box_sides, size, 64)
    packaged = tuple([each] * 3 for each in RANGES["packaged"])
    mean, std = {"none": common.GREY, "imagenet": common.IMAGENET}.get(weights, packaged)
    seen: dict[str, Any] = {"min_size": size, "max_size": size, "fixed_size": (size, size)}
    seen |= {"image_mean": mean, "image_std": std}
    if kind == "faster-rcnn":
        network = FasterRCNN(
            backbone=_pyramid(trunk, weights, coarse=False),
            num_classes=common.CLASSES,
            rpn_anchor_generator=_anchors(box_sides, RCNN_STRIDES, size, 1),
            box_score_thresh=score_threshold,
            box_detections_per_img=detections,
            **seen,
        )
        return Detector(network, size, aspect)
    seen |= {"score_thresh": score_threshold, "detections_per_img": detections}
    made: Any = FCOS
    if kind == "retinanet":
        made = partial(RetinaNet, anchor_generator=_anchors(box_sides, RETINA_STRIDES, size, 3))
    network = made(backbone=_pyramid(trunk, weights, coarse=True), num_classes=1, **seen)
    return Detector(network, size, aspect, mass_label=0)


class FrozenPyramid(nn.Module):
    """Levels 3-7 on EfficientNet-lite0 (Tan and Le 2019) as published: the pyramid alone learns."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = unet_lite0(3).network.encoder.requires_grad_(False)
        self.out_channels = wide = LITE_CHANNELS
        sizes = list(self.trunk.out_channels[-3:])
        self.pyramid = FeaturePyramidNetwork(sizes, wide, LastLevelP6P7(wide, wide))

    def forward(self, images: Tensor) -> Any:
        """Map ``(n, 3, s, s)`` to feature maps by level, finest first."""
        maps = self.trunk.eval()(images)[-3:]  # whatever the detector's mode is
        return self.pyramid({str(level): each for level, each in enumerate(maps)})


def _pyramid(trunk: Trunk, weights: Weights, *, coarse: bool) -> nn.Module:
    """A trunk with a feature pyramid: levels 2-5 and a pool, or 3-7 (coarse)."""
    if weights == "packaged":
        return FrozenPyramid()
    scratch = weights == "none"
    pyramid: nn.Module = fetch(
        lambda: resnet_fpn_backbone(
            backbone_name=trunk,
            weights=None if scratch else "IMAGENET1K_V1",
            norm_layer=nn.BatchNorm2d if scratch else FrozenBatchNorm2d,
            trainable_layers=5 if scratch else 3,
            returned_layers=[2, 3, 4] if coarse else None,
            extra_blocks=LastLevelP6P7(256, 256) if coarse else None,
        ),
        weights,
    )
    return pyramid


def _anchors(
    box_sides: Sequence[float], strides: Sequence[int], size: int, octave: int
) -> AnchorGenerator | None:
    """The cohort's anchors, or None for torchvision's own."""
    if not box_sides:
        return None
    sizes = pyramid_sizes(box_sides, strides, size, octave)
    return AnchorGenerator(sizes, (SIDE_RATIOS,) * len(sizes))
