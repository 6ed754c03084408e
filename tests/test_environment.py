"""Where things lie, and the packages: ``environment.yml`` and ``constraints.txt`` as declared."""

import pkgutil
import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mammostudy import paths

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA_NAMES = {"pytorch": "torch"}  # conda-forge's name -> the project's


def named(lines):
    found = map(Requirement, lines)
    return {canonicalize_name(CONDA_NAMES.get(each.name, each.name)): each for each in found}


def declared():
    extras = PROJECT["optional-dependencies"].values()
    return named([*PROJECT["dependencies"], *(line for extra in extras for line in extra)])


def test_the_conda_environment_has_the_same_packages_and_ranges():
    *conda, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines = [*conda, *pip["pip"]]
    assert "-e ." in lines
    listed = named([line for line in lines if line not in ("-e .", "pip")])
    assert len(listed) == len(lines) - 2
    assert str(listed.pop("python").specifier) == PROJECT["requires-python"]
    assert {name: each.specifier for name, each in listed.items()} == {
        name: each.specifier for name, each in declared().items()
    }


def test_every_dependency_is_pinned_within_its_range():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = named([line for line in lines if line and not line.startswith("#")])
    for name, requirement in declared().items():
        (pin,) = pins[name].specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version, prereleases=True), name


def test_places_by_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "book" / "pages").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "book" / "pages")
    assert paths.project_root() == ROOT
    (tmp_path / "study.yaml").touch()
    assert paths.project_root() == tmp_path
    monkeypatch.delenv("MAMMOSTUDY_STORE")
    assert paths.store_root() == tmp_path / ".mammostudy"


def test_places_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "s"))
    assert paths.store_root() == tmp_path / "s"
    for named, folder in (("~/data", Path.home() / "data"), ("", None)):
        monkeypatch.setenv("MAMMOSTUDY_DATA", named)
        assert paths.data_root() == folder


def test_every_name_of_the_api_page_is_there():
    text = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    names = re.findall(r"^\.\. auto(?:class|function):: (\S+)$", text, re.MULTILINE)
    assert len(names) > 30
    assert [name for name in names if not pkgutil.resolve_name(name)] == []
