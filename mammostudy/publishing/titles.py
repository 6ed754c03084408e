"""What a cohort is called on a page."""

from __future__ import annotations

from pathlib import Path

import yaml


def is_phantom(cohort: str) -> bool:
    """Return True for a cohort of computer-made images."""
    return cohort.startswith("phantom")


def cohort_title(cohort: str, root: Path) -> str:
    """Return the name readers see: the descriptor's ``title``, or one made from the cohort's name.

    Args:
        cohort: name of the cohort, such as ``phantom`` or ``cdd-cesm``.
        root: the project's folder, whose ``data_manifests/<cohort>.yaml`` describes the cohort.
    """
    descriptor = root / "data_manifests" / f"{cohort}.yaml"
    if descriptor.is_file():
        content = yaml.safe_load(descriptor.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("title"):
            return str(content["title"])
    if is_phantom(cohort):
        return cohort.replace("-", " ").capitalize()
    return cohort.upper()
