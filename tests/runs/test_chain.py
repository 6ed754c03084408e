"""Chain runs on a tiny cohort with boxes laid by hand: nothing is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.data.splits import Split
from mammostudy.data.views import split_views, views_of
from mammostudy.errors import DataError, SpecError
from mammostudy.runs import chain as module
from mammostudy.runs.chain import check_patients
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.chain_stages import Shapes, frame_boxes, whole_box
from mammostudy.runs.detection_rows import judged_rows
from mammostudy.runs.execute import ensure, execute
from mammostudy.runs.record_content import record_content
from mammostudy.runs.store import ChainRecord, find_record, write_detection_record

SPLIT = {"folds": 4, "validation_folds": 3}
ELLIPSE = {"cohort": "tiny", "variant": "baseline", "split": SPLIT, "frame": {"size": 32},
           "model": {"name": "ellipse"}, "optimiser": {"iterations": 0}}  # fmt: skip
SPEC = ChainSpec.parse(
    {
        "cohort": "tiny",
        "detector": {"cohort": "tiny", "split": SPLIT},
        "segmenter": ELLIPSE,
    }
)
FALSE = [26.0, 24.0, 34.0, 32.0]  # between the masses of every image


def detect(cohort: Cohort, spec: ChainSpec, lay: Any) -> None:
    """Write the record of a detector whose boxes ``lay(true boxes)`` gives, with scores."""
    split = split_views(cohort, **spec.split.model_dump())
    views = views_of(cohort)
    tables = []
    for part in ("validation", "test"):
        chosen = views.take(getattr(split, part))
        found = [lay(each.astype(np.float64)) for each in chosen.boxes]
        boxes, scores = ([np.asarray(each[k], np.float64) for each in found] for k in (0, 1))
        tables.append(judged_rows(part, chosen, boxes, scores))
    content = record_content(
        spec.detector, cohort, Split(**split.parts()), None, 0.0, "validation_sensitivity"
    )
    write_detection_record(content | {"box_sides": []}, pd.concat(tables, ignore_index=True))


def run(spec: ChainSpec = SPEC) -> ChainRecord:
    """Run a chain, and its segmenter before it."""
    record = ensure([spec], workers=1, progress=False)[0]
    assert isinstance(record, ChainRecord)
    return record


def exact(true: np.ndarray) -> tuple[Any, Any]:
    return true, np.full(len(true), 0.9)


def first_and_false(true: np.ndarray) -> tuple[Any, Any]:
    """The first mass, found twice, and one box on nothing."""
    again = true[0] + [1, 0, 1, 0]
    return np.stack([true[0], again, FALSE]), np.array([0.9, 0.8, 0.7])


def masses(record: ChainRecord, source: str) -> pd.DataFrame:
    rows = record.rows("mass")
    return rows[rows["source"] == source].set_index("case")


def test_exact_boxes_cost_nothing(tiny: Cohort) -> None:
    detect(tiny, SPEC, exact)
    record = run()
    oracle, detected = masses(record, "oracle"), masses(record, "detected")
    assert detected["found"].all()
    assert (detected["iou"] == 1).all()
    np.testing.assert_allclose(detected["dice"], oracle["dice"], atol=0.02)
    assert (masses(record, "truth")["dice"] == 1).all()
    assert 0.8 < oracle["dice"].mean() < 0.95  # an ellipse in a square: pi / 4
    assert masses(record, "jittered")["dice"].mean() < oracle["dice"].mean()
    views = record.rows("view")
    assert (views["boxes"] == 2).all()
    assert not views[["false_boxes", "repeats"]].any().any()
    assert record.rows("box").empty
    assert record.threshold == 0.9
    assert record.converged is None
    assert set(record.stages) == {"detector", "segmenter", "shapes"}
    assert set(record.cases["patient"]) <= {f"p{n}" for n in range(8)}
    assert detected["label"].isna().all()
    assert detected["predicted"].isna().all()


def test_masks_and_frames_are_kept_by_case(tiny: Cohort) -> None:
    detect(tiny, SPEC, exact)
    record = run()
    kept = record.predictions()
    assert set(kept) == set(masses(record, "detected").index)
    case, (mask, frame) = next(iter(kept.items()))
    assert mask.shape == (32, 32)
    assert mask.dtype == bool
    assert frame.shape == (4,)
    x_min, _, x_max, _ = frame.tolist()
    row = tiny.row(case)
    assert x_max - x_min == 2 * (row["x_max"] - row["x_min"])
    again = find_record(SPEC, tiny.manifest_hash)
    assert again is not None
    assert again.key == record.key
    assert again.spec == SPEC


def test_missed_masses_count_zero_and_false_boxes_are_painted(tiny: Cohort) -> None:
    detect(tiny, SPEC, first_and_false)
    record = run()
    detected = masses(record, "detected")
    first = detected.index.str.endswith("-1")
    assert detected["found"].tolist() == first.tolist()
    assert (detected.loc[~first, "dice"] == 0).all()
    assert (detected.loc[first, "dice"] > 0.5).all()
    assert (detected.loc[~first, "predicted_pixels"] == 0).all()
    assert detected.loc[~first, ["score", "iou"]].isna().all().all()
    views, boxes = record.rows("view"), record.rows("box")
    assert (views["boxes"] == 3).all()
    assert (views["false_boxes"] == 1).all()
    assert (views["repeats"] == 1).all()
    assert sorted(boxes["kind"].unique()) == ["false", "repeat"]
    false = boxes[boxes["kind"] == "false"]
    area = np.pi / 4 * 8 * 8
    assert (false["predicted_pixels"].between(0.7 * area, 1.3 * area)).all()
    assert (false["painted"] <= false["predicted_pixels"]).all()
    repeat = boxes[boxes["kind"] == "repeat"]
    assert (repeat["painted"] < repeat["predicted_pixels"] / 2).all()


def test_a_detector_without_boxes_misses_everything(tiny: Cohort) -> None:
    detect(tiny, SPEC, lambda true: (np.zeros((0, 4)), np.zeros(0)))
    record = run()
    assert record.threshold == np.inf
    assert record.content["threshold"] is None
    detected = masses(record, "detected")
    assert not detected["found"].any()
    assert (detected["dice"] == 0).all()
    assert (masses(record, "oracle")["dice"] > 0.8).all()
    assert record.predictions() == {}
    assert record.rows("box").empty


def test_the_threshold_is_set_on_validation_by_the_rate(tiny: Cohort) -> None:
    """Two false boxes a view: at 1 false positive a view the lower one and what is below go."""

    def lay(true: np.ndarray) -> tuple[Any, Any]:
        boxes = np.stack([FALSE, true[0], [0, 0, 5, 5], true[1]])
        return boxes, np.array([0.9, 0.8, 0.5, 0.3])

    detect(tiny, SPEC, lay)
    record = run()
    assert record.threshold == 0.8
    assert masses(record, "detected")["found"].mean() == 0.5
    both = run(SPEC.changed(operating=2.0))
    assert both.threshold == 0.3
    assert masses(both, "detected")["found"].all()


def test_pixels_of_other_masses_are_not_held_against_a_mass(tiny: Cohort) -> None:
    """Everything in a frame is painted: what lies on the second mass alone does not count."""
    spec = SPEC.changed(segmenter__model__name="all-mass", segmenter__frame__scale=8.0)
    detect(tiny, spec, exact)
    row = masses(run(spec), "oracle").iloc[0]
    own = tiny.mask(str(row.name))
    other = tiny.truth(str(tiny.row(str(row.name))["image"])) & ~own
    painted = row["predicted_pixels"]
    assert painted > 64 * 64 / 2
    assert other.any()
    spared = 2 * own.sum() / (painted - other.sum() + own.sum())
    assert row["dice"] == pytest.approx(spared, rel=0.02)
    assert row["dice"] > 2 * own.sum() / (painted + own.sum()) * 1.02  # without the rule


def test_stages_that_learnt_from_other_patients_are_refused(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect(tiny, SPEC, exact)
    segmenter = ensure([SPEC.segmenter], workers=1, progress=False)[0]
    split = segmenter.content["split"]
    split["train"], split["test"] = split["test"], split["train"]
    detector = find_record(SPEC.detector, tiny.manifest_hash)
    assert detector is not None
    with pytest.raises(SpecError, match="stands in the train part of only one"):
        check_patients(tiny, detector, segmenter)
    split["train"] = ["elsewhere-1"]
    with pytest.raises(SpecError, match="the segmenter's mass elsewhere-1 is not in it"):
        check_patients(tiny, detector, segmenter)


def test_the_run_asks_for_that_check(tiny: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    detect(tiny, SPEC, exact)

    def refuse(*_: object) -> None:
        raise SpecError("asked")

    ensure([SPEC.segmenter], workers=1, progress=False)
    monkeypatch.setattr(module, "check_patients", refuse)
    with pytest.raises(SpecError, match="asked"):
        execute(SPEC)


def test_a_stage_without_a_record_is_named(tiny: Cohort) -> None:
    detect(tiny, SPEC, exact)
    with pytest.raises(DataError, match="a stage of this chain has no record"):
        execute(SPEC)


@pytest.mark.parametrize(
    ("edges", "box"),
    [
        ((1.4, 2.6, 10.2, 12.5), (1, 3, 10, 12)),
        ((-5, -5, 4, 4), (0, 0, 4, 4)),
        ((60, 30, 90, 90), (60, 30, 64, 40)),
        ((5.2, 5.2, 5.4, 5.4), (5, 5, 6, 6)),
        ((70, 50, 80, 60), (63, 39, 64, 40)),
    ],
)
def test_boxes_become_whole_inside_the_image(edges: Any, box: Any) -> None:
    assert whole_box(edges, (40, 64)) == box


def test_frames_are_those_of_the_segmenter(tiny: Cohort) -> None:
    """The known box framed by hand gives what the segmenter's own framing gives."""
    from mammostudy.data.frames import frame_cohort

    run = SPEC.segmenter
    whole = frame_cohort(tiny, run.frame, run.preprocessing)
    samples = [tiny.sample(case) for case in whole.cases[:3]]
    mine = frame_boxes([each.image for each in samples], [each.box for each in samples], run)
    np.testing.assert_array_equal(mine.images, whole.images[:3])
    np.testing.assert_array_equal(mine.boxes, whole.boxes[:3])
    np.testing.assert_allclose(mine.given, whole.given[:3], rtol=1e-6)


class Judge:
    """The part of a shape record that says who may judge whom."""

    def __init__(self, spec: Any, split: dict[str, list[str]]) -> None:
        self.spec, self.content = spec, {"split": split}


def test_a_classifier_judges_only_patients_new_to_it(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mammostudy.runs.shape_spec import ShapeSpec

    cases = {n: [f"p{n}-1", f"p{n}-2"] for n in range(8)}
    spec = ShapeSpec.parse({"cohort": "tiny"})
    train = {
        0: {"test": cases[0], "train": cases[1] + cases[2], "validation": []},
        1: {"test": cases[1], "train": cases[0], "validation": cases[2]},
    }
    labels = tiny.masses.assign(label="round")
    monkeypatch.setattr("mammostudy.runs.chain_stages.labelled", lambda *_: labels)
    shapes = Shapes([Judge(spec, split) for split in train.values()], tiny)  # type: ignore[misc]
    asked: dict[int, int] = {}

    def told(number: int, masks: list[Any]) -> list[tuple[str, float]]:
        asked[number] = len(masks)
        return [(f"by {number}", 0.5)] * len(masks)

    monkeypatch.setattr(shapes, "_told_by", told)
    mask = np.ones((3, 3), bool)
    names, shares = shapes.tell([mask] * 4, ["p0", "p1", "p2", "p7"])
    assert names == ["by 0", "by 1", None, "by 0"]  # p2 is new to none, p7 to both
    assert np.isnan(shares[2])
    assert asked == {0: 2, 1: 1}
