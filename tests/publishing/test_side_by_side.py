"""Pages in processes of their own: real kernels."""

import os

import nbformat
import pytest

from mammostudy.errors import BookError
from mammostudy.publishing.execute import execute_pages
from mammostudy.publishing.freshness import is_fresh
from mammostudy.publishing.pages import read_pages

TELL = "import os\nprint(os.environ.get('OMP_NUM_THREADS'))\n1 / (name != 'two')"


@pytest.mark.parametrize("workers", [1, 2])
def test_every_page_is_told_of_whatever_became_of_the_others(counting, monkeypatch, workers):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    counting.notebook("counted", TELL)
    pages = read_pages(counting.root, {})
    keyed = [(page, f"key of {page.name}") for page in pages]
    ended = {page.name: result for page, result in execute_pages(counting.root, keyed, workers)}
    assert sorted(ended) == ["one", "three", "two"]
    assert isinstance(ended["two"], BookError)
    assert "ZeroDivisionError" in str(ended["two"])
    for page, key in keyed:
        assert is_fresh(counting.root, page, key) == (page.name != "two")
    copy = nbformat.read(counting.root / "book" / "pages" / "one.ipynb", as_version=4)
    shown = [out for cell in copy.cells for out in cell.get("outputs", [])]
    (said,) = [out["text"].strip() for out in shown if out["output_type"] == "stream"]
    assert said == ("3" if workers == 1 else "1")
    assert os.environ["OMP_NUM_THREADS"] == "3"  # of this process, left alone
