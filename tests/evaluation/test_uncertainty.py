"""Spread of sampled maps, worked by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.distributions import Bernoulli

from mammostudy.errors import DataError
from mammostudy.evaluation import overlap
from mammostudy.evaluation.uncertainty import (
    deviation_map,
    disagreement,
    information_map,
    mean_map,
    spread_score,
)

ANY = hnp.arrays(np.float32, (3, 2, 4, 4), elements=st.floats(0, 1, width=32))


def maps(*samples: list[list[float]]) -> np.ndarray:
    """Samples of one case, as float32 (k, 1, rows, columns)."""
    return np.array(samples, np.float32)[:, None]


PAIR = maps([[1.0, 0.5], [0.0, 0.25]], [[0.0, 0.5], [0.0, 0.75]])


def test_mean_and_deviation_by_hand():
    np.testing.assert_allclose(mean_map(PAIR), [[[0.5, 0.5], [0, 0.5]]])
    np.testing.assert_allclose(deviation_map(PAIR), [[[0.5, 0], [0, 0.25]]])
    assert deviation_map(PAIR[:1]).max() == 0


def test_information_by_hand():
    """A sure yes and a sure no: one bit. Twice unsure: none. A quarter and three quarters: some."""
    quarter = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    np.testing.assert_allclose(information_map(PAIR), [[[1, 0], [0, 1 - quarter]]], atol=1e-7)


@given(ANY)
def test_information_is_that_of_torch_and_within_its_bounds(samples):
    p = torch.from_numpy(samples.astype(np.float64))
    whole, each = (Bernoulli(probs=q).entropy() / math.log(2) for q in (p.mean(0), p))
    expected = whole - each.mean(0)
    found = information_map(samples)
    np.testing.assert_allclose(found, expected.clamp(0, 1), atol=1e-5)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_score_is_the_mean_where_any_sample_marks_mass():
    # marked: (0,0) by the first, (0,1) by both, (1,1) by the second
    assert spread_score(deviation_map(PAIR), PAIR) == pytest.approx([(0.5 + 0 + 0.25) / 3])
    assert spread_score(deviation_map(PAIR), PAIR, threshold=0.6) == pytest.approx([0.75 / 2])


def test_where_nothing_is_marked_the_whole_frame_counts():
    faint = maps([[0.0, 0.4], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert spread_score(deviation_map(faint), faint) == pytest.approx([0.2 / 4])


def test_a_large_background_does_not_make_a_case_certain():
    wide = np.pad(PAIR, ((0, 0), (0, 0), (0, 30), (0, 30)))
    np.testing.assert_allclose(
        spread_score(deviation_map(wide), wide), spread_score(deviation_map(PAIR), PAIR)
    )
    assert deviation_map(wide).mean() < 0.01 * deviation_map(PAIR).mean()  # control


def test_disagreement_by_hand():
    """Masks of 2, 2 and 1 pixels: one shared by the first two, the third inside the first."""
    samples = maps([[0.9, 0.9], [0.1, 0.1]], [[0.9, 0.1], [0.9, 0.1]], [[0.1, 0.9], [0.1, 0.1]])
    pairs = [1 - 2 / 4, 1 - 2 / 3, 1 - 0]
    assert disagreement(samples) == pytest.approx([np.mean(pairs)])
    assert disagreement(np.zeros((3, 1, 4, 4), np.float32)).tolist() == [0]


def test_disagreement_is_the_expected_error_where_the_truth_is_one_more_sample():
    rng = np.random.default_rng(0)
    level = rng.random((1, 12, 12))
    drawn = (rng.random((40, 1, 12, 12)) < level).astype(np.float32)
    truth = rng.random((400, 12, 12)) < level
    errors = [1 - overlap.dice(np.repeat(d >= 0.5, 400, 0), truth).mean() for d in drawn]
    assert disagreement(drawn)[0] == pytest.approx(np.mean(errors), abs=0.01)


@settings(max_examples=30)
@given(ANY, st.permutations(range(3)))
def test_order_of_samples_does_not_matter_and_cases_do_not_touch(samples, order):
    spread = deviation_map(samples)
    for score in (disagreement, lambda s: spread_score(deviation_map(s), s)):
        np.testing.assert_allclose(score(samples), score(samples[order]), atol=1e-7)
        np.testing.assert_allclose(score(samples)[::-1], score(samples[:, ::-1]))
    assert ((spread >= 0) & (spread <= 0.5 + 1e-7)).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 4, 4), np.float32), "samples, cases, rows, columns"),
        (np.zeros((2, 1, 4, 4), bool), "as floats"),
        (np.full((2, 1, 4, 4), -0.5), "tanh"),
        (np.full((2, 1, 4, 4), np.nan), "not numbers"),
        (np.zeros((0, 1, 4, 4)), "1 or more"),
    ],
)
def test_refuses_what_are_no_samples(samples, message):
    calls = (mean_map, deviation_map, information_map, lambda s: spread_score(s[0], s))
    for call in calls if len(samples) else calls[:3]:
        with pytest.raises(DataError, match=message):
            call(samples)


def test_refuses_a_single_sample_and_a_map_of_another_size():
    with pytest.raises(DataError, match="2 or more"):
        disagreement(PAIR[:1])
    with pytest.raises(DataError, match="one map a case"):
        spread_score(np.zeros((2, 2, 2)), PAIR)
