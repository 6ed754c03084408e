"""How a cohort is fetched: the part of its descriptor that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mammostudy.data.descriptors import cohort_names, describe
from mammostudy.data.fetching.wanted import Wanted, safe_path
from mammostudy.errors import DataError
from mammostudy.paths import project_root

ARCHIVED: Final = {"cdd-cesm": "cdd-cesm-archive"}
"""Short names of sets whose archive publishes another layout than the cohort of that name has."""
_Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Table(_Strict):
    """A table that the owners publish as a single file."""

    file: _Text
    addresses: Annotated[tuple[_Text, ...], Field(min_length=1)]
    begins: str = ""
    rows: int | None = None

    def wanted(self) -> Wanted:
        """Return it as a file to fetch."""
        path = safe_path(self.file)
        return Wanted(path, self.addresses, begins=self.begins, rows=self.rows)


class Images(_Strict):
    """The DICOM series of a collection in the archive's index."""

    collection: _Text
    starts: str = ""  # of the patient's name in the index, where a part of the collection is read
    patient: _Text  # pattern of a patient in that name
    endpoint: Annotated[str, Field(pattern=r"^https?://[^{}]*(\{bucket\}[^{}]*)?$")]


class Recipe(_Strict):
    """The section ``fetch`` of a descriptor, and what a user should know before it starts."""

    title: _Text
    licence: _Text
    citations: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    images: Images | None = None
    steps: tuple[_Text, ...] = ()

    @property
    def by_hand(self) -> bool:
        """Tell whether nothing of the set can be fetched by a program."""
        return not self.tables and self.images is None


def cohort_of(name: str) -> str:
    """Return the cohort that a set's name stands for."""
    return ARCHIVED.get(name, name)


def fetchable() -> list[str]:
    """Names of the sets that are fetched, or whose descriptor says how to get them by hand."""
    short = {cohort: name for name, cohort in ARCHIVED.items()}
    return [short.get(name, name) for name in cohort_names() if describe(name).built]


def read_recipe(name: str) -> Recipe | None:
    """Read how a cohort is fetched.

    Args:
        name: the cohort, or the short name of its set.

    Returns:
        The recipe; None where there is nothing to fetch (phantoms, cohorts of the user's own).

    Raises:
        DataError: the descriptor is missing, unreadable or ill-formed.
    """
    if not describe(cohort_of(name)).built:
        return None
    path = project_root() / "data_manifests" / f"{cohort_of(name)}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        msg = f"{path}: missing or damaged; take it anew from the project"
        raise DataError(msg) from None
    return _valid(path, content)


def _valid(path: Path, content: Any) -> Recipe:
    try:
        fields = {key: content[key] for key in ("title", "licence")}
        fields |= {"citations": [_cited(one) for one in content["citation"]]}
        fields |= {"steps": content.get("steps", [])} | content.get("fetch", {})
        return Recipe.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        msg = f"{path}: fetch.{where}: {first['msg']}; take the file anew from the project"
        raise DataError(msg) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        msg = f"{path}: title, licence, citation or fetch is ill-formed; take it anew"
        raise DataError(msg) from None


def _cited(source: dict[str, str]) -> str:
    doi = source.get("doi")
    return source["text"].strip() + (f", doi {doi}" if doi else "")
