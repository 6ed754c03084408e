"""The files of a prediction: mask, overlay and JSON, all of them or none."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.imaging.overlays import findings_overlay
from mammostudy.predictions import FIRST_VALUE, Findings, Prediction

OUTPUTS: Final = ("mask.png", "overlay.png", "prediction.json")


def save_prediction(
    prediction: Prediction | Findings, folder: Path, source: Path | None = None
) -> list[Path]:
    """Write ``mask.png`` (the image's grid), ``overlay.png`` and ``prediction.json``.

    Pixels of a mass are 255 in the mask; of several found masses the best has 255, the others the
    ``mask_value`` that the JSON gives. File names and content carry nothing of the source's name;
    its content is named by hash.

    Args:
        prediction: of one box, or of a whole mammogram.
        folder: made where it is missing.
        source: the image's file.

    Raises:
        DataError: the folder cannot be written.
    """
    summary = prediction.summary()
    if source is not None:
        summary["image_sha256"] = hashlib.sha256(source.read_bytes()).hexdigest()
    text = json.dumps(summary, indent=1) + "\n"
    planes = _mask(prediction), _overlay(prediction)
    contents = [cv2.imencode(".png", plane)[1].tobytes() for plane in planes]
    try:
        return _write_all(folder, dict(zip(OUTPUTS, [*contents, text.encode()], strict=True)))
    except OSError as error:
        msg = f"{folder}: cannot be written ({error.strerror}); choose another --out"
        raise DataError(msg) from None


def _mask(prediction: Prediction | Findings) -> NDArray[np.uint8]:
    if isinstance(prediction, Findings):
        return prediction.values
    return prediction.mask.astype(np.uint8) * np.uint8(FIRST_VALUE)


def _overlay(prediction: Prediction | Findings) -> NDArray[np.uint8]:
    """Draw boxes and outlines, the best mass last; in OpenCV's order of colours."""
    masses = prediction.masses if isinstance(prediction, Findings) else (prediction,)
    labels = [
        "" if one.score is None else f"{number}: {one.score:.2f}"
        for number, one in enumerate(masses, start=1)
    ]
    drawn = findings_overlay(
        prediction.image, [one.box for one in masses], [one.mask for one in masses], labels
    )
    return np.asarray(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR, dst=drawn), dtype=np.uint8)


def _write_all(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    """Write files into a folder, all of them or none; a folder made for them goes as well."""
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    partials = {name: folder / f".partial-{os.getpid()}-{name}" for name in contents}
    try:
        for name, content in contents.items():
            partials[name].write_bytes(content)
        return [partials[name].replace(folder / name) for name in contents]
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
        if new and not any(folder.iterdir()):
            folder.rmdir()
