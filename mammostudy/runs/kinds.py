"""The kinds of run: what describes each, what makes it, and what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from mammostudy.models.registry import DETECTORS, SEGMENTERS
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import KeyedSpec, RunSpec

SEGMENTATION: Final = "segmentation"
Cost = tuple[int, int]
Spec = RunSpec | ShapeSpec | DetectSpec | ChainSpec


@dataclass(frozen=True)
class Kind:
    """One kind of run.

    Attributes:
        spec: the class that describes it.
        runner: function of this room: spec, cohort and progress to a ``Result``.
        builder: function that makes the untrained network of a record; empty where there is none.
        metric: column of its curves that convergence is told by; more is better.
        cost: ranks runs by how long they take.
    """

    spec: type[KeyedSpec]
    runner: str
    builder: str
    metric: str
    cost: Callable[[Any], Cost]


def function_of(name: str) -> Any:
    """Return a function of this room by the name of its module and its own; it imports torch."""
    module, function = name.split(".")
    return getattr(import_module(f"mammostudy.runs.{module}"), function)


def _segmentation_cost(spec: RunSpec) -> Cost:
    heavy = 1 if spec.is_baseline else SEGMENTERS[spec.model.name].cost
    return (2 if heavy > 1 else 1, heavy * spec.optimiser.iterations * spec.frame.size**2)


def _detection_cost(spec: DetectSpec) -> Cost:
    cost = 1 if spec.is_baseline else DETECTORS[spec.detector.name].cost
    return (2, cost * spec.training.iterations * spec.detector.size**2)


KINDS: Final[dict[str, Kind]] = {
    SEGMENTATION: Kind(
        RunSpec,
        "segmentation.run_segmentation",
        "segmentation.network_of_segmenter",
        "validation_dice",
        _segmentation_cost,
    ),
    "detection": Kind(
        DetectSpec,
        "detection.run_detection",
        "detection.network_of_detector",
        "validation_sensitivity",
        _detection_cost,
    ),
    "shape": Kind(
        ShapeSpec,
        "shapes.run_shape",
        "classifiers.network_of_shapes",
        "validation_macro_recall",
        lambda spec: (0, spec.training.epochs if spec.is_network else 0),
    ),
    "chain": Kind(ChainSpec, "chain.run_chain", "", "", lambda spec: (0, 0)),
}


def kind_of(spec: KeyedSpec) -> Kind:
    """Return the kind of run that a spec describes."""
    return KINDS[getattr(spec, "kind", SEGMENTATION)]
