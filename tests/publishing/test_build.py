"""The whole way: a tiny book through Jupyter Book, and the settings that lead there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mammostudy.errors import BookError
from mammostudy.publishing.build import BUILD, book_environment, build_book

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = """
title: Tiny
only_build_toc_files: true
exclude_patterns: [_build, book/chapters]
execute: {execute_notebooks: "off"}
sphinx: {local_extensions: {mammostudy.publishing.hook: ./}}
"""


def test_settings_become_variables(tmp_path, monkeypatch):
    environ = book_environment({"PATH": "x"}, "smoke", "cdd-cesm", tmp_path)
    assert environ == {
        "PATH": "x",
        "MAMMOSTUDY_PRESET": "smoke",
        "MAMMOSTUDY_COHORT": "cdd-cesm",
        "MAMMOSTUDY_DATA": str(tmp_path),
    }
    assert book_environment({}, None, None, None) == {}
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)  # kernels run elsewhere: a relative folder is made absolute
    for environ, given in (({"MAMMOSTUDY_DATA": "data"}, None), ({}, Path("data"))):
        changed = book_environment(environ, None, None, given)
        assert changed["MAMMOSTUDY_DATA"] == str(tmp_path / "data")


@pytest.mark.parametrize("arguments", [("--preset", "fast"), ("--data", "/no/such/folder")])
def test_the_command_says_one_line_and_exits_with_2(arguments):
    command = [sys.executable, "-m", "mammostudy.cli", "book", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mammostudy: ")
    assert arguments[1] in line


@pytest.mark.slow
def test_a_tiny_book_builds_stays_fresh_and_fails_by_name(counting, capfd):
    root = counting.root
    (root / "_config.yml").write_text(CONFIG)
    (root / "index.md").write_text("# Tiny\n")
    files = "".join(f"- file: book/pages/{name}\n" for name in counting.pages)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{files}")

    index = build_book(root, strict=True)
    assert counting.executed() == ["one", "three", "two"]
    assert f"Open: {index}" in capfd.readouterr().out
    assert (root / "_build/html/_sources/book/pages/one.ipynb").is_file()

    build_book(root)
    assert counting.executed() == []
    assert "0 executed, 3 up to date" in capfd.readouterr().out

    shutil.rmtree(root / "_build")  # plain jupyter-book, nothing rendered, one page failing
    counting.notebook("other", "1 / 0")
    plain = subprocess.run(BUILD, cwd=root, env=os.environ, capture_output=True, text=True)
    assert plain.returncode != 0
    assert "page three (book/chapters/other.ipynb): cell 3 of 3 [In 3]" in plain.stderr
    assert "ZeroDivisionError: division by zero" in plain.stderr
    assert "Traceback" not in plain.stderr
    with pytest.raises(BookError, match="was not built"):
        build_book(root)
