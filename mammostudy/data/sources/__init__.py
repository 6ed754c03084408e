"""Where cohorts come from: a module a published layout, named by the descriptors.

A reader has ``build_manifest(folder, store)``. It returns the manifest, not yet validated, and how
many rows, regions or files were left out, by reason; ``dropped.csv`` in the folder ``store`` lists
them where the set is large. It raises :class:`~mammostudy.errors.DataError`, naming file and field,
where a table is damaged, a file of the annotations cannot be read, or no row is left.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mammostudy.errors import DataError


def reader_module(source: str) -> Any:
    """Import a module of this folder by its name."""
    module = f"mammostudy.data.sources.{source}"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        msg = f"{module}: this installation has no such reader; install mammostudy anew"
        raise DataError(msg) from None
