"""Segmenters by name: each is a function of a module here, which holds its ``VERSION`` too."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from pydantic import ConfigDict, ValidationError, validate_call

from mammostudy.errors import SpecError

if TYPE_CHECKING:
    from torch import nn

_BUILDERS = {
    "cgan": (".cgan", "build"),
    "cgan-resnet101": (".encoder_unets", "generator_resnet101"),
    "crfcnn": (".crfcnn", "build"),
    "fcn": (".fcn", "build"),
    "fcn-resnet101": (".fcn_resnet101", "build"),
    "segnet": (".segnet", "build"),
    "slsdeep": (".slsdeep", "build"),
    "unet": (".unet", "build"),
    "unet-lite0": (".encoder_unets", "unet_lite0"),
    "unet-plain": (".plain_unet", "build"),
    "unet-vgg16": (".encoder_unets", "unet_vgg16"),
}


def segmenter_names() -> list[str]:
    """The names that :func:`build_segmenter` knows, sorted."""
    return sorted(_BUILDERS)


def _module(name: str) -> ModuleType:
    if name not in _BUILDERS:
        msg = f"segmenter {name!r} is unknown: use one of {', '.join(segmenter_names())}"
        raise SpecError(msg)
    return import_module(_BUILDERS[name][0], __package__)


def segmenter_version(name: str) -> int:
    """The recipe version of a segmenter, part of the key of every run that uses it.

    Raises:
        SpecError: unknown name.
    """
    return int(_module(name).VERSION)


def build_segmenter(name: str, **fields: Any) -> nn.Module:
    """Make a segmenter with fresh weights from torch's global generator.

    Args:
        name: one of :func:`segmenter_names`.
        **fields: what its function takes; ``in_channels`` and ``out_channels`` are in each.

    Returns:
        A module that maps ``(n, in_channels, s, s)`` to t in [-1, 1], ``(n, out_channels, s, s)``;
        (t + 1) / 2 is the probability of mass.

    Raises:
        SpecError: unknown name, unknown field, or a field of another type.
    """
    build = getattr(_module(name), _BUILDERS.get(name, ("", ""))[1])
    known = signature(build).parameters
    unknown = sorted(set(fields) - set(known))
    if unknown:
        msg = f"segmenter {name!r} has no field {', '.join(unknown)}: it has {', '.join(known)}"
        raise SpecError(msg)
    try:
        module = validate_call(config=ConfigDict(strict=True))(build)(**fields)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        msg = f"segmenter {name!r}: {faults}"
        raise SpecError(msg) from error
    return cast("nn.Module", module)
