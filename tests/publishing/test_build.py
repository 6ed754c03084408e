"""The whole way: a tiny book through Jupyter Book."""

import html
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mammostudy.errors import UnbuiltError
from mammostudy.publishing.build import BUILD, build_book
from mammostudy.publishing.pages import PAGES_FAILED

SHOWN = ("one", "three")
SIGNS = r"<i>mine {{7*7}} ={{7*7}}= {cite}`singh2020` $\frac{$"
HOSTILE = f"""import pandas as pd
from IPython.display import display
from mammostudy.figures.primitives import page_table
from mammostudy.publishing.banners import Banner
signs = {SIGNS!r}
display(Banner(signs, {{signs: signs}}), page_table(pd.DataFrame({{signs: [signs]}})))"""

COUNTING = "with open('runs.log', 'a') as log:\n    log.write(f'{name}\\n')"
WITHIN = 8  # seconds: five, and what a busy machine adds
CONFIG = """
title: Tiny
only_build_toc_files: true
exclude_patterns: [_build, book/chapters]
execute: {execute_notebooks: "off"}
sphinx: {local_extensions: {mammostudy.publishing.hook: ./}}
"""


@pytest.fixture
def root(counting):
    """The tiny book as a project of Jupyter Book."""
    root = counting.root
    (root / "_config.yml").write_text(CONFIG)
    (root / "index.md").write_text("# Tiny\n")
    files = "".join(f"- file: book/pages/{name}\n" for name in counting.pages)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{files}")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_and_kernels_end_with_the_book(number, counting, root, ended):
    for name in ("counted", "other"):
        counting.notebook(name, COUNTING, "import time; time.sleep(600)")
    command = [sys.executable, "-c", "from mammostudy.cli import main; main()", "book"]
    environ = os.environ | {"MAMMOSTUDY_WORKERS": "2"}
    process = subprocess.Popen(
        command, cwd=root, env=environ, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    begun = []
    while len(begun) < 2:  # of three pages
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.2)
        begun += counting.executed()
    assert ended(process, number, number == signal.SIGINT) < WITHIN
    assert counting.executed() == []
    assert process.wait() == (-9 if number == signal.SIGKILL else 128 + number)
    told = [line for line in process.stderr.read().splitlines() if line.startswith("mammostudy:")]
    assert len(told) == (number != signal.SIGKILL)


@pytest.mark.slow
def test_a_tiny_book_builds_stays_fresh_and_fails_by_name(counting, root):
    index = build_book(root, strict=True)
    assert counting.executed() == ["one", "three", "two"]
    assert index.is_file()

    build_book(root)
    assert counting.executed() == []

    counting.notebook("other", HOSTILE)
    build_book(root)
    seen = (root / "_build/html/book/pages/three.html").read_text(encoding="utf-8")
    assert not re.search("<i>mine|=49=", seen)
    assert seen.count(html.escape(SIGNS)) == 5  # twice in the table, thrice in the banner

    shutil.rmtree(root / "_build")  # plain jupyter-book, nothing rendered, one page failing
    counting.notebook("other", "1 / 0")
    plain = subprocess.run(BUILD, cwd=root, env=os.environ, capture_output=True, text=True)
    assert plain.returncode == PAGES_FAILED
    assert "page three (book/chapters/other.ipynb): cell 3 of 3 [In 3]" in plain.stderr
    assert "Traceback" not in plain.stderr
    with pytest.raises(UnbuiltError, match="pages of the book failed"):
        build_book(root)
    shown = [(root / f"_build/html/book/pages/{name}.html").read_text() for name in SHOWN]
    assert ["ZeroDivisionError" in text for text in shown] == [False, True]
