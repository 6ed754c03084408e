"""Pages run by papermill: templates checked and filled in, side by side, written as copies."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from html import escape
from pathlib import Path

import nbformat

from mammostudy.data.descriptors import describe
from mammostudy.errors import BookError
from mammostudy.paths import write_atomically
from mammostudy.publishing.pages import Page
from mammostudy.runs.workers import side_by_side

CELL_TIMEOUT = 900  # seconds; training is done before the pages, so no cell should come near


def read_template(root: Path, page: Page) -> nbformat.NotebookNode:
    """Read the notebook a page is made from."""
    try:
        notebook: nbformat.NotebookNode = nbformat.read(  # type: ignore[no-untyped-call]
            root / page.template, as_version=4
        )
    except Exception as error:  # nbformat raises a dozen kinds for a broken file
        raise BookError(
            f"{page.template}: not a readable notebook: {' '.join(str(error).split())[:200]}"
        ) from error
    return notebook


def check_parameters(root: Path, page: Page) -> None:
    """Check a page's parameters against those its notebook declares, by name and type."""
    import papermill

    known = papermill.inspect_notebook(root / page.template)
    listed = ", ".join(f"{name}: {item['inferred_type_name']}" for name, item in known.items())
    listed = listed or "none (no cell is tagged 'parameters')"
    where = f"page {page.name} ({page.template})"
    if unknown := sorted(set(page.parameters) - set(known)):
        raise BookError(f"{where}: unknown parameter {', '.join(unknown)}; known: {listed}")
    for name, value in page.parameters.items():
        said = known[name]["inferred_type_name"]
        wanted = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}.get(said)
        if wanted and type(value) not in wanted:  # a bool is an int to isinstance
            raise BookError(
                f"{where}: parameter {name} must be {said}, not {value!r}; known: {listed}"
            )


def _filled(notebook: nbformat.NotebookNode, page: Page) -> nbformat.NotebookNode:
    """Put in what papermill does not, which fills code only: page's name and cohort's title."""
    text = json.dumps(notebook).replace("{{ page }}", page.name)
    filled: nbformat.NotebookNode = nbformat.from_dict(json.loads(text))  # type: ignore[no-untyped-call]
    titles = (c for c in filled.cells if c.cell_type == "markdown" and c.source.startswith("# "))
    if page.cohort and (cell := next(titles, None)):
        cell.source = f"# {describe(page.cohort).title}: {cell.source[2:]}"
    return filled


def execute_page(root: Path, page: Page, key: str) -> float:
    """Run a page's notebook in ``root``, write the copy with its ``key``, return the seconds."""
    began = time.perf_counter()
    notebook = read_template(root, page)
    check_parameters(root, page)
    notebook = _filled(notebook, page)
    try:
        executed = _executed(root, page, notebook)
    except Exception as error:  # also dead kernels and timeouts, which papermill does not wrap
        raise BookError(_failure(page, notebook, error)) from error
    _write(root, page, _tidied(executed, page, key))
    return time.perf_counter() - began


def _executed(root: Path, page: Page, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    import papermill

    run: Callable[[], nbformat.NotebookNode] = partial(
        papermill.execute_notebook,
        notebook,
        None,  # what is half done, with this machine's paths, is kept nowhere
        dict(page.parameters),
        cwd=str(root),
        kernel_name="python3",
        progress_bar=False,
        execution_timeout=CELL_TIMEOUT,
        # a kernel that is stopped calls its interrupt an error
        extra_arguments=["--log-level=50"],
    )
    try:
        return run()
    except RuntimeError as error:
        if "before replying" not in str(error):
            raise
        return run()  # nothing ran: another kernel had taken its port


def write_notice(root: Path, page: Page, headline: str, text: str) -> None:
    """Write, in place of a page that is not there, its title and why."""
    notebook = _filled(read_template(root, page), page)
    kinds = ("markdown", "code")
    title, why = (next(c for c in notebook.cells if c.cell_type == kind) for kind in kinds)
    html = (
        f'<div class="admonition warning"><p class="admonition-title">{escape(headline)}</p>'
        f'<pre style="white-space: pre-wrap">{escape(text)}</pre></div>'
    )
    shown = {"text/html": html, "text/plain": f"{headline}: {text}"}
    told = {"output_type": "display_data", "data": shown, "metadata": {}}
    why.outputs = [nbformat.from_dict(told)]  # type: ignore[no-untyped-call]
    title.source, why.metadata["tags"] = title.source.splitlines()[0], ["remove-input"]
    notebook.cells = [title, why]
    _write(root, page, _tidied(notebook, page, headline))


def _write(root: Path, page: Page, notebook: nbformat.NotebookNode) -> None:
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    write_atomically(root / page.executed, lambda path: path.write_text(text, encoding="utf-8"))


def _failure(page: Page, notebook: nbformat.NotebookNode, error: Exception) -> str:
    """Say which notebook and cell failed and how, with the cell's source where it is known."""
    from papermill.exceptions import PapermillExecutionError

    where = f"page {page.name} ({page.template})"
    if not isinstance(error, PapermillExecutionError):
        text = " ".join(str(error).split())
        return f"{where}: {type(error).__name__}: {text[:400]}"
    index = error.cell_index
    tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in _tags(cell)]
    if page.parameters and tagged and index > tagged[0]:
        index -= 1  # the cell papermill injected is not in the notebook
    source = "\n".join(f"    {line}" for line in error.source.splitlines())
    return (
        f"{where}: cell {index + 1} of {len(notebook.cells)} [In {error.exec_count}]: "
        f"{error.ename}: {error.evalue}\n{source}"
    )


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _tidied(notebook: nbformat.NotebookNode, page: Page, key: str) -> nbformat.NotebookNode:
    """Hide the injected cell and drop times and paths: equal runs give equal files."""
    for cell in notebook.cells:
        if "injected-parameters" in _tags(cell):
            cell.metadata["tags"] = [*_tags(cell), "remove-cell"]
            cell["id"] = "injected"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["study"] = {
        "key": key,
        "template": page.template.as_posix(),
        "parameters": dict(page.parameters),
    }
    return notebook


def execute_pages(
    root: Path, pages: Sequence[tuple[Page, str]], workers: int = 0
) -> Iterator[tuple[Page, float | BookError]]:
    """Execute pages with their keys, and yield each with its seconds or its error when it ends.

    Of several workers each has one thread; without any, pages are executed in this process.
    """
    if not workers:
        for page, key in pages:
            try:
                yield page, execute_page(root, page, key)
            except BookError as error:
                yield page, error
        return
    work = partial(_alone if workers > 1 else execute_page, root)
    with closing(side_by_side(work, pages, min(workers, len(pages)))) as done:
        for (page, _), result in done:
            if isinstance(result, BrokenProcessPool):
                result = BookError(f"page {page.name} ({page.template}): {result}")
            elif isinstance(result, Exception) and not isinstance(result, BookError):
                raise result
            yield page, result


def _alone(root: Path, page: Page, key: str) -> float:
    """Execute a page in a kernel that computes on one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    return execute_page(root, page, key)
