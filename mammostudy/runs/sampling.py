"""What a spec's prediction is: one draw, the mean of several, or the mean over mirror images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.frames import FramedSet
from mammostudy.runs.segmenters import THRESHOLD, as_tensor
from mammostudy.runs.spec import RunSpec

if TYPE_CHECKING:
    from torch import nn

Maps = NDArray[np.float32]
_DRAWS = 1_000  # seeds of the draws of one run


@dataclass(frozen=True)
class Prediction:
    """What a segmenter says of framed cases.

    Attributes:
        masks: bool ``(n, s, s)``.
        scores: a row a case: uncertainty of sampled predictions; no columns without samples.
    """

    masks: NDArray[np.bool_]
    scores: pd.DataFrame


def predict(model: nn.Module, framed: FramedSet, spec: RunSpec) -> Prediction:
    """Predict framed cases as the spec's evaluation says, before post-processing."""
    if spec.evaluation.samples:
        samples = sampled_probabilities(model, framed, spec)
        return Prediction(samples.mean(axis=0) >= THRESHOLD, _scores(samples, framed))
    draw = flip_averaged if spec.evaluation.flips else one_draw
    return Prediction(draw(model, framed, spec) >= THRESHOLD, pd.DataFrame(index=framed.cases))


def one_draw(model: nn.Module, framed: FramedSet, spec: RunSpec, draw: int = 0) -> Maps:
    """Return the probability of mass, float32 ``(n, s, s)``.

    Args:
        model: the segmenter.
        framed: the cases.
        spec: of the run.
        draw: of the dropout at prediction, where the model has one; 0 is the run's own.
    """
    from mammostudy.training.segmentation import predict_probabilities

    images = as_tensor(framed.images, spec.model.channels)
    seed = spec.seed if draw == 0 else _DRAWS * (spec.seed + 1) + draw
    return predict_probabilities(model, images, seed=seed)


def sampled_probabilities(model: nn.Module, framed: FramedSet, spec: RunSpec) -> Maps:
    """Return the draws of the dropout that the spec asks for, float32 ``(k, n, s, s)``."""
    return np.stack([one_draw(model, framed, spec, k) for k in range(spec.evaluation.samples)])


def flip_averaged(model: nn.Module, framed: FramedSet, spec: RunSpec) -> Maps:
    """Return the mean probability of an image and its three mirror images, turned back."""
    from mammostudy.training.segmentation import predict_probabilities

    images = as_tensor(framed.images, spec.model.channels)
    total = np.zeros(framed.images.shape, np.float32)
    for axes in ((), (-1,), (-2,), (-2, -1)):
        found = predict_probabilities(model, images.flip(axes), seed=spec.seed)
        total += np.flip(found, axes) / 4
    return total


def _scores(samples: Maps, framed: FramedSet) -> pd.DataFrame:
    from mammostudy.evaluation import uncertainty

    spread = uncertainty.deviation_map(samples)
    columns = {
        "spread": uncertainty.spread_score(spread, samples),
        "information": uncertainty.spread_score(uncertainty.information_map(samples), samples),
        "disagreement": uncertainty.disagreement(samples),
    }
    return pd.DataFrame(columns, index=framed.cases)
