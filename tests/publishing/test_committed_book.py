"""The book as committed: table of contents, notebooks, and all that is cited and nothing else."""

import json
import re
from pathlib import Path

import pytest
import yaml

from mammostudy.publishing.execute import check_parameters
from mammostudy.publishing.pages import read_pages

ROOT = Path(__file__).resolve().parents[2]
MAXIMUM_LINES = 12
CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
TEMPLATES = sorted((ROOT / "book" / "chapters").glob("*.ipynb"))


def _toc_files(node):
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [name for value in node.values() for name in _toc_files(value)]
    return [name for item in node for name in _toc_files(item)] if isinstance(node, list) else []


def test_toc_lists_every_page_once_and_nothing_that_is_not_there():
    listed = _toc_files(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    assert len(listed) == len(set(listed))
    executed = {page.executed.with_suffix("").as_posix() for page in read_pages(ROOT, {})}
    assert {name for name in listed if name.startswith("book/pages/")} == executed
    prose = [name for name in listed if name not in executed]
    assert [name for name in prose if not (ROOT / f"{name}.md").is_file()] == []


@pytest.mark.parametrize("page", read_pages(ROOT, {}), ids=lambda page: page.name)
def test_pages_take_their_parameters(page):
    check_parameters(ROOT, page)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_notebooks_are_clean(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(content))) <= {"page"}
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    for cell in code:
        lines = [line for line in "".join(cell["source"]).splitlines() if line.strip()]
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert len(lines) <= MAXIMUM_LINES, f"{path.name}: {lines[0]}"
    for cell in code:
        if "parameters" in cell["metadata"].get("tags", []):
            assert "remove-cell" in cell["metadata"]["tags"]
            declared = "".join(cell["source"]).splitlines()
            assert all(re.match(r"\w+: \w+ = .+  # .+", line) for line in declared)


def test_every_entry_is_cited_and_every_citation_has_an_entry():
    entries = re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(), re.M)
    sources = [*(ROOT / "book").glob("*.md"), *TEMPLATES]
    sources += (ROOT / "mammostudy").rglob("*.py")  # some sentences of pages are made there
    cited = {
        key.strip()
        for source in sources
        for keys in CITED.findall(source.read_text())
        for key in keys.split(",")
    }
    assert len(entries) == len(set(entries))
    assert cited == set(entries)
