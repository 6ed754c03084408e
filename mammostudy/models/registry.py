"""The segmenters and detectors by name, with all that a run has to know of each.

All are under permissive licences and train from scratch without a download. A row's module is
loaded when its network is built, so that names cost no import of torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, cast, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from mammostudy.errors import SpecError

if TYPE_CHECKING:
    from torch import nn

    from mammostudy.models.detectors.common import Detector


@dataclass(frozen=True)
class Row:
    """A network by name."""

    build: str  # module of mammostudy.models, a colon, and the class or function in it
    fields: tuple[str, ...]  # of a run's spec that it takes, beside those that all take
    versions: tuple[str, ...]  # components whose version is part of the key of its runs
    cost: int = 1  # time of a step over that of the cheapest of its kind, roughly
    held: tuple[str, ...] = ()  # fields that its specs may hold without effect, as in old keys
    given: Mapping[str, Any] = field(default_factory=dict)  # what the name alone says to build

    def make(self) -> Any:
        """Load the class or function."""
        module, name = self.build.split(":")
        return getattr(import_module(f"mammostudy.models.{module}"), name)


PRETRAINED: Final = ("weights", "standardised")
"""What a segmenter takes whose encoder can start from published weights."""
_CRF: Final = ("weights", "dense")  # a field that compares grey values as they come


def _labels(room: str, *names: str) -> tuple[str, ...]:
    return tuple(f"mammostudy.models.{room}{name}" for name in names)


def _unet(cost: int, made: str = "EncoderUnet", **given: Any) -> Row:
    labels = _labels("segmenters.", "encoder_unets", "unet")
    return Row(f"segmenters.library_unets:{made}", PRETRAINED, labels, cost, given=given)


def _on_trunk(made: str, cost: int, *versions: str, fields: tuple[str, ...] = PRETRAINED) -> Row:
    labels = _labels("segmenters.", *versions, "trunks")
    return Row(f"segmenters.{made}", fields, labels, cost)


def _pyramid(kind: str, fields: tuple[str, ...], **given: Any) -> Row:
    labels = _labels("detectors.", "pyramids")
    made = "detectors.pyramids:pyramid_detector"
    return Row(made, (*fields, "trunk", "weights"), labels, 15, given={"kind": kind, **given})


def _ssd(kind: str, fields: tuple[str, ...], cost: int, *versions: str, **given: Any) -> Row:
    labels = _labels("detectors.", "ssd", *versions)
    fields = ("anchors", "negatives_on_empty", *fields)
    return Row("detectors.ssd:ssd", fields, labels, cost, given={"kind": kind, **given})


SEGMENTERS: Final[Mapping[str, Row]] = {
    "cgan": Row(
        "generator:Generator",
        ("width", "levels", "shared_batch_norm", "dropout_at_prediction"),
        _labels("", "generator"),
    ),
    "cgan-resnet101": _unet(30, encoder="resnet101"),
    "crfcnn": _on_trunk("crfcnn:CrfCnn", 40, "fcn", "crfcnn", "mean_field", fields=_CRF),
    "fcn": _on_trunk("fcn:FCN8", 30, "fcn", fields=(*PRETRAINED, "dense")),
    "fcn-resnet101": _on_trunk("fcn:ResidualFCN", 60, "fcn_resnet101"),
    "segnet": _on_trunk("segnet:SegNet", 60, "segnet"),
    "slsdeep": _on_trunk("slsdeep:SlsDeep", 60, "slsdeep"),
    "unet": Row(
        "segmenters.library_unets:EncoderUnet",
        (),
        _labels("segmenters.", "unet"),
        7,
        held=("width", "levels", "dropout_at_prediction"),
        given={"weights": "none"},
    ),
    "unet-lite0": _unet(7, "unet_lite0"),
    "unet-plain": Row(
        "segmenters.plain_unet:PlainUnet", ("width",), _labels("segmenters.", "plain_unet"), 8
    ),
    "unet-vgg16": _unet(60, encoder="vgg16_bn"),
}
"""All take ``in_channels`` and ``out_channels``."""

DETECTORS: Final[Mapping[str, Row]] = {
    "faster-rcnn": _pyramid("faster-rcnn", ("anchors",)),
    "fcos": _pyramid("fcos", (), anchors="default", box_sides=()),
    "retinanet": _pyramid("retinanet", ("anchors",)),
    "ssd-light": _ssd("ssd-light", ("width",), 1, "ssd_light", weights="none", batch_norm=False),
    "ssd300-vgg16": _ssd("ssd300-vgg16", ("weights", "batch_norm"), 20, width=32),
    "ssdlite-mobilenetv3": _ssd("ssdlite-mobilenetv3", ("weights",), 1, batch_norm=False, width=32),
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
            ``standardised`` brings images to the range that the encoder's ``weights`` learnt from.

    Returns:
        A module that maps ``(n, in_channels, s, s)`` to t in [-1, 1], ``(n, out_channels, s, s)``;
        (t + 1) / 2 is the probability of mass.

    Raises:
        SpecError: unknown name, unknown field, or a value that the field cannot have.
        DataError: weights that cannot be downloaded.
    """
    from mammostudy.models.encoders import RANGES

    known = name in SEGMENTERS and "standardised" in SEGMENTERS[name].fields
    ranged = known and fields.pop("standardised", False)
    made = _built("segmenter", SEGMENTERS, name, fields)
    made.range = RANGES.get(fields.get("weights", "none")) if ranged else None
    return cast("nn.Module", made)


def build_detector(name: str, **fields: Any) -> Detector:
    """Make a detector with fresh weights from torch's global generator.

    Args:
        name: one of :func:`detector_names`.
        **fields: what its row builds from. All take ``size`` (side of the square the network sees,
            pixels), ``aspect`` ("stretch" or "letterbox"), ``score_threshold`` (boxes below are
            left out) and ``detections`` (at most this many an image); all but FCOS, ``anchors``
            ("default", or "cohort": from the next) and ``box_sides`` (see
            :func:`~mammostudy.models.detectors.common.box_side_quantiles`); the SSDs,
            ``negatives_on_empty``; those with a published trunk, ``weights`` ("none", or
            "imagenet": downloaded on first use; "packaged" with the trunk "efficientnet-lite0").

    Returns:
        The detector: in training mode ``model(images, targets)`` gives a dict of losses, in
        evaluation mode ``model(images)`` a list of ``{"boxes", "scores", "labels"}``; see
        :class:`~mammostudy.models.detectors.common.Detector`.

    Raises:
        SpecError: unknown name, unknown field, or a value that the field cannot have.
        DataError: weights that cannot be downloaded.
    """
    return cast("Detector", _built("detector", DETECTORS, name, fields))


def _built(kind: str, rows: Mapping[str, Row], name: str, fields: dict[str, Any]) -> Any:
    """Check fields against the hints of what a row builds from, and build it."""
    if name not in rows:
        raise SpecError(f"{kind} {name!r} is unknown: use one of {', '.join(sorted(rows))}")
    make, given = rows[name].make(), rows[name].given
    known = [each for each in signature(make).parameters if each not in given]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise SpecError(
            f"{kind} {name!r} has no field {', '.join(unknown)}: it has {', '.join(known)}"
        )
    checked = getattr(make, "__init__") if isinstance(make, type) else make  # noqa: B009
    hints = get_type_hints(checked, include_extras=True)
    asked: dict[str, Any] = {each: (hints[each], ...) for each in fields}
    try:
        create_model("Fields", __config__=ConfigDict(strict=True), **asked)(**fields)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise SpecError(f"{kind} {name!r}: {faults}") from error
    return make(**given, **fields)
