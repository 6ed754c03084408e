"""Names that load their module on first use, so that importing the package stays quick."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def attach(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package whose names load lazily (PEP 562).

    Args:
        package: the package's ``__name__``.
        names: public name -> module that holds it, relative to the package (``".framing"``).

    Returns:
        The two functions to bind as ``__getattr__`` and ``__dir__``.
    """

    def getter(name: str) -> Any:
        if name not in names:
            msg = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = getattr(import_module(names[name], package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names_of() -> list[str]:
        return sorted(names)

    return getter, names_of
