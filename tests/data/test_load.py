"""The names of cohorts and where each is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mammostudy.data import load
from mammostudy.data.descriptors import cohort_names, describe
from mammostudy.data.load import find_folder, module_of
from mammostudy.errors import MissingDataError

MARKS = {
    "inbreast": "AllDICOMs/a.dcm",
    "cbis-ddsm": "mass_case_description_train_set.csv",
    "ddsm": "case3030/B-3030-1.ics",
    "cmmd": "CMMD_clinicaldata_revision.csv",
    "cdd-cesm-archive": "Radiology_hand_drawn_segmentations_v2.csv",
}


def test_every_published_layout_is_told_by_its_files() -> None:
    assert set(MARKS) == {name for name in cohort_names() if describe(name).built}


@pytest.mark.parametrize("name", sorted(MARKS))
def test_a_cohorts_own_folder_is_told_by_its_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "somewhere"
    path = own / MARKS[name]
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_folder(name, own) == own
    assert module_of(name, own) == name.replace("-", "_")
    (own / name).mkdir()
    assert find_folder(name, own) == own / name  # the folder of that name comes first
    (own / name).rmdir()
    bare = describe(name).model_copy(update={"marks": ()})
    monkeypatch.setattr(load, "describe", lambda _: bare)
    with pytest.raises(MissingDataError, match="no such folder"):
        find_folder(name, own)  # control


def test_private_cohorts_are_told_by_their_table(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    folder.mkdir()
    assert module_of("clinic", folder) is None
    (folder / "cohort.csv").touch()
    assert module_of("clinic", folder) == "folder"
    assert find_folder("clinic", folder) == folder
    (folder / "manifest.csv").touch()  # a manifest of its own is read as it stands
    assert module_of("clinic", folder) is None


def test_without_a_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    with pytest.raises(MissingDataError, match=r"inbreast.*--root or MAMMOSTUDY_DATA"):
        find_folder("inbreast")
