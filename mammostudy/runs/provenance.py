"""What a record says of its run: how it ended, and the code and machine that made it."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from mammostudy.data.cohort import Cohort
from mammostudy.evaluation.splits import Split
from mammostudy.evaluation.statistics import has_converged
from mammostudy.runs.kinds import KINDS, kind_of
from mammostudy.runs.record import next_sequence

if TYPE_CHECKING:
    from mammostudy.runs.trained import Training

_PACKAGES: Final = (
    "mammostudy", "numpy", "opencv-python-headless", "scikit-image", "torch", "torchvision",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What a run leaves for its record."""

    split: Split
    rows: pd.DataFrame  # of ``cases.csv``
    training: Training | None = None  # of the weights, where there are any
    predictions: Mapping[str, Any] | None = None  # by case a mask, or a mask and its frame
    arrays: Mapping[str, Any] = field(default_factory=dict)  # of ``arrays.npz``
    content: Mapping[str, Any] = field(default_factory=dict)  # of this kind of run alone


def record_content(spec: Any, cohort: Cohort, result: Result, seconds: float) -> dict[str, Any]:
    """Return what ``record.json`` holds; ``seconds`` were spent on the whole run."""
    training, manifest = result.training, cohort.manifest_hash
    bad = training.diverged if training else None
    metric = KINDS[kind_of(spec)].metric
    return {
        "spec": spec.model_dump(mode="json"),
        "key": spec.key(manifest),
        "recipe_key": spec.recipe_key(),
        "recipe_versions": spec.recipe_versions(),
        "training_key": spec.training_key(manifest),
        "manifest_hash": manifest,
        "status": "diverged" if bad else "completed",
        "diverged_with": bad and {name: str(value) for name, value in bad.items()},
        "converged": has_converged(training.curves, metric) if training else None,
        "curves": training.curves if training else [],
        "split": {name: list(cases) for name, cases in result.split.parts().items()},
        "provenance": provenance()
        | {
            "seconds": round(seconds, 1),
            "training_seconds": round(training.seconds, 1) if training else 0.0,
            "training_cpu_seconds": training.cpu_seconds if training else 0.0,
            "sequence": next_sequence(),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
        **result.content,
    }


@cache
def commit() -> str:
    """Return the git commit of the code, with ``+`` where a tracked file differs from it."""
    words = ("git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+")
    try:
        call = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, check=True)
        return call.stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance() -> dict[str, object]:
    """Describe the code, packages and machine of a run; no name of host or user is kept."""
    import torch

    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: _installed(name) for name in _PACKAGES},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processor": next(named, platform.processor() or "unknown"),
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
        },
    }


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
