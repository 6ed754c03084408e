"""Chain runs on a tiny cohort with boxes laid by hand: nothing is trained."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.splits import split_views
from mammostudy.runs import chain as module
from mammostudy.runs.chain import Shapes, check_patients
from mammostudy.runs.detection_rows import judged_rows
from mammostudy.runs.execute import execute
from mammostudy.runs.kinds import ChainSpec, ShapeSpec
from mammostudy.runs.provenance import Result, record_content
from mammostudy.runs.record import Record, find_record, write_record

SPLIT = {"folds": 4, "validation_folds": 3}
ELLIPSE = {"cohort": "tiny", "variant": "baseline", "split": SPLIT, "frame": {"size": 32},
           "model": {"name": "ellipse"}, "optimiser": {"iterations": 0}}  # fmt: skip
SPEC = ChainSpec.parse(
    {"cohort": "tiny", "detector": {"cohort": "tiny", "split": SPLIT}, "segmenter": ELLIPSE}
)
FALSE = [26.0, 24.0, 34.0, 32.0]  # between the masses of every image


def detect(cohort, lay, spec=SPEC):
    """Write the record of a detector whose boxes ``lay(true boxes)`` gives, with scores."""
    split = split_views(cohort, **spec.split.model_dump())
    tables = []
    for part in ("validation", "test"):
        chosen = cohort.views.loc[list(getattr(split, part))]
        found = [lay(each.astype(np.float64)) for each in chosen.boxes]
        boxes, scores = ([np.asarray(each[k], np.float64) for each in found] for k in (0, 1))
        tables.append(judged_rows(part, chosen, boxes, scores))
    result = Result(split, pd.concat(tables, ignore_index=True))
    write_record(record_content(spec.detector, cohort, result, 0.0), result.rows)


def exact(true):
    return true, np.full(len(true), 0.9)


def masses(record, source):
    rows = record.cases
    assert set(rows["row"]) == {"mass"}
    return rows[rows["source"] == source].set_index("case")


def test_exact_boxes_cost_nothing(tiny, one):
    detect(tiny, exact)
    record = one(SPEC)
    oracle, detected = masses(record, "oracle"), masses(record, "detected")
    assert detected["found"].all()
    np.testing.assert_allclose(detected["dice"], oracle["dice"], atol=0.02)
    assert (masses(record, "truth")["dice"] == 1).all()
    assert 0.8 < oracle["dice"].mean() < 0.95  # an ellipse in a square: pi / 4
    assert masses(record, "jittered")["dice"].mean() < oracle["dice"].mean()
    assert (record.content["threshold"], record.converged) == (0.9, None)
    assert set(record.content["stages"]) == {"detector", "segmenter", "shapes"}
    assert detected[["label", "predicted"]].isna().all(axis=None)
    kept = record.predictions()
    assert set(kept) == set(detected.index)
    case, (mask, frame) = next(iter(kept.items()))
    assert (mask.shape, mask.dtype, frame.shape) == ((32, 32), bool, (4,))
    row = tiny.row(case)
    assert frame[2] - frame[0] == 2 * (row["x_max"] - row["x_min"])


def test_missed_masses_count_zero(tiny, one):
    def twice_and_false(true):  # the first mass twice, and one box on nothing
        return np.stack([true[0], true[0] + [1, 0, 1, 0], FALSE]), np.array([0.9, 0.8, 0.7])

    detect(tiny, twice_and_false)
    record = one(SPEC)
    detected = masses(record, "detected")
    first = detected.index.str.endswith("-1")
    assert detected["found"].tolist() == first.tolist()
    assert (detected.loc[~first, ["dice", "predicted_pixels"]] == 0).all(axis=None)
    assert (detected.loc[first, "dice"] > 0.5).all()


def test_a_detector_without_boxes_misses_everything(tiny, one):
    detect(tiny, lambda true: (np.zeros((0, 4)), np.zeros(0)))
    record = one(SPEC)
    assert record.content["threshold"] is None
    assert (masses(record, "detected")[["found", "dice"]] == 0).all(axis=None)
    assert (masses(record, "oracle")["dice"] > 0.8).all()
    assert record.predictions() == {}


def test_the_threshold_is_set_on_validation_by_the_rate(tiny, one):
    """Two false boxes a view: at 1 false positive a view the lower one and what is below go."""

    def lay(true):
        return np.stack([FALSE, true[0], [0, 0, 5, 5], true[1]]), np.array([0.9, 0.8, 0.5, 0.3])

    detect(tiny, lay)
    for rate, threshold, found in ((1.0, 0.8, 0.5), (2.0, 0.3, 1.0)):
        record = one(SPEC.changed(operating=rate))
        assert record.content["threshold"] == threshold
        assert masses(record, "detected")["found"].mean() == found


def test_pixels_of_other_masses_are_not_held_against_a_mass(tiny, one):
    """Everything in a frame is painted: what lies on the second mass alone does not count."""
    spec = SPEC.changed(segmenter__model__name="all-mass", segmenter__frame__scale=8.0)
    detect(tiny, exact, spec)
    row = masses(one(spec), "oracle").iloc[0]
    own = tiny.mask(str(row.name))
    other = tiny.truth(str(tiny.row(str(row.name))["image"])) & ~own
    painted = row["predicted_pixels"]
    assert other.any()
    spared = 2 * own.sum() / (painted - other.sum() + own.sum())
    assert row["dice"] == pytest.approx(spared, rel=0.02)
    assert row["dice"] > 2 * own.sum() / (painted + own.sum()) * 1.02  # without the rule


def test_stages_that_learnt_from_other_patients_are_refused(tiny, one, refuse, monkeypatch):
    detect(tiny, exact)
    with pytest.raises(DataError, match="a segmentation run that this run works on has no record"):
        execute(SPEC)
    segmenter = one(SPEC.segmenter)
    detector = find_record(SPEC.detector, tiny.manifest_hash)
    told = replace(segmenter, content=deepcopy(segmenter.content))
    split = told.content["split"]
    split["train"], split["test"] = split["test"], split["train"]
    with pytest.raises(SpecError, match="stands in the train part of only one"):
        check_patients(tiny, detector, told)
    split["train"] = ["elsewhere-1"]
    with pytest.raises(SpecError, match="the segmenter's mass elsewhere-1 is not in it"):
        check_patients(tiny, detector, told)
    monkeypatch.setattr(module, "check_patients", refuse)
    with pytest.raises(RuntimeError, match="ran"):  # it is asked
        execute(SPEC)


def test_a_classifier_judges_only_patients_new_to_it(tiny, monkeypatch):
    splits = [
        {"test": ["p0-1", "p0-2"], "train": ["p1-1", "p2-2"], "validation": []},
        {"test": ["p1-1", "p1-2"], "train": ["p0-1"], "validation": ["p2-1"]},
    ]
    spec = ShapeSpec(cohort="tiny").model_dump(mode="json")
    records = [Record(Path(str(n)), {"spec": spec, "split": s}) for n, s in enumerate(splits)]
    monkeypatch.setattr(module, "labelled", lambda *_: tiny.masses.assign(label="round"))
    asked = {}

    def told(record, masks):
        asked[record.folder.name] = len(masks)
        return [(f"by {record.folder.name}", 0.5)] * len(masks)

    monkeypatch.setattr(module, "_told_by", told)
    shapes = Shapes(records, tiny)
    names, shares = shapes.tell([np.ones((3, 3), bool)] * 4, ["p0", "p1", "p2", "p7"])
    assert names == ["by 0", "by 1", None, "by 0"]  # p2 is new to none, p7 to both
    assert np.isnan(shares[2])
    assert asked == {"0": 2, "1": 1}
    assert set(shapes.labels.values()) == {"round"}
