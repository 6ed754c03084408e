"""Where cohorts come from: a module a published layout, named by the descriptors.

A reader has ``build_manifest(folder, store)``. It returns the manifest, not yet validated, and what
was left out, by reason; ``dropped.csv`` in the folder ``store`` lists it where the set is large.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def reader_module(name: str) -> Any:
    """Import a module of this folder by its name."""
    return import_module(f"{__name__}.{name}")
