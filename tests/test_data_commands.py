"""The commands ``mammostudy data``: build, check, describe, template, list."""

import json
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import typer

from mammostudy import cli, data_commands
from mammostudy.data.load import place
from mammostudy.data.manifest import read_manifest
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    """Commands set the variable; give it back afterwards."""
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "nowhere"))


@pytest.fixture
def root(tmp_path, write_cohort, monkeypatch):
    """A data folder in which ``inbreast`` is the small cohort of the tests."""
    table = read_manifest(write_cohort(tmp_path, "inbreast") / "manifest.csv")
    source = types.ModuleType("mammostudy.data.sources.inbreast")
    source.build_manifest = lambda folder, store=None: (table.copy(), {"a reason": 3})
    monkeypatch.setitem(sys.modules, source.__name__, source)
    return tmp_path


def spoil(root):
    path = root / "inbreast" / "masks" / "P1_CC.png"
    cv2.imwrite(str(path), np.zeros((48, 64), np.uint8))


def test_build_check_and_describe(root, capsys):
    data_commands.build("inbreast", root)
    out = capsys.readouterr().out
    assert "inbreast: 13 masses, 6 patients" in out
    assert "dropped 3: a reason" in out
    assert "quarantined" not in out
    data_commands.describe("inbreast", root)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(place("inbreast", "fingerprint.json").read_text())
    assert (printed["masses"], printed["patients"]) == (13, 6)
    data_commands.check("inbreast", root)
    out = capsys.readouterr().out
    assert "no fault" in out
    assert "no patient crosses a split" in out
    spoil(root)
    with pytest.raises(typer.Exit):
        data_commands.check("inbreast", root, as_json=True)
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert (fault["case"], fault["check"]) == ("P1_CC_1", "empty")
    cli.list_cohorts(root, as_json=True)
    listed = {each["cohort"]: each["found"] for each in json.loads(capsys.readouterr().out)}
    assert listed["inbreast"].startswith("13 masses")
    (root / "inbreast" / "images" / "P2_CC.png").unlink()
    with pytest.raises(DataError, match=r"2 fault\(s\) \(1 empty, 1 unreadable\)"):
        data_commands.check("inbreast", root)


def test_build_quarantines_and_strict_refuses(root, capsys):
    spoil(root)
    data_commands.build("inbreast", root)
    out = capsys.readouterr().out
    assert "inbreast: 12 masses" in out
    assert "quarantined 1: empty" in out
    assert place("inbreast", "quarantine.csv").is_file()
    with pytest.raises(DataError, match="P1_CC_1, empty"):
        data_commands.build("inbreast", root, strict=True)


def test_from_a_template_to_a_private_cohort(tmp_path, write_cohort, capsys):
    folder = write_cohort(tmp_path, "clinic")
    (folder / "manifest.csv").unlink()
    data_commands.template(folder)
    cli.list_cohorts(tmp_path)
    assert "clinic: found, not built" in capsys.readouterr().out
    with pytest.raises(DataError, match=r"and 10 more, patient: empty"):
        data_commands.build("clinic", tmp_path)
    table = pd.read_csv(folder / "cohort.csv", dtype=str)
    table["patient"] = table["image"].map(lambda name: Path(name).stem.split("_")[0])
    table[table["mask"].notna()].assign(mask_label=1).to_csv(folder / "cohort.csv", index=False)
    data_commands.build("clinic", tmp_path)
    assert "clinic: 6 masses, 6 patients" in capsys.readouterr().out
    cli.list_cohorts(tmp_path)
    assert "clinic: 6 masses, 6 patients" in capsys.readouterr().out
