"""Copies that cannot be judged fail by name, and the continuous check judges them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mammostudy.publishing.freshness import needs_of, page_key
from mammostudy.publishing.pages import read_pages

ROOT = Path(__file__).resolve().parents[2]
STUB = '#!/bin/sh\necho "${MAMMOSTUDY_PRESET:-} $(basename "$0") $*" >> "$LOG"\nexit ${FAIL:-0}\n'
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


def remove(root, page):
    (root / page.executed).unlink()


def execute_otherwise(root, page):
    write(root / page.executed, {"name": "wrong"}, key="any")


def grow_old(root, page):
    write(root / page.executed, {"name": "right"}, key="of another day")


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (remove, "missing"),
        (execute_otherwise, "executed with {'name': 'wrong'}, not with {'name': 'right'}"),
        (grow_old, "not of today's notebook"),
    ],
)
def test_a_copy_that_cannot_be_judged_fails_and_is_not_skipped(
    tmp_path, page, read_copy, spoil, fault
):
    spoil(tmp_path, page)
    with pytest.raises(pytest.fail.Exception) as caught:
        read_copy(tmp_path, page)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"book/pages/one.ipynb: {fault}")
    assert "MAMMOSTUDY_PRESET=smoke .venv/bin/jupyter-book build ." in line


def test_plain_runs_leave_the_pages_out_and_the_marker_is_known():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert shlex.split(options["addopts"])[-2:] == ["-m", "not book"]
    assert any(marker.startswith("book: ") for marker in options["markers"])


def test_every_test_is_in_the_quick_or_the_slow_run():
    """What one leaves out the other runs; only the pages wait for their book."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    asked = [shlex.split(line)[-1] for line in lines if "-m pytest" in line]
    assert asked == ["not book and not slow", "slow"]


@pytest.mark.parametrize("fails", [False, True])
def test_the_check_of_every_change_judges_the_pages_of_its_smoke_book(tmp_path, fails):
    for name in ("bin/make", ".venv/bin/jupyter-book", ".venv/bin/python"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(STUB)
        (tmp_path / name).chmod(0o755)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    paths = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}
    done = subprocess.run([tmp_path / ".ci/run"], env=paths | {"FAIL": str(int(fails))})
    asked = [line.strip() for line in (tmp_path / "log").read_text().splitlines()]
    expected = [
        "make check",
        "make test",
        "make slow",
        "smoke jupyter-book build . -W --keep-going --all",
        "python -m pytest -m book",
    ]
    assert done.returncode == int(fails)
    assert asked == (expected[:1] if fails else expected)
