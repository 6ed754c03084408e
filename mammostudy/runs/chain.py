"""A chain run from spec to record: boxes, masks and shapes of patients new to every stage.

A row (column ``row``: ``mass``; older records have rows of views and boxes, too) is a case and the
``source`` of its mask: ``truth`` (the owners' mask itself), ``oracle`` (segmented from the known
box), ``jittered`` (from that box shaken) or ``detected``; with part (``test``), view, patient,
site, found (whether there is a box to start from), dice (in the image's grid, 0 if missed; pixels
of other masses alone are not held against the mask), truth_pixels, predicted_pixels, label (shape,
where known), predicted (shape told from the mask; ``none`` where there is no mask; empty where no
classifier may tell) and probability (of that shape, calibrated).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, Sample
from mammostudy.data.frames import FramedSet, frame_samples
from mammostudy.data.load import load_cohort
from mammostudy.errors import SpecError
from mammostudy.evaluation import overlap
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.evaluation.matched_rows import EDGES, NOTHING, matches_of
from mammostudy.evaluation.splits import Split
from mammostudy.imaging.framing import paste_back, whole_box
from mammostudy.imaging.postprocessing import PUBLISHED, postprocess
from mammostudy.runs.kinds import ChainSpec, DetectSpec, ShapeSpec
from mammostudy.runs.masks import SIDE, Mask, labelled, placed_mask
from mammostudy.runs.provenance import Result
from mammostudy.runs.record import Record, record_of
from mammostudy.runs.segmentation import as_tensor, chosen_steps, marked, model_of, predict_framed
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.trained import trained_model
from mammostudy.training.shapes import predict_logits

_SOURCES: Final = ("truth", "oracle", "jittered", "detected")
Framed = tuple[Mask, NDArray[np.int64]]  # a mask in its frame, and the frame's box in the image


def boxed(image: NDArray[np.float32], boxes: Iterable[Sequence[float]]) -> Iterator[Sample]:
    """Yield the detected boxes of an image as masses of which no truth is known."""
    shape, nothing = (image.shape[0], image.shape[1]), np.zeros(image.shape, np.bool_)
    for edges in boxes:
        yield Sample("", "", image, nothing, nothing, whole_box(edges, shape), pd.Series())


def frame_boxes(samples: Iterable[Sample], run: RunSpec) -> FramedSet:
    """Frame one detected box (:func:`boxed`) or more as a segmentation run frames masses."""
    arrays = frame_samples(samples, run.frame, run.preprocessing)
    return FramedSet(tuple(map(str, range(len(arrays["images"])))), **arrays)


class ChainRows:
    """The boxes of a detector's rows, marked by a segmenter; a rule says which find a mass."""

    def __init__(
        self, segmenter: Record[RunSpec], steps: Any, cohort: Cohort, rows: pd.DataFrame, rule: str
    ) -> None:
        self.segmenter, self.steps, self.cohort = segmenter, steps, cohort
        self.images = cohort.manifest.set_index("case", drop=False)
        self.views = rows[rows["row"] == "view"].set_index("view", drop=False)
        self.masses = rows[rows["row"] == "mass"].reset_index(drop=True)
        self.boxes = rows[rows["row"] == "box"].reset_index(drop=True)
        self.rule = self.boxes[rule].to_numpy(np.int64)
        self.truth = lru_cache(maxsize=1)(lambda view: cohort.truth(self.images["image"][view]))
        self.marked: list[Framed] = []
        if len(self.boxes):
            framed = frame_boxes(self._samples(), segmenter.spec)
            found = predict_framed(model_of(segmenter), framed, segmenter.spec)[0]
            self.marked = list(zip(postprocess(found, steps), framed.boxes, strict=True))
        case_of = self.masses.set_index(["view", "mass"])["case"].astype(str)
        hits = np.flatnonzero(self.rule > NOTHING).tolist()
        self.hits = {case_of[self.boxes["view"][at], int(self.rule[at])]: at for at in hits}

    def _samples(self) -> Iterator[Sample]:
        for view, part in self.boxes.groupby("view", sort=False):  # a view's boxes stand together
            image = self.cohort.image(self.images.loc[[str(view)]].iloc[0])
            yield from boxed(image, part[list(EDGES)].to_numpy().tolist())

    def kept(self) -> dict[str, Framed]:
        """Return the masks of found masses and their frames, by case."""
        return {case: self.marked[at] for case, at in sorted(self.hits.items())}

    def mass_rows(self, source: str, shapes: Shapes) -> pd.DataFrame:
        """Measure the masks of one source, a row a mass; ``shapes`` tell what they are."""
        base = self.masses[["row", "view", "patient", "site", "case"]]
        cases, views, patients = (base[name].astype(str) for name in ("case", "view", "patient"))
        if source == "truth":
            found, whole = set(cases), [self.cohort.mask(case) for case in cases]
        else:
            framed = self._framed(source, cases.tolist())
            found, whole = set(framed), list(map(self._whole, views, map(framed.get, cases)))
        measured = [self._measure(*each) for each in zip(cases, views, whole, strict=True)]
        dice, truth, predicted = zip(*measured, strict=True)
        told, shares = shapes.tell(whole, patients.tolist())
        return base.assign(
            label=cases.map(shapes.labels).astype(object),
            source=source,
            found=cases.isin(found),
            dice=dice,
            truth_pixels=truth,
            predicted_pixels=predicted,
            predicted=pd.Series(told, dtype=object),
            probability=shares,
        )

    def _framed(self, source: str, cases: Sequence[str]) -> dict[str, Framed]:
        """Return the masks of a source in their frames, by case; missed ones are left out."""
        if source == "detected":
            return self.kept()
        owner, name = self.cohort, self.segmenter.spec.cohort
        if name != owner.name:
            owner = load_cohort(name, owner.root.parent)
        framed, masks = marked(self.segmenter, owner, cases, source)
        found = zip(postprocess(masks, self.steps), framed.boxes, strict=True)
        return dict(zip(cases, found, strict=True))

    def _whole(self, view: str, framed: Framed | None) -> Mask:
        """Return a mask in the image's grid; a missed one is empty."""
        height, width = (int(self.views[name][view]) for name in ("height", "width"))
        if framed is None:
            return np.zeros((height, width), np.bool_)
        return paste_back(framed[0], framed[1].tolist(), (height, width))

    def _measure(self, case: str, view: str, mask: Mask) -> tuple[float, int, int]:
        """Return Dice, and the pixels of truth and mask."""
        own = self.cohort.mask(case)
        spared = mask & (own | ~self.truth(view))
        return float(overlap.dice(spared[None], own[None])[0]), int(own.sum()), int(mask.sum())


def run(spec: ChainSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Send the test views through the chain; found masses and their frames are kept."""
    detector, segmenter, *shapes = listed = [record_of(run) for run in spec.before]
    check_patients(cohort, detector, segmenter)
    validation = froc_of(matches_of(detector.part("validation"), spec.rule))
    threshold = validation.threshold_at(spec.operating)
    steps = tuple(PUBLISHED) if spec.postprocessing == "published" else chosen_steps(segmenter)
    tested = detector.part("test")
    tested = tested[(tested["row"] != "box") | (tested["score"] >= threshold)]
    work, told = ChainRows(segmenter, steps, cohort, tested, spec.rule), Shapes(shapes, cohort)
    masses = [work.mass_rows(source, told) for source in _SOURCES]
    rows = pd.concat(masses, ignore_index=True).assign(part="test")
    ran = [{name: each.content[name] for name in ("key", "status", "converged")} for each in listed]
    content = {
        "threshold": threshold if math.isfinite(threshold) else None,
        "postprocessing": list(steps),
        "stages": {"detector": ran[:1], "segmenter": ran[1:2], "shapes": ran[2:]},
    }
    parts = {name: tuple(cases) for name, cases in detector.content["split"].items()}
    return Result(Split(**parts), rows, None, work.kept(), content=content)


def check_patients(
    cohort: Cohort, detector: Record[DetectSpec], segmenter: Record[RunSpec]
) -> None:
    """Raise where a patient with masses stands in other parts for detector and segmenter."""
    of_case = cohort.manifest.set_index("case")["patient"].astype(str)
    with_mass = set(cohort.masses["patient"].astype(str))
    for part in ("train", "validation", "test"):
        views, cases = (each.content["split"][part] for each in (detector, segmenter))
        if foreign := sorted(set(cases) - set(cohort.masses.index)):
            raise SpecError(f"{cohort.name}: the segmenter's mass {foreign[0]} is not in it")
        if differ := sorted((set(of_case.loc[views]) & with_mass) ^ set(of_case.loc[cases])):
            said = f"patient {differ[0]} stands in the {part} part of only one of"
            raise SpecError(f"{cohort.name}: {said} detector and segmenter")


class Shapes:
    """The classifiers of a chain, and which of them may judge whom."""

    def __init__(self, records: Sequence[Record[ShapeSpec]], cohort: Cohort) -> None:
        self.records = records
        self.labels: dict[Any, Any] = {}  # shape by case, where it is known
        self.judges: dict[str, int | None] = {}  # by patient; None: all know it
        if not records:
            return
        spec = records[0].spec
        owner = load_cohort(spec.cohort)
        patients = owner.masses["patient"]
        shared = set(patients) & set(cohort.manifest["patient"])
        splits = [record.content["split"] for record in records if shared]
        met = {name for split in splits for cases in split.values() for name in patients[cases]}
        self.judges |= dict.fromkeys(met)
        for number, split in enumerate(splits):
            self.judges |= dict.fromkeys(patients[split["test"]], number)
        self.labels |= labelled(owner if shared else cohort, spec)["label"].to_dict()

    def tell(
        self, masks: Sequence[Mask], patients: Sequence[str]
    ) -> tuple[list[str | None], NDArray[np.float64]]:
        """Tell the shapes of masks and their calibrated probability; None where no one may tell."""
        names: list[str | None] = [None] * len(masks)
        shares = np.full(len(masks), np.nan)
        judges = [self.judges.get(patient, 0) for patient in patients]
        for number, record in enumerate(self.records):
            chosen = [at for at, judge in enumerate(judges) if judge == number]
            told = _told_by(record, [masks[at] for at in chosen]) if chosen else []
            for at, (name, share) in zip(chosen, told, strict=True):
                names[at], shares[at] = name, share
        return names, shares


def _told_by(record: Record[ShapeSpec], masks: Sequence[Mask]) -> list[tuple[str, float]]:
    """Return the class that a classifier tells from each mask, and its probability."""
    spec = record.spec
    grid = np.stack([placed_mask(mask, SIDE, spec.input.placement) for mask in masks])
    logits = predict_logits(trained_model(record), as_tensor(grid, 1))
    sound = np.asarray(np.isfinite(logits).all(axis=1) & grid.any(axis=(1, 2)))
    shares = apply_temperature(np.where(sound[:, None], logits, 0.0), record.temperature)
    return [
        (spec.classes[int(row.argmax())], float(row.max())) if good else ("none", np.nan)
        for row, good in zip(shares, sound, strict=True)
    ]
