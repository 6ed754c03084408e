"""``mammostudy book``: the settings, then ``jupyter-book build .``, then where the book lies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from mammostudy.errors import BookError, UnbuiltError
from mammostudy.processes import GRACE
from mammostudy.publishing.pages import PAGES_FAILED, read_pages

INDEX = Path("_build/html/index.html")
BUILD = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "."]
FOLLOW = "from mammostudy.processes import end_when_told; end_when_told({}, {}); "
STRICT = ["-W", "--keep-going", "--all"]  # every warning is an error, every page written again


def build_book(
    root: Path,
    preset: str | None = None,
    cohort: str | None = None,
    data: Path | None = None,
    strict: bool = False,
) -> Path:
    """Build the book and return the path of its first page.

    What is missing is trained and what is stale is executed on the way. ``preset`` and ``cohort``
    are of the pages that are not fixed, else as ``study.yaml`` says; ``data`` holds a folder per
    cohort of real data; ``strict`` makes every warning an error and renders every page again.
    Pages that failed say so, the others are as ever, and the process ends with exit code 1.
    """
    given = {"PRESET": preset, "COHORT": cohort, "DATA": data}
    environ = {**os.environ, **{f"MAMMOSTUDY_{k}": str(v) for k, v in given.items() if v}}
    if named := environ.get("MAMMOSTUDY_DATA"):  # kernels run in the project, not here
        environ["MAMMOSTUDY_DATA"] = str(Path(named).expanduser().resolve())
    if data and not Path(environ["MAMMOSTUDY_DATA"]).is_dir():
        raise BookError(
            f"--data {data}: no such folder; give the one that holds a folder per cohort"
        )
    pages = read_pages(root, environ)  # refuses bad settings before anything starts
    if find_spec("jupyter_book") is None:
        raise BookError("Jupyter Book is not installed; run: pip install -e '.[book]'")
    print(f"Building {len(pages)} study pages", flush=True)
    code = _run(BUILD + (STRICT if strict else []), root, environ)
    index = (root / INDEX).resolve()
    failed = code == PAGES_FAILED
    if (code and not failed) or not index.is_file():
        kind = BookError if code == BookError.code else UnbuiltError
        raise kind(f"the book in {root} was not built (exit code {code}); see above")
    print(f"\nThe book is ready. Open: {index}", flush=True)
    if failed:
        raise UnbuiltError("pages of the book failed, and say so; see above")
    return index


def _run(command: Sequence[str], root: Path, environ: Mapping[str, str]) -> int:
    """Run Jupyter Book until it ends, or until this process is told to: then it is told, too."""
    python, option, code, *words = command
    follow = FOLLOW.format(os.getpid(), GRACE + 0.5) + code
    started = [python, option, follow, *words]
    with subprocess.Popen(started, cwd=root, env=environ, start_new_session=True) as child:
        try:
            return child.wait()
        finally:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE + 0.5)
            child.kill()
