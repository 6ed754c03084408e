"""Where things lie, by the environment and by the working folder."""

from __future__ import annotations

from pathlib import Path

from mammostudy import paths


def test_by_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "book" / "pages").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "book" / "pages")
    assert paths.project_root() == Path(paths.__file__).resolve().parent.parent
    (tmp_path / "study.yaml").touch()
    assert paths.project_root() == tmp_path
    monkeypatch.delenv("MAMMOSTUDY_STORE")
    assert paths.store_root() == tmp_path / ".mammostudy"


def test_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "s"))
    assert paths.store_root() == tmp_path / "s"
    for named, folder in (("~/data", Path.home() / "data"), ("", None)):
        monkeypatch.setenv("MAMMOSTUDY_DATA", named)
        assert paths.data_root() == folder
