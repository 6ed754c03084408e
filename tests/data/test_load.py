"""Cohorts by name: where each is looked for, made or built; drop, quarantine, note, refuse."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from writers import breast, noise, write_dicom, write_picture

from mammostudy import data_commands
from mammostudy.data import cache, load
from mammostudy.data.cohort import lacking
from mammostudy.data.descriptors import TASKS, cohort_names, describe
from mammostudy.data.integrity import FAULTS, MIRRORED
from mammostudy.data.load import build, find_folder, load_cohort, module_of, phantom_folder, place
from mammostudy.data.manifest import read_manifest
from mammostudy.data.sources import phantom
from mammostudy.errors import DataError, MissingDataError
from mammostudy.evaluation.splits import parted, split_cases

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.mark.parametrize("name", [name for name in cohort_names() if describe(name).built])
def test_a_cohorts_own_folder_is_told_by_its_files(name, tmp_path, monkeypatch):
    own = tmp_path / "somewhere"
    (own / describe(name).marks[-1].replace("*", "x")).mkdir(parents=True)
    assert find_folder(name, own) == own
    assert module_of(name, own) == name.replace("-", "_")
    (own / name).mkdir()
    assert find_folder(name, own) == own / name  # the folder of that name comes first
    (own / name).rmdir()
    bare = describe(name).model_copy(update={"marks": ()})
    monkeypatch.setattr(load, "describe", lambda _: bare)
    with pytest.raises(MissingDataError, match="no such folder"):
        find_folder(name, own)  # control


def test_a_missing_data_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    for root in (None, tmp_path / "away"):
        with pytest.raises(MissingDataError, match=r"'tiny'.*--root or MAMMOSTUDY_DATA"):
            load_cohort("tiny", root)
    for name in ("", "..", "../tiny", "a/b", "/etc"):
        with pytest.raises(DataError, match="not a name of a folder"):
            load_cohort(name, tmp_path)


@pytest.mark.parametrize("name", ["phantom", "phantom-null", "phantom-shapes"])
def test_a_phantom_is_made_once_and_whole(name, own_store, monkeypatch):
    calls, draw = [], phantom.draw_patients

    def two(count, seed, *, association=True):
        calls.append((count, seed, association))
        return draw(2, seed, association=association)

    monkeypatch.setattr(phantom, "draw_patients", two)
    first, second = load_cohort(name), load_cohort(name)
    size = (375, 2021) if name == "phantom-shapes" else (64, 2020)
    assert calls == [(*size, name != "phantom-null")]
    assert first.manifest_hash == second.manifest_hash
    assert first.root == phantom_folder(name)
    assert own_store in first.root.parents
    monkeypatch.setattr(cache, "VERSION", 99)
    load_cohort(name)
    assert len(calls) == 2  # another recipe is made anew


@pytest.fixture
def reads(tmp_path, write_cohort, monkeypatch):
    """Let ``inbreast`` be the small cohort; the list holds what its reader gives, and how often."""
    given = [read_manifest(write_cohort(tmp_path, "inbreast") / "manifest.csv")]

    def build_manifest(folder, store=None):
        given.append(given[0])
        return given[0].copy(), {"region of a single point": 3}

    module = SimpleNamespace(build_manifest=build_manifest)
    monkeypatch.setitem(sys.modules, "mammostudy.data.sources.inbreast", module)
    return given


def test_rows_with_faults_go_to_quarantine_or_are_refused(reads, tmp_path):
    folder = tmp_path / "inbreast"
    write_picture(folder / "masks" / "P1_CC.png", np.zeros((48, 64), np.uint8))
    with pytest.raises(DataError, match=r"1 fault\(s\) \(1 empty\)(.|\n)*P1_CC_1, empty: "):
        build("inbreast", folder, "inbreast", strict=True)
    assert not place("inbreast", "csv").exists()
    reads[0].loc[reads[0]["case"] == "P2_MLO_1", "shape"] = "blob"
    cohort = load_cohort("inbreast", tmp_path)
    assert len(list(cohort)) == 11  # every row that is left can be read
    rows = pd.read_csv(place("inbreast", "quarantine.csv"))
    assert tuple(rows.columns) == FAULTS
    found = dict(zip(rows["case"], rows["check"], strict=True))
    assert found == {"P2_MLO_1": "vocabulary", "P1_CC_1": "empty"}
    assert not set(found) & set(cohort.manifest["case"])
    assert rows["image"].tolist() == ["images/P2_MLO.png", "images/P1_CC.png"]
    assert "P1_CC.png" in rows["reason"][1]


@pytest.mark.parametrize("what", ["folder", "version", "build.json"])
def test_it_is_built_again_where_what_it_is_made_of_changes(what, reads, tmp_path, monkeypatch):
    cohort, again = load_cohort("inbreast", tmp_path), load_cohort("inbreast", tmp_path)
    assert (len(cohort), len(reads)) == (13, 2)  # read once
    assert cohort.dropped == again.dropped == {"region of a single point": 3}
    assert again.manifest_hash == cohort.manifest_hash
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


def test_films_with_boxes_alone_load_as_their_table_says(real_data):
    if not (real_data / "cbis-ddsm-800").is_dir():
        pytest.skip("no cbis-ddsm-800 in MAMMOSTUDY_DATA")
    cohort = load_cohort("cbis-ddsm-800")
    masses, parts = cohort.masses, cohort.masses.groupby("part")
    assert (len(cohort), masses["image"].nunique(), masses["patient"].nunique()) == (
        1530,
        1426,
        793,
    )
    assert parts["patient"].nunique().to_dict() == {"train": 630, "test": 163}
    assert masses["shape"].value_counts().to_dict() == {
        "irregular": 419, "oval": 356, "lobular": 340, "round": 133,
    }  # fmt: skip
    assert {task for task in TASKS if not lacking(cohort, task)} == {"detection", "shape"}
    split = split_cases(parted(cohort, masses, "official"), rule="official")
    assert (len(split.test), len(split.train) + len(split.validation)) == (316, 1214)
    held = set(describe("cbis-ddsm-800").held_out)
    tested = set(masses.loc[list(split.test), "patient"])
    assert held <= tested == set(masses.loc[masses["part"] == "test", "patient"])


@pytest.mark.parametrize("command", [data_commands.build, data_commands.check])
def test_notes_are_counted_and_kept(command, tmp_path, monkeypatch, capsys):
    """One view: a right breast that stands at the left edge, with text in the pixels."""
    folder = tmp_path / "clinic"
    said = {"BurnedInAnnotation": "YES", "ImageLaterality": "R", "ViewPosition": "CC"}
    write_dicom(folder / "a.dcm", breast() * noise((120, 100), 0) * np.uint16(16), **said)
    write_picture(folder / "a.png", np.pad(np.ones((16, 16), np.uint8), ((50, 54), (20, 64))))
    (folder / "cohort.csv").write_text("image,mask,patient\na.dcm,a.png,P")
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    command("clinic")
    told, kept = capsys.readouterr().out, place("clinic", "notes.csv").read_text()
    for note in ("BurnedInAnnotation is YES", MIRRORED):
        assert told.count(f"noted of 1 image(s): {note}") == kept.count(note) == 1
    assert "quarantined" not in told


@pytest.mark.parametrize(("name", "table"), [
    ("inbreast", "INbreast Release 1.0/INbreast.csv"), ("cmmd", "CMMD_clinicaldata_revision.xlsx"),
    ("cbis-ddsm", "tables/mass_case_description_test_set.csv"), ("ddsm", "cases/A-1141-1.ics"),
    ("cdd-cesm-archive", "Radiology-manual-annotations.xlsx"), ("clinic", "cohort.csv"),
])  # fmt: skip
def test_a_changed_table_of_any_owner_is_noticed(name, table, write_cohort, tmp_path, monkeypatch):
    rows = read_manifest(write_cohort(tmp_path, name) / "manifest.csv")
    (tmp_path / name / "manifest.csv").unlink()
    module = SimpleNamespace(build_manifest=lambda *_: (rows.copy(), {}))
    monkeypatch.setattr(load, "reader_module", lambda _: module)
    path = tmp_path / name / table
    path.parent.mkdir(exist_ok=True)
    path.write_text("image,patient\n")
    assert len(load_cohort(name, tmp_path)) == len(load_cohort(name, tmp_path))  # control
    path.write_text("image,patient,view\n")
    with pytest.raises(DataError, match=rf"{name}: .*data build {name}"):
        load_cohort(name, tmp_path)
