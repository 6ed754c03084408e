"""Trained segmenters at work: the model behind a record, its post-processing, its masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.frames import FramedSet
from mammostudy.errors import DataError
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.runs.sampling import predict
from mammostudy.runs.segmenters import build_model
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record, weights_path

if TYPE_CHECKING:
    from torch import nn


def chosen_steps(record: Record) -> tuple[str, ...]:
    """Return the post-processing with the better mean Dice on the record's validation part."""
    cases = record.cases
    validation = cases[(cases["part"] == "validation") & (cases["box"] == "oracle")]
    means = validation.groupby("postprocessing")["dice"].mean()
    best = str(means.idxmax())
    return () if best == "none" or means["none"] >= means[best] else tuple(best.split("+"))


def trained_model(record: Record) -> nn.Module:
    """Return the trained segmenter of a record, on the device that runs compute on.

    Raises:
        DataError: its weights are not in the local store, or damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from mammostudy.training.loop import device

    with torch.random.fork_rng(devices=[]):
        model = build_model(record.spec)
    path = weights_path(str(record.content["training_key"]))
    try:
        load_model(model, path)
    except (OSError, RuntimeError, SafetensorError):
        msg = (
            f"{path}: the weights of run {record.key} are missing or damaged; delete the file, "
            "then `mammostudy doctor` names another model or the command that makes one"
        )
        raise DataError(msg) from None
    return model.to(device())


def predicted_masks(model: nn.Module, framed: FramedSet, spec: RunSpec) -> NDArray[np.bool_]:
    """Predict the masks of framed cases, bool ``(n, s, s)``, before post-processing."""
    return predict(model, framed, spec).masks


def finished_masks(masks: NDArray[np.bool_], record: Record) -> NDArray[np.bool_]:
    """Post-process predicted masks as the record's validation part chose."""
    return postprocess(masks, chosen_steps(record))
