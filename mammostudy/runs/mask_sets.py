"""The masks that shape runs learn from and are tested on: by whom they were drawn, and placed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cache import Arrays, cached_arrays
from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import Frame, FramedSet, Preprocessing, frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.outline_cohort import OutlineCohort
from mammostudy.errors import DataError
from mammostudy.imaging import contours, shape_features
from mammostudy.imaging.framing import Box, paste_back
from mammostudy.imaging.shape_masks import largest_part, place_mask
from mammostudy.runs.segmenters import baseline_masks
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record, find_record
from mammostudy.runs.trained import finished_masks, predicted_masks, trained_model

VERSION: Final = 1  # recipe version
SIDE: Final = 64
CONTOUR_FRAME: Final = Frame(aspect="square", size=128, truth="target")
_PIXELS_OF: Final = {"cdd-cesm-contours": "cdd-cesm", "cdd-cesm-contours-cm": "cdd-cesm-cm"}
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class MaskSet:
    """Masks of one source, placed on the classifier's grid.

    Attributes:
        cases: names, n of them; a case that the source does not know is not among them.
        masks: bool ``(n, 64, 64)``; empty where missed.
        missed: bool ``(n,)``: the source left no mask, or one that vanishes on the grid.
    """

    cases: tuple[str, ...]
    masks: NDArray[np.bool_]
    missed: NDArray[np.bool_]

    def at(self, cases: Sequence[str]) -> list[int]:
        """Return the positions of those of some cases that are in the set, in their order."""
        place = {case: i for i, case in enumerate(self.cases)}
        return [place[case] for case in cases if case in place]


def labelled(cohort: Cohort, spec: ShapeSpec) -> pd.DataFrame:
    """Return the masses whose label is one of the spec's classes, with a column ``label``.

    Raises:
        DataError: the cohort has no such column or no such mass.
    """
    masses = cohort.masses
    if spec.target not in masses.columns:
        msg = f"{cohort.root}: cohort {cohort.name!r} has no column `{spec.target}` to tell apart"
        raise DataError(msg)
    rows = masses[masses[spec.target].isin(spec.classes)]
    if rows.empty:
        msg = (
            f"{cohort.root}: no mass of cohort {cohort.name!r} has a {spec.target} among "
            f"{', '.join(spec.classes)}; fill the manifest's column `{spec.target}`"
        )
        raise DataError(msg)
    return rows.assign(label=rows[spec.target].astype(str))


def pixels_of(cohort: Cohort) -> Cohort:
    """Return the cohort that holds the images of a cohort of outlines; any other holds its own.

    Raises:
        MissingDataError: its folder is not at hand.
    """
    if not isinstance(cohort, OutlineCohort):
        return cohort
    return load_cohort(_PIXELS_OF[cohort.name], cohort.root.parent)


def mask_set(spec: ShapeSpec, source: str, cohort: Cohort | None = None) -> MaskSet:
    """Return the labelled masks of a source, placed as the spec's input says.

    Args:
        spec: of the run.
        source: ``truth``, ``active-contour`` or ``segmenter``.
        cohort: the spec's, where it is loaded already.

    Raises:
        DataError: the cohort is not at hand, or a file behind it cannot be used.
    """
    cohort = cohort or load_cohort(spec.cohort)
    rows = labelled(cohort, spec)
    native = native_masks(cohort, source, spec.segmenter)
    cases = tuple(case for case in rows.index if case in native)
    window = _window(rows) if spec.input.keep_scale else None
    placed = [_place(native[case], spec.input.placement, window) for case in cases]
    masks = np.stack(placed) if placed else np.zeros((0, SIDE, SIDE), np.bool_)
    return MaskSet(cases, masks, np.asarray(~masks.any(axis=(1, 2)), dtype=np.bool_))


def _window(rows: pd.DataFrame) -> int:
    """Return the side in pixels of what the grid shows where the scale is kept."""
    longest = max((rows[f"{axis}_max"] - rows[f"{axis}_min"]).max() for axis in "xy")
    return math.ceil(1.5 * float(longest))


def _place(mask: Mask, placement: str, window: int | None) -> Mask:
    """Place a mask; an empty one, or one that the grid cannot show, gives an empty one.

    Where the scale is kept, a mask too long for the window fills the grid.
    """
    if not mask.any():
        return np.zeros((SIDE, SIDE), np.bool_)
    try:
        if window is None:
            return place_mask(mask, SIDE, placement)
        if max(mask.shape) > window:
            return place_mask(mask, SIDE, placement, scale=1.0)
        return place_mask(mask, SIDE, placement, keep_scale=True, window=window)
    except DataError:  # it vanishes
        return np.zeros((SIDE, SIDE), np.bool_)


def feature_table(
    spec: ShapeSpec, source: str, cohort: Cohort | None = None
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the shape features of the labelled masks of a source, missed ones left out.

    Args:
        spec: of the run.
        source: ``truth``, ``active-contour`` or ``segmenter``.
        cohort: the spec's, where it is loaded already.

    Returns:
        Cases, and float64 ``(n, 27)``.
    """
    cohort = cohort or load_cohort(spec.cohort)
    native = native_masks(cohort, source, spec.segmenter)
    cases = [case for case in labelled(cohort, spec).index if case in native]
    seen = tuple(case for case in cases if native[case].any())
    content = {
        **_content(cohort, source, spec.segmenter),
        "features": 1,
        "cases": seen,
    }
    stored = cached_arrays(
        "shape-features",
        content,
        lambda: {"features": shape_features.features_of([native[case] for case in seen])},
    )
    return seen, stored["features"]


def native_masks(cohort: Cohort, source: str, segmenter: Sequence[RunSpec] = ()) -> dict[str, Mask]:
    """Return the masks of a source at the image's own scale, cut to their largest part.

    Args:
        cohort: whose masses.
        source: ``truth``, ``active-contour`` or ``segmenter``.
        segmenter: the runs behind the source ``segmenter``.

    Returns:
        bool arrays of their own sizes by case; ``(1, 1)`` and empty where the source found
        nothing. Cases that the source does not know are absent.
    """
    makers = {"truth": _drawn, "active-contour": _contoured}

    def make() -> Arrays:
        found = _segmented(cohort, segmenter) if source == "segmenter" else makers[source](cohort)
        return _packed({case: _cut(mask) for case, mask in found})

    return _unpacked(cached_arrays("shape-masks", _content(cohort, source, segmenter), make))


def _content(cohort: Cohort, source: str, segmenter: Sequence[RunSpec]) -> dict[str, object]:
    pixels = pixels_of(cohort) if source != "truth" else cohort
    versions = [VERSION, 1, 1]
    if source != "truth":
        versions += [1, 1, 1, 1]
    return {
        "cohort": cohort.manifest_hash,
        "pixels": pixels.manifest_hash,
        "source": source,
        "runs": [run.recipe_key() for run in segmenter] if source == "segmenter" else [],
        "versions": versions,
    }


def _cut(mask: Mask) -> Mask:
    """Cut a mask to the box of its largest part and a margin of two pixels."""
    if not mask.any():
        return np.zeros((1, 1), np.bool_)
    part = largest_part(mask)
    x_min, y_min, x_max, y_max = contours.box_of(part)
    return np.pad(part[y_min:y_max, x_min:x_max], 2)


def _packed(masks: dict[str, Mask]) -> Arrays:
    bits = [np.packbits(mask) for mask in masks.values()]
    return {
        "cases": np.array(list(masks), dtype=np.str_),
        "shapes": np.array([mask.shape for mask in masks.values()], dtype=np.int64).reshape(-1, 2),
        "bits": np.concatenate(bits) if bits else np.zeros(0, np.uint8),
    }


def _unpacked(stored: Arrays) -> dict[str, Mask]:
    out, start = {}, 0
    for case, (height, width) in zip(stored["cases"].tolist(), stored["shapes"], strict=True):
        size = -(-int(height * width) // 8)
        bits = np.unpackbits(stored["bits"][start : start + size], count=int(height * width))
        out[case] = bits.astype(np.bool_).reshape(height, width)
        start += size
    return out


Found = Iterator[tuple[str, Mask]]


def _drawn(cohort: Cohort) -> Found:
    for case in cohort.masses.index:
        yield case, cohort.mask(case)


def _contoured(cohort: Cohort) -> Found:
    """Yield Chan-Vese masks of the loose frames of all masses with pixels."""
    pixels = pixels_of(cohort)
    cases = [case for case in cohort.masses.index if case in pixels.masses.index]
    framed = frame_cohort(pixels, CONTOUR_FRAME, Preprocessing()).take(cases)
    yield from _pasted(pixels, framed, baseline_masks("chan-vese", framed))


def _segmented(cohort: Cohort, runs: Sequence[RunSpec]) -> Found:
    """Yield the masks of segmentation runs: of no mass that a run was trained on."""
    pixels = pixels_of(cohort)
    wanted = [case for case in cohort.masses.index if case in pixels.masses.index]
    for run in runs:
        record = _record_of(run)
        framed = frame_cohort(pixels, run.frame, run.preprocessing)
        if run.cohort == pixels.name:
            stored = record.predictions()
            test = set(record.content["split"]["test"])
            framed = framed.take([case for case in wanted if case in test])
            masks = np.stack([stored[case] for case in framed.cases]) if framed.cases else None
        else:
            framed = framed.take(wanted)
            masks = predicted_masks(trained_model(record), framed, run)
        if masks is not None:
            yield from _pasted(pixels, framed, finished_masks(masks, record))


def _record_of(run: RunSpec) -> Record:
    from mammostudy.runs.execute import manifest_hash

    record = find_record(run, manifest_hash(run.cohort))
    if record is None:
        msg = (
            f"cohort {run.cohort!r}: the segmenter of this shape run has no record; "
            "train it first (`mammostudy run shapes` does)"
        )
        raise DataError(msg)
    return record


def _pasted(cohort: Cohort, framed: FramedSet, masks: NDArray[np.bool_]) -> Found:
    for case, mask, box in zip(framed.cases, masks, framed.boxes, strict=True):
        row = cohort.row(case)
        x_min, y_min, x_max, y_max = (int(edge) for edge in box)
        frame: Box = (x_min, y_min, x_max, y_max)
        yield case, paste_back(mask, frame, (int(row["height"]), int(row["width"])))
