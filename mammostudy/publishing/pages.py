"""The pages of the book as ``study.yaml`` lists them: a notebook and its parameters each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from mammostudy.errors import BookError
from mammostudy.settings import read_yaml
from mammostudy.study.recipes import PRESETS

STUDY_FILE = "study.yaml"
TOC_FILE = "_toc.yml"
TEMPLATES = Path("book/chapters")
EXECUTED = Path("book/pages")
PAGES_FAILED = 3  # exit code of a book that is rendered, with pages that say how they failed

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Scalar = bool | int | float | str
PageName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Stem = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class PageEntry(BaseModel):
    """An entry of ``study.yaml``; a ``fixed`` page takes no override, and shows records only."""

    model_config = STRICT

    notebook: Stem  # in book/chapters
    parameters: dict[str, Scalar] = {}  # values for its cell tagged ``parameters``
    fixed: bool = False


class StudyFile(BaseModel):
    """The parts of ``study.yaml``; claims are read by :mod:`mammostudy.study.claims`."""

    model_config = STRICT

    pages: dict[PageName, PageEntry]
    claims: Any = None


@dataclass(frozen=True)
class Page:
    """A page with the parameters it is executed with, after overrides (see :class:`PageEntry`)."""

    name: str
    notebook: str
    parameters: Mapping[str, Scalar]
    fixed: bool = False

    @property
    def cohort(self) -> str | None:
        """Name of the page's cohort, or None for a page that shows no cohort."""
        return str(self.parameters["cohort"]) if "cohort" in self.parameters else None

    @property
    def preset(self) -> str | None:
        """Preset of the page's runs, or None for a page that has none."""
        return str(self.parameters["preset"]) if "preset" in self.parameters else None

    @property
    def template(self) -> Path:
        """The notebook it is made from, relative to the project."""
        return TEMPLATES / f"{self.notebook}.ipynb"

    @property
    def executed(self) -> Path:
        """The executed copy that the book shows, relative to the project."""
        return EXECUTED / f"{self.name}.ipynb"


def read_claims_text(root: Path) -> str:
    """Return the claims of ``study.yaml`` as text that changes when one of them does."""
    return json.dumps(_parse(root / STUDY_FILE).claims, sort_keys=True, default=str)


def read_pages(root: Path, environ: Mapping[str, str] | None = None) -> list[Page]:
    """Read the pages of a project; ``MAMMOSTUDY_COHORT`` and ``_PRESET`` replace parameters."""
    environ = os.environ if environ is None else environ
    study = _parse(root / STUDY_FILE)
    overrides = {
        name: value
        for name in ("cohort", "preset")
        if (value := environ.get(f"MAMMOSTUDY_{name.upper()}"))
    }
    pages = [_page(root, name, entry, overrides) for name, entry in study.pages.items()]
    _check_toc(root / TOC_FILE, {page.executed.with_suffix("").as_posix() for page in pages})
    return pages


def _check_toc(path: Path, executed: set[str]) -> None:
    """Refuse a page that only one of ``study.yaml`` and the table of contents, if any, lists."""
    if not path.is_file():
        return
    entry = rf"^[\s-]*file: *[\"']?({EXECUTED.as_posix()}/[\w-]+)"
    listed = set(re.findall(entry, path.read_text(encoding="utf-8"), re.MULTILINE))
    for lost in sorted(executed ^ listed):
        one, other = (STUDY_FILE, TOC_FILE) if lost in executed else (TOC_FILE, STUDY_FILE)
        raise BookError(f"{one} lists {lost}, {other} does not; add it there or drop it")


def _page(root: Path, name: str, entry: PageEntry, overrides: Mapping[str, str]) -> Page:
    parameters: dict[str, Scalar] = dict(entry.parameters)
    if not entry.fixed:
        parameters |= {key: value for key, value in overrides.items() if key in parameters}
    page = Page(name, entry.notebook, parameters, entry.fixed)
    if page.preset not in (None, *PRESETS):
        where = f"--preset, MAMMOSTUDY_PRESET or pages.{name}.parameters.preset of {STUDY_FILE}"
        raise BookError(f"preset {page.preset!r} is unknown ({where}); use {', '.join(PRESETS)}")
    if not (root / page.template).is_file():
        known = sorted(path.stem for path in (root / TEMPLATES).glob("*.ipynb"))
        raise BookError(
            f"{STUDY_FILE}: pages.{name}.notebook: no file {page.template}; "
            f"there are: {', '.join(known) or 'none'}"
        )
    return page


def _parse(path: Path) -> StudyFile:
    try:
        return StudyFile.model_validate(read_yaml(path))
    except ValidationError as error:
        faults = "; ".join(_fault(dict(item)) for item in error.errors())
        raise BookError(f"{path.name}: {faults}") from error


def _fault(item: dict[str, Any]) -> str:
    """Put one pydantic complaint as ``pages.x.y: what is wrong``, naming the known keys."""
    place = [
        str(part) for part in item["loc"] if not re.fullmatch(r"(bool|int|float|str)", str(part))
    ]
    if item["type"] == "extra_forbidden":
        model = StudyFile if len(place) == 1 else PageEntry
        return f"{'.'.join(place)}: unknown key; known: {', '.join(model.model_fields)}"
    return f"{'.'.join(place) or 'content'}: {item['msg'][0].lower()}{item['msg'][1:]}"
