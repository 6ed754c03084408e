"""``environment.yml`` and ``constraints.txt`` against ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"pytorch": "torch"}  # conda-forge's name -> the project's


def named(lines: list[str]) -> dict[str, Requirement]:
    found = map(Requirement, lines)
    return {canonicalize_name(CONDA_NAMES.get(each.name, each.name)): each for each in found}


def declared() -> dict[str, Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return named([*PROJECT["dependencies"], *(line for extra in extras for line in extra)])


def test_the_conda_environment_has_the_same_packages_and_ranges() -> None:
    *conda, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines = [*conda, *pip["pip"]]
    assert "-e ." in lines
    listed = named([line for line in lines if line not in ("-e .", "pip")])
    assert len(listed) == len(lines) - 2
    assert str(listed.pop("python").specifier) == PROJECT["requires-python"]
    assert {name: each.specifier for name, each in listed.items()} == {
        name: each.specifier for name, each in declared().items()
    }


def test_every_dependency_is_pinned_within_its_range() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = named([line for line in lines if line and not line.startswith("#")])
    for name, requirement in declared().items():
        (pin,) = pins[name].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version, prereleases=True), name
