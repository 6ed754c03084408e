"""Pages: what ``study.yaml`` says of them, and how papermill runs them in real kernels."""

import nbformat
import pytest

from mammostudy.errors import BookError
from mammostudy.publishing.execute import check_parameters, execute_page, execute_pages
from mammostudy.publishing.freshness import is_fresh
from mammostudy.publishing.pages import read_pages

DECLARED = "n: int = 3  # how many\nx: float = 0.5\nloud: bool = False\nname: str = 'a'\nfree = 1"
FAILING = "1 / (name != 'two')"


def _page(book, **parameters):
    book.page("p", "t", parameters=parameters)
    return read_pages(book.root, {})[0]


@pytest.mark.parametrize(
    ("parameters", "named"),
    [({"m": 1}, "m"), ({"n": "4"}, "n must be int"), ({"x": False}, "x must be float")],
)
def test_unknown_and_ill_typed_parameters_are_refused(book, parameters, named):
    book.notebook("t", "1", parameters=DECLARED)
    with pytest.raises(BookError, match=named):
        execute_page(book.root, _page(book, **parameters), "key")
    for good in ({}, {"n": 4, "x": 2}, {"x": 2.5, "loud": True}, {"name": "b", "free": "any"}):
        check_parameters(book.root, _page(book, **good))


def test_the_copy_holds_outputs_no_times_and_the_key(book):
    book.notebook("t", "print(n * 2)", parameters="n: int = 3")
    page = _page(book, n=21)
    execute_page(book.root, page, "key")
    first = (book.root / page.executed).read_bytes()
    copy = nbformat.read(book.root / page.executed, as_version=4)
    assert copy.cells[0].source == "# p"
    assert copy.cells[-1].outputs[0]["text"] == "42\n"
    assert copy.metadata["study"]["parameters"] == {"n": 21}
    assert is_fresh(book.root, page, "key")
    execute_page(book.root, page, "key")
    assert (book.root / page.executed).read_bytes() == first


def test_a_failing_cell_names_page_notebook_cell_and_exception(book):
    book.notebook("t", "1", "wrong = n / 0", parameters="n: int = 3")
    for parameters in ({}, {"n": 1}):  # without and with an injected cell
        with pytest.raises(BookError, match=r"page p .*t.ipynb.*cell 4 of 4.*ZeroDivision"):
            execute_page(book.root, _page(book, **parameters), "key")
    assert not (book.root / "book" / "pages" / "p.ipynb").exists()


def test_a_dead_kernel_names_the_page(book):
    book.notebook("t", "import os; os._exit(1)")
    with pytest.raises(BookError, match=r"page p .*DeadKernelError"):
        execute_page(book.root, _page(book), "key")


@pytest.mark.parametrize(("ends", "runs"), [(["before"], 2), (["before"] * 2, 0), (["x"], 0)])
def test_a_kernel_that_never_began_is_begun_again_once(book, monkeypatch, ends, runs):
    book.notebook("t", "1")
    page, begun = _page(book), []

    def execute(notebook, *_, **__):
        begun.append(notebook)
        if len(begun) <= len(ends):
            raise RuntimeError(f"Kernel died {ends[0]} replying")
        return notebook

    monkeypatch.setattr("papermill.execute_notebook", execute)
    if runs:
        execute_page(book.root, page, "key")
        assert len(begun) == runs
    else:
        with pytest.raises(BookError, match="page p"):
            execute_page(book.root, page, "key")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_every_page_is_told_of_whatever_became_of_the_others(counting, workers):
    counting.notebook("counted", FAILING)
    keyed = [(page, f"key of {page.name}") for page in read_pages(counting.root, {})]
    ended = {page.name: result for page, result in execute_pages(counting.root, keyed, workers)}
    assert sorted(ended) == ["one", "three", "two"]
    assert isinstance(ended["two"], BookError)
    for page, key in keyed:
        assert is_fresh(counting.root, page, key) == (page.name != "two")


PHANTOM = {"cohort": "phantom", "preset": "quick"}
REAL = {"cohort": "cdd-cesm", "preset": "reference"}


@pytest.fixture
def pages(book):
    book.notebook("data", "1", parameters="cohort: str = 'phantom'\npreset: str = 'quick'")
    book.page("study-data", "data", parameters=PHANTOM)
    book.page("real-data", "data", parameters=REAL, fixed=True)
    book.page("audit", "data")
    return book


@pytest.mark.parametrize(
    ("environ", "changed"),
    [
        ({"MAMMOSTUDY_PRESET": "smoke"}, {"preset": "smoke"}),
        ({"MAMMOSTUDY_COHORT": "cdd-cesm"}, {"cohort": "cdd-cesm"}),
        ({"MAMMOSTUDY_COHORT": ""}, {}),
    ],
)
def test_environment_overrides_pages_that_are_not_fixed(pages, environ, changed):
    found = {page.name: page.parameters for page in read_pages(pages.root, environ)}
    assert found == {"study-data": PHANTOM | changed, "real-data": REAL, "audit": {}}
    with pytest.raises(BookError, match=r"'fast'.*MAMMOSTUDY_PRESET"):
        read_pages(pages.root, {"MAMMOSTUDY_PRESET": "fast"})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("pages: {a: {notebok: data}}", r"pages\.a\.notebok"),
        ("pages: {a: {notebook: data, fixed: 1}}", r"pages\.a\.fixed"),
        ("pages: {a: {notebook: nothing}}", r"pages\.a\.notebook"),
        ("pages: {a: {notebook: data, parameters: {preset: slow}}}", r"parameters\.preset"),
        ("pages: [", r"study\.yaml"),
    ],
)
def test_faults_of_study_yaml_name_the_key(pages, content, message):
    (pages.root / "study.yaml").write_text(content)
    with pytest.raises(BookError, match=message):
        read_pages(pages.root, {})


@pytest.mark.parametrize(
    ("gone", "listed"),
    [(None, None), ("study-data", None), (None, "book/pages/study-date")],
)
def test_a_page_stands_in_study_yaml_and_in_the_table_of_contents(pages, gone, listed):
    files = [f"book/pages/{name}" for name in pages.pages if name != gone]
    entries = "".join(f"  - file: {name}\n" for name in [*files, *filter(None, [listed])])
    toc = f"format: jb-book\nroot: index\nchapters:\n{entries}  - file: reproduce\n"
    (pages.root / "_toc.yml").write_text(toc)
    if not gone and not listed:
        assert len(read_pages(pages.root, {})) == 3
        return
    with pytest.raises(BookError, match=gone or listed):
        read_pages(pages.root, {})
