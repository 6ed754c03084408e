"""Trained segmenters exported for quick prediction by ONNX Runtime, where the extra is installed.

An export is used while it and the weights behind it are the files that were checked against torch.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from mammostudy.data.cache import write_atomically
from mammostudy.models.onnx import onnx_session, write_onnx
from mammostudy.paths import store_root
from mammostudy.runs.record import Record, weights_path
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.trained import trained_model

if TYPE_CHECKING:
    from torch import nn

TOLERANCE: Final = 1e-5  # the largest difference from torch's probability at which it is used
PACKAGES: Final = ("onnx", "onnxscript", "onnxruntime")
MEND: Final = "pip install -e '.[export]'"
EXPORTED: Final = "ONNX Runtime"
EAGER: Final = "torch"


class Segmenter(NamedTuple):
    """A trained segmenter ``(n, c, s, s)`` to tanh output, what it runs on, and why it is torch."""

    model: nn.Module
    path: str
    note: str = ""


def why_eager(spec: RunSpec | None = None) -> str:
    """Say why predictions go by torch on this machine, or for a spec; empty where they need not."""
    from mammostudy.training.loop import device

    if absent := [name for name in PACKAGES if find_spec(name) is None]:
        return f"the exported path needs {', '.join(absent)}: {MEND}"
    if device().type != "cpu":
        return f"the exported path is for processors, predictions run on {device()}"
    if spec is not None and spec.model.name == "cgan" and spec.model.dropout_at_prediction:
        return "the model draws dropout at prediction"
    return ""


def segmenter_of(record: Record) -> Segmenter:
    """Return the segmenter of a record, exported where that can be."""
    if note := why_eager(record.spec):
        return Segmenter(trained_model(record), EAGER, note)
    path, weights = export_path(record), weights_path(str(record.content["training_key"]))
    if not _is_sound(path, weights):
        model = trained_model(record).eval()
        if note := _export(model, record.spec, path, weights):
            path.unlink(missing_ok=True)
            return Segmenter(model, EAGER, note)
    return Segmenter(onnx_session(path), EXPORTED)


def export_path(record: Record) -> Path:
    """Return where the export of a record's model is kept; its checksum lies beside it."""
    return store_root() / "exported" / f"{record.content['training_key']}.onnx"


def _checksum(path: Path, weights: Path) -> str:
    """Hash an export and the weights behind it."""
    return hashlib.sha256(path.read_bytes() + weights.read_bytes()).hexdigest()


def _is_sound(path: Path, weights: Path) -> bool:
    """Whether an export and the weights behind it are what was checked."""
    with suppress(OSError):
        return path.with_suffix(".sha256").read_text(encoding="utf-8") == _checksum(path, weights)
    return False


def _export(model: nn.Module, spec: RunSpec, path: Path, weights: Path) -> str:
    """Export a model and check it; return why it cannot be used, or nothing."""
    import torch

    side = spec.frame.size
    generator = torch.Generator().manual_seed(0)
    probe = torch.rand(2, spec.model.channels, side, side, generator=generator)
    try:
        write_atomically(path, lambda partial: write_onnx(model, probe[:1], partial))
        given = onnx_session(path)(probe)
    except Exception as error:  # the exporter raises what it meets inside a model
        return f"the model cannot be exported ({type(error).__name__})"
    with torch.inference_mode():
        worst = float((given - model(probe)).abs().max()) / 2
    if not worst <= TOLERANCE:  # also where it is not a number
        return f"the exported model differs by {worst:.1e} from torch"
    path.with_suffix(".sha256").write_text(_checksum(path, weights), encoding="utf-8")
    return ""
