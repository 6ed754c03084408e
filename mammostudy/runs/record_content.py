"""What ``record.json`` holds, whatever kind of run it tells of."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from mammostudy.data.cohort import Cohort
from mammostudy.data.splits import Split
from mammostudy.runs.provenance import provenance
from mammostudy.runs.store import Spec, has_converged

if TYPE_CHECKING:
    from mammostudy.training.loop import Fitted

LEAKY: Final = "LEAKY: split by image, on purpose; patients stand in training and test"


def record_content(
    spec: Spec, cohort: Cohort, split: Split, fitted: Fitted | None, seconds: float, metric: str
) -> dict[str, Any]:
    """Return what every record says of its run.

    Args:
        spec: of the run.
        cohort: its cohort.
        split: cases of the three parts.
        fitted: curves and time of the training; None where nothing was trained.
        seconds: spent on the whole run.
        metric: column of the curves that convergence is told by; more is better.
    """
    return {
        "spec": spec.model_dump(mode="json"),
        "key": spec.key(cohort.manifest_hash),
        "recipe_key": spec.recipe_key(),
        "recipe_versions": spec.recipe_versions(),
        "training_key": spec.training_key(cohort.manifest_hash),
        "manifest_hash": cohort.manifest_hash,
        "status": "diverged" if fitted is not None and fitted.diverged else "completed",
        "diverged_with": _plain(fitted.diverged) if fitted is not None else None,
        "converged": None if fitted is None else has_converged(fitted.curves, metric),
        "curves": [] if fitted is None else fitted.curves,
        "split": {name: list(cases) for name, cases in split.parts().items()},
        **({"warning": LEAKY} if spec.split.leaky else {}),
        "provenance": provenance(_threads())
        | {
            "seconds": round(seconds, 1),
            "training_seconds": round(fitted.seconds, 1) if fitted is not None else 0.0,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
    }


def _plain(parts: dict[str, float] | None) -> dict[str, float | str] | None:
    """Return the parts of a loss with what is not finite as text: JSON has no number for it."""
    if parts is None:
        return None
    return {name: value if math.isfinite(value) else str(value) for name, value in parts.items()}


def _threads() -> int:
    """Return how many threads torch computes with."""
    import torch

    return torch.get_num_threads()
