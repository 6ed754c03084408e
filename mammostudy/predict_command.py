"""What ``mammostudy predict`` does and prints."""

from __future__ import annotations

import sys
from pathlib import Path

from mammostudy.data import dicom
from mammostudy.detect_inference import detection_record_for
from mammostudy.errors import SpecError
from mammostudy.inference import parse_box, predict
from mammostudy.prediction_files import save_prediction
from mammostudy.predictions import Findings, Prediction


def predict_image(image: Path, box: str | None, out: Path, detector: str | None = None) -> None:
    """Outline the mass in a box, or the masses that a detector finds, and write the files.

    Args:
        image: of a mammogram.
        box: ``x_min,y_min,x_max,y_max``; None lets a detector search.
        out: folder for mask, overlay and JSON.
        detector: key of a detection run; None takes the newest ``study`` one.

    Raises:
        DataError: the image, the box or the folder cannot be used, or a model is missing.
        SpecError: both a box and a detector are given.
    """
    if box is not None and detector is not None:
        msg = "--box and --detector: give one of them"
        raise SpecError(msg)
    if box is not None:
        one = predict(image, parse_box(box))
        _print_paths(save_prediction(one, out, image))
        if one.shape is not None:
            print(f"shape: {_shapes(one)}")
        _say_untold([one])
        _say_eager([one])
        _say_remarks(image)
        return
    named = None if detector is None else detection_record_for(detector)
    found = predict(image, detection_record=named)
    _print_paths(save_prediction(found, out, image))
    _print_findings(found)
    _say_remarks(image)


def _print_findings(found: Findings) -> None:
    if not found.masses:
        print(found.none_found())
        return
    for number, one in enumerate(found.masses, start=1):
        edges = ",".join(map(str, one.box))
        shape = "" if one.shape is None else f", shape {_shapes(one)}"
        print(f"mass {number}: score {one.score:.2f}, box {edges}{shape}")
    _say_untold(found.masses)
    _say_eager(found.masses)


def _print_paths(paths: list[Path]) -> None:
    for path in paths:
        print(path)


def _shapes(one: Prediction) -> str:
    ranked = sorted((one.shape_probabilities or {}).items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {share:.2f}" for name, share in ranked)


def _say_remarks(image: Path) -> None:
    """Say what the header warns of, as text in the pixels that ``overlay.png`` now shows, too."""
    for remark in dicom.read_mammogram(image).notes:
        print(f"note: {remark}", file=sys.stderr)


def _say_untold(masses: list[Prediction] | tuple[Prediction, ...]) -> None:
    """Say once why shapes are not told."""
    for note in dict.fromkeys(one.shape_note for one in masses if one.shape is None):
        print(f"shape not told: {note}", file=sys.stderr)


def _say_eager(masses: list[Prediction] | tuple[Prediction, ...]) -> None:
    """Say once why torch segmented, and not the quicker exported model."""
    for note in dict.fromkeys(one.segmented_note for one in masses if one.segmented_note):
        print(f"segmented by torch: {note}", file=sys.stderr)
