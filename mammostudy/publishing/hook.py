"""The local Sphinx extension: runs stale pages before Sphinx looks for them.

So that plain ``jupyter-book build .`` executes the study: missing runs are trained first, then the
stale notebooks run through papermill, side by side, then Sphinx renders the executed copies.
"""

from __future__ import annotations

import hashlib
import json
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
from mammostudy.publishing.execute import check_parameters, execute_pages
from mammostudy.publishing.freshness import Needs, is_fresh, missing_specs, needs_of, page_key
from mammostudy.publishing.leftovers import remove_leftovers
from mammostudy.publishing.pages import EXECUTED, STUDY_FILE, Page, read_pages
from mammostudy.settings import workers

logger = logging.getLogger(__name__)
STAMP = ".study_written"


@dataclass
class Outcome:
    """What a pass over the pages did."""

    keys: dict[str, str] = field(default_factory=dict)  # page -> key of the copy that lies there
    executed: dict[str, float] = field(default_factory=dict)  # page that ran -> seconds
    failed: list[str] = field(default_factory=list)  # a message for each page that did not


def refresh(root: Path, pages: list[Page], workers: int = 0) -> Outcome:
    """Bring every executed copy up to date: drop orphans, train what is missing, run what is stale.

    Data or settings that cannot be used are a StudyError before anything runs.
    """
    outcome = Outcome()
    for path in (root / EXECUTED).glob("*.ipynb"):
        if path.stem not in {page.name for page in pages}:
            path.unlink()
    logger.info("looking up cohorts and records of %d pages", len(pages))
    needed = {page.name: needs_of(page) for page in pages}
    keys = {page.name: page_key(root, page, needed[page.name]) for page in pages}
    for page in pages:
        if not is_fresh(root, page, keys[page.name]):
            check_parameters(root, page)
    if _train(pages, needed):  # whose records are part of the keys, of copies made without them too
        keys = {page.name: page_key(root, page, needed[page.name]) for page in pages}
    stale = [page for page in pages if not is_fresh(root, page, keys[page.name])]
    outcome.keys = {page.name: keys[page.name] for page in pages if page not in stale}
    ended = execute_pages(root, [(page, keys[page.name]) for page in stale], workers)
    for page, result in tqdm(ended, "executing pages", len(stale), disable=None, leave=False):
        if isinstance(result, BookError):
            outcome.failed.append(str(result))
            continue
        outcome.keys[page.name], outcome.executed[page.name] = keys[page.name], result
        logger.info("%s: executed in %.1f s", page.name, result)
    logger.info("pages: %d executed, %d up to date", len(outcome.executed), len(pages) - len(stale))
    return outcome


def _train(pages: Iterable[Page], needed: dict[str, Needs]) -> bool:
    """Make the missing records of all pages before the first kernel starts; whether any was."""
    from mammostudy.runs.execute import ensure

    absent = missing_specs(needed[page.name] for page in pages if not page.fixed)
    for reason in dict.fromkeys(spec.cannot_run for spec in absent if spec.cannot_run):
        logger.info("not run: %s", reason)
    missing = [spec for spec in absent if not spec.cannot_run]
    if missing:
        logger.info("training %d run(s) that have no record yet", len(missing))
        ensure(missing, progress=True)
    return bool(missing)


def on_config_inited(app: Any, config: Any) -> None:
    """Refresh the pages; priority 100 comes before the table of contents is read.

    What fails leaves as SystemExit: any other exception would bring Jupyter Book's traceback.
    """
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
    if outcome.failed:
        raise SystemExit("\nThe book was not built, pages failed:\n" + "\n".join(outcome.failed))
    text = json.dumps(outcome.keys, sort_keys=True)
    app.study_digest = hashlib.sha256(text.encode()).hexdigest()


def on_env_updated(app: Any, env: Any) -> list[str]:
    """Have every page written again when any changed since the last build that succeeded.

    Numbers quoted from another page are put in when a page is written, not when it is read.
    """
    digest = getattr(app, "study_digest", None)
    stamp = Path(app.outdir).parent / STAMP
    if digest is None or (stamp.is_file() and stamp.read_text(encoding="utf-8") == digest):
        return []
    return sorted(env.found_docs)


def on_build_finished(app: Any, exception: Exception | None) -> None:
    """Remember which pages a successful build has written."""
    digest = getattr(app, "study_digest", None)
    if exception is None and digest is not None and app.builder.format == "html":
        (Path(app.outdir).parent / STAMP).write_text(digest, encoding="utf-8")


def on_page_context(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Let source and edit buttons lead to the template; downloads keep the executed copy."""
    root = Path(app.srcdir)
    for page in read_pages(root) if (root / STUDY_FILE).is_file() else ():
        if page.executed.as_posix() == f"{pagename}.ipynb":
            _redirect(context.get("header_buttons", []), page)


def _redirect(buttons: Iterable[Any], page: Page) -> None:
    for button in buttons:
        if not isinstance(button, dict):
            continue
        _redirect(button.get("buttons", []), page)
        url = button.get("url")
        if isinstance(url, str) and "_sources/" not in url:
            button["url"] = url.replace(page.executed.as_posix(), page.template.as_posix())


def setup(app: Any) -> dict[str, Any]:
    """Connect the hook to Sphinx; called by Sphinx."""
    app.connect("config-inited", on_config_inited, priority=100)
    app.connect("env-updated", on_env_updated)
    app.connect("build-finished", on_build_finished)
    app.connect("html-page-context", on_page_context, priority=502)  # after the theme's buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
