"""The version of every component that changes the numbers of a run: a part of the run's key.

A number is raised when its component computes other numbers than before. The labels are frozen:
they stand in the keys of the committed records, and are names of components, not of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mammostudy.errors import SpecError

_FIRST: Final = """
data.dicom data.frames data.sources.phantom data.splits data.views evaluation.boundaries
evaluation.calibration evaluation.froc_curves evaluation.matching evaluation.overlap
evaluation.priors evaluation.surface evaluation.uncertainty imaging.contours imaging.framing
imaging.postprocessing imaging.preprocessing imaging.shape_features imaging.shape_masks
models.channels_last models.common models.detectors.anchors models.detectors.common
models.detectors.pyramids models.detectors.ssd models.detectors.ssd_light models.discriminator
models.generator models.segmenters.crfcnn models.segmenters.encoder_unets
models.segmenters.fcn models.segmenters.fcn_resnet101 models.segmenters.mean_field
models.segmenters.plain_unet models.segmenters.segnet models.segmenters.slsdeep
models.segmenters.trunks models.segmenters.unet models.shape_cnn models.shape_resnet
models.winograd runs.chain runs.chain_rows runs.chain_spec runs.chain_stages runs.detect
runs.detect_spec runs.detection_rows runs.evaluate runs.mask_sets runs.segmenters
runs.shape_spec runs.shapes runs.spec training.averaging training.detection
training.detection_augmentation training.fit training.losses training.prediction
training.schedule training.segmentation training.shape_features training.shape_weights
training.shapes
"""
_RAISED: Final = {"data.sources.phantom": 2}
VERSIONS: Final[dict[str, int]] = dict.fromkeys(_FIRST.split(), 1) | _RAISED


def recipe_version(component: str) -> int:
    """Return the version of a component, ``mammostudy.<label>``; one without it is a SpecError."""
    label = component.removeprefix("mammostudy.")
    if label not in VERSIONS:
        raise SpecError(f"{component}: no version; add {label!r} to mammostudy/runs/versions.py")
    return VERSIONS[label]


def versions_of(components: Iterable[str]) -> dict[str, int]:
    """Return the versions of components as keys hold them, by ``mammostudy.<label>``."""
    labels = sorted({component.removeprefix("mammostudy.") for component in components})
    return {f"mammostudy.{label}": recipe_version(label) for label in labels}
