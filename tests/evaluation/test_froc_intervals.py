"""Intervals are those of the plain bootstrap, come out the same again, and are paired."""

import time

import numpy as np
import pytest

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import match_detections
from mammostudy.evaluation.froc_curves import RATES, froc
from mammostudy.evaluation.froc_intervals import (
    BAND_RATES,
    froc_band,
    ladder_of,
    ladder_sensitivities,
    sensitivity_differences,
    sensitivity_table,
)
from mammostudy.evaluation.statistics import patient_codes, resample


def repeated(case, times):
    """The images of a case, each as often as told."""
    images = np.repeat(np.arange(len(times)), times)
    return [[part[at] for at in images] for part in case]


def test_interval_is_the_plain_bootstraps(make_detections):
    case = make_detections(24)
    patients = np.arange(24) // 2
    table = sensitivity_table(froc(*case), patients, draws=2_000)
    rng = np.random.default_rng(1)
    plain = []
    while len(plain) < 400:
        times = np.bincount(rng.integers(0, 12, 12), minlength=12)[patients]
        curve = froc(*repeated(case, times))
        plain.append([*curve.sensitivity_at(RATES), curve.mean_sensitivity()])
    low, high = np.percentile(plain, [2.5, 97.5], axis=0)
    assert table["low"].to_numpy() == pytest.approx(low, abs=0.1)
    assert table["high"].to_numpy() == pytest.approx(high, abs=0.1)
    assert table["low"].iloc[-1] == pytest.approx(low[-1], abs=0.05)
    assert (table["low"] < table["sensitivity"]).all()


def test_table_by_hand(by_hand):
    table = sensitivity_table(froc(*by_hand), ["a", "a", "b", "b"], draws=200)
    assert table["rate"].tolist()[:-1] == list(RATES)
    assert np.isnan(table["rate"].iloc[-1])
    assert table["sensitivity"].tolist() == pytest.approx([1 / 3] * 3 + [2 / 3] * 4 + [11 / 21])
    assert table["reached"].tolist() == [True] * 4 + [False] * 4
    # patient a has 2 masses, both found with 3 false positives in its 2 images; b has 1, missed
    assert table["low"].tolist() == pytest.approx([0.0] * 8)
    assert table["high"].iloc[6] == 1.0


def test_draws_are_the_same_again_and_do_not_depend_on_the_order_of_images(make_detections):
    case = make_detections(20)
    patients = np.array([f"p{n // 2}" for n in range(20)])
    band = froc_band(froc(*case), patients, draws=300, seed=5)
    order = np.random.default_rng(0).permutation(20)
    other = froc(*([part[at] for at in order] for part in case))
    assert froc_band(froc(*case), patients, draws=300, seed=5).equals(band)
    assert froc_band(other, patients[order], draws=300, seed=5).equals(band)
    assert not froc_band(froc(*case), patients, draws=300, seed=6).equals(band)


def test_band_goes_through_the_seven_rates(make_detections):
    assert set(np.round(RATES, 9)) <= set(np.round(BAND_RATES, 9))
    case = make_detections(20)
    curve, patients = froc(*case), np.arange(20)
    band = froc_band(curve, patients, RATES, draws=300)
    table = sensitivity_table(curve, patients, draws=300)
    assert band.equals(table.iloc[:-1])


def test_differences_are_paired(make_detections):
    good, bad = (froc(*make_detections(30, noise=noise)) for noise in (1, 4))
    patients = np.arange(30) // 2
    table = sensitivity_differences(good, bad, patients)
    gap = good.sensitivity_at(RATES) - bad.sensitivity_at(RATES)
    assert table["difference"].tolist() == pytest.approx([*gap, gap.mean()])
    back = sensitivity_differences(bad, good, patients)
    assert back["low"].to_numpy() == pytest.approx(-table["high"].to_numpy())
    assert back["p"].tolist() == table["p"].tolist()
    last = table.iloc[-1]
    assert 0 < last["low"] < last["difference"] < last["high"]
    assert last["p"] < 0.05


def test_equal_detectors_do_not_differ_and_control_unpaired_draws_would(
    make_detections, monkeypatch
):
    curve, patients = froc(*make_detections(20)), np.arange(20)
    table = sensitivity_differences(curve, curve, patients)
    assert not table[["difference", "low", "high"]].to_numpy().any()
    assert table["p"].tolist() == [1.0] * 8
    ladder = ladder_of(curve.matches, patients)
    apart = [
        resample(lambda t: ladder_sensitivities(ladder, t, np.ones(1)), ladder.masses, 500, seed)
        for seed in (0, 1)
    ]
    assert np.ptp(apart[0] - apart[1]) > 0.1


def test_draws_without_a_mass_are_drawn_again(by_hand, monkeypatch):
    patients = ["a", "b", "c", "d"]
    table = sensitivity_table(froc(*by_hand), patients, draws=500)
    assert np.isfinite(table[["low", "high"]].to_numpy()).all()
    # control: kept, such a draw would make the interval NaN
    ladder = ladder_of(match_detections(*by_hand), patient_codes(patients, 4))
    assert np.isnan(ladder_sensitivities(ladder, np.array([[0.0, 2, 0, 2]]), np.ones(1))).all()


def test_300_images_of_100_patients_with_2000_draws_take_seconds(make_detections):
    curves = [froc(*make_detections(300, noise=noise, extra=20)) for noise in (1, 4)]
    patients = np.arange(300) // 3
    start = time.perf_counter()
    froc_band(curves[0], patients)
    sensitivity_differences(*curves, patients)
    assert time.perf_counter() - start < 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patients": ["a", "b"]}, r"patients of shape \(2,\) for 4 images"),
        ({"patients": ["a", None, "b", "c"]}, "name the patient of each"),
        ({"patients": ["a", "b", "a", "b"]}, "all masses come from one patient"),
        ({"draws": 0}, "draws = 0: at least 1"),
        ({"level": 1.0}, "level = 1.0"),
        ({"rates": [-1.0]}, "must be finite and not negative"),
    ],
)
def test_bad_input_is_named(by_hand, change, words):
    curve = froc(*by_hand)
    fields = {"patients": ["a", "b", "c", "d"], "draws": 50} | change
    for function in (froc_band, sensitivity_table):
        with pytest.raises(DataError, match=words):
            function(curve, **fields)
    with pytest.raises(DataError, match=words):
        sensitivity_differences(curve, curve, **fields)


def test_curves_of_other_images_are_not_paired(by_hand):
    curve = froc(*by_hand)
    moved = [one.copy() for one in by_hand.true]
    moved[2] += 1
    for true in (moved, [*by_hand.true[2:], *by_hand.true[:2]]):
        other = froc(by_hand.predicted, by_hand.scores, true)
        with pytest.raises(DataError, match="compare detectors on the same images"):
            sensitivity_differences(curve, other, ["a", "b", "c", "d"])
    fewer = froc(*(part[:3] for part in by_hand))
    with pytest.raises(DataError, match="3 masses in 4 images, 3 in 3"):
        sensitivity_differences(curve, fewer, ["a", "b", "c", "d"])
