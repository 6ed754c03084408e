"""The version of every component that changes the numbers of a run: a part of the run's key.

A number is raised when its component computes other numbers than before. The labels are frozen:
they stand in the keys of the committed records, and are names of components, not of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mammostudy.errors import SpecError

VERSIONS: Final[dict[str, int]] = {
    "data.dicom": 1,
    "data.frames": 1,
    "data.sources.phantom": 2,
    "data.splits": 1,
    "data.views": 1,
    "evaluation.boundaries": 1,
    "evaluation.calibration": 1,
    "evaluation.froc_curves": 1,
    "evaluation.matching": 1,
    "evaluation.overlap": 1,
    "evaluation.priors": 1,
    "evaluation.surface": 1,
    "evaluation.uncertainty": 1,
    "imaging.contours": 1,
    "imaging.framing": 1,
    "imaging.postprocessing": 1,
    "imaging.preprocessing": 1,
    "imaging.shape_features": 1,
    "imaging.shape_masks": 1,
    "models.channels_last": 1,
    "models.common": 1,
    "models.detectors.anchors": 1,
    "models.detectors.common": 1,
    "models.detectors.pyramids": 1,
    "models.detectors.ssd": 1,
    "models.detectors.ssd_light": 1,
    "models.discriminator": 1,
    "models.generator": 1,
    "models.segmenters.crfcnn": 1,
    "models.segmenters.encoder_unets": 1,
    "models.segmenters.fcn": 1,
    "models.segmenters.fcn_resnet101": 1,
    "models.segmenters.mean_field": 1,
    "models.segmenters.plain_unet": 1,
    "models.segmenters.segnet": 1,
    "models.segmenters.slsdeep": 1,
    "models.segmenters.trunks": 1,
    "models.segmenters.unet": 1,
    "models.shape_cnn": 1,
    "models.shape_resnet": 1,
    "models.winograd": 1,
    "runs.chain": 1,
    "runs.chain_rows": 1,
    "runs.chain_spec": 1,
    "runs.chain_stages": 1,
    "runs.detect": 1,
    "runs.detect_spec": 1,
    "runs.detection_rows": 1,
    "runs.evaluate": 1,
    "runs.mask_sets": 1,
    "runs.segmenters": 1,
    "runs.shape_spec": 1,
    "runs.shapes": 1,
    "runs.spec": 1,
    "training.averaging": 1,
    "training.detection": 1,
    "training.detection_augmentation": 1,
    "training.fit": 1,
    "training.losses": 1,
    "training.prediction": 1,
    "training.segmentation": 1,
    "training.shape_features": 1,
    "training.shape_weights": 1,
    "training.shapes": 1,
}


def recipe_version(component: str) -> int:
    """Return the version of a component, named ``mammostudy.<label>`` as keys hold it.

    Raises:
        SpecError: the component is not in the table.
    """
    label = component.removeprefix("mammostudy.")
    if label not in VERSIONS:
        raise SpecError(f"{component}: no version; add {label!r} to mammostudy/runs/versions.py")
    return VERSIONS[label]


def versions_of(components: Iterable[str]) -> dict[str, int]:
    """Return the versions of components as keys hold them, by ``mammostudy.<label>``."""
    labels = sorted({component.removeprefix("mammostudy.") for component in components})
    return {f"mammostudy.{label}": recipe_version(label) for label in labels}
