"""Cohorts by name: where each is looked for, made or built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mammostudy.data import cache, load
from mammostudy.data.descriptors import cohort_names, describe
from mammostudy.data.load import find_folder, load_cohort, module_of, phantom_folder
from mammostudy.data.sources import phantom
from mammostudy.errors import DataError, MissingDataError

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


@pytest.mark.parametrize("name", ["tiny", "cdd-cesm", "cdd-cesm-cm", "inbreast"])
def test_a_missing_data_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    with pytest.raises(MissingDataError, match=rf"'{name}'.*--root or MAMMOSTUDY_DATA"):
        load_cohort(name)
    with pytest.raises(MissingDataError, match=rf"no such folder for cohort '{name}'"):
        load_cohort(name, tmp_path / "away")


@pytest.mark.parametrize("name", ["", "..", "../tiny", "a/b", "/etc"])
def test_names_that_leave_the_data_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a name of a folder"):
        load_cohort(name, tmp_path)


def quick_view(
    view: str, side: str, site: str, density: float, masses: tuple[object, ...],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Grey values and masses as good as drawn ones, where a test looks at files alone."""
    labels = np.zeros((80, 64), np.uint8)
    for label in range(1, len(masses) + 1):
        labels[20 * label : 20 * label + 9, 20:30] = label
    return rng.random(labels.shape, dtype=np.float32), labels


@pytest.mark.parametrize("name", ["phantom", "phantom-null", "phantom-shapes"])
def test_a_phantom_is_made_once_and_whole(
    name: str, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phantom, "draw_view", quick_view)
    calls: list[tuple[str, bool]] = []
    draw = phantom.draw_patients

    def four(count: int, seed: int, *, association: bool = True) -> list[phantom.Patient]:
        calls.append(("shapes" if count > 64 else "views", association))
        return draw(4, seed, association=association)

    monkeypatch.setattr(phantom, "draw_patients", four)
    first, second = load_cohort(name), load_cohort(name)
    assert calls == [("shapes" if name == "phantom-shapes" else "views", name != "phantom-null")]
    assert first.manifest_hash == second.manifest_hash
    assert first.root == phantom_folder(name)
    assert own_store in first.root.parents
    assert set(first.manifest["modality"]) == {"DM"}
    monkeypatch.setattr(cache, "VERSION", 99)
    load_cohort(name)
    assert len(calls) == 2  # another recipe is made anew
