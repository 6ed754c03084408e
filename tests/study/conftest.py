"""Records made by hand: a few cases with numbers that can be checked in the head."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.runs.record import read_record, write_record

SIDE = 8
CASES = ("a1", "a2", "b1", "c1")


def cases_of(dice, named="", validation=0.0):
    """Rows of four test cases of three patients, ``dice`` a value or one a case."""
    values = np.broadcast_to(np.asarray(dice, dtype=float), len(CASES))
    cells = [
        ("test", f"{named}{case}", f"{named}{case[0]}", box, steps, max(value - loss + gain, 0))
        for box, loss in (("oracle", 0.0), ("jittered", 0.1))
        for steps, gain in (("none", 0.0), ("close3+erode2+dilate3", 0.01))
        for case, value in zip(CASES, values, strict=True)
    ]
    cells.append(("validation", "v1", "v", "oracle", "none", validation))
    columns = ["part", "case", "patient", "box", "postprocessing", "dice"]
    rows = pd.DataFrame(cells, columns=columns)
    score = rows["dice"]
    return rows.assign(
        site="s", iou=score / (2 - score), precision=score, recall=score, hd95=2.0, assd=1.0,
        dice_image=score / 2, iou_image=score / 4, truth_pixels=16, predicted_pixels=32,
        company_pixels=0, diagonal=SIDE * 2**0.5,
        boundary_iou=(score / 3).where(rows["postprocessing"] == "none"),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store of the test's own; the cohorts' data are not at hand."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path))
    monkeypatch.setattr("mammostudy.runs.record.manifest_hash", lambda cohort: None)
    monkeypatch.setattr("mammostudy.runs.record.results_root", lambda: tmp_path / "committed")


@pytest.fixture
def write(store):
    """A writer of records into a store of the test's own."""

    def writer(spec, dice, *, converged=True, curves=None, status="completed", validation=0.0):
        key = spec.key("0" * 16)
        content = {
            "spec": spec.model_dump(mode="json"), "key": key, "recipe_key": spec.recipe_key(),
            "manifest_hash": "0" * 16, "status": status, "curves": curves or [],
            "converged": None if spec.is_baseline else converged,
            "split": {"train": ["t1", "t2"]}, "provenance": {"commit": "abc", "seconds": 90.0},
        }  # fmt: skip
        named = f"f{spec.split.fold}" if spec.split.fold else ""
        names = [f"{named}{case}" for case in CASES]
        masks = {case: np.zeros((SIDE, SIDE), bool) for case in (*names, "v1")}
        masks[names[0]][:, :4] = True
        masks["v1"][:] = True
        record = write_record(content, cases_of(dice, named, validation), masks)
        return read_record(record.folder)

    return writer


@pytest.fixture
def write_shape(store):
    """A writer of shape records, which lies beside: the tests' folders are no packages."""
    path = Path(__file__).with_name("shape_records.py")
    return runpy.run_path(str(path))["write_shape_fold"]
