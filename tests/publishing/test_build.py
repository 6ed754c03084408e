"""The whole way: a tiny book through Jupyter Book."""

import os
import shutil
import subprocess

import pytest

from mammostudy.errors import BookError
from mammostudy.publishing.build import BUILD, build_book

CONFIG = """
title: Tiny
only_build_toc_files: true
exclude_patterns: [_build, book/chapters]
execute: {execute_notebooks: "off"}
sphinx: {local_extensions: {mammostudy.publishing.hook: ./}}
"""


@pytest.mark.slow
def test_a_tiny_book_builds_stays_fresh_and_fails_by_name(counting):
    root = counting.root
    (root / "_config.yml").write_text(CONFIG)
    (root / "index.md").write_text("# Tiny\n")
    files = "".join(f"- file: book/pages/{name}\n" for name in counting.pages)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{files}")

    index = build_book(root, strict=True)
    assert counting.executed() == ["one", "three", "two"]
    assert index.is_file()

    build_book(root)
    assert counting.executed() == []

    shutil.rmtree(root / "_build")  # plain jupyter-book, nothing rendered, one page failing
    counting.notebook("other", "1 / 0")
    plain = subprocess.run(BUILD, cwd=root, env=os.environ, capture_output=True, text=True)
    assert plain.returncode != 0
    assert "page three (book/chapters/other.ipynb): cell 3 of 3 [In 3]" in plain.stderr
    assert "Traceback" not in plain.stderr
    with pytest.raises(BookError, match="was not built"):
        build_book(root)
