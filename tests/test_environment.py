"""``environment.yml`` and ``constraints.txt`` against ``pyproject.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"pytorch": "torch"}  # conda-forge's name -> the project's


def _declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def _environment() -> list[str]:
    lines: list[str] = []
    for entry in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]:
        lines += entry["pip"] if isinstance(entry, dict) else [entry]
    return lines


def test_the_conda_environment_has_the_same_packages_and_ranges():
    listed = [Requirement(line) for line in _environment() if line not in {"-e .", "pip"}]
    names = {canonicalize_name(CONDA_NAMES.get(r.name, r.name)): r.specifier for r in listed}
    assert len(names) == len(listed)
    python = names.pop("python")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert str(python) == project["requires-python"]
    assert names == {name: requirement.specifier for name, requirement in _declared().items()}


def test_the_environment_installs_the_package_itself():
    assert "-e ." in _environment()


def _pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


@pytest.mark.parametrize("name", sorted(_declared()))
def test_every_dependency_is_pinned_within_its_range(name):
    (pin,) = _pins()[name].specifier
    assert pin.operator == "=="
    assert _declared()[name].specifier.contains(pin.version, prereleases=True)
