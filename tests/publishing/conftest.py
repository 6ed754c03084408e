"""Tiny books: two pages from one notebook and one from another, in a folder of their own."""

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

KERNEL = {"name": "python3", "language": "python", "display_name": "Python 3"}
COUNTING = "from pathlib import Path\nlog = Path('runs.log').open('a')\nlog.write(f'{name}\\n')"


class TinyBook:
    """A project folder with ``study.yaml`` and notebooks, and a log of what was executed."""

    def __init__(self, root):
        self.root = root
        (root / "book" / "chapters").mkdir(parents=True)
        self.pages = {}

    def notebook(self, stem, *sources, parameters="name: str = 'x'"):
        """Write a template: a title, the parameters cell, then one code cell a source."""
        cells = [
            new_markdown_cell("# {{ page }}"),
            new_code_cell(parameters, metadata={"tags": ["parameters", "remove-cell"]}),
            *[new_code_cell(source) for source in sources],
        ]
        notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
        nbformat.write(notebook, self.root / "book" / "chapters" / f"{stem}.ipynb")

    def page(self, name, notebook, **rest):
        """Add a page to ``study.yaml``, or change it."""
        self.pages[name] = {"notebook": notebook, **rest}
        content = yaml.safe_dump({"pages": self.pages}, sort_keys=False)
        (self.root / "study.yaml").write_text(content)

    def executed(self):
        """Return the pages executed since the last call."""
        log = self.root / "runs.log"
        names = log.read_text().split() if log.is_file() else []
        log.unlink(missing_ok=True)
        return sorted(names)


@pytest.fixture
def book(tmp_path, monkeypatch):
    """An empty tiny book; settings of the caller's environment are out of the way."""
    for name in ("MAMMOSTUDY_PRESET", "MAMMOSTUDY_COHORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return TinyBook(tmp_path)


@pytest.fixture
def counting(book):
    """Pages ``one`` and ``two`` from notebook ``counted``, page ``three`` from ``other``."""
    book.notebook("counted", COUNTING)
    book.notebook("other", COUNTING)
    for name, notebook in (("one", "counted"), ("two", "counted"), ("three", "other")):
        book.page(name, notebook, parameters={"name": name})
    return book
