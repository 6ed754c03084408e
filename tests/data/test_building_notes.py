"""What a header warns of is told of a cohort: annotation burned in, mirrored images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy import data_commands
from mammostudy.data.building import load_or_build, place
from mammostudy.data.dicom import remarks_on
from mammostudy.data.row_files import MIRRORED

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


def test_a_header_without_a_remark(clinic: Path) -> None:
    assert remarks_on(clinic / "0.dcm") == (BURNED_IN,)
    assert remarks_on(clinic / "2.dcm") == ()
    assert remarks_on(clinic / "0.png") == ()
