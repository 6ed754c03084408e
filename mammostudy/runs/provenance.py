"""Where a record comes from: code, versions, machine; and the recipe versions of components."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "mammostudy",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
    "torch",
    "torchvision",
)


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
