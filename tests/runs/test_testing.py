"""Whom a run is tested on: its own cohort, another one, never a patient it has met."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import write_manifest
from mammostudy.errors import DataError, MissingDataError
from mammostudy.evaluation import boundary_iou
from mammostudy.runs.execute import ensure, split_of
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record
from mammostudy.runs.testing import test_cohort as tested


def one(spec: RunSpec) -> Record:
    (record,) = ensure([spec], workers=1, progress=False)
    return record


def write_other(folder: Path, patients: list[str]) -> Cohort:
    """Write the masses of some patients of the cohort ``tiny`` again, as the cohort ``other``."""
    other = folder / "data" / "other"
    other.mkdir()
    for name in ("images", "masks"):
        (other / name).symlink_to(folder / "data" / "tiny" / name)
    rows = pd.read_csv(folder / "data" / "tiny" / "manifest.csv")
    names = rows["patient"].unique()[: len(patients)]
    kept = rows[rows["patient"].isin(names)].copy()
    kept["patient"] = kept["patient"].map(dict(zip(names, patients, strict=True)))
    for room in ("images", "masks"):
        (other / room).unlink()
        (other / room).mkdir()
        for path in (folder / "data" / "tiny" / room).iterdir():
            (other / room / path.name).write_bytes(path.read_bytes())
    write_manifest(kept, other / "manifest.csv")
    return load_cohort("other")


def test_without_another_cohort_it_is_the_test_part(tiny: Cohort, tiny_spec: RunSpec) -> None:
    split = split_of(tiny, tiny_spec)
    assert tested(tiny_spec, tiny, split) == {"test": (tiny, split.test)}


def test_another_cohort_lends_only_patients_that_are_new(
    own_folders: Path, tiny: Cohort, tiny_spec: RunSpec
) -> None:
    split = split_of(tiny, tiny_spec)
    patients = tiny.masses["patient"]
    met, new = patients[split.train[0]], patients[split.test[0]]
    other = write_other(own_folders, [met, new, "stranger"])
    spec = tiny_spec.changed(evaluation__test_cohort="other")
    found, cases = tested(spec, tiny, split)["test"]
    assert found.name == "other"
    assert set(other.masses.loc[list(cases), "patient"]) == {new, "stranger"}
    record = one(spec)
    rows = record.cases
    assert set(rows.loc[rows["part"] == "test", "case"]) == set(cases)
    assert set(rows.loc[rows["part"] == "validation", "case"]) == set(split.validation)
    assert record.content["split"]["test"] == list(cases)
    assert record.content["test_manifest_hash"] == other.manifest_hash
    assert record.content["training_key"] == tiny_spec.training_key(tiny.manifest_hash)


def test_a_cohort_of_known_patients_alone_is_refused(
    own_folders: Path, tiny: Cohort, tiny_spec: RunSpec
) -> None:
    split = split_of(tiny, tiny_spec)
    write_other(own_folders, [tiny.masses["patient"][split.train[0]]])
    with pytest.raises(DataError, match="test_cohort other: the run has trained on or validated"):
        tested(tiny_spec.changed(evaluation__test_cohort="other"), tiny, split)


def test_a_missing_cohort_stops_before_training(tiny: Cohort, tiny_spec: RunSpec) -> None:
    with pytest.raises(MissingDataError, match="nowhere"):
        one(tiny_spec.changed(evaluation__test_cohort="nowhere"))


def test_the_boundary_is_that_of_the_kept_masks(tiny: Cohort, tiny_spec: RunSpec) -> None:
    from mammostudy.data.frames import frame_cohort

    spec = tiny_spec.changed(evaluation__boundary=True)
    record = one(spec)
    raw = record.cases.query("box == 'oracle' and postprocessing == 'none'").set_index("case")
    kept = record.predictions()
    framed = frame_cohort(tiny, spec.frame, spec.preprocessing).take(list(kept))
    expected = boundary_iou(np.stack(list(kept.values())), framed.masks)
    assert raw["boundary_iou"][list(kept)].to_numpy() == pytest.approx(expected, abs=1e-4)
    finished = record.cases[record.cases["postprocessing"] != "none"]
    assert finished["boundary_iou"].isna().all()
