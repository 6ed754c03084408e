"""Classical classifiers: what they learn, that patients stay together, bad input."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mammostudy.errors import DataError
from mammostudy.imaging.shape_features import features_of
from mammostudy.imaging.shape_masks import shape_between
from mammostudy.runs.kinds import ON_FEATURES
from mammostudy.training import classical as module
from mammostudy.training.classical import classical_probabilities, fit_classical


@pytest.fixture(autouse=True)
def _fewer_trees(monkeypatch):
    monkeypatch.setattr(
        module, "RandomForestClassifier", lambda _, **fields: RandomForestClassifier(40, **fields)
    )


@pytest.fixture(scope="module")
def shapes():
    """Features of masks between the shapes, their classes, and their patients (two masks each)."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 24)
    positions = np.clip(3 - labels + rng.uniform(-0.3, 0.3, len(labels)), 0, 3)
    masks = [shape_between(float(p), seed=i) for i, p in enumerate(positions)]
    return features_of(masks), labels, np.arange(len(labels)) // 2


def blobs(counts, gap, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    features = rng.standard_normal((len(labels), 3))
    features[:, 0] += gap * labels
    return features, labels


@pytest.mark.parametrize("name", ON_FEATURES)
def test_learns_the_shapes(name, shapes):
    features, labels, groups = shapes
    odd = groups % 2 == 1
    model = fit_classical(name, features[~odd], labels[~odd], groups[~odd], seed=0)
    found = classical_probabilities(model, features[odd], 4)
    assert found.shape == (odd.sum(), 4)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == labels[odd]).mean() > 0.8
    swapped = np.random.default_rng(1).permutation(labels[~odd])  # the control
    control = fit_classical(name, features[~odd], swapped, groups[~odd], seed=0)
    guessed = classical_probabilities(control, features[odd], 4).argmax(axis=1)
    assert (guessed == labels[odd]).mean() < 0.6


def test_rare_classes_weigh_as_much_for_the_svm(monkeypatch):
    features, labels = blobs((180, 20), gap=1.0)
    fresh, truth = blobs((300, 300), gap=1.0, seed=1)

    def recalls():
        model = fit_classical("svm", features, labels, np.arange(len(labels)), seed=0)
        right = classical_probabilities(model, fresh, 2).argmax(axis=1) == truth
        return [float(right[truth == label].mean()) for label in (0, 1)]

    assert min(recalls()) > 0.55
    monkeypatch.setattr(module, "compute_sample_weight", lambda _, y: np.ones(len(y)))
    assert min(recalls()) < 0.2  # the control


def test_no_patient_on_both_sides_of_a_fold_and_every_class_in_training(shapes):
    features, labels, groups = shapes
    splits = module._patient_folds(features, labels, groups, seed=0)
    assert len(splits) == 5
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert set(labels[train]) == {0, 1, 2, 3}
    held_out = np.sort(np.concatenate([test for _, test in splits]))
    np.testing.assert_array_equal(held_out, np.arange(len(labels)))


def test_bad_input_is_named(shapes):
    features, labels, groups = shapes
    with pytest.raises(DataError, match="labels are all 0"):
        fit_classical("svm", features, 0 * labels, groups, seed=0)
    with pytest.raises(DataError, match="class 1 comes from 1 patient"):
        fit_classical("svm", features, labels, np.where(labels == 1, 99, groups), seed=0)
    few = labels != 2
    model = fit_classical("gradient-boosting", features[few], labels[few], groups[few], seed=0)
    with pytest.raises(DataError, match=r"classes \[0, 1, 3\], not on all of 0 to 3"):
        classical_probabilities(model, features, 4)


def test_golden_numbers():
    features, labels = blobs((30, 30, 30), gap=1.5)
    for name, golden in (("svm", 0.532091), ("gradient-boosting", 0.573789)):
        model = fit_classical(name, features, labels, np.arange(90) // 2, seed=0)
        found = classical_probabilities(model, features, 3)
        assert found[45, 1] == pytest.approx(golden, abs=1e-3)
