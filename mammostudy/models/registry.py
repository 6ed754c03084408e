"""The segmenters and detectors by name, with all that a run has to know of each.

All are under permissive licences and train from scratch without a download. A row's module is
loaded when its network is built, so that names cost no import of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from mammostudy.errors import SpecError

if TYPE_CHECKING:
    from torch import nn

    from mammostudy.models.detectors.common import Detector


@dataclass(frozen=True)
class Row:
    """A network by name.

    Attributes:
        build: module of :mod:`mammostudy.models` and the class or function in it, with a colon.
        fields: those of a run's spec that it takes, beside those that all of its kind take.
        versions: components whose version is part of the key of a run that trains it.
        cost: time of a step over that of the cheapest of its kind, roughly.
        held: fields that its specs may hold without effect: keys of committed runs hold them.
    """

    build: str
    fields: tuple[str, ...]
    versions: tuple[str, ...]
    cost: int = 1
    held: tuple[str, ...] = ()

    def make(self) -> Any:
        """Load the class or function."""
        module, name = self.build.split(":")
        return getattr(import_module(f"mammostudy.models.{module}"), name)


def _labels(room: str, *names: str) -> tuple[str, ...]:
    return tuple(f"mammostudy.models.{room}.{name}" for name in names)


_UNETS: Final = _labels("segmenters", "encoder_unets", "unet")
_FCN: Final = _labels("segmenters", "fcn", "trunks")
_RESIDUAL_FCN: Final = _labels("segmenters", "fcn_resnet101", "trunks")
_CRF: Final = (*_FCN, *_labels("segmenters", "crfcnn", "mean_field"))
_SEGNET: Final = _labels("segmenters", "segnet", "trunks")
_SLS: Final = _labels("segmenters", "slsdeep", "trunks")
_PYRAMIDS: Final = _labels("detectors", "pyramids")
_SSD: Final = _labels("detectors", "ssd")
_CGAN_FIELDS: Final = ("width", "levels", "shared_batch_norm", "dropout_at_prediction")
_UNET_HELD: Final = ("width", "levels", "dropout_at_prediction")
_SSD_FIELDS: Final = ("anchors", "negatives_on_empty", "weights")

SEGMENTERS: Final[Mapping[str, Row]] = {
    "cgan": Row("generator:Generator", _CGAN_FIELDS, ("mammostudy.models.generator",)),
    "cgan-resnet101": Row("segmenters.library_unets:generator_resnet101", ("weights",), _UNETS, 30),
    "crfcnn": Row("segmenters.crfcnn:CrfCnn", ("weights", "dense"), _CRF, 40),
    "fcn": Row("segmenters.fcn:FCN8", ("weights", "dense"), _FCN, 30),
    "fcn-resnet101": Row("segmenters.fcn:ResidualFCN", ("weights",), _RESIDUAL_FCN, 60),
    "segnet": Row("segmenters.segnet:SegNet", ("weights",), _SEGNET, 60),
    "slsdeep": Row("segmenters.slsdeep:SlsDeep", ("weights",), _SLS, 60),
    "unet": Row(
        "segmenters.library_unets:EncoderUnet",
        (),
        _labels("segmenters", "unet"),
        7,
        held=_UNET_HELD,
    ),
    "unet-lite0": Row("segmenters.library_unets:unet_lite0", ("weights",), _UNETS, 7),
    "unet-plain": Row(
        "segmenters.plain_unet:PlainUnet", ("width",), _labels("segmenters", "plain_unet"), 8
    ),
    "unet-vgg16": Row("segmenters.library_unets:unet_vgg16", ("weights",), _UNETS, 60),
}
"""All take ``in_channels`` and ``out_channels``."""

DETECTORS: Final[Mapping[str, Row]] = {
    "faster-rcnn": Row(
        "detectors.pyramids:faster_rcnn", ("anchors", "trunk", "weights"), _PYRAMIDS, 15
    ),
    "fcos": Row("detectors.pyramids:fcos", ("trunk", "weights"), _PYRAMIDS, 15),
    "retinanet": Row(
        "detectors.pyramids:retinanet", ("anchors", "trunk", "weights"), _PYRAMIDS, 15
    ),
    "ssd-light": Row(
        "detectors.ssd:ssd_light",
        ("anchors", "negatives_on_empty", "width"),
        (*_SSD, *_labels("detectors", "ssd_light")),
    ),
    "ssd300-vgg16": Row("detectors.ssd:ssd300_vgg16", (*_SSD_FIELDS, "batch_norm"), _SSD, 20),
    "ssdlite-mobilenetv3": Row("detectors.ssd:ssdlite_mobilenetv3", _SSD_FIELDS, _SSD),
}
"""All take ``size``, ``aspect``, ``score_threshold`` and ``detections``; with ``anchors`` goes
``box_sides``."""


def segmenter_names() -> list[str]:
    """The names that :func:`build_segmenter` knows, sorted."""
    return sorted(SEGMENTERS)


def detector_names() -> list[str]:
    """The names that :func:`build_detector` knows, sorted."""
    return sorted(DETECTORS)


def build_segmenter(name: str, **fields: Any) -> nn.Module:
    """Make a segmenter with fresh weights from torch's global generator.

    Args:
        name: one of :func:`segmenter_names`.
        **fields: what its row builds from; ``in_channels`` and ``out_channels`` are in each.

    Returns:
        A module that maps ``(n, in_channels, s, s)`` to t in [-1, 1], ``(n, out_channels, s, s)``;
        (t + 1) / 2 is the probability of mass.

    Raises:
        SpecError: unknown name, unknown field, or a value that the field cannot have.
        DataError: weights that cannot be downloaded.
    """
    made: nn.Module = _built("segmenter", SEGMENTERS, name, fields)
    return made


def build_detector(name: str, **fields: Any) -> Detector:
    """Make a detector with fresh weights from torch's global generator.

    Args:
        name: one of :func:`detector_names`.
        **fields: what its row builds from. All take ``size`` (side of the square the network sees,
            pixels), ``aspect`` ("stretch" or "letterbox"), ``score_threshold`` and ``detections``
            (at most this many an image); all but those with no anchors, ``anchors`` ("default" or
            "cohort") and ``box_sides``; the SSDs, ``negatives_on_empty``; those with a published
            trunk, ``weights`` ("none", or "imagenet": downloaded on first use).

    Returns:
        The detector: in training mode ``model(images, targets)`` gives a dict of losses, in
        evaluation mode ``model(images)`` a list of ``{"boxes", "scores", "labels"}``; see
        :class:`~mammostudy.models.detectors.common.Detector`.

    Raises:
        SpecError: unknown name, unknown field, or a value that the field cannot have.
        DataError: weights that cannot be downloaded.
    """
    made: Detector = _built("detector", DETECTORS, name, fields)
    return made


def _built(kind: str, rows: Mapping[str, Row], name: str, fields: dict[str, Any]) -> Any:
    """Check fields against the hints of what a row builds from, and build it."""
    if name not in rows:
        msg = f"{kind} {name!r} is unknown: use one of {', '.join(sorted(rows))}"
        raise SpecError(msg)
    make = rows[name].make()
    known = signature(make).parameters
    unknown = sorted(set(fields) - set(known))
    if unknown:
        msg = f"{kind} {name!r} has no field {', '.join(unknown)}: it has {', '.join(known)}"
        raise SpecError(msg)
    checked = getattr(make, "__init__") if isinstance(make, type) else make  # noqa: B009
    hints = get_type_hints(checked, include_extras=True)
    asked: dict[str, Any] = {field: (hints[field], ...) for field in fields}
    try:
        create_model("Fields", __config__=ConfigDict(strict=True), **asked)(**fields)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        msg = f"{kind} {name!r}: {faults}"
        raise SpecError(msg) from error
    return make(**fields)
