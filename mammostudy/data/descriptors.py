"""The descriptors (``data_manifests/*.yaml``): all that is known of a cohort before it is loaded.

:func:`describe` gives the facts of one cohort (title, truth, split, companions, tasks), of one of
the user's own as well; :func:`read_descriptor` the data sheet it stands in (licence, works to cite,
counts). Neither opens a file of the cohort, nor needs more than YAML and pydantic.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mammostudy.errors import DataError
from mammostudy.paths import project_root

FOLDER: Final = "data_manifests"
TASKS: Final[dict[str, tuple[str, ...]]] = {
    "detection": ("image", "x_min", "y_min", "x_max", "y_max"),
    "segmentation": ("image", "x_min", "y_min", "x_max", "y_max", "mask|outline"),
    "shape": ("mask|outline", "shape"),
    "subtype": ("shape", "subtype"),
}
"""Columns that at least one mass must have filled; ``a|b`` is one of the two in the same row."""
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast


class Reference(BaseModel):
    """A work to cite.

    Attributes:
        text: authors, title, place.
        doi: without ``https://doi.org/``.
        used_for: what of it is used here, where it is not the cohort's own paper.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    doi: str | None = None
    used_for: str | None = None


class CohortFacts(BaseModel):
    """What the study knows of one cohort; the defaults are those of a cohort of the user's own.

    Attributes:
        name: the cohort.
        descriptor: the file that tells of it, without ending; None for a cohort of the user's own.
        reads: what is read, in words.
        title: how pages name it; that of the descriptor where not given.
        short: how figures and narrow tables name it; the title where not given.
        folder: its folder below the data folder; the name where not given.
        marks: patterns of files by which that folder itself is told from the one above it.
        reader: its module in :mod:`mammostudy.data.sources`.
        built: the reader's rows are checked and kept as a manifest in the local store.
        phantom: drawn by this package.
        association: shape depends on subtype, as far as is known.
        images: there are images; else outlines alone.
        free_views: its manifest lists views without a mass as well.
        square: all images have equal sides.
        modality: DM (full-field or low energy) or CM (contrast subtracted).
        truth: what counts as truth in a frame: ``all`` masses it shows, or the ``target``.
        split: the study's split, as :class:`mammostudy.runs.spec.Split` takes it.
        owners_split: its owners say who trains and who tests.
        tasks: what it serves at most; the manifest's columns decide.
        needs: columns that a task needs, where they are others than those of :data:`TASKS`.
        classes: the shapes it tells apart; none where its manifest has to tell.
        views: the cohort of the same images in which detectors search; its own name by default.
        shapes: the cohort whose masks are classified by shape; its own name by default.
        pixels: the cohort that has the images of these outlines.
        segmenter: the cohort that trains the segmenter of its masses, if another one does.
        without_association: the same cohort, its shapes drawn without regard to subtype.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    descriptor: str | None = None
    reads: str = ""
    title: str
    short: str
    folder: str
    marks: tuple[str, ...] = ()
    reader: str | None = None
    built: bool = False
    phantom: bool = False
    association: bool = True
    images: bool = True
    free_views: bool = False
    square: bool = False
    modality: Literal["DM", "CM"] = "DM"
    truth: Literal["all", "target"] = "all"
    split: dict[str, int | str] = Field(default={"folds": 3})
    owners_split: bool = False
    tasks: tuple[str, ...] = tuple(TASKS)
    needs: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    classes: tuple[str, ...] = ()
    views: str
    shapes: str
    pixels: str | None = None
    segmenter: str | None = None
    without_association: str | None = None

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
    """The data sheet of a data set, from which one or more cohorts are read.

    Attributes:
        title: how pages name it.
        order: its place among the data sets, those of the paper first.
        source: owner and kind of the images.
        licence: of the data.
        citation: works to cite.
        get: how to get it.
        cohorts: what is read from it, by the name of the cohort.
        layout: files, and what each holds.
        label_mapping: the owners' words and the four shapes; ``dropped`` and ``rule`` in words.
        split_rule: who trains and who tests.
        expected: counts by name; a count is a number, or numbers by value.
        known_faults: what a reader must know.
    """

    model_config = ConfigDict(extra="allow", frozen=True)  # downloads have fields of their own

    title: str
    order: int
    source: str
    licence: str
    citation: tuple[Reference, ...] = Field(min_length=1)
    get: str
    cohorts: dict[str, CohortFacts] = Field(min_length=1)
    layout: dict[str, str]
    label_mapping: dict[str, str]
    split_rule: str
    expected: dict[str, int | dict[str, int]]
    known_faults: tuple[str, ...]


def folder() -> Path:
    """Return the folder of the descriptors: the project's, else that beside the package."""
    own = project_root() / FOLDER
    return own if own.is_dir() else Path(__file__).resolve().parents[2] / FOLDER


def descriptor_names() -> list[str]:
    """Return the names of the descriptors in the order of pages: those of the paper first."""
    return list(_read_all(folder()))


def read_descriptor(name: str) -> Descriptor:
    """Read one descriptor.

    Args:
        name: of its file, without the ending.

    Raises:
        DataError: there is none of that name, it is no YAML, or a field is missing or ill-typed.
    """
    return _read(folder() / f"{name}.yaml")


def cohort_names() -> list[str]:
    """Return the names of the cohorts that a descriptor tells of, those that need least first."""
    facts = [one for sheet in _read_all(folder()).values() for one in sheet.cohorts.values()]
    return [one.name for one in sorted(facts, key=lambda one: (not one.phantom, one.built))]


def describe(name: str) -> CohortFacts:
    """Return what is known of a cohort; of a name without a descriptor what holds for any.

    Args:
        name: of a cohort, one of the user's own as well.

    Raises:
        DataError: a descriptor is unreadable, or a field of it is missing or ill-typed.
    """
    for sheet in _read_all(folder()).values():
        if name in sheet.cohorts:
            return sheet.cohorts[name]
    return CohortFacts.model_validate({"name": name})


@lru_cache(maxsize=8)
def _read_all(place: Path) -> dict[str, Descriptor]:
    """Read the descriptors of a folder, once a process."""
    read = {path.stem: _read(path) for path in sorted(place.glob("*.yaml"))}
    return dict(sorted(read.items(), key=lambda item: item[1].order))


def _read(path: Path) -> Descriptor:
    try:
        content: Any = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except FileNotFoundError:
        known = ", ".join(sorted(other.stem for other in path.parent.glob("*.yaml"))) or "none"
        msg = f"{path}: missing; known descriptors: {known}"
        raise DataError(msg) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path}: not readable as YAML: {' '.join(str(error).split())}"
        raise DataError(msg) from None
    try:
        return Descriptor.model_validate(_with_names(path.stem, content))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'content'}: {fault['msg']}"
            for fault in error.errors()
        )
        msg = f"{path}: {faults}"
        raise DataError(msg) from None


def _with_names(descriptor: str, content: Any) -> Any:
    """Tell each cohort of a descriptor its name and, where it has none of its own, its title."""
    if not isinstance(content, dict) or not isinstance(content.get("cohorts"), dict):
        return content
    cohorts = {
        name: {"title": content.get("title"), **said, "name": name, "descriptor": descriptor}
        for name, said in content["cohorts"].items()
        if isinstance(said, dict)
    }
    return {**content, "cohorts": cohorts}
