"""The descriptors (``data_manifests/*.yaml``): what is known of a cohort before it is loaded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mammostudy.errors import DataError
from mammostudy.paths import project_root


class Task(NamedTuple):
    """What a cohort needs for a task: rows with some columns filled, of enough patients."""

    columns: tuple[str, ...]  # ``a|b`` is one of the two in the same row
    patients: int  # with such a row, where the study is to run
    kinds: str = ""  # a column: so many patients of each of two kinds

    def __str__(self) -> str:
        each = bool(self.kinds) * f" of each of two or more kinds of `{self.kinds}`"
        return f"{self.patients} patient(s){each}"


TASKS: Final = {
    "detection": Task(("image", "x_min", "y_min", "x_max", "y_max"), 3),
    "segmentation": Task(("image", "x_min", "y_min", "x_max", "y_max", "mask|outline"), 3),
    "shape": Task(("mask|outline", "shape"), 5, "shape"),
    "subtype": Task(("shape", "subtype"), 1, "subtype"),
}
"""The one table of minima: a run needs the columns, the chapters of the book the patients too."""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


class Reference(BaseModel):
    """A work to cite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str  # authors, title, place
    doi: str | None = None  # without https://doi.org/
    used_for: str | None = None  # where it is not the cohort's own paper


class CohortFacts(BaseModel):
    """What the study knows of one cohort; the defaults are those of a cohort of the user's own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    descriptor: str | None = None  # the file that tells of it, without ending
    reads: str = ""  # what is read, in words
    title: str  # how pages name it: by default as the descriptor does
    short: str  # how figures and narrow tables name it: by default the title
    folder: str  # below the data folder: by default the name
    marks: tuple[str, ...] = ()  # files by which that folder is told from the one above it
    reader: str | None = None  # module in mammostudy.data.sources
    built: bool = False  # its rows are checked and kept as a manifest in the local store
    phantom: bool = False  # drawn by this package
    images: bool = True  # else outlines alone
    free_views: bool = False  # its manifest lists views without a mass as well
    square: bool = False  # all images have equal sides
    side: int = 256  # of the square that detectors see of an image, by the size of its masses
    modality: Literal["DM", "CM"] = "DM"  # full-field or low energy; contrast subtracted
    truth: Literal["all", "target"] = "all"  # of a frame: all masses that it shows, or its own
    split: dict[str, int | str] = Field(default={"folds": 3})  # fields of a run's split
    held_out: tuple[str, ...] = ()  # patients in no training and no validation part
    tasks: tuple[str, ...] = tuple(TASKS)  # that it serves at most; the manifest decides
    needs: dict[str, tuple[str, ...]] = {}  # columns for a task, where others than in TASKS
    classes: tuple[str, ...] = ()  # shapes that it tells apart; none where the manifest has to say
    views: str  # the cohort of the same images in which detectors search: by default itself
    shapes: str  # the cohort whose masks are classified by shape: by default itself
    pixels: str | None = None  # the cohort that has the images of these outlines
    segmenter: str | None = None  # the cohort that trains the segmenter of its masses
    masks: str | None = None  # what draws its masses for shapes, where there are boxes alone

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Let what is not given follow from the name."""
        named = dict.fromkeys(("title", "folder", "views", "shapes"), given["name"]) | given
        return {"short": named["title"], **named}

    @property
    def official(self) -> bool:
        """Whether the study splits it as its owners do."""
        return self.split.get("rule") == "official"


class Descriptor(BaseModel):
    """The data sheet of a data set, from which one or more cohorts are read."""

    model_config = ConfigDict(extra="allow", frozen=True)  # downloads have fields of their own

    title: str
    order: int  # its place among the data sets, those of the paper first
    source: str  # owner and kind of the images
    licence: str
    citation: tuple[Reference, ...] = Field(min_length=1)
    get: str  # how to get it
    cohorts: dict[str, CohortFacts] = Field(min_length=1)
    layout: dict[str, str]  # files, and what each holds
    label_mapping: dict[str, str]  # the owners' words and the four shapes
    split_rule: str
    expected: dict[str, int | dict[str, int]]  # counts by name: a number, or numbers by value
    known_faults: tuple[str, ...]


def folder() -> Path:
    """Return the folder of the descriptors: the project's, else that beside the package."""
    own = project_root() / "data_manifests"
    return own if own.is_dir() else Path(__file__).resolve().parents[2] / "data_manifests"


def data_sheets() -> dict[str, Descriptor]:
    """Return the descriptors by file, without ending, as pages list them: the paper's first."""
    return _read_all(folder())


def cohort_names() -> list[str]:
    """Return the names of the cohorts that a descriptor tells of, those that need least first."""
    facts = [one for sheet in data_sheets().values() for one in sheet.cohorts.values()]
    return [one.name for one in sorted(facts, key=lambda one: (not one.phantom, one.built))]


def describe(name: Any) -> CohortFacts:
    """Return what is known of a cohort; of a name without a descriptor what holds for any."""
    if not isinstance(name, str):
        raise DataError(f"cohort {name!r}: a name is text; papermill's -r takes numbers as text")
    for sheet in data_sheets().values():
        if name in sheet.cohorts:
            return sheet.cohorts[name]
    return CohortFacts.model_validate({"name": name})


@lru_cache(maxsize=8)
def _read_all(place: Path) -> dict[str, Descriptor]:
    """Read the descriptors of a folder, once a process.

    Cohorts know their names and, without one of their own, the title of their descriptor.
    """
    read: dict[str, Descriptor] = {}
    for path in place.glob("*.yaml"):
        try:
            content: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
            for name, facts in content["cohorts"].items():
                facts |= {"title": content["title"], "name": name, "descriptor": path.stem} | facts
            read[path.stem] = Descriptor.model_validate(content)
        except (OSError, ValueError, LookupError, TypeError, yaml.YAMLError) as error:
            raise DataError(f"{path}: not a descriptor of cohorts: {error}") from error
    return dict(sorted(read.items(), key=lambda item: (item[1].order, item[0])))
