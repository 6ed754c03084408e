"""What several sampled predictions of one image say about its uncertainty.

Samples are probability maps ``(k, n, s, s)``: k draws (of test-time dropout, of several models)
for each of n cases. They give a mean map, maps of their spread, and one score a case; whether a
score knows where the error is belongs to :mod:`mammostudy.evaluation.selection`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from mammostudy.errors import DataError
from mammostudy.evaluation.overlap import dice

VERSION = 1
"""Recipe version: raised by hand whenever a change here moves a number."""
THRESHOLD = 0.5

Samples = NDArray[np.float32] | NDArray[np.float64]
Maps = NDArray[np.float64]
Scores = NDArray[np.float64]


def check_samples(samples: Samples, least: int = 1) -> None:
    """Refuse what are no sampled probability maps.

    Args:
        samples: float ``(k, n, s, s)`` in [0, 1].
        least: how many samples are needed.

    Raises:
        DataError: other dimensions or type, too few samples, or a value outside [0, 1].
    """
    if samples.ndim != 4 or samples.dtype.kind != "f":
        msg = (
            f"samples of shape {samples.shape} and type {samples.dtype}: probabilities "
            "(samples, cases, rows, columns) as floats needed"
        )
        raise DataError(msg)
    if len(samples) < least:
        msg = f"{len(samples)} sample(s): {least} or more needed"
        raise DataError(msg)
    if not ((samples >= 0) & (samples <= 1)).all():
        msg = "samples leave [0, 1] or are not numbers: turn a tanh output t into (t + 1) / 2 first"
        raise DataError(msg)


def mean_map(samples: Samples) -> Maps:
    """The mean probability of each pixel.

    Args:
        samples: float ``(k, n, s, s)`` in [0, 1].

    Returns:
        float64 ``(n, s, s)``.

    Raises:
        DataError: not sampled probability maps.
    """
    check_samples(samples)
    mean: Maps = samples.mean(axis=0, dtype=np.float64)
    return mean


def deviation_map(samples: Samples) -> Maps:
    """The standard deviation of each pixel between samples (over k, not k - 1).

    Args:
        samples: float ``(k, n, s, s)`` in [0, 1].

    Returns:
        float64 ``(n, s, s)`` in [0, 0.5]; 0 for a single sample.

    Raises:
        DataError: not sampled probability maps.
    """
    check_samples(samples)
    deviation: Maps = samples.std(axis=0, dtype=np.float64)
    return deviation


def information_map(samples: Samples) -> Maps:
    """What a sample tells about a pixel: the entropy of the mean less the mean entropy.

    It is 0 where all samples agree, however unsure each is, and 1 bit where half say mass and half
    say none.

    Args:
        samples: float ``(k, n, s, s)`` in [0, 1].

    Returns:
        float64 ``(n, s, s)``, bits, in [0, 1].

    Raises:
        DataError: not sampled probability maps.

    Source: Houlsby et al. 2011 (mutual information of prediction and model).
    """
    mean = mean_map(samples)
    each = np.mean([_bits(one.astype(np.float64)) for one in samples], axis=0)
    information: Maps = np.clip(_bits(mean) - each, 0, 1)
    return information


def _bits(probability: Maps) -> Maps:
    """The entropy of a yes or no."""
    bits: Maps = (entr(probability) + entr(1 - probability)) / np.log(2)
    return bits


def spread_score(spread: Maps, samples: Samples, threshold: float = THRESHOLD) -> Scores:
    """The mean of a map of spread where any sample marks a mass.

    Outside of it nearly nothing is ever marked, so that a large background would make every case
    look certain. Where no sample marks anything the mean runs over the whole frame.

    Args:
        spread: ``(n, s, s)``, of :func:`deviation_map` or :func:`information_map`.
        samples: float ``(k, n, s, s)`` in [0, 1].
        threshold: of the probability, from which a pixel is marked.

    Returns:
        float64 ``(n,)``.

    Raises:
        DataError: not sampled probability maps, or a spread of another shape.
    """
    check_samples(samples)
    if spread.shape != samples.shape[1:]:
        msg = f"spread of shape {spread.shape} for samples of {samples.shape}: one map a case"
        raise DataError(msg)
    marked: NDArray[np.bool_] = np.logical_or.reduce(samples >= threshold, axis=0)
    marked[~marked.any(axis=(1, 2))] = True
    scores: Scores = (spread * marked).sum(axis=(1, 2)) / marked.sum(axis=(1, 2))
    return scores


def disagreement(samples: Samples, threshold: float = THRESHOLD) -> Scores:
    """How far the masks of two samples differ on average: the mean of 1 - Dice over all pairs.

    It is on the scale of the error that it may predict: were the truth one more sample, it would be
    the expected 1 - Dice of a sample. Two empty masks agree.

    Args:
        samples: float ``(k, n, s, s)`` in [0, 1], two samples or more.
        threshold: of the probability, from which a pixel is marked.

    Returns:
        float64 ``(n,)`` in [0, 1].

    Raises:
        DataError: not sampled probability maps, or a single one.

    Source: Roy et al. 2019 (Dice agreement of Monte Carlo samples).
    """
    check_samples(samples, least=2)
    masks = samples >= threshold
    first, second = np.triu_indices(len(masks), k=1)
    pairs = [1 - dice(masks[i], masks[j]) for i, j in zip(first, second, strict=True)]
    apart: Scores = np.mean(pairs, axis=0)
    return apart
