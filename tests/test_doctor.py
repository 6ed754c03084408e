"""The doctor: what is there, what is missing, and a command that mends it."""

from __future__ import annotations

import pytest

from mammostudy import doctor
from mammostudy.doctor import Finding, examine


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)  # the real cohorts take seconds to read


def report() -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine()}


def test_a_machine_without_data_and_models(own_store):
    findings = report()
    for finding in findings.values():
        assert finding.well or finding.mend, finding
        assert "\n" not in finding.found, finding
    assert not own_store.exists()  # nothing is made
    for subject in ("model", "detector", "shape model"):
        assert not findings[f"{subject} for predict"].well


def test_a_missing_package_is_named(monkeypatch):
    needed = ["pydicom>=3", "no-such-package<2", 'no-such-thing>=1; extra == "book"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needed)
    found = {finding.subject: finding for finding in doctor._packages()}
    assert not found["packages"].well
    assert "no-such-package" in found["packages"].found
    assert found["extra book"].well  # nobody has to have it


def test_a_damaged_record_is_one_finding_and_not_the_end(own_store):
    folder = own_store / "records" / "tiny" / "abc"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    findings = report()
    assert findings["local records"].mend == f"rm -r {folder}"
    assert "record.json" in findings["local records"].found
    assert "model for predict" in findings
