"""Detectors by name: each is a function of a module here, which holds its ``VERSION`` too.

All are under permissive licences and train from scratch without a download. Of the two families
beside those of torchvision, DETR is here as ``rt-detr``: the transformers library (Apache-2.0, an
optional extra) makes it from its configuration alone. YOLO is not: Ultralytics is AGPL-3.0, which
this project cannot depend on, and libreyolo (MIT), which bundles YOLOX, documents training by a
trainer and data folders of its own rather than by a module that gives the losses of a batch; it
was not tried.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from pydantic import ConfigDict, ValidationError, validate_call

from mammostudy.errors import SpecError

if TYPE_CHECKING:
    from mammostudy.models.detectors.common import Detector

_BUILDERS = {
    "faster-rcnn": (".pyramids", "faster_rcnn"),
    "fcos": (".pyramids", "fcos"),
    "retinanet": (".pyramids", "retinanet"),
    "rt-detr": (".rt_detr", "rt_detr"),
    "ssd-light": (".ssd_light", "ssd_light"),
    "ssd300-vgg16": (".ssd", "ssd300_vgg16"),
    "ssdlite-mobilenetv3": (".ssd", "ssdlite_mobilenetv3"),
}


def detector_names() -> list[str]:
    """The names that :func:`build_detector` knows, sorted."""
    return sorted(_BUILDERS)


def _module(name: str) -> ModuleType:
    if name not in _BUILDERS:
        msg = f"detector {name!r} is unknown: use one of {', '.join(detector_names())}"
        raise SpecError(msg)
    return import_module(_BUILDERS[name][0], __package__)


def detector_version(name: str) -> int:
    """The recipe version of a detector, part of the key of every run that uses it.

    It is the module's own and that of what all detectors share, added.

    Raises:
        SpecError: unknown name.
    """
    module = _module(name)
    shared = import_module(".common", __package__), import_module(".anchors", __package__)
    return int(module.VERSION) + sum(int(each.VERSION) - 1 for each in shared)


def build_detector(name: str, **fields: Any) -> Detector:
    """Make a detector with fresh weights from torch's global generator.

    Args:
        name: one of :func:`detector_names`.
        **fields: what its function takes. All take ``size`` (side of the square the network sees,
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
    build = getattr(_module(name), _BUILDERS.get(name, ("", ""))[1])
    known = signature(build).parameters
    unknown = sorted(set(fields) - set(known))
    if unknown:
        msg = f"detector {name!r} has no field {', '.join(unknown)}: it has {', '.join(known)}"
        raise SpecError(msg)
    try:
        made = validate_call(config=ConfigDict(strict=True))(build)(**fields)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        msg = f"detector {name!r}: {faults}"
        raise SpecError(msg) from error
    return cast("Detector", made)
