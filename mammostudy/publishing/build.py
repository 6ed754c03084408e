"""``mammostudy book``: the settings, then ``jupyter-book build .``, then where the book lies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from mammostudy.errors import BookError
from mammostudy.publishing.pages import read_pages

INDEX = Path("_build/html/index.html")
BUILD = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "."]
STRICT = ["-W", "--keep-going", "--all"]  # every warning is an error, every page written again


def book_environment(
    environ: Mapping[str, str], preset: str | None, cohort: str | None, data: Path | None
) -> dict[str, str]:
    """Return ``environ`` with the settings that the hook and the kernels read."""
    given = {"PRESET": preset, "COHORT": cohort, "DATA": data}
    changed = {**environ, **{f"MAMMOSTUDY_{k}": str(v) for k, v in given.items() if v}}
    if named := changed.get("MAMMOSTUDY_DATA"):  # kernels run in the project, not here
        changed["MAMMOSTUDY_DATA"] = str(Path(named).expanduser().resolve())
    if data and not Path(changed["MAMMOSTUDY_DATA"]).is_dir():
        raise BookError(
            f"--data {data}: no such folder; give the folder that holds a folder per cohort"
        )
    return changed


def build_book(
    root: Path,
    preset: str | None = None,
    cohort: str | None = None,
    data: Path | None = None,
    strict: bool = False,
) -> Path:
    """Build the book and return the path of its first page.

    What is missing is trained and what is stale is executed on the way, with progress shown.

    Args:
        root: the project's folder.
        preset: how much to spend on the pages that are not fixed; ``study.yaml`` otherwise.
        cohort: the cohort of those pages; ``study.yaml`` otherwise.
        data: folder that holds a folder per cohort of real data.
        strict: treat every warning as an error and render every page again.

    Raises:
        BookError: a setting is wrong, the book extra is not installed, or the build failed.
    """
    environ = book_environment(os.environ, preset, cohort, data)
    pages = read_pages(root, environ)  # refuses bad settings before anything starts
    if find_spec("jupyter_book") is None:
        raise BookError("Jupyter Book is not installed; run: pip install -e '.[book]'")
    print(f"Building {len(pages)} study pages", flush=True)
    command = BUILD + (STRICT if strict else [])
    done = subprocess.run(command, cwd=root, env=environ, check=False)
    index = (root / INDEX).resolve()
    if done.returncode or not index.is_file():
        raise BookError(
            f"the book in {root} was not built (exit code {done.returncode}); see above"
        )
    print(f"\nThe book is ready. Open: {index}", flush=True)
    return index
