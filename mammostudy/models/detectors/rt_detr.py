"""RT-DETR, the detector of the DETR family that needs least training, from its configuration.

The network and its loss are the transformers library's (Apache-2.0, the optional extra ``detr``);
nothing is downloaded. DETRs have no anchors and no suppression of neighbours: each of a set of
queries is matched to one box or to none, which takes far more steps to learn than the others'
dense targets. The published one starts from an ImageNet trunk and runs for 72 epochs of 118,000
images, so that a result from scratch on some hundred mammograms speaks of that, not of the family.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torchvision.ops import box_convert
from torchvision.transforms.v2.functional import normalize

from mammostudy.errors import SpecError
from mammostudy.models.detectors.anchors import Aspect
from mammostudy.models.detectors.common import (
    GREY,
    Count,
    Detector,
    Target,
    Threshold,
    check_size,
)

VERSION = 1
"""Recipe version: raised by hand when the numbers that leave this detector change."""
STRIDES = (8, 16, 32)
PRIOR = 0.01  # a query's score before training, as in RetinaNet; one class alone would give 0.5
_TERMS = {"loss_vfl": "classification", "loss_bbox": "bbox_l1", "loss_giou": "bbox_giou"}


class RTDetrNetwork(nn.Module):
    """The library's model behind torchvision's interface, on squares that are a multiple of 32.

    Args:
        size: side of the square, in pixels.
        width: of the encoder and decoder.
        queries: most boxes the network can give.
        decoder_layers: of the decoder.
        score_threshold: boxes with a lower score are left out.
        detections: at most this many an image.
    """

    def __init__(
        self,
        size: int,
        width: int,
        queries: int,
        decoder_layers: int,
        score_threshold: float,
        detections: int,
    ) -> None:
        super().__init__()
        self.size = size
        self.score_threshold = score_threshold
        self.detections = min(detections, queries)
        self.model = _model(width, queries, decoder_layers)

    def forward(self, images: list[Tensor], targets: list[Target] | None = None) -> Any:
        """Losses in training mode, boxes in evaluation mode; as torchvision's detectors.

        The losses of boxes that are not finite are NaN, as those of the other detectors: the
        library refuses such boxes with an error.
        """
        batch = normalize(torch.stack(list(images)), *GREY)
        if not self.training:
            out = self.model(pixel_values=batch)
            return [
                self._best(logits, boxes)
                for logits, boxes in zip(out.logits, out.pred_boxes, strict=True)
            ]
        labels = [
            {
                "class_labels": target["labels"],
                "boxes": box_convert(target["boxes"] / self.size, "xyxy", "cxcywh"),
            }
            for target in targets or []
        ]
        losses = dict.fromkeys(_TERMS.values(), batch.new_zeros(()))
        try:
            found = self.model(pixel_values=batch, labels=labels).loss_dict
        except ValueError:
            with torch.no_grad():
                boxes = self.model(pixel_values=batch).pred_boxes
            if torch.isfinite(boxes).all():
                raise
            return {name: value + float("nan") for name, value in losses.items()}
        for name, value in found.items():
            kind = next(term for start, term in _TERMS.items() if name.startswith(start))
            losses[kind] = losses[kind] + value
        return losses

    def _best(self, logits: Tensor, boxes: Tensor) -> Target:
        scores, order = logits[:, 0].sigmoid().topk(self.detections)
        kept = scores > self.score_threshold
        corners = box_convert(boxes[order[kept]], "cxcywh", "xyxy") * self.size
        return {"boxes": corners.clamp(0, self.size), "scores": scores[kept]}


def _model(width: int, queries: int, decoder_layers: int) -> nn.Module:
    """The library's model with a ResNet-18 trunk whose batch norm trains."""
    # Here, not above: the library is optional, and slow to import.
    library: Any = import_module("transformers")
    trunk = library.RTDetrResNetConfig(
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_indices=[2, 3, 4],
    )
    config = library.RTDetrConfig(
        backbone_config=trunk,
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[128, 256, 512],
        encoder_hidden_dim=width,
        encoder_ffn_dim=4 * width,
        hidden_expansion=0.5,
        d_model=width,
        decoder_in_channels=[width] * len(STRIDES),
        decoder_ffn_dim=4 * width,
        decoder_layers=decoder_layers,
        num_queries=queries,
        num_labels=1,
        initializer_bias_prior_prob=PRIOR,
    )
    model: nn.Module = library.RTDetrForObjectDetection(config)
    return model


def rt_detr(
    size: int = 320,
    aspect: Aspect = "letterbox",
    width: Annotated[int, Field(ge=16, multiple_of=16)] = 256,
    queries: Count = 100,
    decoder_layers: Count = 3,
    score_threshold: Threshold = 0.01,
    detections: Count = 100,
) -> Detector:
    """RT-DETR with a ResNet-18 trunk, from scratch: 20,083,028 parameters.

    Args:
        size: side of the square, a multiple of 32 pixels, 64 or more.
        aspect: "letterbox" or "stretch" (the published one).
        width: of encoder and decoder; 256 as published.
        queries: most boxes the network can give; 300 as published, for crowded photographs.
        decoder_layers: 3 as published with this trunk.
        score_threshold: boxes with a lower score are left out.
        detections: at most this many an image.

    Raises:
        SpecError: a size or a number of queries that the network cannot have, or the optional
            library is not installed.

    Source: Zhao et al. 2024 (RT-DETR-R18); transformers ``RTDetrForObjectDetection``.
    """
    if find_spec("transformers") is None:
        msg = "detector 'rt-detr' needs the transformers library: pip install 'mammostudy[detr]'"
        raise SpecError(msg)
    check_size(size, 2 * STRIDES[-1])
    if size % STRIDES[-1]:
        msg = f"size = {size}: detector 'rt-detr' needs a multiple of {STRIDES[-1]}"
        raise SpecError(msg)
    places = sum((size // stride) ** 2 for stride in STRIDES)
    if queries > places:
        msg = f"queries = {queries}: size {size} has only {places} places; lower queries"
        raise SpecError(msg)
    network = RTDetrNetwork(size, width, queries, decoder_layers, score_threshold, detections)
    return Detector(network, size, aspect, mass_label=0)
