"""The doctor: what is there, what is missing, and a command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mammostudy import cli, doctor
from mammostudy.data.load import phantom_folder
from mammostudy.doctor import Finding, examine

if TYPE_CHECKING:
    from tests.conftest import Trained


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)  # the real cohorts take seconds to read


def report(subject: str) -> Finding:
    return next(finding for finding in examine() if finding.subject == subject)


def test_a_machine_without_data_and_models(own_store: Path) -> None:
    findings = {finding.subject: finding for finding in examine()}
    for finding in findings.values():
        assert finding.well or finding.mend, finding
        assert "\n" not in finding.found, finding
    assert not own_store.exists()  # nothing is made
    models = {"model": "losses", "detector": "detection", "shape model": "shapes"}
    for subject, chapter in models.items():
        assert findings[f"{subject} for predict"].mend == f"mammostudy run {chapter} --preset quick"
    may_lack = [f"{subject} for predict" for subject in models]
    may_lack.append("segmenter of predict runs on")
    assert {name for name, finding in findings.items() if not finding.well} <= set(may_lack)
    assert findings["cohort phantom-shapes"].found.startswith("not yet made")
    assert "`mammostudy data fetch inbreast`" in findings["cohort inbreast"].found
    phantom_folder("phantom-shapes").mkdir(parents=True)
    assert report("cohort phantom-shapes").found == "made"


def test_packages_and_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    assert report("packages") == Finding("packages", True, "installed", "pip install -e .")
    assert report("extra book").well
    needed = ["pydicom>=3", "no-such-package<2", 'no-such-thing>=1; extra == "book"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needed)
    missing, extra = report("packages"), report("extra book")
    assert (missing.well, missing.found) == (False, "not installed: no-such-package")
    assert extra.well  # nobody has to have it
    assert extra.found == "not installed: no-such-thing (pip install -e '.[book]' adds them)"


def test_the_data_folder(tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "away"))
    away = report("data folder")
    assert (away.well, "no such folder" in away.found) == (False, True)
    assert "MAMMOSTUDY_DATA" in away.mend
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    assert report("data folder").well
    (tmp_path / "inbreast").mkdir()
    (tmp_path / "cdd-cesm").mkdir()
    found = {finding.subject: finding for finding in examine()}
    assert found["cohort inbreast"].found.endswith("`mammostudy data build inbreast`")
    assert not found["cohort cdd-cesm"].well
    assert "images.csv" in found["cohort cdd-cesm"].found


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "project_root", lambda: tmp_path)
    found = report("project")
    assert (found.well, found.mend) == (False, "run from the project's folder")
    (tmp_path / "study.yaml").touch()
    assert report("project").well


def test_the_model_for_predict(trained: Trained) -> None:
    found = report("model for predict")
    assert found.well
    assert f"{trained.record.key}, trained on tiny for 2 iterations" in found.found


def test_a_damaged_record_is_one_finding_and_not_the_end(own_store: Path) -> None:
    folder = own_store / "records" / "tiny" / "abc"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    findings = list(examine())
    ill = [f for f in findings if f.subject == "local records" and not f.well]
    assert [f.mend for f in ill] == [f"rm -r {folder}"]
    assert "record.json" in ill[0].found
    assert any(finding.subject == "model for predict" for finding in findings)


def test_the_command_prints_a_line_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("a", True, "'.[dicom]'"), Finding("b", False, "gone", "do [this]")]
    monkeypatch.setattr(doctor, "examine", lambda: iter(found))
    lines = CliRunner().invoke(cli.app, ["doctor"]).output.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "--", "1"]
    assert "'.[dicom]'" in lines[0]
    assert "do [this]" in lines[1]
    monkeypatch.setattr(doctor, "examine", lambda: iter(found[:1]))
    assert "all is well" in CliRunner().invoke(cli.app, ["doctor"]).output
