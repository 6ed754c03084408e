"""The commands ``mammostudy data``: build, check, describe, template, list."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammostudy import cli, data_commands
from mammostudy.data.load import place
from mammostudy.data.manifest import read_manifest
from mammostudy.data.sources.folder import write_template
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands set the variable; give it back afterwards."""
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "nowhere"))


@pytest.fixture
def root(
    tmp_path: Path, write_cohort: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A data folder in which ``inbreast`` is the small cohort of the tests."""
    table = read_manifest(write_cohort(tmp_path, "inbreast") / "manifest.csv")
    source = types.ModuleType("mammostudy.data.sources.inbreast")
    source.build_manifest = lambda folder, store=None: (table.copy(), {"a reason": 3})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, source.__name__, source)
    return tmp_path


def spoil(root: Path) -> None:
    path = root / "inbreast" / "masks" / "P1_CC.png"
    cv2.imwrite(str(path), np.zeros((48, 64), np.uint8))


def test_build_check_and_describe(root: Path, capsys: Output) -> None:
    data_commands.build("inbreast", root)
    out = capsys.readouterr().out
    for words in (
        "inbreast: 13 masses, 6 patients", "images, 1 of them without",
        "dropped 3: a reason", str(place("inbreast", "csv")), "segmentation: yes",
        "subtype: lacks subtype",
    ):  # fmt: skip
        assert words in out
    assert "quarantined" not in out
    data_commands.describe("inbreast", root)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(place("inbreast", "fingerprint.json").read_text())
    assert (printed["masses"], printed["patients"]) == (13, 6)
    data_commands.check("inbreast", root)
    out = capsys.readouterr().out
    assert "inbreast: 14 rows read, 13 masses; no fault" in out
    assert "no patient crosses a split" in out
    spoil(root)
    (root / "inbreast" / "images" / "P2_CC.png").unlink()
    with pytest.raises(DataError, match=r"2 fault\(s\) \(1 empty, 1 unreadable\)"):
        data_commands.check("inbreast", root)


def test_build_quarantines_and_strict_refuses(root: Path, capsys: Output) -> None:
    spoil(root)
    data_commands.build("inbreast", root)
    out = capsys.readouterr().out
    assert "inbreast: 12 masses" in out
    assert "quarantined 1: empty (a mask without a pixel)" in out
    assert "P1_CC_1: " in out
    assert str(place("inbreast", "quarantine.csv")) in out
    with pytest.raises(DataError, match="P1_CC_1, empty"):
        data_commands.build("inbreast", root, strict=True)


def test_a_cohort_without_masses_is_described_by_its_counts(root: Path, capsys: Output) -> None:
    source = sys.modules["mammostudy.data.sources.inbreast"]
    table = source.build_manifest(root)[0]
    free = table[table["x_min"].isna()]
    source.build_manifest = lambda folder, store=None: (free.copy(), {})  # type: ignore[attr-defined]
    data_commands.build("inbreast", root)
    assert "inbreast: 0 masses, 1 patients" in capsys.readouterr().out
    data_commands.describe("inbreast", root)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["images"], printed["masses"]) == (1, 0)
    data_commands.check("inbreast", root)
    assert "1 rows read, 0 masses" in capsys.readouterr().out


def test_a_cohort_with_a_manifest_of_its_own(
    tmp_path: Path, write_cohort: Callable[..., Path], capsys: Output
) -> None:
    folder = write_cohort(tmp_path)
    before = (folder / "manifest.csv").read_bytes()
    cv2.imwrite(str(folder / "masks" / "P1_CC.png"), np.zeros((48, 64), np.uint8))
    data_commands.build("tiny", tmp_path)
    out = capsys.readouterr().out
    assert "quarantined 1: empty" in out
    assert "take the rows out of its own manifest" in out
    assert (folder / "manifest.csv").read_bytes() == before
    with pytest.raises(DataError, match="P1_CC_1, empty"):
        data_commands.build("tiny", tmp_path, strict=True)


def test_from_a_template_to_a_private_cohort(
    tmp_path: Path, write_cohort: Callable[..., Path], capsys: Output
) -> None:
    folder = write_cohort(tmp_path, "clinic")
    (folder / "manifest.csv").unlink()
    data_commands.template(folder)
    out = capsys.readouterr().out
    assert "cohort.csv: 13 image(s) listed" in out
    assert f"then: mammostudy data build clinic --root {tmp_path}" in out
    cli.list_cohorts(tmp_path)
    out = capsys.readouterr().out
    for told in (
        "clinic: found, not built; run `mammostudy data build clinic`", "phantom: made on first",
        "cmmd: not found; `mammostudy data fetch cmmd`",
    ):  # fmt: skip
        assert told in out
    with pytest.raises(DataError, match=r"row 14, patient: empty"):
        data_commands.build("clinic", tmp_path)
    table = pd.read_csv(folder / "cohort.csv", dtype=str)
    table["patient"] = table["image"].map(lambda name: Path(name).stem.split("_")[0])
    table[table["mask"].notna()].assign(mask_label=1).to_csv(folder / "cohort.csv", index=False)
    data_commands.build("clinic", tmp_path)
    assert "clinic: 6 masses, 6 patients" in capsys.readouterr().out
    data_commands.check("clinic", tmp_path)
    assert "no split was checked (split: 6 masses" in capsys.readouterr().out
    cli.list_cohorts(tmp_path)
    assert "clinic: 6 masses, 6 patients" in capsys.readouterr().out
    with pytest.raises(DataError, match="exists already"):
        write_template(folder)


def outline(patient: int, shape: str = "round", **fields: object) -> str:
    drawn = {"name": "circle", "cx": 80, "cy": 90, "r": 12}
    row = {"image": f"P{patient}_L_DM_CC", "patient": patient, "type": "DM", "view": "CC",
           "region": 0, "mass_shape": shape, "pathology": "Benign", "only_mass_findings": True,
           "geometry": drawn}  # fmt: skip
    return json.dumps(row | fields) + "\n"


def test_outlines_without_images(tmp_path: Path, capsys: Output) -> None:
    path = tmp_path / "cdd-cesm" / "contours.jsonl"
    path.parent.mkdir()
    lines = [outline(k, ("round", "oval")[k % 2]) for k in range(16)]
    path.write_text("".join([*lines, outline(16, only_mass_findings=False)]))
    data_commands.check("cdd-cesm-contours", tmp_path)
    assert "16 outlines drawn, no images; no patient crosses" in capsys.readouterr().out
    data_commands.describe("cdd-cesm-contours", tmp_path)
    content = json.loads(capsys.readouterr().out)
    assert content["shapes"]["oval"] == {"masses": 8, "patients": 8, "tools": {"circle": 8}}
    assert sum(content["dropped"].values()) == 1
    with pytest.raises(DataError, match="cdd-cesm-contours: has outlines only"):
        data_commands.build("cdd-cesm-contours", tmp_path)
    path.write_text(outline(1) + outline(2, pathology="odd"))
    for command in (data_commands.check, data_commands.describe, data_commands.build):
        with pytest.raises(DataError, match=r"contours\.jsonl: line 2"):
            command("cdd-cesm-contours", tmp_path)
