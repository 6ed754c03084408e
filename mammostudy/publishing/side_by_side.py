"""Stale pages executed side by side: one a core, each from a process of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from mammostudy.errors import BookError
from mammostudy.publishing import notebooks
from mammostudy.publishing.pages import Page

Executed = tuple[Page, float | BookError]


def default_workers() -> int:
    """Return how many pages run at once: one a core, at most four (about 1 GiB each)."""
    return min(4, os.cpu_count() or 1)


def execute_pages(
    root: Path, pages: Sequence[tuple[Page, str]], workers: int = 1
) -> Iterator[Executed]:
    """Execute pages, and tell of each when it is done.

    Side by side, each kernel computes on one thread: several on all cores stand in each other's
    way.

    Args:
        root: the project's folder.
        pages: each with its key (:func:`mammostudy.publishing.staleness.page_key`).
        workers: 1 executes them in order, in this process.

    Yields:
        A page, and its seconds or the error that it failed with; in the order of their ends.
    """
    if workers == 1 or len(pages) < 2:
        for page, key in pages:
            yield page, _executed(root, page, key)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _one_thread) as pool:
        futures = {
            pool.submit(_executed, root, page, key, progress=False): page for page, key in pages
        }
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:  # what has not begun is not begun
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _one_thread() -> None:
    """Let the kernels that a worker starts compute on one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"


def _executed(root: Path, page: Page, key: str, progress: bool | None = None) -> float | BookError:
    try:
        return notebooks.execute_page(root, page, key, progress=progress)
    except BookError as error:
        return error
