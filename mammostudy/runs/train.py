"""The model of a segmentation run: trained, resumed, or read where it was trained before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import frame_cohort
from mammostudy.data.splits import Split
from mammostudy.errors import DataError
from mammostudy.evaluation import overlap
from mammostudy.paths import store_root
from mammostudy.runs.sampling import one_draw
from mammostudy.runs.segmenters import THRESHOLD, as_tensor, build_trainer
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import weights_path

if TYPE_CHECKING:
    from torch import nn

    from mammostudy.training.loop import Fitted


def train_or_read(
    spec: RunSpec, cohort: Cohort, split: Split, progress: bool | None
) -> tuple[nn.Module, Fitted]:
    """Train the model of a spec, or read the weights where they were trained before.

    Raises:
        DataError: the stored weights, or the checkpoint, are of another network.
    """
    import torch
    from safetensors.torch import save_model

    from mammostudy.data.cache import write_atomically
    from mammostudy.training.loop import save_checkpoint
    from mammostudy.training.segmentation import Budget, fit

    framed = frame_cohort(cohort, spec.frame, spec.preprocessing)
    training, validation = framed.take(split.train), framed.take(split.validation)
    key = spec.training_key(cohort.manifest_hash)
    torch.manual_seed(spec.seed)
    trainer = build_trainer(spec)
    weights, history = weights_path(key), weights_path(key).with_suffix(".history")
    if (past := stored_fit(trainer.generator, weights, history)) is not None:
        return trainer.generator, past

    def validate() -> float:
        masks = one_draw(trainer.generator, validation, spec) >= THRESHOLD
        return float(overlap.dice(masks, validation.masks).mean())

    checkpoint = store_root() / "checkpoints" / f"{key}.pt"
    settings = spec.optimiser
    fitted = fit(
        trainer,
        as_tensor(training.images, spec.model.channels),
        as_tensor(training.masks, spec.model.channels),
        Budget(settings.iterations, settings.batch, settings.validations),
        seed=spec.seed,
        validate=validate,
        checkpoint=checkpoint,
        augment=settings.augment,
        label=label_of(spec),
        progress=progress,
    )
    write_atomically(weights, lambda partial: save_model(trainer.generator, str(partial)))
    save_checkpoint(history, vars(fitted))
    checkpoint.unlink(missing_ok=True)
    return trainer.generator, fitted


def stored_fit(model: nn.Module, weights: Path, history: Path) -> Fitted | None:
    """Read the weights and curves of a finished training into a model; None where not whole.

    Raises:
        DataError: the weights are whole and those of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from mammostudy.training.loop import Fitted, load_checkpoint

    past = load_checkpoint(history)
    if past is None or set(past) != set(Fitted.__dataclass_fields__) or not weights.is_file():
        return None
    try:
        load_model(model, weights)
    except SafetensorError:  # damaged: found out before the model is touched
        return None
    except RuntimeError:
        msg = f"{weights}: weights of another network; move or delete the file, then it trains anew"
        raise DataError(msg) from None
    return Fitted(**past)


def label_of(spec: RunSpec) -> str:
    """Name a run for a person: cohort, frame, model, loss, seed and fold."""
    frame = spec.frame.strategy + (f" x{spec.frame.scale:g}" if spec.frame.scale != 2 else "")
    frame += " LEAKY" if spec.split.leaky else ""
    if spec.is_baseline:
        return f"{spec.cohort} {frame} {spec.model.name} fold {spec.split.fold}"
    adversary = "" if spec.loss.adversarial_weight else " no adversary"
    return (
        f"{spec.cohort} {frame} {spec.variant} {spec.model.name} {spec.loss.overlap}{adversary} "
        f"fold {spec.split.fold} seed {spec.seed}"
    )
