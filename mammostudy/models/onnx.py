"""Networks as ONNX files, which ONNX Runtime runs quicker than torch; needs the extra `export`."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


def write_onnx(model: nn.Module, probe: Tensor, path: Path) -> None:
    """Write a model for inputs of the probe's shape, weights and all in one file."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (probe,), str(path), dynamo=True, external_data=False, verbose=False,
            input_names=["images"], output_names=["t"],
        )  # fmt: skip


def onnx_session(path: Path) -> nn.Module:
    """Return an export as a module; images go one by one, as a frame is predicted."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    class Exported(torch.nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            outputs = [session.run(["t"], {"images": one[None]})[0] for one in images.numpy()]
            return torch.from_numpy(np.concatenate(outputs))

    return Exported()
