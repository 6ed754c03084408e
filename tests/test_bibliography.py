"""The bibliography holds what the book and the package cite: all of it, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CITED = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


def test_every_entry_is_cited_and_every_citation_has_an_entry() -> None:
    entries = re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(), re.M)
    sources = [*(ROOT / "book").glob("*.md"), *(ROOT / "book" / "chapters").glob("*.ipynb")]
    sources += (ROOT / "mammostudy").rglob("*.py")  # some sentences of pages are made there
    cited = {
        key.strip()
        for source in sources
        for keys in CITED.findall(source.read_text())
        for key in keys.split(",")
    }
    assert len(entries) == len(set(entries))
    assert cited == set(entries)
