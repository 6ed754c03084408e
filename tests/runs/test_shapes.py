"""Shape runs: whose masks they see and how these are placed, rows, what is missed, temperature."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.splits import checked_split
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.framing import frame_box, paste_back
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.imaging.shape_features import shape_features
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.runs import masks as masks_module
from mammostudy.runs import shapes as module
from mammostudy.runs.kinds import NETWORKS, ON_FEATURES, SOURCES, ShapeSpec
from mammostudy.runs.masks import SIDE, native_masks, placed_mask, placed_masks
from mammostudy.runs.record import find_record, local_records, weights_path
from mammostudy.runs.segmentation import chosen_steps
from mammostudy.runs.trained import trained_model
from mammostudy.training.shapes import predict_logits


def block(size, height, width):
    mask = np.zeros((size, size), bool)
    mask[2 : 2 + height, 2 : 2 + width] = True
    return mask


def spread(mask):
    x_min, y_min, x_max, y_max = box_of(mask)
    return y_max - y_min, x_max - x_min


@pytest.mark.parametrize(
    ("mask", "placement", "window", "seen"),
    [
        (block(100, 40, 10), "stretch", None, (32, 32)),
        (block(100, 40, 20), "square", None, (32, 16)),
        (block(68, 64, 64), "stretch", 96, (64 / 1.5, 64 / 1.5)),
        (block(36, 32, 32), "square", 96, (32 / 1.5, 32 / 1.5)),  # half the size is half the size
        (block(304, 300, 300), "stretch", 30, (SIDE, SIDE)),  # too long for the window: it fills
    ],
)
def test_masks_are_placed(mask, placement, window, seen):
    placed = placed_mask(mask, SIDE, placement, window)
    assert placed.shape == (SIDE, SIDE)
    assert spread(placed) == pytest.approx(seen, abs=1.1)


def test_a_mask_that_is_empty_or_vanishes_is_missed():
    lost = ((np.zeros((1, 1), bool), None), (block(600, 1, 590), None), (block(5, 1, 1), 900))
    assert not any(placed_mask(mask, SIDE, "square", window).any() for mask, window in lost)
    crumbs = block(60, 40, 40)
    crumbs[50:53, 50:53] = True
    whole = placed_mask(block(60, 40, 40), SIDE, "square")
    assert np.array_equal(placed_mask(crumbs, SIDE, "square"), whole)


def test_true_masks_are_those_of_the_cohort_made_once(shaped, refuse, monkeypatch):
    found = native_masks(shaped.cohort, "truth")
    assert list(found) == list(shaped.cohort.masses.index)
    for case, mask in found.items():
        truth = shaped.cohort.mask(case)
        x_min, y_min, x_max, y_max = box_of(truth)
        assert np.array_equal(mask[2:-2, 2:-2], truth[y_min:y_max, x_min:x_max])
    contoured = native_masks(shaped.cohort, "active-contour")
    assert set(contoured) == set(found)
    assert all(0.5 < mask.sum() / found[case].sum() < 3 for case, mask in contoured.items())
    monkeypatch.setattr(masks_module, "cut_out", refuse)
    again = native_masks(shaped.cohort, "truth")
    assert all(np.array_equal(again[case], mask) for case, mask in found.items())
    others = replace(shaped.cohort, manifest=shaped.cohort.manifest[:9])
    with pytest.raises(RuntimeError, match="ran"):  # control: those of other data
        native_masks(others, "truth")


def test_a_segmenter_marks_no_mass_that_it_was_trained_on(shaped, monkeypatch):
    for run in shaped.runs:
        record = find_record(run, shaped.cohort.manifest_hash)
        split, stored = record.content["split"], record.predictions()
        found = native_masks(shaped.cohort, "segmenter", (run,))
        assert set(found) == set(split["test"])
        assert not set(found) & {*split["train"], *split["validation"]}
        for case, mask in found.items():  # those that the segmenter was measured on
            sample = shaped.cohort.sample(case)
            shape = sample.image.shape
            finished = postprocess(stored[case][None], chosen_steps(record))[0]
            whole = paste_back(finished, frame_box(sample.box, shape), shape)
            assert np.array_equal(masks_module.cut_out(whole), mask)
    wide = {**split, "test": [*split["test"], *split["validation"]]}
    told = replace(record, content={**record.content, "split": wide})
    with monkeypatch.context() as patch:
        patch.setattr(masks_module, "record_of", lambda _: told)
        control = {case for case, _ in masks_module._drawn(shaped.cohort, "segmenter", (run,))}
    assert control & set(split["validation"])  # of a record that takes them for unseen
    every = native_masks(shaped.cohort, "segmenter", shaped.runs)
    assert set(every) == set(shaped.cohort.masses.index)


def test_features_are_those_of_the_whole_masks_that_are_there(shaped, monkeypatch):
    native = native_masks(shaped.cohort, "truth")
    gone = list(native)[3]
    holed = {**native, gone: np.zeros((1, 1), bool)}
    monkeypatch.setattr(masks_module, "native_masks", lambda *_: holed)
    table = masks_module.feature_table(shaped.spec, "truth", shaped.cohort)
    assert set(table.index) == set(native) - {gone}
    for case, row in table.iterrows():
        np.testing.assert_array_equal(row, shape_features(native[str(case)]))
    placed = placed_masks(shaped.spec, "truth", shaped.cohort)
    assert [case for case, mask in placed.items() if not mask.any()] == [gone]


def test_scale_is_that_of_the_longest_mass(monkeypatch):
    drawn = {"a": block(68, 64, 64), "b": block(36, 32, 32)}
    edges = {"x_min": 0, "y_min": 0, "x_max": [64, 32], "y_max": [64, 32]}
    rows = pd.DataFrame({"case": list(drawn), "patient": list(drawn), "shape": "round", **edges})
    monkeypatch.setattr(masks_module, "native_masks", lambda *_: drawn)
    spec = ShapeSpec.parse({"cohort": "made", "input": {"keep_scale": True}})
    found = placed_masks(spec, "truth", Cohort("made", Path("nowhere"), rows))
    assert spread(found["a"])[0] == pytest.approx(2 * spread(found["b"])[0], abs=2.1)


def test_a_segmenter_of_others_marks_every_mass(shaped, tmp_path, write_cohort, monkeypatch):
    other = tmp_path / "data"
    write_cohort(other, "fresh", patients=4)
    (other / "tiny").symlink_to(shaped.cohort.root)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(other))
    fresh = load_cohort("fresh")
    assert set(native_masks(fresh, "segmenter", shaped.runs[:1])) == set(fresh.masses.index)
    with pytest.raises(DataError, match="a segmentation run that this run works on has no record"):
        native_masks(fresh, "segmenter", (shaped.runs[0].changed(seed=9),))


@pytest.fixture
def boxed(shaped, tmp_path, write_cohort, monkeypatch):
    """The masses of ``shaped`` under another name, as boxes alone."""
    folder = write_cohort(tmp_path / "data", "boxed", patients=18)
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table.assign(mask=None, mask_label=None, outline=None).to_csv(
        folder / "manifest.csv", index=False
    )
    (tmp_path / "data" / "tiny").symlink_to(shaped.cohort.root)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path / "data"))
    return load_cohort("boxed")


def test_contours_are_drawn_where_there_are_boxes_alone(boxed, shaped):
    found = native_masks(boxed, "contour")
    assert list(found) == list(boxed.masses.index)
    same = native_masks(shaped.cohort, "contour")
    assert all(np.array_equal(found[case], mask) for case, mask in same.items())
    assert all(0.5 < found[c].sum() / shaped.cohort.mask(c).sum() < 2 for c in found)
    with pytest.raises(DataError, match="has a box alone"):
        native_masks(boxed, "truth")


@pytest.mark.parametrize(("chances", "seen"), [((0.9, 0.9, 0.0), True), ((0.9, 0.0, 0.0), False)])
def test_segmenters_of_others_are_averaged(chances, seen, boxed, shaped, monkeypatch):
    def drawn(_, framed, spec):
        return np.full(framed.images.shape, chances[spec.split.fold], np.float32)

    monkeypatch.setattr(masks_module, "one_draw", drawn)
    found = native_masks(boxed, "segmenter", shaped.runs)
    assert {bool(mask.any()) for mask in found.values()} == {seen}


def test_fewer_patients_are_the_first_of_more(boxed, shaped):
    def learnt(**changes):
        contour = {"input__source": "contour", "evaluation__sources": ("contour",)}
        spec = shaped.spec.changed(cohort="boxed", segmenter=(), **contour | changes)
        rows = masks_module.labelled(boxed, spec)
        task = module.Task(spec, boxed, rows, checked_split(boxed, rows, **spec.split.model_dump()))
        return task.training, set(rows.loc[task.training, "patient"])

    (whole, every), (half, some) = learnt(), learnt(input__share=0.5)
    assert (len(every), len(some)) == (8, 4)
    assert half == [case for case in whole if case.partition("_")[0] in some]
    assert learnt(input__share=0.75)[1] > some
    assert learnt(seed=1, input__share=0.5)[1] != some


def test_both_sources_show_every_mass_twice(boxed, shaped, monkeypatch):
    def disc(_, framed, spec):
        size = framed.images.shape[1]
        y, x = np.mgrid[:size, :size] - size / 2
        return np.broadcast_to(np.hypot(y, x) < size / 4, framed.images.shape)

    def spied(_, inputs, labels, *rest, **more):
        counted.extend((len(inputs), len(labels)))
        raise RuntimeError("seen")

    counted = []
    monkeypatch.setattr(masks_module, "one_draw", disc)
    monkeypatch.setattr(module.training, "fit_shapes", spied)
    both = ("contour", "segmenter")
    spec = shaped.spec.changed(
        cohort="boxed", input__source="both", evaluation__sources=both, seed=77
    )
    with pytest.raises(RuntimeError, match="seen"):
        module.run(spec, boxed, False)
    rows = masks_module.labelled(boxed, spec)
    train = checked_split(boxed, rows, **spec.split.model_dump()).train
    assert counted == [2 * len(train)] * 2


@pytest.mark.parametrize("classifier", ["box", "grey-features"])
def test_what_tells_a_shape_beside_its_mask(classifier, boxed, shaped, monkeypatch):
    """Round masses are wider than others here; features of pixels are made to tell them."""
    told = (boxed.masses["shape"] == "round").to_numpy(np.float32)[:, None]
    where = "mammostudy.models.beside_masks.imagenet_features"
    monkeypatch.setattr(where, lambda images: told)
    contour = {"input__source": "contour", "evaluation__sources": ("contour",)}
    spec = shaped.spec.changed(cohort="boxed", classifier=classifier, segmenter=(), **contour)
    rows = module.run(spec, boxed, False).rows
    assert list(rows.columns) == COLUMNS
    assert rows["label"].tolist() == rows["predicted"].tolist()


CLASSES = ("irregular", "round")
COLUMNS = [
    "part", "case", "patient", "site", "source", "tool", "missed", "label", "predicted",
    "logit_irregular", "logit_round",
]  # fmt: skip


def plain(spec, **changes):
    """The same run on true masks alone."""
    return spec.changed(evaluation__sources=("truth",), segmenter=(), **changes)


def shares_of(record):
    counts = record.content["classes_trained"]
    return np.array([counts[name] for name in CLASSES]) / sum(counts.values())


def miss(monkeypatch, source, cases):
    """Let a source leave no mask of some cases."""

    def holed(spec, asked, cohort):
        found = placed_masks(spec, asked, cohort)
        gone = cases if asked == source else set()
        return {case: mask & (case not in gone) for case, mask in found.items()}

    monkeypatch.setattr(module, "placed_masks", holed)


def test_rows_are_of_every_source_by_the_kept_weights(shaped, one):
    record = one(shaped.spec)
    assert set(record.curves) >= {"epoch", "validation_accuracy", "validation_macro_recall"}
    split, rows, masses = record.content["split"], record.cases, shaped.cohort.masses
    labels = masses.loc[split["train"], "shape"].value_counts()
    assert record.content["classes_trained"] == {name: int(labels[name]) for name in CLASSES}
    assert {path.name for path in record.folder.iterdir()} == {"record.json", "cases.csv"}
    assert rows.columns.tolist() == COLUMNS
    parts = rows.groupby(["source", "part"])["case"].apply(list)
    assert parts.to_dict() == {(s, p): split[p] for s in SOURCES for p in ("validation", "test")}
    for column, named in (("patient", "patient"), ("site", "site"), ("label", "shape")):
        assert rows[column].tolist() == masses.loc[rows["case"], named].tolist()
    seen = rows[~rows["missed"]]
    called = np.array(CLASSES)[record.logits(seen).argmax(axis=1)]
    assert seen["predicted"].tolist() == called.tolist()
    model = trained_model(record)
    for source in SOURCES:  # the logits are those of the kept weights
        masks = placed_masks(shaped.spec, source, shaped.cohort)
        mine = seen[seen["source"] == source]
        shown = np.stack([masks[case] for case in mine["case"]]).astype(np.float32)
        logits = predict_logits(model, torch.from_numpy(shown)[:, None])
        np.testing.assert_allclose(record.logits(mine), logits, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("classifier", [*ON_FEATURES, "majority", "chance", "resnet", "grey-cnn"])
def test_every_classifier_gives_the_same_kind_of_rows(classifier, shaped, one):
    asked = {"classifier": classifier, "evaluation__sources": ("truth", "segmenter")}
    record = one(shaped.spec.changed(training__epochs=1, **asked))
    rows = record.cases
    assert rows.columns.tolist() == COLUMNS
    assert len(rows) == 2 * sum(len(record.content["split"][p]) for p in ("validation", "test"))
    assert np.isfinite(record.logits()).all()
    assert 0.01 <= record.temperature <= 100
    is_network = record.spec.classifier in NETWORKS
    assert weights_path(str(record.content["training_key"])).is_file() == is_network
    if is_network:
        return
    assert (record.converged, record.curves.empty) == (None, True)
    assert np.exp(record.logits(rows[~rows["missed"]])).sum(axis=1) == pytest.approx(1, abs=1e-3)
    if classifier in ("majority", "chance"):
        wanted = [shares_of(record)] * len(rows)
        np.testing.assert_allclose(np.exp(record.logits()), wanted, rtol=1e-4)
        most = {CLASSES[shares_of(record).argmax()]} if classifier == "majority" else set(CLASSES)
        assert set(rows.loc[~rows["missed"], "predicted"]) == most
    if classifier == "random-forest":
        test = record.cases.query("part == 'test' and source == 'truth'")
        assert (test["label"] == test["predicted"]).all()  # these shapes are easily told


def test_a_missed_mask_is_none_with_the_training_shares(shaped, one, monkeypatch):
    split = checked_split(shaped.cohort, shaped.cohort.masses, **shaped.spec.split.model_dump())
    gone = {split.test[0], split.validation[0]}
    miss(monkeypatch, "active-contour", gone)
    record = one(shaped.spec.changed(evaluation__sources=("truth", "active-contour")))
    rows, lost = record.cases, record.cases.query("missed")
    assert set(lost["case"]) == gone
    assert (set(lost["source"]), set(lost["predicted"])) == ({"active-contour"}, {"none"})
    np.testing.assert_allclose(record.logits(lost), [np.log(shares_of(record))] * 2, rtol=1e-4)
    assert set(rows.loc[~rows["missed"], "predicted"]) <= set(CLASSES)


def test_missed_masks_neither_train_nor_give_the_temperature(shaped, one, monkeypatch):
    split = checked_split(shaped.cohort, shaped.cohort.masses, **shaped.spec.split.model_dump())
    gone = {*split.train[:3], split.validation[0]}
    miss(monkeypatch, "truth", gone)
    fitted = []
    monkeypatch.setattr(module, "fit_temperature", lambda x, _: fitted.append(len(x)) or 3.0)
    record = one(plain(shaped.spec))
    assert sum(record.content["classes_trained"].values()) == len(split.train) - 3
    assert (record.temperature, fitted) == (3.0, [len(split.validation) - 1])
    miss(monkeypatch, "truth", set(split.validation))
    record = one(plain(shaped.spec, seed=1))
    assert record.temperature == 1.0  # nothing to fit it on
    assert "validation_accuracy" not in record.curves


@pytest.mark.parametrize("classifier", ["cnn", "random-forest", "majority"])
def test_a_class_without_a_training_mask_is_one_clear_error(classifier, shaped, one, monkeypatch):
    masses = shaped.cohort.masses
    miss(monkeypatch, "truth", set(masses.index[masses["shape"] == "round"]))
    spec = plain(shaped.spec, classifier=classifier, split__fold=2)
    with pytest.raises(DataError, match=r"cohort 'tiny', fold 2: no training mask .* class round;"):
        one(spec)
    assert not list((local_records() / "tiny").glob(spec.key(shaped.cohort.manifest_hash)))


def test_explanations_by_hand(shaped, one):
    record = one(plain(shaped.spec, evaluation__explain=True))
    found = record.arrays()
    walk = found["between_probabilities"]
    assert walk.shape == (5, len(found["between_positions"]), 2)
    mask = shape_between(float(found["between_positions"][3]), 256, seed=1)
    shown = torch.from_numpy(place_mask(mask, SIDE, "stretch").astype(np.float32))[None, None]
    logits = predict_logits(trained_model(record), shown) / record.temperature
    np.testing.assert_allclose(walk[1, 3], softmax(logits, axis=1)[0], atol=1e-3)
