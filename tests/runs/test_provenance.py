"""Provenance: versions read from source, the commit, and nothing about who or where."""

from __future__ import annotations

import getpass
import importlib
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mammostudy.errors import SpecError
from mammostudy.runs import provenance as module
from mammostudy.runs.provenance import commit, provenance
from mammostudy.runs.versions import recipe_version


@pytest.mark.parametrize("name", ["mammostudy.training.losses", "mammostudy.imaging.framing"])
def test_the_version_in_the_source_is_the_modules(name: str) -> None:
    assert recipe_version(name) == importlib.import_module(name).VERSION


@pytest.mark.parametrize(
    ("source", "version"), [("VERSION = 3", 3), ("VERSION: Final = 4  # why", 4), ("V = 1", None),
                            ("VERSION = 'one'", None), ("if True:\n    VERSION = 2", None)],
)  # fmt: skip
def test_versions_written_either_way(
    source: str, version: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"made_up_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    if version is None:
        with pytest.raises(SpecError, match=f"{name}: no recipe version"):
            recipe_version(name)
    else:
        assert recipe_version(name) == version


@pytest.mark.parametrize("name", ["mammostudy.nothing", "mammostudy.nothing.deeper", "json"])
def test_a_module_without_a_version_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match=f"{name}: no recipe version"):
        recipe_version(name)


def test_a_key_needs_no_torch() -> None:
    code = (
        "import sys; from mammostudy.study.recipes import recipe; "
        "recipe('phantom', 'quick').key('x'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_commit_is_the_head_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    commit.cache_clear()
    assert re.fullmatch(r"[0-9a-f]{12}\+?|unknown", commit())
    commit.cache_clear()

    def no_git(*args: object, **fields: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(module.subprocess, "run", no_git)
    assert commit() == "unknown"
    commit.cache_clear()


def test_no_name_of_host_user_or_folder_is_kept() -> None:
    content = provenance(threads=2)
    text = json.dumps(content)
    assert content["machine"]["threads"] == 2  # type: ignore[index]
    assert {"commit", "python", "versions", "machine"} == set(content)
    words = [socket.gethostname(), str(Path.home()), str(Path(__file__).parents[2])]
    user = getpass.getuser()
    assert not any(word in text for word in words if len(word) > 2)
    assert f'"{user}"' not in text


def test_a_package_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGES", ("no-such-package-here",))
    assert provenance(1)["versions"] == {"no-such-package-here": "not installed"}
