"""Pages run by papermill: real kernels."""

from __future__ import annotations

import os

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mammostudy.errors import BookError
from mammostudy.publishing.execute import (
    check_parameters,
    execute_page,
    execute_pages,
    put_title,
    with_name,
)
from mammostudy.publishing.freshness import is_fresh
from mammostudy.publishing.pages import read_pages

DECLARED = "n: int = 3  # how many\nx: float = 0.5\nloud: bool = False\nname: str = 'a'\nfree = 1"
TELL = "import os\nprint(os.environ.get('OMP_NUM_THREADS'))\n1 / (name != 'two')"


def _page(book, **parameters):
    book.page("p", "t", parameters=parameters)
    return read_pages(book.root, {})[0]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"m": 1}, "m; known: n: int"),
        ({"n": "4"}, "n must be int"),
        ({"n": 4.0}, "n must be int"),
        ({"n": True}, "n must be int"),
        ({"x": False}, "x must be float"),
        ({"loud": 1}, "loud must be bool"),
        ({"name": 1}, "name must be str"),
    ],
)
def test_unknown_and_ill_typed_parameters_are_refused(book, parameters, named):
    book.notebook("t", "1", parameters=DECLARED)
    with pytest.raises(BookError, match=named):
        execute_page(book.root, _page(book, **parameters), "key")
    for good in ({}, {"n": 4, "x": 2}, {"x": 2.5, "loud": True}, {"name": "b", "free": "any"}):
        check_parameters(book.root, _page(book, **good))


def test_names_and_titles_are_put_in():
    figure = {"mystnb": {"figure": {"name": "fig-{{ page }}-a"}}}
    cells = [new_markdown_cell("# Losses\n$a_{{b}}$"), new_code_cell("1", metadata=figure)]
    notebook = with_name(new_notebook(cells=cells), "study-losses")
    put_title(notebook, "Phantom")
    assert notebook.cells[0].source == "# Phantom: Losses\n$a_{{b}}$"
    assert notebook.cells[1].metadata["mystnb"]["figure"]["name"] == "fig-study-losses-a"
    nbformat.validate(notebook)


def test_the_copy_holds_outputs_no_times_and_the_key(book):
    book.notebook("t", "print(n * 2)", parameters="n: int = 3")
    page = _page(book, n=21)
    execute_page(book.root, page, "key")
    first = (book.root / page.executed).read_bytes()
    copy = nbformat.read(book.root / page.executed, as_version=4)
    assert copy.cells[-1].outputs[0]["text"] == "42\n"
    assert copy.cells[2].metadata["tags"] == ["injected-parameters", "remove-cell"]
    assert copy.metadata["study"] == {
        "key": "key", "template": "book/chapters/t.ipynb", "parameters": {"n": 21},
    }  # fmt: skip
    execute_page(book.root, page, "key")
    assert (book.root / page.executed).read_bytes() == first


def test_a_failing_cell_names_page_notebook_cell_and_exception(book):
    book.notebook("t", "1", "wrong = n / 0", parameters="n: int = 3")
    for parameters in ({}, {"n": 1}):  # without and with an injected cell
        with pytest.raises(BookError, match=r"page p .*t.ipynb.*cell 4 of 4.*ZeroDivision") as said:
            execute_page(book.root, _page(book, **parameters), "key")
        assert "wrong = n / 0" in str(said.value)
    assert not (book.root / "book" / "pages" / "p.ipynb").exists()


@pytest.mark.parametrize(
    ("source", "named"),
    [("import os; os._exit(1)", "DeadKernelError"), ("while True: pass", "CellTimeoutError")],
)
def test_dead_kernels_and_timeouts_name_the_page(book, source, named):
    book.notebook("t", source)
    with pytest.raises(BookError, match=f"page p .*{named}"):
        execute_page(book.root, _page(book), "key", timeout=2)


def test_another_kernel_or_a_broken_file_is_refused(book):
    book.write("t", [new_code_cell("1")], kernel="my-conda")
    with pytest.raises(BookError, match="my-conda"):
        execute_page(book.root, _page(book), "key")
    (book.root / "book" / "chapters" / "t.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(BookError, match=r"t\.ipynb"):
        execute_page(book.root, _page(book), "key")


@pytest.mark.parametrize("workers", [1, 2])
def test_every_page_is_told_of_whatever_became_of_the_others(counting, monkeypatch, workers):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    counting.notebook("counted", TELL)
    keyed = [(page, f"key of {page.name}") for page in read_pages(counting.root, {})]
    ended = {page.name: result for page, result in execute_pages(counting.root, keyed, workers)}
    assert sorted(ended) == ["one", "three", "two"]
    assert isinstance(ended["two"], BookError)
    for page, key in keyed:
        assert is_fresh(counting.root, page, key) == (page.name != "two")
    copy = nbformat.read(counting.root / "book" / "pages" / "one.ipynb", as_version=4)
    shown = [out for cell in copy.cells for out in cell.get("outputs", [])]
    (said,) = [out["text"].strip() for out in shown if out["output_type"] == "stream"]
    assert said == ("3" if workers == 1 else "1")
    assert os.environ["OMP_NUM_THREADS"] == "3"  # of this process, left alone
