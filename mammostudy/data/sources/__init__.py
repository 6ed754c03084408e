"""Where cohorts come from: a module a published layout, named by the descriptors.

A reader has ``build_manifest(folder, store)``. It returns the manifest, not yet validated, and how
many rows, regions or files were left out, by reason; ``dropped.csv`` in the folder ``store`` lists
them where the set is large. A DataError names the file and field that cannot be read.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def reader_module(name: str) -> Any:
    """Import a module of this folder by its name."""
    return import_module(f"{__name__}.{name}")
