"""Records made by hand: a few cases with numbers that can be checked in the head."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.runs.record import read_record, write_record

SIDE = 8
CASES = ("a1", "a2", "b1", "c1")


def name_of(fold):
    """First letters of a fold's cases; the first fold's have none."""
    return f"f{fold}" if fold else ""


def cases_of(dice, fold=0):
    """Rows of four test cases of three patients a fold, ``dice`` a value or one a case."""
    values = np.broadcast_to(np.asarray(dice, dtype=float), len(CASES))
    rows = []
    for box, loss in (("oracle", 0.0), ("jittered", 0.1)):
        for steps, gain in (("none", 0.0), ("close3+erode2+dilate3", 0.01)):
            for case, value in zip(CASES, values, strict=True):
                score = max(value - loss + gain, 0)
                rows.append(
                    {
                        "part": "test", "case": f"{name_of(fold)}{case}", "site": "s",
                        "patient": f"{name_of(fold)}{case[0]}", "box": box,
                        "postprocessing": steps, "dice": score, "iou": score / (2 - score),
                        "precision": score, "recall": score, "hd95": 2.0, "assd": 1.0,
                        "dice_image": score / 2, "iou_image": score / 4, "truth_pixels": 16,
                        "predicted_pixels": 32, "company_pixels": 0, "diagonal": SIDE * 2**0.5,
                        "boundary_iou": score / 3 if steps == "none" else np.nan,
                    }
                )  # fmt: skip
    rows.append({**rows[0], "part": "validation", "case": "v1", "patient": "v", "dice": 0.0})
    return pd.DataFrame(rows)


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A writer of records into a store of the test's own; their cohort's data are not at hand."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path))
    monkeypatch.setattr("mammostudy.runs.record.manifest_hash", lambda cohort: None)
    monkeypatch.setattr("mammostudy.runs.record.results_root", lambda: tmp_path / "committed")

    def writer(spec, dice, *, converged=True, curves=None, status="completed"):
        key = spec.key("0" * 16)
        content = {
            "spec": spec.model_dump(mode="json"),
            "key": key,
            "recipe_key": spec.recipe_key(),
            "manifest_hash": "0" * 16,
            "status": status,
            "converged": None if spec.is_baseline else converged,
            "curves": curves or [],
            "split": {"train": ["t1", "t2"]},
            "provenance": {"commit": "abc", "seconds": 90.0, "training_seconds": 90.0},
        }
        fold = spec.split.fold
        names = [f"{name_of(fold)}{case}" for case in CASES]
        masks = {case: np.zeros((SIDE, SIDE), bool) for case in (*names, "v1")}
        masks[names[0]][:, :4] = True
        masks["v1"][:] = True
        record = write_record(content, cases_of(dice, fold), masks)
        return read_record(record.folder)

    return writer


@pytest.fixture
def write_shape(tmp_path, monkeypatch):
    """A writer of shape records into a store of the test's own (see ``shape_records.py``)."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path))
    monkeypatch.setattr("mammostudy.runs.record.manifest_hash", lambda cohort: None)
    monkeypatch.setattr("mammostudy.runs.record.results_root", lambda: tmp_path / "committed")
    return _module("shape_records").write_shape_fold


def _module(name):
    """Import a module that lies beside this one: the tests' folders are no packages."""
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
