"""Copies that cannot be judged fail by name."""

from __future__ import annotations

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mammostudy.publishing.freshness import needs_of, page_key
from mammostudy.publishing.pages import read_pages

KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}


def write(path, **study):
    """Write a notebook, as an executed copy where there is a ``key``."""
    cells = [new_markdown_cell("# {{ page }}"), new_code_cell("name: str = 'x'", id="given")]
    cells[0]["id"] = "title"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "study": study}), path)


@pytest.mark.parametrize(
    ("name", "key", "fault"),
    [
        ("right", None, ""),
        ("", None, "missing"),
        ("wrong", None, "executed with {'name': 'wrong'}, not with {'name': 'right'}"),
        ("right", "of another day", "not of today's notebook"),
    ],
)
def test_a_copy_that_cannot_be_judged_fails_and_is_not_skipped(
    tmp_path, read_copy, name, key, fault
):
    pages = {"one": {"notebook": "counted", "parameters": {"name": "right"}}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"pages": pages}))
    write(tmp_path / "book/chapters/counted.ipynb")
    (page,) = read_pages(tmp_path, {})
    if name:
        today = page_key(tmp_path, page, needs_of(page))
        write(tmp_path / page.executed, key=key or today, parameters={"name": name})
    if not fault:
        assert read_copy(tmp_path, page).metadata["study"]["parameters"] == {"name": "right"}
        return
    with pytest.raises(pytest.fail.Exception) as caught:
        read_copy(tmp_path, page)
    assert str(caught.value).startswith(f"book/pages/one.ipynb: {fault}")
