"""What a spec becomes: its baseline masks, its model, its trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.frames import FramedSet
from mammostudy.errors import SpecError
from mammostudy.imaging.contours import chan_vese_mask, inscribed_ellipse, otsu_mask
from mammostudy.imaging.framing import Box
from mammostudy.runs.segmenting import FIELD_OWNERS, Model
from mammostudy.runs.spec import BASELINES, RunSpec

if TYPE_CHECKING:
    from torch import Tensor, nn, optim

    from mammostudy.training.segmentation import Supervised

VERSION: Final = 1  # recipe version: baselines, threshold, optimiser
THRESHOLD: Final = 0.5  # of the probability; the paper does not report its own


def baseline_masks(name: str, framed: FramedSet) -> NDArray[np.bool_]:
    """Return the masks of a baseline that needs no training.

    Args:
        name: ``all-mass``, ``ellipse`` (inscribed in the given box), ``otsu``, or ``chan-vese``
            (started from an ellipse of the given box's size in the middle of the frame).
        framed: the frames.

    Returns:
        bool ``(n, s, s)``.

    Raises:
        SpecError: there is no baseline of that name; the message lists them.
    """
    if name not in BASELINES:
        msg = f"baseline {name!r} is unknown; use one of {', '.join(BASELINES)}"
        raise SpecError(msg)
    if name == "all-mass":
        return np.ones(framed.masks.shape, dtype=bool)
    if name == "ellipse":
        return np.stack([_ellipse(given, framed.images.shape[1]) for given in framed.given])
    if name == "otsu":
        return np.stack([otsu_mask(image) for image in framed.images])
    side = framed.images.shape[1]
    shares = np.clip((framed.given[:, 2:] - framed.given[:, :2]).mean(axis=1) / side, 0.05, 1.0)
    return np.stack(
        [
            chan_vese_mask(image, box_fraction=float(share))
            for image, share in zip(framed.images, shares, strict=True)
        ]
    )


def _ellipse(given: NDArray[np.float32], side: int) -> NDArray[np.bool_]:
    x_min, y_min, x_max, y_max = (round(float(v)) for v in given)
    box: Box = (x_min, y_min, max(x_max, x_min + 1), max(y_max, y_min + 1))
    return inscribed_ellipse(box, (side, side))


def build_model(spec: RunSpec) -> nn.Module:
    """Build the segmenter of a spec, initialised from torch's present random state.

    Raises:
        SpecError: the model's name or a field of it is unknown.
    """
    from mammostudy.models import build_segmenter

    return build_segmenter(spec.model.name, **model_fields(spec.model))


def model_fields(model: Model) -> dict[str, Any]:
    """Return what the builder of a segmenter takes of the fields of a spec."""
    fields: dict[str, Any] = {"in_channels": model.channels, "out_channels": model.channels}
    names: tuple[str, ...]
    if model.name == "cgan":
        names = ("width", "levels", "shared_batch_norm", "dropout_at_prediction")
    elif model.name == "unet-plain":
        names = ("width",)
    else:
        names = tuple(name for name in ("weights", "dense") if model.name in FIELD_OWNERS[name])
    return fields | {name: getattr(model, name) for name in names}


def build_trainer(spec: RunSpec) -> Supervised:
    """Build the trainer of a spec, initialised as published from torch's present random state.

    The wide cGAN of the paper trains in channels-last layout on a processor.
    """
    import torch

    from mammostudy.models import Discriminator
    from mammostudy.models.quick_layers import lay_channels_last
    from mammostudy.training.loop import device
    from mammostudy.training.segmentation import Adversarial, Supervised

    settings = spec.optimiser

    def adam(parameters: Iterator[nn.Parameter]) -> optim.Optimizer:
        betas = (settings.beta1, settings.beta2)
        return torch.optim.Adam(parameters, lr=settings.learning_rate, betas=betas, fused=True)

    def placed(network: nn.Module) -> nn.Module:
        network.to(device())
        return lay_channels_last(network) if spec.trains_channels_last else network

    generator = placed(build_model(spec))
    if spec.loss.adversarial_weight == 0:
        trainer = Supervised(
            generator,
            overlap=spec.loss.overlap,
            overlap_weight=spec.loss.overlap_weight,
            optimiser=adam,
        )
        return _averaged(trainer, settings.averaging)
    discriminator = Discriminator(in_channels=2 * spec.model.channels, width=spec.model.width)
    adversarial = Adversarial(
        generator,
        placed(discriminator),
        overlap=spec.loss.overlap,
        overlap_weight=spec.loss.overlap_weight,
        optimiser=adam,
        signed_masks=spec.loss.signed_masks,
        adversarial_weight=spec.loss.adversarial_weight,
    )
    return _averaged(adversarial, settings.averaging)


def _averaged(trainer: Supervised, decay: float) -> Supervised:
    from mammostudy.training.segmentation import Averaged

    return Averaged(trainer, decay) if decay else trainer


def as_tensor(planes: NDArray[np.float32] | NDArray[np.bool_], channels: int) -> Tensor:
    """Return ``(n, s, s)`` planes as a float32 ``(n, channels, s, s)`` tensor on the device."""
    import torch

    from mammostudy.training.loop import device

    tensor = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32)).to(device())
    return tensor.unsqueeze(1).repeat(1, channels, 1, 1)
