"""The local Sphinx extension: runs stale pages before Sphinx looks for them.

So that plain ``jupyter-book build .`` executes the study: missing runs are trained first, then the
stale notebooks run through papermill, side by side, then Sphinx renders the executed copies.
"""

from __future__ import annotations

import logging as standard_logging
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sphinx.util import logging
from tqdm.auto import tqdm

from mammostudy.errors import BookError
from mammostudy.faults import told
from mammostudy.publishing.execute import check_parameters, execute_pages, write_notice
from mammostudy.publishing.freshness import Needs, is_fresh, missing_specs, needs_of, page_key
from mammostudy.publishing.leftovers import remove_leftovers
from mammostudy.publishing.pages import EXECUTED, PAGES_FAILED, STUDY_FILE, Page, read_pages
from mammostudy.settings import workers
from mammostudy.study.chapters import unfit

logger = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What a pass over the pages did."""

    executed: dict[str, float] = field(default_factory=dict)  # page that ran -> seconds
    failed: list[str] = field(default_factory=list)  # a message for each page that did not


def refresh(root: Path, pages: list[Page], workers: int = 0) -> Outcome:
    """Bring every copy up to date: drop orphans, train what is missing, run what is stale."""
    outcome = Outcome()
    for path in (root / EXECUTED).glob("*.ipynb"):
        if path.stem not in {page.name for page in pages}:
            path.unlink()
    logger.info("looking up cohorts and records of %d pages", len(pages))
    pages = _leave_out(root, pages)
    needed = {page.name: needs_of(page) for page in pages}
    keys = {page.name: page_key(root, page, needed[page.name]) for page in pages}
    for page in pages:
        if not is_fresh(root, page, keys[page.name]):
            check_parameters(root, page)
    if _train(pages, needed):  # whose records are part of the keys, of copies made without them too
        keys = {page.name: page_key(root, page, needed[page.name]) for page in pages}
    stale = [page for page in pages if not is_fresh(root, page, keys[page.name])]
    ended = execute_pages(root, [(page, keys[page.name]) for page in stale], workers)
    for page, result in tqdm(ended, "executing pages", len(stale), disable=None, leave=False):
        if isinstance(result, BookError):
            outcome.failed.append(str(result))
            write_notice(root, page, "This page failed", str(result))
            continue
        outcome.executed[page.name] = result
        logger.info("%s: executed in %.1f s", page.name, result)
    logger.info("pages: %d executed, %d up to date", len(outcome.executed), len(pages) - len(stale))
    return outcome


def _leave_out(root: Path, pages: list[Page]) -> list[Page]:
    """Put a notice in the place of each page that its cohort cannot serve; return the others."""
    free = [page for page in pages if page.cohort and not page.fixed]
    faults = {cohort: unfit(cohort) for cohort in {str(page.cohort) for page in free}}
    left = [page for page in free if page.notebook in faults[str(page.cohort)]]
    for page in left:
        why = faults[str(page.cohort)][page.notebook]
        write_notice(root, page, "Left out", why)
        logger.info("%s: left out: %s", page.name, why)
    return [page for page in pages if page not in left]


def _train(pages: Iterable[Page], needed: dict[str, Needs]) -> bool:
    """Make the missing records of all pages before the first kernel starts; whether any was."""
    from mammostudy.runs.execute import ensure

    absent = missing_specs(needed[page.name] for page in pages if not page.fixed)
    for reason in dict.fromkeys(spec.cannot_run for spec in absent if spec.cannot_run):
        logger.info("not run: %s", reason)
    missing = [spec for spec in absent if not spec.cannot_run]
    if missing:
        logger.info("training %d run(s) that have no record yet", len(missing))
        try:
            ensure(missing, progress=True)
        except Exception as error:  # a page that needs what failed meets it again, and says so
            logger.info("not all was trained: %s", told(error)[0])
    return bool(missing)


def on_config_inited(app: Any, config: Any) -> None:
    """Refresh the pages, before the table of contents is read; what ends it is one line."""
    root = Path(app.srcdir)
    if not (root / STUDY_FILE).is_file():  # a single file is being built, not the book
        return
    standard_logging.getLogger("papermill").setLevel(standard_logging.ERROR)
    remove_leftovers()
    try:
        outcome = refresh(root, read_pages(root), workers())
    except (Exception, KeyboardInterrupt) as error:
        line, code = told(error)
        print(f"\nThe book was not built: {line}", file=sys.stderr)
        raise SystemExit(code) from error
    app.study_failed = outcome.failed


def on_build_finished(app: Any, exception: Exception | None) -> None:
    """Tell which pages failed."""
    if failed := getattr(app, "study_failed", None):
        print("\nThese pages failed, and say so:\n" + "\n".join(failed), file=sys.stderr)
        app.statuscode = PAGES_FAILED


def setup(app: Any) -> dict[str, Any]:
    """Connect the hook to Sphinx; called by Sphinx."""
    app.connect("config-inited", on_config_inited, priority=100)
    app.connect("build-finished", on_build_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
