"""The version of every component that changes the numbers of a run: a part of the run's key.

A number is raised when its component computes other numbers than before. The labels are frozen:
they stand in the keys of the committed records, and are names of components, not of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mammostudy.errors import SpecError

PARTS: Final = {
    "framed": """data.dicom data.frames data.splits imaging.framing imaging.preprocessing
        runs.segmenters runs.spec""",
    "measured": "evaluation.overlap evaluation.surface imaging.postprocessing runs.evaluate",
    "boundary": "evaluation.boundaries",
    "sampled": "evaluation.uncertainty",
    "contours": "imaging.contours",
    "fitted": "models.baselines",
    "segmenter": """models.common training.fit training.losses training.prediction
        training.segmentation""",
    "quick": "models.channels_last models.winograd",
    "judge": "models.discriminator",
    "averaged": "training.averaging",
    "scheduled": "training.schedule",
    "detection": """data.dicom data.splits data.views evaluation.matching runs.detect
        runs.detect_spec runs.detection_rows""",
    "detector": """evaluation.froc_curves models.detectors.anchors models.detectors.common
        training.detection training.detection_augmentation""",
    "frozen": "models.detectors.frozen_pyramid",
    "prior": "evaluation.priors",
    "shapes": """data.dicom data.splits evaluation.calibration imaging.contours imaging.framing
        imaging.preprocessing imaging.shape_masks runs.mask_sets runs.shape_spec runs.shapes""",
    "segmented": "data.sources.phantom",
    "cnn": "training.shapes training.shape_weights models.shape_cnn",
    "grey-cnn": "training.shapes training.shape_weights models.shape_cnn data.frames",
    "resnet": "training.shapes training.shape_weights models.shape_resnet",
    "geodesic": "models.geodesic",
    "box": "training.logistic",
    "grey-features": "data.frames models.grey_features training.logistic",
    "features": "imaging.shape_features training.shape_features",
    "chain": """data.frames evaluation.calibration evaluation.froc_curves evaluation.overlap
        imaging.framing imaging.postprocessing imaging.shape_masks runs.chain runs.chain_rows
        runs.chain_spec runs.chain_stages runs.detection_rows runs.mask_sets""",
    "registry": """models.detectors.pyramids models.detectors.ssd models.detectors.ssd_light
        models.generator models.segmenters.crfcnn models.segmenters.encoder_unets
        models.segmenters.fcn models.segmenters.fcn_resnet101 models.segmenters.mean_field
        models.segmenters.plain_unet models.segmenters.segnet models.segmenters.slsdeep
        models.segmenters.trunks models.segmenters.unet""",  # named by mammostudy.models.registry
}
"""The labels of components by the part of a run that they make."""
_RAISED: Final = {"data.sources.phantom": 2}
VERSIONS: Final[dict[str, int]] = dict.fromkeys(" ".join(PARTS.values()).split(), 1) | _RAISED


def components_of(*parts: str) -> set[str]:
    """Return the labels of some :data:`PARTS`."""
    return {label for part in parts for label in PARTS[part].split()}


def versions_of(components: Iterable[str]) -> dict[str, int]:
    """Return versions as keys hold them, by ``mammostudy.<label>``; without one: a SpecError."""
    labels = sorted({component.removeprefix("mammostudy.") for component in components})
    if unknown := set(labels) - set(VERSIONS):
        raise SpecError(f"{min(unknown)!r} has no version; add it to mammostudy/runs/versions.py")
    return {f"mammostudy.{label}": VERSIONS[label] for label in labels}
