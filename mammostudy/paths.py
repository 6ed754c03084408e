"""Where things lie: the project, its committed records, the local store, the data."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LEFT_BEHIND = {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"}


def search(folder: Path, pattern: str) -> list[Path]:
    """Return what a folder holds by a pattern, sorted, without what systems leave beside files.

    Those are names that start with a dot (``._1.dcm`` of macOS) or ``~$`` (of an open workbook).
    """
    return [
        path
        for path in sorted(folder.glob(pattern))
        if not any(
            part.startswith((".", "~$")) or part.lower() in _LEFT_BEHIND
            for part in path.relative_to(folder).parts
        )
    ]


def project_root() -> Path:
    """Return the nearest folder above with a ``study.yaml``, else that of the package."""
    with suppress(OSError):  # a working folder may be gone
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / "study.yaml").is_file():
                return folder
    return Path(__file__).resolve().parent.parent


def store_root() -> Path:
    """Return the local store: ``MAMMOSTUDY_STORE``, else ``.mammostudy`` in the project."""
    named = os.environ.get("MAMMOSTUDY_STORE")
    return Path(os.path.expanduser(named)) if named else project_root() / ".mammostudy"


def results_root() -> Path:
    """Return the folder of the committed records (``results`` in the project)."""
    return project_root() / "results"


def data_root() -> Path | None:
    """Return the folder of cohorts that ``MAMMOSTUDY_DATA`` names, or None where it is not set."""
    named = os.environ.get("MAMMOSTUDY_DATA")
    return Path(os.path.expanduser(named)) if named else None


def use_data_root(root: Path | None) -> None:
    """Make a folder, where one is given, the data folder of this process and its children."""
    if root is not None:
        os.environ["MAMMOSTUDY_DATA"] = str(root.expanduser().resolve())
