"""Detection runs from spec to record: views, boxes in their own pixels, guards, divergence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torchmetrics.detection import MeanAveragePrecision

from mammostudy.data import views as views_module
from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.splits import Split
from mammostudy.data.views import split_views, views_of
from mammostudy.errors import DataError
from mammostudy.evaluation.detection import precision_of
from mammostudy.models import build_detector
from mammostudy.models.detectors import common
from mammostudy.paths import store_root
from mammostudy.runs import detect as module
from mammostudy.runs import detect_spec as spec_module
from mammostudy.runs import execute as execution
from mammostudy.runs.detect import label_of, squares_of
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.detection_rows import COCO, EDGES, matches_of
from mammostudy.runs.execute import cannot_run, ensure, missing
from mammostudy.runs.store import DetectionRecord, local_records, read_record, weights_path
from mammostudy.training import detection as training


class RanError(Exception):
    """Something ran that should not have."""


def refuse(*args: object, **fields: object) -> None:
    raise RanError


def light_spec() -> DetectSpec:
    """Four steps of the light SSD at 64 px."""
    return DetectSpec.parse(
        {
            "cohort": "views",
            "variant": "study",
            "split": {"folds": 3, "validation_folds": 4},
            "detector": {"name": "ssd-light", "size": 64, "width": 8, "aspect": "letterbox"},
            "training": {"iterations": 4, "batch": 4, "validations": 2},
        }
    )


@pytest.fixture
def spec() -> DetectSpec:
    """What :func:`light_spec` says; its record stands in the store."""
    return light_spec()


@pytest.fixture(scope="session")
def _searched(tmp_path_factory: pytest.TempPathFactory, write_views: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("searched")
    write_views(root / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(root / "store"))
        patch.setenv("MAMMOSTUDY_DATA", str(root / "data"))
        ensure([light_spec()], workers=1, progress=False)
    return root


@pytest.fixture
def cohort(_searched: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Cohort:
    """Twelve patients, four without a mass; 25 views of 48 x 64 pixels; a store of its own."""
    shutil.copytree(_searched / "store", own_folders / "store")
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(_searched / "data"))
    return load_cohort("views")


def prior_of(spec: DetectSpec, **changes: Any) -> DetectSpec:
    plain = {"cohort": "views", "variant": "baseline", "split": spec.split.model_dump()}
    plain |= {"detector": {"name": "fixed-prior"}, "training": {"iterations": 0}}
    return DetectSpec.parse(plain).changed(**changes)


def one(spec: DetectSpec) -> DetectionRecord:
    (record,) = ensure([spec], workers=1, progress=False)
    assert isinstance(record, DetectionRecord)
    return record


def weights_of(record: DetectionRecord) -> dict[str, torch.Tensor]:
    return load_file(weights_path(str(record.content["training_key"])))


def same_weights(one_: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one_.items())


def test_a_record_is_complete(cohort: Cohort, spec: DetectSpec) -> None:
    record = one(spec)
    assert record.spec == spec
    assert record.key == spec.key(cohort.manifest_hash)
    assert (record.status, record.converged) == ("completed", False)
    assert record.content["recipe_versions"] == spec.recipe_versions()
    assert record.curves["iteration"].tolist() == [1, 2, 3, 4]
    assert record.curves[module.METRIC].dropna().between(0, 1).tolist() == [True] * 2
    assert (record.curves["seconds"].diff().dropna() >= 0).all()
    split = split_views(cohort, **spec.split.model_dump())
    assert record.content["split"] == {name: list(v) for name, v in split.parts().items()}
    for part in ("validation", "test"):
        rows = record.part(part)
        assert tuple(rows.loc[rows["row"] == "view", "view"]) == split.parts()[part]
        taken = views_of(cohort).take(split.parts()[part])
        assert [case for cases in taken.cases for case in cases] == rows["case"].dropna().tolist()
    assert set(record.cases["part"]) == {"validation", "test"}
    box = record.cases[record.cases["row"] == "box"]
    assert len(box) > 0
    assert (box[["x_min", "y_min"]] >= 0).all(axis=None)
    assert (box["x_max"] <= 64).all()
    assert (box["y_max"] <= 48).all()  # the padding of the letterbox is no place for a mass
    assert (box["x_max"] - box["x_min"] >= 0.9).all()
    assert box["score"].between(0, 1).all()
    assert box.groupby("view").size().max() <= 20
    assert record.provenance["training_seconds"] > 0
    again = read_record(record.folder)
    assert isinstance(again, DetectionRecord)
    pd.testing.assert_frame_equal(again.cases, record.cases)
    assert {path.name for path in record.folder.iterdir()} == {"record.json", "cases.csv"}
    assert not list((store_root() / "checkpoints").glob("*.pt"))  # they have served


def test_box_sides_are_those_of_the_training_masses(cohort: Cohort, spec: DetectSpec) -> None:
    record = one(spec)
    split = split_views(cohort, **spec.split.model_dump())
    boxes = np.concatenate(views_of(cohort).take(split.train).boxes)
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])) / 64
    assert min(record.box_sides) >= sides.min() - 1e-4
    assert max(record.box_sides) <= sides.max() + 1e-4
    assert one(spec.changed(detector__anchors="default")).box_sides == ()
    assert one(prior_of(spec)).box_sides == ()


def test_average_precision_of_a_record_is_cocos(cohort: Cohort, spec: DetectSpec) -> None:
    """torchmetrics with faster-coco-eval on the boxes of the record and the cohort's own."""
    record = one(spec.changed(training__iterations=40, training__learning_rate=3e-3))
    rows = record.part("test")
    views = views_of(cohort).take(tuple(rows.loc[rows["row"] == "view", "view"]))
    metric = MeanAveragePrecision(
        iou_thresholds=[round(0.5 + 0.05 * step, 2) for step in range(10)],
        rec_thresholds=np.linspace(0, 1, 101).tolist(),
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    rows = rows.assign(score=rows["score"].rank(method="first") / 1024)  # ties count otherwise
    boxes = rows[rows["row"] == "box"]
    for name, true in zip(views.names, views.boxes, strict=True):
        mine = boxes[boxes["view"] == name]
        metric.update(
            [{"boxes": torch.tensor(mine[list(EDGES)].to_numpy(np.float32)),
              "scores": torch.tensor(mine["score"].to_numpy(np.float32)),
              "labels": torch.zeros(len(mine), dtype=torch.int64)}],
            [{"boxes": torch.from_numpy(true),
              "labels": torch.zeros(len(true), dtype=torch.int64)}],
        )  # fmt: skip
    wanted = metric.compute()
    found = precision_of([matches_of(rows, rule, "false_positive") for rule in COCO])
    assert found.by_threshold[0] > 0
    assert found.value == pytest.approx(float(wanted["map"]), abs=1e-6)
    assert found.by_threshold[0] == pytest.approx(float(wanted["map_50"]), abs=1e-6)


def test_squares_are_the_views_and_boxes_map_there_and_back(
    cohort: Cohort, spec: DetectSpec
) -> None:
    views = views_of(cohort).take(("P0_CC_1", "free", "P9_CC_1"))
    for aspect in ("letterbox", "stretch"):
        squares, places = squares_of(spec.changed(detector__aspect=aspect), cohort, views)
        assert squares.shape == (3, 1, 64, 64)
        assert squares.dtype == torch.float32
        for square, where, name in zip(squares, places, views.names, strict=True):
            row = cohort.manifest.set_index("case", drop=False).loc[name]
            image = torch.from_numpy(cohort.image(row))
            wanted, place = common.place(image[None], 64, aspect)  # type: ignore[arg-type]
            assert where == place
            torch.testing.assert_close(square, wanted, atol=1e-5, rtol=0)
        boxes = torch.from_numpy(views.boxes[0])
        torch.testing.assert_close(places[0].to_image(places[0].to_square(boxes)), boxes)


def test_squares_are_made_once_and_anew_when_placing_changes(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = views_of(cohort)
    squares_of(spec, cohort, views)
    monkeypatch.setattr(common, "place", refuse)
    squares_of(spec, cohort, views.take(("free",)))
    monkeypatch.setattr(common, "VERSION", common.VERSION + 1)
    with pytest.raises(RanError):
        squares_of(spec, cohort, views)


def test_the_prior_box_by_hand(cohort: Cohort, spec: DetectSpec) -> None:
    record = one(prior_of(spec))
    assert (record.status, record.converged) == ("completed", None)
    assert record.curves.empty
    assert len(list(store_root().rglob("*.safetensors"))) == 1  # of the light SSD
    split = split_views(cohort, **spec.split.model_dump())
    train = views_of(cohort).take(split.train)
    rows = record.cases
    sides = rows[rows["row"] == "view"].set_index("view")["side"]
    boxes = rows[rows["row"] == "box"]
    assert (boxes["score"] == 0.5).all()
    assert len(boxes) == len(sides)  # one a view, those without a mass included
    for side in ("L", "R"):
        of = (train.table["side"] == side).to_numpy()
        mean = np.concatenate([b for b, mine in zip(train.boxes, of, strict=True) if mine]).mean(0)
        mine = boxes[boxes["view"].map(sides) == side]
        np.testing.assert_allclose(mine[list(EDGES)].to_numpy(float), [mean] * len(mine), atol=0.06)
    both = boxes[list(EDGES)].drop_duplicates()
    assert len(both) == 2  # a box a side


def test_a_side_without_a_training_mass_gets_the_mean_of_all(
    cohort: Cohort, spec: DetectSpec
) -> None:
    split = split_views(cohort, **spec.split.model_dump())
    rows = cohort.manifest.copy()
    views = views_of(cohort)
    odd = str(views.table.loc[split.test[0], "image"])
    rows.loc[rows["image"] == odd, "side"] = "unknown"
    record = module.run_detection(prior_of(spec), replace(cohort, manifest=rows), False)
    boxes = record.cases[record.cases["row"] == "box"].set_index("view")
    mean = np.concatenate(views.take(split.train).boxes).mean(axis=0)
    np.testing.assert_allclose(boxes.loc[split.test[0], list(EDGES)].astype(float), mean, atol=0.06)


def test_same_spec_same_rows_other_seed_others(cohort: Cohort, spec: DetectSpec) -> None:
    first = one(spec)
    weights = weights_of(first)
    shutil.rmtree(store_root())
    torch.manual_seed(77)
    again = one(spec)
    pd.testing.assert_frame_equal(again.cases, first.cases)
    assert same_weights(weights, weights_of(again))
    assert not same_weights(weights, weights_of(one(spec.changed(seed=1))))


def test_a_second_call_runs_nothing(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [spec, prior_of(spec)]
    assert missing(specs) == specs[1:]
    first = [one(each) for each in specs]
    monkeypatch.setattr(module, "run_detection", refuse)
    assert [one(each).key for each in specs] == [record.key for record in first]
    assert execution.execute(spec, progress=False).key == first[0].key
    assert missing(specs) == []
    with pytest.raises(RanError):  # the control
        one(spec.changed(seed=1))


def test_a_detector_without_its_library_holds_up_no_other_run(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"name": "rt-detr", "size": 64, "aspect": "letterbox"}
    lacking = DetectSpec.parse(
        {"cohort": "views", "split": spec.split.model_dump(), "detector": asked}
    )
    specs = [lacking, prior_of(spec)]
    monkeypatch.setattr(spec_module, "find_spec", lambda package: None)
    (made,) = ensure(specs, workers=1, progress=False)
    assert made.spec == specs[1]
    assert missing(specs) == [lacking]
    (reason,) = cannot_run(specs).values()
    assert reason == "rt-detr needs the package transformers: pip install 'mammostudy[detr]'"
    monkeypatch.setattr(spec_module, "find_spec", lambda package: package)
    monkeypatch.setattr(module, "run_detection", refuse)
    assert cannot_run(specs) == {}
    with pytest.raises(RanError):  # the control: with the library it is run
        ensure(specs, workers=1, progress=False)


def test_another_variant_reads_the_weights(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = one(spec)
    monkeypatch.setattr(training, "fit_detector", refuse)
    other = one(spec.changed(variant="alternative"))
    assert other.key != first.key
    assert other.content["curves"] == first.content["curves"]
    pd.testing.assert_frame_equal(other.cases, first.cases)
    with pytest.raises(RanError):
        one(spec.changed(seed=1))


@pytest.mark.parametrize("suffix", [".safetensors", ".history"])
def test_damaged_weights_are_trained_again(suffix: str, cohort: Cohort, spec: DetectSpec) -> None:
    first = one(spec)
    shutil.rmtree(local_records())
    path = weights_path(spec.training_key(cohort.manifest_hash)).with_suffix(suffix)
    path.write_bytes(path.read_bytes()[:50])
    pd.testing.assert_frame_equal(one(spec).cases, first.cases)


def test_a_killed_run_leaves_no_record_and_resumes(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = one(spec)
    weights = weights_of(whole)
    shutil.rmtree(store_root())
    monkeypatch.setattr("mammostudy.training.loop.CHECKPOINT_SECONDS", -1.0)
    usual, taken = training.batch_of, []

    def cut(n: int, iteration: int, batch: int, seed: int) -> torch.Tensor:
        taken.append(iteration)
        if len(taken) == 3:
            raise KeyboardInterrupt
        return usual(n, iteration, batch, seed)

    monkeypatch.setattr(training, "batch_of", cut)
    with pytest.raises(KeyboardInterrupt):
        one(spec)
    assert not list(local_records().rglob("record.json"))
    assert len(list((store_root() / "checkpoints").glob("*.pt"))) == 1
    resumed = one(spec)
    assert taken == [0, 1, 2, 2, 3]  # two steps were not taken again
    pd.testing.assert_frame_equal(resumed.cases, whole.cases)
    assert same_weights(weights, weights_of(resumed))
    assert not list((store_root() / "checkpoints").glob("*.pt"))


def _strict(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def test_a_detector_that_diverged_is_a_record_that_finds_nothing(
    cohort: Cohort, spec: DetectSpec
) -> None:
    wild = spec.changed(training__learning_rate=1e30, training__iterations=8)
    record = one(wild)
    assert (record.status, record.converged) == ("diverged", False)
    assert record.content["diverged_with"] is not None
    assert len(record.curves) < 8
    json.loads((record.folder / "record.json").read_text(), parse_constant=_strict)
    assert set(record.cases["row"]) == {"view", "mass"}
    matches = matches_of(record.part("test"))
    assert (len(matches.boxes), matches.found().any()) == (0, False)
    assert len(matches.true_boxes) > 0
    assert one(wild.changed(variant="alternative")).status == "diverged"  # from the stored weights


def shown_of(
    spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[bool], DetectionRecord]:
    """Run, and tell of each training view whether it has a mass."""
    shown: list[bool] = []
    usual = training.fit_detector

    def spied(model: Any, squares: Any, targets: Any, *args: Any, **fields: Any) -> Any:
        shown.extend(bool(len(target["boxes"])) for target in targets)
        return usual(model, squares, targets, *args, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(training, "fit_detector", spied)
        record = one(spec)
    return shown, record


def test_mass_free_views_train_or_not(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_views(cohort, **spec.split.model_dump())
    holds = [len(boxes) > 0 for boxes in views_of(cohort).take(split.train).boxes]
    fresh = spec.changed(seed=1)
    shown, record = shown_of(fresh, monkeypatch)
    assert shown == holds
    assert not all(holds)
    shown, without = shown_of(fresh.changed(training__mass_free=False), monkeypatch)
    assert shown == [True] * sum(holds)
    assert not same_weights(weights_of(record), weights_of(without))
    tested = without.part("test").query("row == 'view'")
    assert (tested["masses"] == 0).any()  # they are tested all the same


def test_negatives_on_empty_reach_the_weights(cohort: Cohort, spec: DetectSpec) -> None:
    """The mend teaches from mass-free views; where there are none it changes nothing."""
    mended, plain = spec, spec.changed(detector__negatives_on_empty=False)
    assert not same_weights(weights_of(one(mended)), weights_of(one(plain)))
    mended, plain = (each.changed(training__mass_free=False) for each in (mended, plain))
    quiet = {"training__augment": False}  # no mass is moved out of its view
    pair = [weights_of(one(each.changed(**quiet))) for each in (mended, plain)]
    assert same_weights(*pair)


def test_a_patient_in_two_parts_is_refused(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Split

    def leaky(*parts: tuple[str, ...]) -> Split:
        train, validation, test = parts
        return usual(train, validation, (*test, train[0]))

    monkeypatch.setattr(views_module, "Split", leaky)
    monkeypatch.setattr(module, "build", refuse)
    with pytest.raises(DataError, match=r"patient P\d+ stands in train and in test"):
        one(spec.changed(seed=1))
    monkeypatch.setattr(views_module, "check_views", lambda *_: None)
    with pytest.raises(RanError):  # the control: without the check it trains
        one(spec.changed(seed=1))


def test_a_twin_image_in_two_parts_is_refused(
    tiny_twins: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build", refuse)
    twin = spec.changed(cohort="tiny")
    with pytest.raises(DataError, match="near-duplicates"):
        one(twin)
    monkeypatch.setattr(views_module, "check_images", lambda *_: None)
    with pytest.raises(RanError):  # the control
        one(twin)


def test_no_training_view_with_a_mass_is_one_clear_error(
    cohort: Cohort, spec: DetectSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = tuple(n for n, b in zip(views_of(cohort).names, views_of(cohort).boxes, strict=True)
                 if not len(b))  # fmt: skip
    split = split_views(cohort, **spec.split.model_dump())
    monkeypatch.setattr(module, "split_views", lambda *_, **__: replace(split, train=free))
    for asked in (spec.changed(seed=1), spec.changed(detector__anchors="default"), prior_of(spec)):
        with pytest.raises(DataError) as caught:
            one(asked)
        assert "\n" not in str(caught.value)
    assert len(list(local_records().rglob("record.json"))) == 1


def test_the_weights_start_from_the_seed_alone(spec: DetectSpec) -> None:
    sides = (0.1, 0.2, 0.3)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = module.build(spec, sides)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(spec.seed)
    wanted = build_detector("ssd-light", **spec.fields(sides))
    for ours, theirs in zip(first.parameters(), wanted.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_labels_name_what_runs(spec: DetectSpec) -> None:
    assert label_of(spec) == "views ssd-light 64 px fold 0 seed 0"
    assert label_of(prior_of(spec, split__fold=2)) == "views fixed-prior fold 2"
