"""What killed writers left behind: files and folders half-written, removed at the next start."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from mammostudy.paths import project_root, results_root, store_root

OLD: Final = 60.0  # seconds without a change; a writer at work is quicker


def remove_leftovers() -> None:
    """Remove what is half-written, old enough, and of no process that lives on this machine."""
    for root in (store_root(), results_root(), project_root() / "book" / "pages"):
        for path in root.rglob(".partial-*"):
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > OLD and not _is_written(path):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_written(path: Path) -> bool:
    """Whether the process whose number stands in a name is alive."""
    number = path.name.split("-")[1]
    if not number.isdigit():  # an older name
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True
