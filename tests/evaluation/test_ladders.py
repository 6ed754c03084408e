"""Resamples by matrix are those of images repeated by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammostudy.evaluation import ladders
from mammostudy.evaluation.froc_curves import froc
from mammostudy.evaluation.ladders import (
    ladder_of,
    ladder_precisions,
    ladder_sensitivities,
    two_sided_p,
)
from mammostudy.evaluation.matching import match_detections
from mammostudy.evaluation.precision_curves import average_precision

SOME_RATES = np.array([0, 0.2, 0.29, 0.5, 1, 2, 8])


def repeated(case, times):
    """The images of a case, each as often as told."""
    images = np.repeat(np.arange(len(times)), times)
    return [[part[at] for at in images] for part in case]


@settings(deadline=None)
@given(data=st.data())
def test_a_resample_is_the_images_repeated(any_detections, data):
    case = data.draw(any_detections)
    images = len(case.true)
    codes = np.array(data.draw(st.tuples(*[st.integers(0, images - 1)] * images)))
    codes = np.unique(codes, return_inverse=True)[1]
    drawn = np.array(data.draw(st.tuples(*[st.integers(0, 3)] * (codes.max() + 1))))
    again = repeated(case, drawn[codes])
    times = drawn[None].astype(float)
    ladder = ladder_of(match_detections(*case), codes)
    found = ladder_sensitivities(ladder, times, SOME_RATES)[0]
    counted = match_detections(*case, repeats="false_positive")
    precision = ladder_precisions(ladder_of(counted, codes), times)[0]
    if not sum(map(len, again[2])):
        assert np.isnan(found).all()
        assert np.isnan(precision)
        return
    assert found == pytest.approx(froc(*again).sensitivity_at(SOME_RATES))
    assert precision == pytest.approx(average_precision(*again).value)


def test_p_is_never_nothing_and_counts_both_sides():
    assert two_sided_p(np.ones((99, 1))).tolist() == [0.02]
    assert two_sided_p(np.zeros((99, 1))).tolist() == [1.0]
    assert two_sided_p(np.repeat([[-1.0], [1.0]], [9, 90], axis=0)).tolist() == [0.2]


def test_control_the_ladder_counts_rates_with_slack(monkeypatch):
    boxes = [[[0.0, 0, 4, 4]]] * 30 + [[]] * 70
    true = [[]] * 29 + [[[0.0, 0, 4, 4]]] + [[]] * 70
    case = boxes, [[0.9]] * 29 + [[0.5]] + [[]] * 70, true
    ladder, once = ladder_of(match_detections(*case)), np.ones((1, 1))
    assert ladder_sensitivities(ladder, once, np.array([0.29])).item() == 1
    monkeypatch.setattr(ladders, "SLACK", 0.0)
    assert ladder_sensitivities(ladder, once, np.array([0.29])).item() == 0
