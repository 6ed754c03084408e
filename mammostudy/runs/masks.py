"""The masks that shape runs learn from and are tested on: by whom they were drawn, and placed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cache import Arrays, cached_arrays
from mammostudy.data.cohort import Cohort, OutlineCohort
from mammostudy.data.descriptors import describe
from mammostudy.data.frames import Frame, FramedSet, Preprocessing, frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.imaging import shape_features
from mammostudy.imaging.framing import paste_back
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.imaging.shape_masks import cut_out, place_mask
from mammostudy.models.baselines import baseline_masks
from mammostudy.models.beside_masks import beside_features
from mammostudy.runs.kinds import BESIDE, ShapeSpec
from mammostudy.runs.record import record_of
from mammostudy.runs.segmentation import THRESHOLD, Maps, chosen_steps, marked, one_draw
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.trained import trained_model
from mammostudy.runs.versions import versions_of

SIDE: Final = 64
CONTOUR_FRAME: Final = Frame(aspect="square", size=128, truth="target")
_OF_ALL: Final = ("runs.mask_sets", "imaging.contours", "imaging.shape_masks", "models.geodesic")
_CONTOURS: Final = {"active-contour": "chan-vese", "contour": "geodesic"}
_OF_FRAMES: Final = ("data.dicom", "imaging.framing", "imaging.preprocessing", "runs.segmenters")
Mask = NDArray[np.bool_]


def labelled(cohort: Cohort, spec: ShapeSpec) -> pd.DataFrame:
    """Return the masses whose label is one of the spec's classes, with a column ``label``."""
    masses = cohort.masses
    labels = masses.get(spec.target, pd.Series(None, masses.index, object))
    rows = masses[labels.isin(spec.classes)]
    if rows.empty:
        classes = f"no mass has a {spec.target} among {', '.join(spec.classes)}"
        raise DataError(f"{cohort.root}: {classes}; fill the manifest's column `{spec.target}`")
    return rows.assign(label=rows[spec.target].astype(str))


def pixels_of(cohort: Cohort) -> Cohort:
    """Return the cohort that holds the images of a cohort of outlines; any other holds its own."""
    if not isinstance(cohort, OutlineCohort):
        return cohort
    return load_cohort(str(describe(cohort.name).pixels), cohort.root.parent)


def placed_masks(spec: ShapeSpec, source: str, cohort: Cohort) -> dict[str, Mask]:
    """Return a source's labelled masks on the grid, by case; empty where missed or vanished."""
    rows = labelled(cohort, spec)
    native = native_masks(cohort, source, spec.segmenter)
    window = None
    if spec.input.keep_scale:  # the grid shows half as much again as the longest mass
        longest = max((rows[f"{axis}_max"] - rows[f"{axis}_min"]).max() for axis in "xy")
        window = math.ceil(1.5 * float(longest))
    known = [case for case in rows.index if case in native]
    return {case: placed_mask(native[case], SIDE, spec.input.placement, window) for case in known}


def placed_mask(mask: Mask, size: int, placement: str, window: int | None = None) -> Mask:
    """Place a mask on the grid, to scale in a window; empty where the grid cannot show it."""
    fits = window is not None and max(mask.shape) <= window
    scale = 2.0 if window is None else 1.0
    try:
        return place_mask(mask, size, placement, keep_scale=fits, scale=scale, window=window)
    except DataError:  # it is empty, or vanishes
        return np.zeros((size, size), np.bool_)


def feature_table(spec: ShapeSpec, source: str, cohort: Cohort) -> pd.DataFrame:
    """Return what a classifier measures of labelled masses, by case; missed masks are left out."""
    if spec.classifier in BESIDE:
        return beside_features(pixels_of(cohort), spec.classifier, spec.input.placement)
    native = native_masks(cohort, source, spec.segmenter)
    cases = labelled(cohort, spec).index
    seen = tuple(case for case in cases if case in native and native[case].any())
    content = _content(cohort, source, spec.segmenter) | {"cases": seen}
    content["features"] = versions_of(["imaging.shape_features"])

    def make() -> Arrays:
        return {"features": shape_features.features_of([native[case] for case in seen])}

    return pd.DataFrame(cached_arrays("shape-features", content, make)["features"], [*seen])


def native_masks(cohort: Cohort, source: str, segmenter: Sequence[RunSpec] = ()) -> dict[str, Mask]:
    """Return a source's masks by case, of the image's own scale, cut to their largest part."""

    def make() -> Arrays:
        return {f"of {case}": cut_out(mask) for case, mask in _drawn(cohort, source, segmenter)}

    stored = cached_arrays("native-masks", _content(cohort, source, segmenter), make)
    return {name.removeprefix("of "): mask for name, mask in stored.items()}


def _content(cohort: Cohort, source: str, segmenter: Sequence[RunSpec]) -> dict[str, object]:
    """Return what the masks of a source depend on."""
    drawn = source == "truth"
    return {
        "cohort": cohort.manifest_hash,
        "pixels": (cohort if drawn else pixels_of(cohort)).manifest_hash,
        "source": source,
        "runs": [run.recipe_key() for run in segmenter] if source == "segmenter" else [],
        "versions": versions_of((*_OF_ALL, *(() if drawn else _OF_FRAMES))),
    }


def _drawn(cohort: Cohort, source: str, segmenter: Sequence[RunSpec]) -> Iterator[tuple[str, Mask]]:
    """Yield the masks of a source in their images: the owners', Chan-Vese's or a segmenter's."""
    if source == "truth":
        yield from ((case, cohort.mask(case)) for case in cohort.masses.index)
        return
    pixels = pixels_of(cohort)
    cases = [case for case in cohort.masses.index if case in pixels.masses.index]
    for framed, masks in framed_masks(pixels, cases, source, segmenter):
        for case, mask, box in zip(framed.cases, masks, framed.boxes.tolist(), strict=True):
            row = pixels.row(case)
            yield case, paste_back(mask, box, (int(row["height"]), int(row["width"])))


def framed_masks(
    pixels: Cohort, cases: Sequence[str], source: str, segmenter: Sequence[RunSpec]
) -> Iterator[tuple[FramedSet, Mask]]:
    """Yield the masks of a source in their frames: of no mass that a run was trained on."""
    if source in _CONTOURS:
        framed = frame_cohort(pixels, CONTOUR_FRAME, Preprocessing()).take(cases)
        yield framed, baseline_masks(_CONTOURS[source], framed.images, framed.given)
    elif pixels.name not in {run.cohort for run in segmenter}:  # models of others: their mean
        first, drawn = record_of(segmenter[0]), list[Maps]()
        framed = frame_cohort(pixels, first.spec.frame, first.spec.preprocessing).take(cases)
        for record in map(record_of, segmenter):
            drawn.append(one_draw(trained_model(record), framed, record.spec))
        yield framed, postprocess(np.mean(drawn, axis=0) >= THRESHOLD, chosen_steps(first))
    else:
        for record in map(record_of, segmenter):
            known = set(record.content["split"]["test"])
            if seen := [case for case in cases if case in known]:
                framed, masks = marked(record, pixels, seen)
                yield framed, postprocess(masks, chosen_steps(record))
