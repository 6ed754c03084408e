"""Predictions of a segmenter, with its dropout drawn from a seed of their own."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mammostudy.training.losses import probability

VERSION: Final = 1


def predict_probabilities(
    model: nn.Module, images: Tensor, *, batch: int = 32, seed: int = 0
) -> NDArray[np.float32]:
    """Predict the probability of mass.

    Args:
        model: of ``(n, c, s, s)`` to a tanh output; where it keeps dropout on at prediction
            (the paper's z), the draws follow ``seed``.
        images: ``(n, c, s, s)`` in the range the model was trained on.
        batch: images at once.
        seed: of the dropout; the caller's random state is left as it was.

    Returns:
        float32 ``(n, s, s)`` in [0, 1]; channels of the output are averaged.
    """
    model.eval()
    outputs = []
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(images), batch):
            outputs.append(probability(model(images[start : start + batch])).mean(dim=1))
    return torch.cat(outputs).cpu().numpy().astype(np.float32)
