"""The doctor: what is there, what is missing, and a command that mends it."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mammostudy import doctor
from mammostudy.data.load import phantom_folder
from mammostudy.doctor import CORE, EXTRAS, Finding, examine

if TYPE_CHECKING:
    from tests.conftest import Trained

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)  # the real cohorts take seconds to read


def report(subject: str) -> Finding:
    return next(finding for finding in examine() if finding.subject == subject)


def test_every_finding_that_is_ill_has_a_mend(
    own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    findings = list(examine())
    assert {"Python", "device", "project", "data folder", "cohort phantom", "cohort cdd-cesm",
            "committed records", "local records", "model for predict"} <= {
        finding.subject for finding in findings
    }  # fmt: skip
    for finding in findings:
        assert finding.well or finding.mend, finding
        assert "\n" not in finding.found, finding
    assert not own_store.exists()  # nothing is made


def test_phantoms_made_and_not_yet_made(own_store: Path) -> None:
    name = "phantom-shapes"
    assert report(f"cohort {name}").found.startswith("not yet made")
    phantom_folder(name).mkdir(parents=True)
    assert report(f"cohort {name}").found == "made"
    outlines = report("cohort cdd-cesm-contours")
    assert not outlines.well
    assert "no data folder is set" in outlines.found


def test_packages_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in CORE:
        assert any(line.startswith(name) for line in project["dependencies"]), name
    for extra, names in EXTRAS.items():
        listed = project["optional-dependencies"][extra]
        for name in names:
            assert any(line.startswith(name) for line in listed), (extra, name)


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CORE", ("torch", "no-such-package"))
    assert report("torch").well
    missing = report("no-such-package")
    assert (missing.well, missing.found, missing.mend) == (
        False, "not installed", "pip install -e .",
    )  # fmt: skip


def test_python_is_told(own_store: Path) -> None:
    assert platform.python_version() in report("Python").found


def test_the_data_folder(tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "away"))
    away = report("data folder")
    assert not away.well
    assert "no such folder" in away.found
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    assert report("data folder").well
    cesm = report("cohort cdd-cesm")
    assert not cesm.well
    assert str(tmp_path / "cdd-cesm") in cesm.found
    assert "MAMMOSTUDY_DATA" in cesm.mend


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor, "project_root", lambda: tmp_path)
    found = report("project")
    assert (found.well, found.mend) == (False, "run from the project's folder")
    (tmp_path / "study.yaml").touch()
    assert report("project").well


def test_the_model_for_predict(trained: Trained) -> None:
    found = report("model for predict")
    assert found.well
    assert trained.record.key in found.found
    assert "tiny" in found.found


@pytest.mark.parametrize(
    ("subject", "chapter"),
    [
        ("model for predict", "losses"),
        ("detector for predict", "detection"),
        ("shape model for predict", "shapes"),
    ],
)
def test_no_model(own_store: Path, subject: str, chapter: str) -> None:
    found = report(subject)
    assert (found.well, found.mend) == (False, f"mammostudy run {chapter} --preset quick")


def test_a_damaged_record_is_one_finding_and_not_the_end(own_store: Path) -> None:
    folder = own_store / "records" / "tiny" / "abc"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    ill = [f for f in examine() if f.subject == "local records" and not f.well]
    assert [f.mend for f in ill] == [f"rm -r {folder}"]
    assert "record.json" in ill[0].found
    assert not report("model for predict").well  # and the report goes on to its end


def test_a_faulty_cohort_is_a_finding(
    tmp_path: Path,
    own_store: Path,
    write_cohort: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    (tmp_path / "cdd-cesm").mkdir()
    found = report("cohort cdd-cesm")
    assert not found.well
    assert "images.csv" in found.found


def test_published_sets_are_told_without_reading_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    assert "`mammostudy data fetch inbreast`" in report("cohort inbreast").found
    (tmp_path / "inbreast").mkdir()
    assert report("cohort inbreast").found.endswith("`mammostudy data build inbreast`")
    assert report("cohort inbreast").well
