"""Detections worked by hand, and random ones: boxes, their scores and true boxes an image."""

import numpy as np
import pytest
from hypothesis import strategies as st

GRID = 10
SCORES = (0.125, 0.25, 0.5, 0.75)


@pytest.fixture
def by_hand():
    """Four images, three masses, seven predictions; the tests say what becomes of each."""
    predicted = [
        [[0, 0, 10, 10], [1, 0, 11, 10], [40, 40, 50, 50], [20, 20, 30, 25]],
        [[5, 5, 9, 9], [15, 5, 19, 9]],
        [[4, 4, 12, 12]],
        [],
    ]
    scores = [[0.9, 0.8, 0.7, 0.6], [0.7, 0.3], [0.65], []]
    true = [[[0, 0, 10, 10], [20, 20, 30, 30]], [], [[0, 0, 8, 8]], []]
    return [[np.array(one, float) for one in part] for part in (predicted, scores, true)]


def _boxes(most):
    side = st.tuples(st.integers(0, GRID - 2), st.integers(1, 6))
    box = st.tuples(side, side).map(
        lambda s: [s[0][0], s[1][0], min(s[0][0] + s[0][1], GRID), min(s[1][0] + s[1][1], GRID)]
    )
    return st.lists(box, max_size=most).map(lambda b: np.array(b, float).reshape(-1, 4))


@st.composite
def _detections(draw):
    images = draw(st.integers(1, 4))
    predicted = [draw(_boxes(5)) for _ in range(images)]
    score = st.sampled_from(SCORES)
    scores = [np.array(draw(st.tuples(*[score] * len(one))), float) for one in predicted]
    true = [draw(_boxes(3)) for _ in range(images)]
    if not sum(map(len, true)):
        true[0] = np.array([[1.0, 2.0, 6.0, 5.0]])
    return predicted, scores, true


@pytest.fixture(scope="session")
def any_detections():
    """Random boxes on a grid of 10 x 10 with tied scores, and at least one mass."""
    return _detections()
