"""A shape run from spec to record: rows, what is missed, temperature, explanations; once only."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_model
from scipy.special import softmax

from mammostudy.data.cohort import Cohort
from mammostudy.data.splits import Split
from mammostudy.errors import DataError, SpecError
from mammostudy.evaluation.calibration import fit_temperature
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.paths import store_root
from mammostudy.runs import execute as execution
from mammostudy.runs import shape_classifiers
from mammostudy.runs import shapes as module
from mammostudy.runs.execute import ensure, missing
from mammostudy.runs.mask_sets import SIDE, MaskSet, feature_table, mask_set
from mammostudy.runs.shape_classifiers import build_network
from mammostudy.runs.shape_spec import ON_FEATURES, SOURCES, ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import ShapeRecord, local_records, weights_path
from mammostudy.training.shapes import predict_logits

if TYPE_CHECKING:
    from tests.runs.conftest import Shaped

CLASSES = ("irregular", "round")
COLUMNS = [
    "part", "case", "patient", "site", "source", "tool", "missed", "label", "predicted",
    "logit_irregular", "logit_round",
]  # fmt: skip


class RanError(Exception):
    """Something ran that should not have."""


def refuse(*_: object, **__: object) -> None:
    raise RanError


def one(spec: ShapeSpec) -> ShapeRecord:
    (record,) = ensure([spec], workers=1, progress=False)
    return record


def plain(spec: ShapeSpec, **changes: object) -> ShapeSpec:
    """The same run on true masks alone."""
    return spec.changed(evaluation__sources=("truth",), segmenter=(), **changes)


def miss(monkeypatch: pytest.MonkeyPatch, source: str, cases: set[str]) -> None:
    """Let a source leave no mask of some cases."""

    def holed(spec: ShapeSpec, asked: str, cohort: Cohort | None = None) -> MaskSet:
        found = mask_set(spec, asked, cohort)
        if asked != source:
            return found
        gone = np.array([case in cases for case in found.cases])
        masks = found.masks & ~gone[:, None, None]
        return replace(found, masks=masks, missed=found.missed | gone)

    monkeypatch.setattr(module, "mask_set", holed)


def test_a_record_is_complete(shaped: Shaped) -> None:
    record = one(shaped.spec)
    assert isinstance(record, ShapeRecord)
    assert (record.status, record.converged) == ("completed", False)
    assert record.spec == shaped.spec
    assert record.key == shaped.spec.key(shaped.cohort.manifest_hash)
    assert record.content["recipe_versions"] == shaped.spec.recipe_versions()
    wanted = {"epoch", "iteration", "loss", "validation_loss", "validation_accuracy",
              "validation_macro_recall"}  # fmt: skip
    assert set(record.curves.columns) == wanted
    assert record.curves["epoch"].tolist() == [1, 2]
    assert record.curves["validation_accuracy"].between(0, 1).all()
    split = record.content["split"]
    assert sorted(c for part in split.values() for c in part) == sorted(shaped.cohort.masses.index)
    labels = shaped.cohort.masses.loc[split["train"], "shape"].value_counts()
    assert record.content["classes_trained"] == {name: int(labels[name]) for name in CLASSES}
    assert {"commit", "machine", "seconds", "finished"} <= set(record.provenance)
    files = {path.name for path in record.folder.iterdir()}
    assert files == {"record.json", "cases.csv"}
    with pytest.raises(DataError, match=r"arrays\.npz"):
        record.arrays()


def test_rows_are_the_cases_of_every_source(shaped: Shaped) -> None:
    record = one(shaped.spec)
    rows, masses = record.cases, shaped.cohort.masses
    assert rows.columns.tolist() == COLUMNS
    split = record.content["split"]
    for source in SOURCES:
        for part in ("validation", "test"):
            mine = rows[(rows["source"] == source) & (rows["part"] == part)]
            assert mine["case"].tolist() == split[part]
    assert len(rows) == 3 * (len(split["validation"]) + len(split["test"]))
    whose = masses.loc[rows["case"]]
    for column, named in (("patient", "patient"), ("site", "site"), ("label", "shape")):
        assert rows[column].tolist() == whose[named].tolist()
    assert rows["tool"].isna().all()
    assert rows["missed"].dtype == bool
    seen = rows[~rows["missed"]]
    called = np.array(CLASSES)[record.logits(seen).argmax(axis=1)]
    assert seen["predicted"].tolist() == called.tolist()
    assert set(rows.loc[rows["missed"], "predicted"]) <= {"none"}


def test_logits_are_those_of_the_kept_weights(shaped: Shaped) -> None:
    record = one(shaped.spec)
    model = build_network(shaped.spec)
    load_model(model, weights_path(str(record.content["training_key"])))
    for source in SOURCES:
        masks = mask_set(shaped.spec, source)
        rows = record.cases.query("source == @source and not missed")
        shown = masks.masks[masks.at(rows["case"].tolist())].astype(np.float32)
        logits = predict_logits(model, torch.from_numpy(shown)[:, None])
        np.testing.assert_allclose(record.logits(rows), logits, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("classifier", [*ON_FEATURES, "majority", "chance", "resnet", "grey-cnn"])
def test_every_classifier_gives_the_same_kind_of_rows(classifier: str, shaped: Shaped) -> None:
    sources = ("truth", "segmenter")
    spec = shaped.spec.changed(
        classifier=classifier, evaluation__sources=sources, training__epochs=1
    )
    record = one(spec)
    rows = record.cases
    assert rows.columns.tolist() == COLUMNS
    assert len(rows) == 2 * sum(len(record.content["split"][p]) for p in ("validation", "test"))
    assert np.isfinite(record.logits()).all()
    assert 0.01 <= record.temperature <= 100
    if spec.is_network:
        assert len(record.curves) == 1
        assert weights_path(str(record.content["training_key"])).is_file()
        return
    assert record.converged is None
    assert record.curves.empty
    seen = rows[~rows["missed"]]
    assert np.exp(record.logits(seen)).sum(axis=1) == pytest.approx(1, abs=1e-3)
    assert not list(store_root().glob(f"weights/{record.content['training_key']}*"))


def test_those_that_do_not_look_know_the_training_shares_alone(shaped: Shaped) -> None:
    majority = one(plain(shaped.spec, classifier="majority"))
    counts = majority.content["classes_trained"]
    shares = np.array([counts[name] for name in CLASSES]) / sum(counts.values())
    np.testing.assert_allclose(np.exp(majority.logits()), [shares] * len(majority.cases), rtol=1e-4)
    assert set(majority.cases["predicted"]) == {max(counts, key=lambda name: counts[name])}
    assert majority.temperature == 1
    chance = one(plain(shaped.spec, classifier="chance"))
    assert set(chance.cases["predicted"]) == set(CLASSES)
    assert chance.temperature == 1
    assert np.array_equal(chance.logits(), majority.logits())
    other = one(plain(shaped.spec, classifier="chance", seed=1))
    assert chance.cases["predicted"].tolist() != other.cases["predicted"].tolist()


def test_features_tell_these_shapes_apart(shaped: Shaped) -> None:
    """Round ones are ellipses of axes 7 and 5, irregular ones of 6 and 5: easily told."""
    record = one(plain(shaped.spec, classifier="random-forest"))
    test = record.cases.query("part == 'test'")
    assert (test["label"] == test["predicted"]).all()
    guess = one(plain(shaped.spec, classifier="majority")).cases.query("part == 'test'")
    assert not (guess["label"] == guess["predicted"]).all()  # control


def test_a_missed_mask_is_none_with_the_training_shares(
    shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = shaped.spec.changed(evaluation__sources=("truth", "active-contour"))
    task = module.task_of(spec, shaped.cohort)
    gone = {task.split.test[0], task.split.validation[0]}
    miss(monkeypatch, "active-contour", gone)
    record = one(spec)
    rows = record.cases
    lost = rows[rows["missed"]]
    assert set(lost["case"]) == gone
    assert set(lost["source"]) == {"active-contour"}
    assert set(lost["predicted"]) == {"none"}
    counts = record.content["classes_trained"]
    shares = np.array([counts[name] for name in CLASSES]) / sum(counts.values())
    np.testing.assert_allclose(record.logits(lost), [np.log(shares)] * 2, rtol=1e-4)
    assert set(rows.loc[~rows["missed"], "predicted"]) <= set(CLASSES)
    again = rows[(rows["source"] == "truth") & rows["case"].isin(gone)]
    assert not again["missed"].any()  # control: the other source has them


def test_a_part_whose_masks_are_all_missed(shaped: Shaped, monkeypatch: pytest.MonkeyPatch) -> None:
    task = module.task_of(shaped.spec, shaped.cohort)
    miss(monkeypatch, "truth", set(task.split.validation))
    record = one(plain(shaped.spec))
    assert record.temperature == 1.0  # nothing to fit it on
    assert record.cases.query("part == 'validation'")["missed"].all()
    assert "validation_accuracy" not in record.curves
    assert record.converged is False


def test_a_source_that_knows_no_case_of_a_part(shaped: Shaped) -> None:
    """Segmenters of one fold alone mark its test cases, which are the test cases here as well."""
    spec = shaped.spec.changed(
        segmenter=[shaped.runs[0].model_dump()], evaluation__sources=("segmenter", "truth")
    )
    record = one(spec)
    mine = record.cases.query("source == 'segmenter'")
    assert len(mine) > 0
    held = set(record.content["split"]["validation"]) & set(mask_set(spec, "segmenter").cases)
    assert set(mine.query("part == 'validation'")["case"]) == held
    assert record.cases["missed"].dtype == bool


def test_missed_masks_do_not_train(shaped: Shaped, monkeypatch: pytest.MonkeyPatch) -> None:
    task = module.task_of(shaped.spec, shaped.cohort)
    gone = set(task.split.train[:3])
    miss(monkeypatch, "truth", gone)
    assert set(module.task_of(shaped.spec, shaped.cohort).training()) == (
        set(task.split.train) - gone
    )
    record = one(plain(shaped.spec, classifier="random-forest"))
    assert sum(record.content["classes_trained"].values()) == len(task.split.train) - 3


@pytest.mark.parametrize("classifier", ["cnn", "random-forest", "majority"])
def test_a_class_without_a_training_mask_is_one_clear_error(
    classifier: str, shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    masses = shaped.cohort.masses
    miss(monkeypatch, "truth", set(masses.index[masses["shape"] == "round"]))
    spec = plain(shaped.spec, classifier=classifier, split__fold=2)
    with pytest.raises(DataError, match=r"cohort 'tiny', fold 2: no training mask .* class round;"):
        one(spec)
    assert not list((local_records() / "tiny").glob(spec.key(shaped.cohort.manifest_hash)))


def test_a_class_that_the_cohort_does_not_have(shaped: Shaped) -> None:
    spec = plain(shaped.spec, classes=("irregular", "oval", "round"))
    with pytest.raises(DataError, match=r"fold 0: no training mask \(truth\) of class oval"):
        one(spec)


def test_a_patient_in_two_parts_is_refused(shaped: Shaped, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = module.split_cases

    def leaky(masses: pd.DataFrame, **fields: object) -> Split:
        split = usual(masses, **fields)  # type: ignore[arg-type]
        return replace(split, test=(*split.test, split.train[0]))

    monkeypatch.setattr(module, "split_cases", leaky)
    monkeypatch.setattr(module, "build_classifier", refuse)
    with pytest.raises(DataError, match=r"patient P\d+ stands in train and in test"):
        one(plain(shaped.spec))
    monkeypatch.setattr(module, "check_leakage", lambda *_, **__: None)
    with pytest.raises(RanError):  # the control: without the check it trains
        one(plain(shaped.spec))


def test_a_twin_image_in_two_parts_is_refused(
    tiny_twins: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_twins.root / "manifest.csv"
    table = pd.read_csv(path, dtype=str)
    table["shape"] = ["oval", "round"] * (len(table) // 2)
    table.to_csv(path, index=False)
    spec = ShapeSpec(cohort="tiny", classes=("oval", "round"), split={"folds": 4})
    monkeypatch.setattr(module, "build_classifier", refuse)
    with pytest.raises(DataError, match="near-duplicates"):
        one(spec)


def test_a_cohort_without_shapes_is_one_clear_error(tiny: Cohort) -> None:
    with pytest.raises(
        DataError, match=r"tiny: cannot be used for shape: no mass has shape; fill the column"
    ):
        one(ShapeSpec(cohort="tiny"))
    with pytest.raises(
        DataError, match=r"tiny: no mass .* shape among irregular, .*column `shape`"
    ):
        module.task_of(ShapeSpec(cohort="tiny"), tiny)
    assert not local_records().exists()


def test_too_few_patients_for_the_folds(shaped: Shaped) -> None:
    with pytest.raises(SpecError, match="are too few for 40 folds"):
        one(plain(shaped.spec, split__folds=40))


def test_the_temperature_is_that_of_the_first_sources_validation_masks(shaped: Shaped) -> None:
    for sources in (("truth", "active-contour"), ("active-contour", "truth")):
        record = one(shaped.spec.changed(evaluation__sources=sources, training__epochs=1))
        rows = record.cases
        first = rows[(rows["part"] == "validation") & (rows["source"] == sources[0])]
        numbers = first["label"].map(CLASSES.index).to_numpy()
        assert record.temperature == pytest.approx(
            fit_temperature(record.logits(first), numbers), rel=2e-2
        )


def test_the_temperature_leaves_out_what_was_missed(
    shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def spied(logits: np.ndarray, labels: np.ndarray) -> float:
        calls.append((len(logits), len(labels)))
        return 3.0

    task = module.task_of(shaped.spec, shaped.cohort)
    miss(monkeypatch, "truth", {task.split.validation[0]})
    monkeypatch.setattr(module, "fit_temperature", spied)
    assert one(plain(shaped.spec)).temperature == 3.0
    assert calls == [(len(task.split.validation) - 1,) * 2]


def test_same_spec_same_rows(shaped: Shaped) -> None:
    first = one(plain(shaped.spec))
    shutil.rmtree(first.folder)
    weights_path(str(first.content["training_key"])).unlink()
    pd.testing.assert_frame_equal(one(plain(shaped.spec)).cases, first.cases)
    other = one(plain(shaped.spec, seed=1))
    assert not np.allclose(other.logits(), first.logits())


def test_an_evaluation_alone_keeps_the_logits(shaped: Shaped) -> None:
    first, more = one(plain(shaped.spec)), one(plain(shaped.spec, variant="study"))
    assert more.content["training_key"] == first.content["training_key"]
    assert more.key != first.key
    np.testing.assert_allclose(more.logits(), first.logits())


def test_a_second_call_runs_nothing(shaped: Shaped, monkeypatch: pytest.MonkeyPatch) -> None:
    first = one(plain(shaped.spec))
    written = (first.folder / "record.json").stat().st_mtime_ns
    monkeypatch.setattr(module, "run_shape", refuse)
    assert one(plain(shaped.spec)).key == first.key
    assert execution.execute(plain(shaped.spec), progress=False).key == first.key
    assert (first.folder / "record.json").stat().st_mtime_ns == written
    with pytest.raises(RanError):  # the control
        one(plain(shaped.spec, seed=1))


def test_segmenters_run_before_the_shape_runs_that_need_them(
    shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = tuple(run.changed(seed=7) for run in shaped.runs)
    spec = shaped.spec.changed(segmenter=[run.model_dump() for run in fresh])
    assert missing([spec]) == [*fresh, spec]
    assert missing([spec, fresh[1]]) == [*fresh, spec]
    ran: list[type] = []
    usual = execution.execute

    def spied(asked: RunSpec | ShapeSpec, **fields: bool) -> object:
        ran.append(type(asked))
        return usual(asked, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(execution, "execute", spied)
    records = ensure([spec, fresh[0]], workers=1, progress=False)
    assert ran == [RunSpec] * 3 + [ShapeSpec]
    assert [record.spec for record in records] == [spec, fresh[0]]
    assert missing([spec, *fresh]) == []


def test_a_record_stands_without_its_segmenters(shaped: Shaped) -> None:
    """Committed shape records need no record of the segmenters behind their masks."""
    one(shaped.spec)
    for run in shaped.runs:
        shutil.rmtree(local_records() / "tiny" / run.key(shaped.cohort.manifest_hash))
    assert missing([shaped.spec]) == []
    assert one(shaped.spec).spec == shaped.spec


def test_explanations(shaped: Shaped, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = shaped.cohort.masses.index[0]
    miss(monkeypatch, "truth", {gone})
    record = one(plain(shaped.spec, evaluation__explain=True, input__placement="square"))
    found = record.arrays()
    split = record.content["split"]
    parts = {case: name for name, cases in split.items() for case in cases if case != gone}
    assert dict(zip(found["embedding_cases"], found["embedding_parts"], strict=True)) == parts
    shapes = shaped.cohort.masses.loc[found["embedding_cases"], "shape"]
    assert found["embedding_labels"].tolist() == shapes.tolist()
    assert (found["embedding"].shape, found["embedding"].dtype) == ((36, 128), np.float16)
    assert found["between_positions"].shape == (25,)
    walk = found["between_probabilities"]
    assert walk.shape == (5, 25, 2)
    assert walk.sum(axis=2) == pytest.approx(1, abs=1e-5)
    test = record.cases.query("part == 'test' and not missed")
    cases = found["occlusion_cases"].tolist()
    assert found["occlusion_maps"].shape == (len(cases), SIDE, SIDE)
    assert np.isfinite(found["occlusion_maps"]).all()
    assert set(cases) <= set(test["case"])
    groups = test.groupby(["label", "predicted"]).ngroups
    assert len(set(cases)) == len(cases) == groups  # the surest right and wrong of two classes
    model = build_network(record.spec)
    load_model(model, weights_path(str(record.content["training_key"])))
    for position, seed, at in ((0, 0, 0), (12, 2, 1.5), (24, 4, 3)):
        placed = place_mask(shape_between(at, 256, seed=seed), placement="square")
        logits = predict_logits(model, torch.from_numpy(placed.astype(np.float32))[None, None])
        expected = softmax(logits / record.temperature, axis=1)[0]
        np.testing.assert_allclose(walk[seed, position], expected, atol=1e-4)
    plainly = one(plain(shaped.spec, input__placement="square"))
    np.testing.assert_allclose(record.logits(), plainly.logits())


def test_the_surest_of_each_class_by_hand() -> None:
    from mammostudy.runs.shape_explanations import _surest

    rows = pd.DataFrame(
        [("a", "round", "round", 0.0, 2.0), ("b", "round", "round", 0.0, 5.0),
         ("c", "round", "irregular", 1.0, 0.5), ("d", "irregular", "irregular", 9.0, 8.0),
         ("e", "irregular", "irregular", 3.0, 0.0), ("f", "round", "irregular", 1.5, 0.0)],
        columns=["case", "label", "predicted", "logit_irregular", "logit_round"],
    )  # fmt: skip
    assert _surest(rows, CLASSES) == ["e", "b", "f"]


def test_a_diverged_run_is_a_record(shaped: Shaped) -> None:
    spec = plain(
        shaped.spec, training__learning_rate=1e30, training__epochs=4, evaluation__explain=True
    )
    record = one(spec)
    assert (record.status, record.converged) == ("diverged", False)
    assert record.content["diverged_with"] is not None
    assert len(record.curves) < 4
    assert np.isfinite(record.logits()).all()
    assert set(record.cases["predicted"]) <= {"none", *CLASSES}
    json.loads((record.folder / "record.json").read_text(), parse_constant=_strict)


def _strict(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def test_a_network_that_says_nothing_is_wrong_everywhere(
    shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: object, source: str, cases: list[str]) -> np.ndarray:
        return np.full((len(cases), 2), np.nan)

    monkeypatch.setattr(shape_classifiers.Network, "logits", nothing)
    record = one(plain(shaped.spec, training__epochs=1))
    assert set(record.cases["predicted"]) == {"none"}
    assert not record.cases["missed"].any()
    assert np.isfinite(record.logits()).all()


def test_a_checkpoint_has_served_once_the_run_is_done(
    shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammostudy.training.loop.CHECKPOINT_SECONDS", -1.0)
    taken = []
    monkeypatch.setattr(
        "mammostudy.training.loop.save_checkpoint", lambda path, state: taken.append(path)
    )
    one(plain(shaped.spec))
    assert len(taken) == 1
    taken[0].parent.mkdir(parents=True, exist_ok=True)
    taken[0].write_text("left")
    one(plain(shaped.spec, variant="study"))
    assert not taken[0].exists()


def test_tools_of_the_outlines_choose_who_trains(
    shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    masses = shaped.cohort.masses
    tools = np.where(np.arange(len(masses)) % 3 == 0, "polygon", "circle")
    monkeypatch.setattr(
        module, "labelled", lambda cohort, spec: masses.assign(label=masses["shape"], tool=tools)
    )
    taken = {}
    for tool in ("any", "polygon", "other"):
        task = module.task_of(shaped.spec.changed(input__tool=tool), shaped.cohort)
        cases = task.training()
        taken[tool] = set(cases)
        assert set(task.rows.loc[cases, "tool"]) == {
            "any": {"polygon", "circle"}, "polygon": {"polygon"}, "other": {"circle"},
        }[tool]  # fmt: skip
    assert taken["polygon"] | taken["other"] == taken["any"] == set(task.split.train)
    assert not taken["polygon"] & taken["other"]
    rows = module._rows(task, shape_classifiers.Guess(task), "truth")
    assert rows["tool"].tolist() == [
        dict(zip(masses.index, tools, strict=True))[case] for case in rows["case"]
    ]


def test_features_follow_the_cases_asked_for(shaped: Shaped) -> None:
    task = module.task_of(plain(shaped.spec), shaped.cohort)
    classifier = shape_classifiers.OnFeatures.__new__(shape_classifiers.OnFeatures)
    classifier.task, classifier.spec = task, task.spec
    names, table = feature_table(task.spec, "truth", shaped.cohort)
    asked = [names[5], names[1]]
    np.testing.assert_array_equal(classifier._features("truth", asked), table[[5, 1]])
