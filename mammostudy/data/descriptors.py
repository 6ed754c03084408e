"""The descriptors of the cohorts (``data_manifests/*.yaml``), read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mammostudy.errors import DataError
from mammostudy.paths import project_root

FOLDER: Final = "data_manifests"


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


class Descriptor(BaseModel):
    """What is known of a cohort before any of its files is opened.

    Attributes:
        title: how pages name it.
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
    source: str
    licence: str
    citation: tuple[Reference, ...] = Field(min_length=1)
    get: str
    cohorts: dict[str, str] = Field(default_factory=dict)
    layout: dict[str, str]
    label_mapping: dict[str, str]
    split_rule: str
    expected: dict[str, int | dict[str, int]]
    known_faults: tuple[str, ...]


def folder() -> Path:
    """Return the folder of the descriptors."""
    return project_root() / FOLDER


def descriptor_names() -> list[str]:
    """Return the names of the descriptors, in alphabetical order."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def read_descriptor(name: str) -> Descriptor:
    """Read one descriptor.

    Args:
        name: of its file, without the ending.

    Raises:
        DataError: there is none of that name, it is no YAML, or a field is missing or ill-typed.
    """
    path = folder() / f"{name}.yaml"
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"{path}: missing; known descriptors: {', '.join(descriptor_names()) or 'none'}"
        raise DataError(msg) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"{path}: not readable as YAML: {' '.join(str(error).split())}"
        raise DataError(msg) from None
    try:
        return Descriptor.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'content'}: {fault['msg']}"
            for fault in error.errors()
        )
        msg = f"{path}: {faults}"
        raise DataError(msg) from None
