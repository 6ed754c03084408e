"""Where things lie, by the environment and by the working folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammostudy import paths


def test_the_nearest_project_above_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.yaml").touch()
    (tmp_path / "book" / "pages").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "book" / "pages")
    assert paths.project_root() == tmp_path
    assert paths.results_root() == tmp_path / "results"
    monkeypatch.delenv("MAMMOSTUDY_STORE")
    assert paths.store_root() == tmp_path / ".mammostudy"


def test_without_a_project_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.project_root() == Path(paths.__file__).resolve().parent.parent


def test_the_environment_names_store_and_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "s"))
    monkeypatch.setenv("MAMMOSTUDY_DATA", "~/data")
    assert paths.store_root() == tmp_path / "s"
    assert paths.data_root() == Path.home() / "data"
    for empty in ("", None):
        if empty is None:
            monkeypatch.delenv("MAMMOSTUDY_DATA")
        else:
            monkeypatch.setenv("MAMMOSTUDY_DATA", empty)
        assert paths.data_root() is None
