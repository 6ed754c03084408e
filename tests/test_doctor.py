"""The doctor: what is there, what is missing, and a command that mends it."""

import json

import pytest
import typer

from mammostudy import cli, doctor
from mammostudy.doctor import examine


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)  # the real cohorts take seconds to read


def report():
    return {finding.subject: finding for finding in examine()}


def test_a_machine_without_data_and_models(own_store):
    findings = report()
    assert [finding for finding in findings.values() if not finding.well] == []
    assert "\n" not in "".join(finding.found for finding in findings.values())
    assert not own_store.exists()  # nothing is made
    for subject, chapter in (("model", "losses"), ("shape model", "shapes")):
        assert f"mammostudy run {chapter}" in findings[f"{subject} for predict"].found


@pytest.mark.parametrize(
    ("variable", "value", "subject"),
    [
        ("MAMMOSTUDY_DEVICE", "cuda:99", "device"),
        ("MAMMOSTUDY_DEVICE", "meta", "device"),
        ("MAMMOSTUDY_DEVICE", "[/]", "device"),
        ("MAMMOSTUDY_WORKERS", "none", "processors"),
        ("MAMMOSTUDY_WORKERS", "0", "processors"),
        ("MAMMOSTUDY_CACHE", "much", "cache in it"),
        ("MAMMOSTUDY_STORE", "/dev/null/[red]", "store"),
        ("MAMMOSTUDY_DATA", "/no/we[", "data folder"),
    ],
)
def test_what_a_variable_spoils_is_one_finding(variable, value, subject, monkeypatch, capsys):
    monkeypatch.setenv(variable, value)
    with pytest.raises(typer.Exit) as ended:
        cli.doctor(as_json=True)
    printed = json.loads(capsys.readouterr().out)
    ill = [each for each in printed["findings"] if not each["well"]]
    assert [each["subject"] for each in ill] == [subject]
    assert value in ill[0]["found"]
    assert printed["able"] == (subject == "data folder")  # it is not needed on phantoms
    assert ended.value.exit_code == (not printed["able"])


def test_a_missing_package_is_named(monkeypatch):
    thing = "no-such-thing>=1; extra == "
    needed = ["pydicom>=3", "no-such-package<2", f'{thing}"export"', f'{thing}"book"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needed)
    found = {finding.subject: finding for finding in doctor._packages()}
    assert not found["packages"].well
    assert "no-such-package" in found["packages"].found
    assert found["extra export"].well  # nobody has to have it
    assert "pip install -e '.[export]'" in found["extra export"].found
    assert not found["extra book"].well


def test_a_damaged_record_is_one_finding_and_not_the_end(own_store):
    folder = own_store / "records" / "tiny" / "a [b]"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{")
    findings = report()
    assert findings["local records"].mend == f"rm -r '{folder}'"
    assert "record.json" in findings["local records"].found
    assert "model for predict" in findings
