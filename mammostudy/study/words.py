"""Sentences that every page may need: numbers with their interval, rows that were not run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from mammostudy.data.load import load_cohort
from mammostudy.errors import MissingDataError
from mammostudy.study.recipes import is_phantom


def interval(value: float, low: float, high: float, *, scale: float = 1, digits: int = 3) -> str:
    """Write a number with its 95 % interval, ``+0.010 [-0.002, +0.022]``.

    An interval that has no end (a single patient) is said so.
    """
    number = f"{scale * value:+.{digits}f}"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{number} [no interval: a single patient]"
    return f"{number} [{scale * low:+.{digits}f}, {scale * high:+.{digits}f}]"


def p_value(p: float) -> str:
    """Write a p value: ``0.034``, or ``below 0.001``."""
    return f"{p:.3f}" if p >= 0.001 else "below 0.001"


def listed(names: Iterable[str]) -> str:
    """Join names as a sentence does: ``a``, ``a and b``, ``a, b and c``."""
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def count(n: int, noun: str) -> str:
    """Write a count with its noun: ``1 patient``, ``12 patients``, ``3 masses``."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{n:,} {noun if n == 1 else plural}"


def paragraph(sentences: Sequence[str]) -> str:
    """Join sentences, one a line, leaving out empty ones."""
    return "\n".join(sentence for sentence in sentences if sentence)


def bullets(sentences: Sequence[str]) -> str:
    """Set sentences as a list, leaving out empty ones."""
    return "\n".join(f"- {sentence}" for sentence in sentences if sentence)


def not_run(names: Sequence[str]) -> str:
    """Say which rows have runs without a record; nothing where all were run."""
    if not names:
        return ""
    verb = "has runs" if len(names) == 1 else "have runs"
    return f"Not run: {listed(names)} {verb} without a record; what stands here leaves those out."


def no_images(cohort: str) -> str:
    """Say what to set where a cohort's images are not on this machine; nothing where they are."""
    if is_phantom(cohort):
        return ""
    try:
        load_cohort(cohort)
    except MissingDataError:
        folder = "cdd-cesm" if cohort.startswith("cdd-cesm") else cohort
        return (
            f"The pictures that belong here need the images of `{folder}`, which are not on this "
            f"machine: set `MAMMOSTUDY_DATA` (or `make book DATA=...`) to the folder that holds "
            f"`{folder}/` and build again."
        )
    return ""
