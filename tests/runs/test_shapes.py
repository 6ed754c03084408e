"""A shape run from spec to record: rows, what is missed, temperature, explanations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from mammostudy.errors import DataError
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.runs import shapes as module
from mammostudy.runs.kinds import NETWORKS, ON_FEATURES, SOURCES
from mammostudy.runs.masks import SIDE, labelled, placed_masks
from mammostudy.runs.record import local_records, weights_path
from mammostudy.runs.segmentation import checked_split
from mammostudy.runs.trained import trained_model
from mammostudy.training.shapes import predict_logits

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


def split_of(shaped):
    return checked_split(shaped.cohort, labelled(shaped.cohort, shaped.spec), shaped.spec.split)


def test_rows_are_of_every_source_by_the_kept_weights(shaped, one):
    record = one(shaped.spec)
    assert record.curves["epoch"].tolist() == [1, 2]
    assert set(record.curves) >= {"validation_loss", "validation_accuracy"}
    split, rows, masses = record.content["split"], record.cases, shaped.cohort.masses
    labels = masses.loc[split["train"], "shape"].value_counts()
    assert record.content["classes_trained"] == {name: int(labels[name]) for name in CLASSES}
    assert {path.name for path in record.folder.iterdir()} == {"record.json", "cases.csv"}
    assert rows.columns.tolist() == COLUMNS
    for source in SOURCES:
        for part in ("validation", "test"):
            mine = rows[(rows["source"] == source) & (rows["part"] == part)]
            assert mine["case"].tolist() == split[part]
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
        called = set(rows.loc[~rows["missed"], "predicted"])
        assert called == (
            {CLASSES[shares_of(record).argmax()]} if classifier == "majority" else set(CLASSES)
        )
    if classifier == "random-forest":
        test = record.cases.query("part == 'test' and source == 'truth'")
        assert (test["label"] == test["predicted"]).all()  # these shapes are easily told


def test_a_missed_mask_is_none_with_the_training_shares(shaped, one, monkeypatch):
    spec = shaped.spec.changed(evaluation__sources=("truth", "active-contour"))
    split = split_of(shaped)
    gone = {split.test[0], split.validation[0]}
    miss(monkeypatch, "active-contour", gone)
    record = one(spec)
    rows = record.cases
    lost = rows[rows["missed"]]
    assert set(lost["case"]) == gone
    assert (set(lost["source"]), set(lost["predicted"])) == ({"active-contour"}, {"none"})
    np.testing.assert_allclose(record.logits(lost), [np.log(shares_of(record))] * 2, rtol=1e-4)
    assert set(rows.loc[~rows["missed"], "predicted"]) <= set(CLASSES)


def test_missed_masks_neither_train_nor_give_the_temperature(shaped, one, monkeypatch):
    split = split_of(shaped)
    gone = {*split.train[:3], split.validation[0]}
    miss(monkeypatch, "truth", gone)
    fitted: list[int] = []
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
    found, split = record.arrays(), record.content["split"]
    parts = dict(zip(found["embedding_cases"], found["embedding_parts"], strict=True))
    assert parts == {case: part for part, cases in split.items() for case in cases}
    assert found["embedding"].dtype == np.float16
    masses = shaped.cohort.masses.loc[found["embedding_cases"]]
    assert found["embedding_labels"].tolist() == masses["shape"].tolist()
    walk = found["between_probabilities"]
    assert walk.shape == (len(found["between_seeds"]), len(found["between_positions"]), 2)
    mask = shape_between(float(found["between_positions"][3]), 256, seed=1)
    shown = torch.from_numpy(place_mask(mask, SIDE, "stretch").astype(np.float32))[None, None]
    logits = predict_logits(trained_model(record), shown) / record.temperature
    np.testing.assert_allclose(walk[1, 3], softmax(logits, axis=1)[0], atol=1e-3)
