"""The doctor: what is there, what is missing, and a command that mends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from mammostudy import cli, doctor
from mammostudy.doctor import Finding, examine

if TYPE_CHECKING:
    from tests.conftest import Trained


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)  # the real cohorts take seconds to read


def report() -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine()}


def test_a_machine_without_data_and_models(own_store: Path) -> None:
    findings = report()
    for finding in findings.values():
        assert finding.well or finding.mend, finding
        assert "\n" not in finding.found, finding
    assert not own_store.exists()  # nothing is made
    models = {"model": "losses", "detector": "detection", "shape model": "shapes"}
    for subject, chapter in models.items():
        assert findings[f"{subject} for predict"].mend == f"mammostudy run {chapter} --preset quick"
    may_lack = {f"{subject} for predict" for subject in models} | {"segmenter of predict runs on"}
    assert {name for name, finding in findings.items() if not finding.well} <= may_lack
    assert "`mammostudy data fetch inbreast`" in findings["cohort inbreast"].found


def test_packages_and_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {finding.subject: finding for finding in doctor._packages()}
    assert found["packages"] == Finding("packages", True, "installed", "pip install -e .")
    needed = ["pydicom>=3", "no-such-package<2", 'no-such-thing>=1; extra == "book"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needed)
    found = {finding.subject: finding for finding in doctor._packages()}
    assert not found["packages"].well
    assert found["packages"].found.startswith("not installed: no-such-package (")
    assert found["extra book"].well  # nobody has to have it
    assert "no-such-thing (pip install -e '.[book]'" in found["extra book"].found


def test_the_data_folder(tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "away"))
    away = report()["data folder"]
    assert (away.well, "no such folder" in away.found) == (False, True)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    for name in ("inbreast", "cdd-cesm", "clinic"):
        (tmp_path / name).mkdir()
    (tmp_path / "clinic" / "cohort.csv").touch()
    found = report()
    assert found["data folder"].well
    for name in ("inbreast", "clinic"):
        assert found[f"cohort {name}"].found.endswith(f"`mammostudy data build {name}`")
    assert not found["cohort cdd-cesm"].well
    assert "images.csv" in found["cohort cdd-cesm"].found


def test_the_model_for_predict(trained: Trained) -> None:
    found = report()["model for predict"]
    assert f"{trained.record.key}, trained on tiny for 2 iterations" in found.found


def test_a_damaged_record_is_one_finding_and_not_the_end(own_store: Path) -> None:
    folder = own_store / "records" / "tiny" / "abc"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    findings = report()
    assert findings["local records"].mend == f"rm -r {folder}"
    assert "record.json" in findings["local records"].found
    assert "model for predict" in findings


def test_the_command_prints_a_line_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("a", True, "'.[dicom]'"), Finding("b", False, "gone", "do [this]")]
    monkeypatch.setattr(doctor, "examine", lambda: iter(found))
    lines = CliRunner().invoke(cli.app, ["doctor"]).output.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "--", "1"]
    assert "'.[dicom]'" in lines[0]  # what stands in brackets is no markup
    assert "do [this]" in lines[1]
