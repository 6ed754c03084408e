"""An SSD that trains from scratch in minutes on two cores: a small residual trunk of our own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torchvision.models.detection.ssd import SSDHead
from torchvision.models.resnet import BasicBlock

from mammostudy.models.detectors.anchors import Anchors, Aspect, check_sides, ssd_scales
from mammostudy.models.detectors.common import (
    CLASSES,
    GREY,
    Count,
    Detector,
    Threshold,
    check_size,
)
from mammostudy.models.detectors.ssd import MassSSD, default_boxes

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this detector change."""
STRIDES = (8, 16, 32, 64)
RATIOS = ([2], [2, 3], [2, 3], [2])
Width = Annotated[int, Field(ge=8, multiple_of=2)]


class LightTrunk(nn.Module):
    """Feature maps at strides 8, 16, 32 and 64 from residual blocks.

    A 3x3 convolution of stride 2 with ``width / 2`` filters; a block to ``width`` (stride 4); two
    blocks each to 2, 4 and 6 times ``width`` (strides 8, 16, 32); one more of stride 64.
    Convolutions are drawn by He's normal rule from torch's global generator.

    Args:
        width: filters at stride 4; even.
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
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Map ``(n, 3, s, s)`` to the four feature maps, finest first."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        features = self.stem(images)
        for index, stage in enumerate(self.stages):
            features = stage(features)
            maps[str(index)] = features
        return maps


def halving_block(before: int, after: int) -> BasicBlock:
    """A residual block of stride 2, with a 1x1 convolution beside it."""
    beside = nn.Sequential(nn.Conv2d(before, after, 1, stride=2, bias=False), nn.BatchNorm2d(after))
    return BasicBlock(before, after, stride=2, downsample=beside)


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

    Args:
        size: side of the square, 64 pixels or more.
        aspect: "stretch" or "letterbox".
        anchors: "default": even scales from 0.2. "cohort": from ``box_sides``.
        box_sides: see :func:`~mammostudy.models.detectors.anchors.box_side_quantiles`.
        negatives_on_empty: see :class:`~mammostudy.models.detectors.ssd.MassSSD`.
        width: filters of the trunk at stride 4; time grows with its square.
        score_threshold: boxes with a lower score are left out.
        detections: at most this many an image.

    Raises:
        SpecError: fields that contradict each other, or out of range.

    Source: the head, matching and loss of Liu et al. 2016; blocks of He et al. 2016; torchvision.
    """
    check_sides(anchors, box_sides)
    check_size(size, STRIDES[-1])
    shares = [stride / size for stride in STRIDES]
    scales = None if anchors == "default" else ssd_scales(box_sides, shares)
    generator = default_boxes(RATIOS, scales)
    trunk = LightTrunk(width)
    network = MassSSD(
        trunk,
        generator,
        (size, size),
        CLASSES,
        *GREY,
        SSDHead(trunk.out_channels, generator.num_anchors_per_location(), CLASSES),
        negatives_on_empty=negatives_on_empty,
        score_thresh=score_threshold,
        detections_per_img=detections,
    )
    return Detector(network, size, aspect)
