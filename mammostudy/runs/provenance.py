"""Where a record comes from: code, versions, machine; and the recipe versions of components."""

from __future__ import annotations

import ast
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from mammostudy.errors import SpecError

_PACKAGES = (
    "mammostudy",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
    "torch",
    "torchvision",
)


@cache
def recipe_version(module: str) -> int:
    """Return the recipe version of a module: its ``VERSION = n``, raised when its numbers change.

    It is read from the source, so that torch is not imported to find a key.

    Raises:
        SpecError: the module has no integer ``VERSION``.
    """
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # of a package above it
        found = None
    if found is not None and found.origin is not None:
        for node in ast.parse(Path(found.origin).read_text()).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign):
                targets = [node.target]
            named = any(isinstance(t, ast.Name) and t.id == "VERSION" for t in targets)
            if named and isinstance(node, (ast.Assign, ast.AnnAssign)):
                value = node.value
                if isinstance(value, ast.Constant) and isinstance(value.value, int):
                    return value.value
    msg = f"{module}: no recipe version; give the module an integer VERSION"
    raise SpecError(msg)


@cache
def commit() -> str:
    """Return the git commit of the code, with ``+`` where the package differs from it."""
    folder = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        call = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, check=True
        )
        return call.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", str(folder.parent))
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance(threads: int) -> dict[str, object]:
    """Describe the code, packages and machine of a run; no name of host or user is kept."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "commit": commit(),
        "python": platform.python_version(),
        "versions": versions,
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "threads": threads,
        },
    }
