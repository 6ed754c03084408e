"""Copies that cannot be judged fail by name."""

from __future__ import annotations

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mammostudy.publishing.freshness import needs_of, page_key
from mammostudy.publishing.pages import read_pages

KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


def write(path, parameters, *, key=None):
    """Write a notebook, as an executed copy where there is a ``key``."""
    cells = [new_markdown_cell("# {{ page }}"), new_code_cell("name: str = 'x'", id="given")]
    cells[0]["id"] = "title"
    study = {"key": key, "parameters": parameters} if key else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "study": study}), path)


@pytest.fixture
def page(tmp_path):
    """A page of a project of its own, with an executed copy."""
    pages = {"one": {"notebook": "counted", "parameters": {"name": "right"}}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"pages": pages}))
    write(tmp_path / "book/chapters/counted.ipynb", {})
    (page,) = read_pages(tmp_path, {})
    key = page_key(tmp_path, page, needs_of(page))
    write(tmp_path / page.executed, {"name": "right"}, key=key)
    return page


def test_a_copy_of_today_is_read(tmp_path, page, read_copy):
    assert read_copy(tmp_path, page).metadata["study"]["parameters"] == {"name": "right"}


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        (None, "missing"),
        ({"name": "wrong"}, "executed with {'name': 'wrong'}, not with {'name': 'right'}"),
        ({"name": "right"}, "not of today's notebook"),
    ],
)
def test_a_copy_that_cannot_be_judged_fails_and_is_not_skipped(
    tmp_path, page, read_copy, parameters, fault
):
    (tmp_path / page.executed).unlink()
    if parameters:
        write(tmp_path / page.executed, parameters, key="of another day")
    with pytest.raises(pytest.fail.Exception) as caught:
        read_copy(tmp_path, page)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"book/pages/one.ipynb: {fault}")
    assert "MAMMOSTUDY_PRESET=smoke .venv/bin/jupyter-book build ." in line
