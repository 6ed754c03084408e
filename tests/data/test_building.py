"""From a published layout to the local store: drop, quarantine, note, refuse, build again."""

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

from mammostudy import data_commands
from mammostudy.data import building, cache
from mammostudy.data.building import QUARANTINE, build, load_or_build, place
from mammostudy.data.integrity import MIRRORED
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import read_manifest
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
SOURCE = "mammostudy.data.sources.inbreast"


@pytest.fixture
def reads(
    tmp_path: Path, write_cohort: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> list[pd.DataFrame]:
    """Let ``inbreast`` be the small cohort; the list holds what its reader gives, and how often."""
    table = read_manifest(write_cohort(tmp_path, "inbreast") / "manifest.csv")
    given = [table]
    module = types.ModuleType(SOURCE)

    def build_manifest(folder: Path, store: Path | None = None) -> object:
        given.append(given[0])
        return given[0].copy(), {"region of a single point": 3}

    module.build_manifest = build_manifest  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, SOURCE, module)
    return given


def emptied(folder: Path) -> None:
    cv2.imwrite(str(folder / "masks" / "P1_CC.png"), np.zeros((48, 64), np.uint8))


def test_a_build_is_kept_and_read_again(reads: list[pd.DataFrame], tmp_path: Path) -> None:
    cohort = load_cohort("inbreast", tmp_path)
    assert (len(cohort), len(cohort.manifest)) == (13, 14)
    assert cohort.dropped == {"region of a single point": 3}
    again = load_cohort("inbreast", tmp_path)
    assert again.manifest_hash == cohort.manifest_hash
    assert again.dropped == cohort.dropped
    assert len(reads) == 2  # read once
    assert place("inbreast", "csv").is_file()
    assert not place("inbreast", "quarantine.csv").exists()


def test_rows_with_faults_go_to_quarantine_with_the_reason(
    reads: list[pd.DataFrame], tmp_path: Path
) -> None:
    emptied(tmp_path / "inbreast")
    reads[0].loc[reads[0]["case"] == "P2_MLO_1", "shape"] = "blob"
    cohort = load_cohort("inbreast", tmp_path)
    assert len(cohort) == 11
    assert not {"P1_CC_1", "P2_MLO_1"} & set(cohort.manifest["case"])
    rows = pd.read_csv(place("inbreast", "quarantine.csv"))
    assert tuple(rows.columns) == QUARANTINE
    assert rows.set_index("case")["check"].to_dict() == {
        "P2_MLO_1": "vocabulary", "P1_CC_1": "empty",
    }  # fmt: skip
    assert rows["image"].notna().all()
    assert "P1_CC.png" in rows.set_index("case")["reason"]["P1_CC_1"]
    kept = json.loads(place("inbreast", "build.json").read_text())
    assert kept["quarantined"] == {"vocabulary": 1, "empty": 1}
    built = load_or_build("inbreast", tmp_path / "inbreast", "inbreast")
    assert len(built.quarantine) == 2
    list(cohort)  # every row that is left can be read


def test_strict_refuses_any_fault_and_writes_nothing(
    reads: list[pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied(tmp_path / "inbreast")
    args = ("inbreast", tmp_path / "inbreast", "inbreast")
    with pytest.raises(DataError, match=r"1 fault\(s\) \(1 empty\)(.|\n)*P1_CC_1, empty: "):
        build(*args, strict=True)
    assert not place("inbreast", "csv").exists()
    monkeypatch.setattr(building, "refuse", lambda *_: None)
    assert len(build(*args, strict=True).quarantine) == 1  # control


@pytest.mark.parametrize("what", ["folder", "version", "build.json"])
def test_it_is_built_again_where_what_it_is_made_of_changes(
    what: str, reads: list[pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_cohort("inbreast", tmp_path)
    root = tmp_path
    if what == "folder":
        root = tmp_path / "moved"
        root.mkdir()
        (tmp_path / "inbreast").rename(root / "inbreast")
    elif what == "version":
        monkeypatch.setattr(cache, "VERSION", 99)
    else:
        place("inbreast", "build.json").write_text("{")
    load_cohort("inbreast", root)
    assert len(reads) == 3


Writer = Callable[..., Path]
BURNED_IN = "BurnedInAnnotation is YES: text in the pixels may name the patient"


def half_disc(seed: int) -> np.ndarray:
    """A breast at the left edge."""
    y, x = np.mgrid[:96, :80]
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, y.shape), (0, 0), 3)
    inside = np.hypot((y - 48) / 44, x / 50) < 1
    return np.where(inside, 1800 + 400 * noise / noise.std(), 0).clip(0, 4095).astype(np.uint16)


@pytest.fixture
def clinic(
    tmp_path: Path, own_store: Path, write_dicom: Writer, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Three views: with text in the pixels, mirrored, and neither."""
    folder = tmp_path / "clinic"
    folder.mkdir()
    mask = np.zeros((96, 80), np.uint8)
    mask[40:56, 20:36] = 1
    lines = ["image,mask,patient"]
    for number, fields in enumerate((
        {"BurnedInAnnotation": "YES", "ImageLaterality": "L"},
        {"BurnedInAnnotation": "NO", "ImageLaterality": "R"},
        {"ImageLaterality": "L"},
    )):  # fmt: skip
        write_dicom(folder / f"{number}.dcm", half_disc(number), ViewPosition="CC", **fields)
        cv2.imwrite(str(folder / f"{number}.png"), mask)
        lines.append(f"{number}.dcm,{number}.png,P{number}")
    (folder / "cohort.csv").write_text("\n".join(lines))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    return folder


@pytest.mark.parametrize("command", [data_commands.build, data_commands.check])
def test_notes_are_counted_and_kept(
    command: Callable[[str], None], clinic: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("clinic")
    said = capsys.readouterr().out
    assert said.count(f"noted of 1 image(s): {BURNED_IN}") == 1
    assert said.count(f"noted of 1 image(s): {MIRRORED}") == 1
    assert "quarantined" not in said
    kept = place("clinic", "notes.csv").read_text().splitlines()
    assert sum(BURNED_IN in line for line in kept) == sum(MIRRORED in line for line in kept) == 1
    content = json.loads(place("clinic", "build.json").read_text())
    assert content["notes"] == load_or_build("clinic", clinic, "folder").notes
    assert content["notes"][BURNED_IN] == 1
