from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mammostudy.errors import BookError
from mammostudy.publishing.execute import check_parameters, execute_page, fill_in
from mammostudy.publishing.pages import read_pages

DECLARED = "n: int = 3  # how many\nx: float = 0.5\nloud: bool = False\nname: str = 'a'\nfree = 1"


def _page(book, **parameters):
    book.page("p", "t", parameters=parameters)
    return read_pages(book.root, {})[0]


def _copy(book, name="p"):
    return nbformat.read(book.root / "book" / "pages" / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"n": 4}, {"x": 2}, {"x": 2.5}, {"loud": True}, {"name": "b"}, {"free": "anything"}],
)
def test_known_parameters_pass_with_defaults_beside_them(book, parameters):
    book.notebook("t", "1", parameters=DECLARED)
    values = check_parameters(book.root, _page(book, **parameters))
    assert values == {"n": 3, "x": 0.5, "loud": False, "name": "a", "free": 1} | parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"m": 1}, r"page p \(book/chapters/t.ipynb\): unknown parameter m; known: n: int, x: flo"),
        ({"n": "4"}, r"parameter n must be int, not '4'; known: n: int"),
        ({"n": 4.0}, r"parameter n must be int"),
        ({"n": True}, r"parameter n must be int"),
        ({"x": False}, r"parameter x must be float"),
        ({"loud": 1}, r"parameter loud must be bool"),
        ({"name": 1}, r"parameter name must be str"),
    ],
)
def test_unknown_and_ill_typed_parameters_are_refused(book, parameters, message):
    book.notebook("t", "1", parameters=DECLARED)
    with pytest.raises(BookError, match=message):
        execute_page(book.root, _page(book, **parameters), "key")
    assert not (book.root / "book" / "pages").exists()


def test_a_notebook_without_parameters_takes_none(book):
    book.write("t", [new_code_cell("1")])
    with pytest.raises(BookError, match="known: none"):
        check_parameters(book.root, _page(book, n=1))


def test_placeholders_are_filled_in_markdown_and_metadata_only():
    figure = {"mystnb": {"figure": {"name": "fig-{{ page }}", "caption": "of {{ n }}"}}}
    cells = [
        new_markdown_cell("# {{ cohort_title }}\n(sec-{{ page }})= ${{a}}$"),
        new_code_cell("f'{{ page }}'", metadata=figure),
    ]
    notebook = new_notebook(cells=cells)
    fill_in(notebook, {"page": "losses", "cohort_title": "Phantom", "n": 3}, "here")
    markdown, code = notebook.cells
    assert markdown.source == "# Phantom\n(sec-losses)= ${{a}}$"
    assert code.source == "f'{{ page }}'"
    assert code.metadata["mystnb"]["figure"] == {"name": "fig-losses", "caption": "of 3"}
    nbformat.validate(notebook)


def test_an_unknown_placeholder_names_the_known_ones():
    notebook = new_notebook(cells=[new_markdown_cell("{{ pgae }}")])
    with pytest.raises(BookError, match=r"here: unknown placeholder \{\{ pgae \}\}; known: page"):
        fill_in(notebook, {"page": "x"}, "here")


def test_the_copy_holds_outputs_no_times_and_the_key(book):
    book.notebook("t", "print(n * 2)", parameters="n: int = 3")
    page = _page(book, n=21)
    execute_page(book.root, page, "key")
    first = (book.root / page.executed).read_bytes()
    copy = _copy(book)
    assert copy.cells[0].source == "# p"
    assert copy.cells[-1].outputs[0]["text"] == "42\n"
    injected = copy.cells[2]
    assert injected.metadata["tags"] == ["injected-parameters", "remove-cell"]
    assert copy.metadata["study"]["key"] == "key"
    assert copy.metadata["study"]["parameters"] == {"n": 21}
    execute_page(book.root, page, "key")
    assert (book.root / page.executed).read_bytes() == first


def test_a_failing_cell_names_page_notebook_cell_and_exception(book):
    book.notebook("t", "1", "wrong = n / 0", parameters="n: int = 3")
    message = r"page p \(book/chapters/t.ipynb\): cell 4 of 4 \[In \d\]: ZeroDivisionError: .*zero"
    for parameters in ({}, {"n": 1}):  # without and with an injected cell
        with pytest.raises(BookError, match=message) as caught:
            execute_page(book.root, _page(book, **parameters), "key")
    assert "    wrong = n / 0" in str(caught.value)
    assert not (book.root / "book" / "pages" / "p.ipynb").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os; os._exit(1)", r"page p \(book/chapters/t.ipynb\): DeadKernelError"),
        ("import time; time.sleep(60)", r"page p \(book/chapters/t.ipynb\): CellTimeoutError"),
    ],
)
def test_dead_kernels_and_timeouts_name_the_page(book, source, message):
    book.notebook("t", source)
    with pytest.raises(BookError, match=message):
        execute_page(book.root, _page(book), "key", timeout=2)


def test_another_kernel_or_a_broken_file_is_refused(book):
    book.write("t", [new_code_cell("1")], kernel="my-conda")
    with pytest.raises(BookError, match="its kernel is 'my-conda'; it must be 'python3'"):
        execute_page(book.root, _page(book), "key")
    (book.root / "book" / "chapters" / "t.ipynb").write_text("{")
    with pytest.raises(BookError, match="not a readable notebook"):
        execute_page(book.root, _page(book), "key")
