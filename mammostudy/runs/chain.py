"""A chain run from spec to record: boxes, masks and shapes of patients new to every stage.

A row is a ``view``, a ``mass`` or a ``box`` (column ``row``); all have part (``test``), view,
patient and site:

- view: masses (how many), pixels (of the view), boxes (detected at the operating threshold),
  false_boxes and repeats among them;
- mass: a row a case and ``source`` of its mask: ``truth`` (the owners' mask itself), ``oracle``
  (segmented from the known box), ``jittered`` (from that box shaken) and ``detected``; found
  (whether there is a box to start from), score and iou (of the detected box; its IoU with the known
  one), dice (in the image's grid, 0 if missed; pixels of other masses alone are not held against
  the mask), truth_pixels, predicted_pixels, label (shape, where known), predicted (shape told from
  the mask; ``none`` where there is no mask; empty where no classifier may tell) and probability (of
  that shape, calibrated);
- box: one that finds nothing new: kind (``false`` or ``repeat``), score, predicted_pixels and
  painted (those of them outside every mass).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.frames import FramedSet, frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.splits import Split
from mammostudy.errors import SpecError
from mammostudy.evaluation import overlap
from mammostudy.evaluation.boxes import pairwise_iou
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.evaluation.froc_curves import froc_of
from mammostudy.imaging.framing import Box, crop_and_resize, frame_box
from mammostudy.imaging.postprocessing import PUBLISHED, postprocess
from mammostudy.imaging.preprocessing import preprocess
from mammostudy.runs.detection_rows import EDGES, NOTHING, matches_of, whole_numbers
from mammostudy.runs.kinds import ChainSpec, DetectSpec, ShapeSpec
from mammostudy.runs.masks import Mask, labelled, placed_mask
from mammostudy.runs.provenance import Result
from mammostudy.runs.record import Record, record_of
from mammostudy.runs.segmentation import baseline_masks, chosen_steps, pasted, predict_framed
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.trained import trained_model
from mammostudy.training.loop import device
from mammostudy.training.shapes import predict_logits

_KEPT: Final = ("key", "status", "converged")  # of the record of a stage
_SOURCES: Final = ("truth", "oracle", "jittered", "detected")
Framed = tuple[Mask, NDArray[np.int64]]  # a mask in its frame, and the frame's box in the image


def whole_box(edges: Sequence[float], shape: tuple[int, int]) -> Box:
    """Round a detected box to whole pixels inside an image, at least one pixel a side."""
    height, width = shape
    x_min = min(max(round(edges[0]), 0), width - 1)
    y_min = min(max(round(edges[1]), 0), height - 1)
    x_max = min(max(round(edges[2]), x_min + 1), width)
    return x_min, y_min, x_max, min(max(round(edges[3]), y_min + 1), height)


def frame_boxes(image: NDArray[np.float32], boxes: Sequence[Box], run: RunSpec) -> FramedSet:
    """Frame boxes in an image as a segmentation run frames them; there is no truth."""
    size, n = run.frame.size, len(boxes)
    fields = run.frame.model_dump(include={"strategy", "scale", "aspect"})
    frames = [frame_box(box, (image.shape[0], image.shape[1]), **fields) for box in boxes]
    asked = run.preprocessing.model_dump()
    shown = [preprocess(crop_and_resize(image, frame, size), **asked) for frame in frames]
    windows = np.array(frames, np.int64).reshape(-1, 4)
    corners = np.tile(windows[:, :2], 2).astype(np.float32)
    sides = np.tile(windows[:, 2:] - windows[:, :2], 2).astype(np.float32)
    return FramedSet(
        tuple(str(at) for at in range(n)),
        np.array(shown, np.float32).reshape(-1, size, size),
        np.zeros((n, size, size), np.bool_),
        windows,
        (np.array(boxes, np.float32).reshape(-1, 4) - corners) * size / sides,
        np.zeros(n, np.int64),
    )


class ChainRows:
    """The boxes of a detector's rows, marked by a segmenter; a rule says which find a mass."""

    def __init__(
        self, segmenter: Record[RunSpec], steps: Any, cohort: Cohort, rows: pd.DataFrame, rule: str
    ) -> None:
        self.record, self.run, self.steps, self.cohort = segmenter, segmenter.spec, steps, cohort
        self.views = rows[rows["row"] == "view"].set_index("view", drop=False)
        self.masses = rows[rows["row"] == "mass"].reset_index(drop=True)
        self.boxes = rows[rows["row"] == "box"].reset_index(drop=True)
        self.rule = self.boxes[rule].to_numpy(np.int64)
        self._last: tuple[str, dict[str, Mask]] = ("", {})
        self.windows, self.marked = self._segmented()
        case_of = self.masses.set_index(["view", "mass"])["case"].astype(str)
        hits = np.flatnonzero(self.rule > NOTHING).tolist()
        self.hits = {case_of[self.boxes["view"][at], int(self.rule[at])]: at for at in hits}

    def _segmented(self) -> tuple[NDArray[np.int64], Mask]:
        """Frame every box, the images read one after the other, and mark what is in it."""
        images = self.cohort.manifest.set_index("case", drop=False)
        framed = [frame_boxes(np.zeros((1, 1), np.float32), [], self.run)]
        for view, part in self.boxes.groupby("view", sort=False):  # a view's boxes stand together
            image = self.cohort.image(images.loc[[str(view)]].iloc[0])
            shape = (image.shape[0], image.shape[1])
            boxes = [whole_box(edges, shape) for edges in part[list(EDGES)].to_numpy().tolist()]
            framed.append(frame_boxes(image, boxes, self.run))
        stacked = {
            name: np.concatenate([getattr(each, name) for each in framed])
            for name in ("images", "masks", "boxes", "given", "company")
        }
        names = tuple(str(at) for at in range(len(self.boxes)))
        whole = replace(framed[0], cases=names, **stacked)
        return whole.boxes, self._mark(whole)

    @cached_property
    def _model(self) -> Any:
        return trained_model(self.record)

    def _mark(self, framed: FramedSet) -> Mask:
        """Mark the mass in frames, bool ``(n, s, s)``, post-processed."""
        if not framed.cases:
            return framed.masks
        if self.run.is_baseline:
            return postprocess(baseline_masks(self.run.model.name, framed), self.steps)
        return postprocess(predict_framed(self._model, framed, self.run).masks, self.steps)

    def _shape(self, view: str) -> tuple[int, int]:
        height, width = self.views.loc[[view], ["height", "width"]].to_numpy(np.int64)[0].tolist()
        return height, width

    def _truths(self, view: str) -> dict[str, Mask]:
        """Return the masks of the masses of a view, by case; the last view's are kept."""
        if self._last[0] != view:
            cases = self.masses.loc[self.masses["view"] == view, "case"].astype(str)
            self._last = view, {case: self.cohort.mask(case) for case in cases}
        return dict(self._last[1])

    def view_rows(self) -> pd.DataFrame:
        """Return a row a view."""
        kinds = {"boxes": 1, "false_boxes": self.rule == NOTHING, "repeats": self.rule < NOTHING}
        counts = self.boxes[["view"]].assign(**kinds).groupby("view").sum()
        counts = counts.reindex(self.views.index, fill_value=0)
        table = self.views[["view", "patient", "site", "masses"]].join(counts)
        pixels = self.views["height"] * self.views["width"]
        return table.assign(row="view", pixels=pixels.astype(np.int64)).reset_index(drop=True)

    def mass_rows(self, shapes: Any) -> list[pd.DataFrame]:
        """Return the rows of the masses, a table a source; ``shapes`` tell what they are."""
        labels = self.masses["case"].astype(str).map(shapes.labels).astype(object)
        base = self.masses[["row", "view", "patient", "site", "case"]].assign(label=labels)
        return [self._source(base, source, shapes) for source in _SOURCES]

    def _source(self, base: pd.DataFrame, source: str, shapes: Any) -> pd.DataFrame:
        """Measure the masks of one source and tell their shapes."""
        cases, views = (base[name].astype(str).tolist() for name in ("case", "view"))
        found = self._masks(source, cases)
        whole = [self._whole(mask, view) for mask, view in zip(found, views, strict=True)]
        measured = [self._measure(*each) for each in zip(cases, views, whole, strict=True)]
        dice, truth, predicted = zip(*measured, strict=True)
        told, shares = shapes.tell(whole, base["patient"].astype(str).tolist())
        at = (self._box_of(case) if source == "detected" else (np.nan, np.nan) for case in cases)
        scores, overlaps = zip(*at, strict=True)
        return base.assign(
            source=source,
            found=[mask is not None for mask in found],
            score=scores,
            iou=overlaps,
            dice=dice,
            truth_pixels=truth,
            predicted_pixels=predicted,
            predicted=pd.Series(told, dtype=object),
            probability=shares,
        )

    def _masks(self, source: str, cases: Sequence[str]) -> Sequence[Framed | Mask | None]:
        """Return the mask of each case: in its frame, or (truth) whole; None where missed."""
        if source == "truth":
            return [self.cohort.mask(case) for case in cases]
        if source == "detected":
            kept = self.kept()
            return [kept.get(case) for case in cases]
        run, owner = self.run, self.cohort
        if run.cohort != owner.name:
            owner = load_cohort(run.cohort, owner.root.parent)
        frame = run.frame.model_copy(update={"box": source})
        framed = frame_cohort(owner, frame, run.preprocessing).take(cases)
        if source == "oracle":  # as the record keeps them
            stored = self.record.predictions()
            found = postprocess(np.stack([stored[case] for case in cases]), self.steps)
        else:
            found = self._mark(framed)
        return list(zip(found, framed.boxes, strict=True))

    def _whole(self, found: Framed | Mask | None, view: str) -> Mask:
        """Return a mask in the image's grid; a missed one is empty."""
        if found is None:
            return np.zeros(self._shape(view), np.bool_)
        return pasted(*found, self._shape(view)) if isinstance(found, tuple) else found

    def _measure(self, case: str, view: str, mask: Mask) -> tuple[float, int, int]:
        """Return Dice, and the pixels of truth and mask."""
        truths = self._truths(view)
        own = truths.pop(case)
        spared = mask & (own | ~np.any([*truths.values(), np.zeros_like(own)], axis=0))
        return float(overlap.dice(spared[None], own[None])[0]), int(own.sum()), int(mask.sum())

    def _box_of(self, case: str) -> tuple[float, float]:
        """Return score of the box that finds a mass, and its IoU with the known box."""
        if case not in self.hits:
            return np.nan, np.nan
        box = self.boxes.loc[self.hits[case]]
        known = np.array([box_of_row(self.cohort.row(case))], np.float64)
        iou = pairwise_iou(box[list(EDGES)].to_numpy(np.float64)[None], known)[0, 0]
        return float(box["score"]), round(float(iou), 3)  # type: ignore[arg-type]

    def box_rows(self) -> pd.DataFrame:
        """Return a row a box that finds nothing new."""
        out = []
        for at in np.flatnonzero(self.rule <= NOTHING).tolist():
            view = str(self.boxes.loc[at, "view"])
            mask = self._whole((self.marked[at], self.windows[at]), view)
            painted = mask & ~np.any([*self._truths(view).values(), np.zeros_like(mask)], axis=0)
            out.append(
                {
                    "row": "box",
                    **self.views.loc[view, ["view", "patient", "site"]],
                    "kind": "false" if self.rule[at] == NOTHING else "repeat",
                    "score": self.boxes.loc[at, "score"],
                    "predicted_pixels": int(mask.sum()),
                    "painted": int(painted.sum()),
                }
            )
        return pd.DataFrame(out)

    def kept(self) -> dict[str, Framed]:
        """Return the masks of found masses and their frames, by case."""
        return {case: (self.marked[at], self.windows[at]) for case, at in sorted(self.hits.items())}


def run(spec: ChainSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Send the test views through the chain; found masses and their frames are kept."""
    detector, segmenter = record_of(spec.detector), record_of(spec.segmenter)
    shapes = [record_of(run) for run in spec.shapes]
    check_patients(cohort, detector, segmenter)
    validation = froc_of(matches_of(detector.part("validation"), spec.rule))
    threshold = validation.threshold_at(spec.operating)
    steps = tuple(PUBLISHED) if spec.postprocessing == "published" else chosen_steps(segmenter)
    tested = detector.part("test")
    tested = tested[(tested["row"] != "box") | (tested["score"] >= threshold)]
    work = ChainRows(segmenter, steps, cohort, tested, spec.rule)
    tables = [work.view_rows(), *work.mass_rows(Shapes.of(shapes, cohort)), work.box_rows()]
    rows = pd.concat([table for table in tables if len(table)], ignore_index=True)
    rows.insert(0, "part", "test")
    listed: list[Record] = [detector, segmenter, *shapes]
    ran = [{name: each.content[name] for name in _KEPT} for each in listed]
    content = {
        "threshold": threshold if math.isfinite(threshold) else None,
        "postprocessing": list(steps),
        "stages": {"detector": ran[:1], "segmenter": ran[1:2], "shapes": ran[2:]},
    }
    parts = {name: tuple(cases) for name, cases in detector.content["split"].items()}
    return Result(Split(**parts), whole_numbers(rows), None, work.kept(), content=content)


def check_patients(
    cohort: Cohort, detector: Record[DetectSpec], segmenter: Record[RunSpec]
) -> None:
    """Raise where a patient with masses stands in other parts for detector and segmenter."""
    of_case = cohort.manifest.set_index("case")["patient"].astype(str)
    with_mass = set(cohort.masses["patient"].astype(str))
    for part in ("train", "validation", "test"):
        views, cases = (sorted(each.content["split"][part]) for each in (detector, segmenter))
        if foreign := sorted(set(cases) - set(cohort.masses.index)):
            raise SpecError(f"{cohort.name}: the segmenter's mass {foreign[0]} is not in it")
        seen = set(of_case.loc[views]) & with_mass
        if differ := sorted(seen ^ set(of_case.loc[cases])):
            said = f"patient {differ[0]} stands in the {part} part of only one of"
            raise SpecError(f"{cohort.name}: {said} detector and segmenter")


@dataclass(frozen=True)
class Shapes:
    """The classifiers of a chain, and which of them may judge whom."""

    records: Sequence[Record[ShapeSpec]]
    labels: dict[str, str] = field(default_factory=dict)  # shape by case, where it is known
    judges: dict[str, int | None] = field(default_factory=dict)  # by patient; None: all know it

    @classmethod
    def of(cls, records: Sequence[Record[ShapeSpec]], cohort: Cohort) -> Shapes:
        """Note who has learnt from whom, and the labels."""
        if not records:
            return cls(records)
        spec, judges = records[0].spec, dict[str, int | None]()
        owner = load_cohort(spec.cohort)
        shared = set(owner.masses["patient"]) & set(cohort.manifest["patient"])
        for number, record in enumerate(records if shared else ()):
            for part, cases in record.content["split"].items():
                for patient in set(owner.masses.loc[cases, "patient"]):
                    if part == "test":
                        judges[patient] = number
                    else:
                        judges.setdefault(patient, None)
        labels = labelled(owner if shared else cohort, spec)["label"]
        return cls(records, {str(case): str(label) for case, label in labels.items()}, judges)

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
    grid = np.stack([placed_mask(mask, spec.input.placement) for mask in masks])
    tensor = torch.from_numpy(grid.astype(np.float32)).unsqueeze(1).to(device())
    logits = predict_logits(trained_model(record), tensor)
    sound = np.asarray(np.isfinite(logits).all(axis=1) & grid.any(axis=(1, 2)))
    shares = apply_temperature(np.where(sound[:, None], logits, 0.0), record.temperature)
    return [
        (spec.classes[int(row.argmax())], float(row.max())) if good else ("none", np.nan)
        for row, good in zip(shares, sound, strict=True)
    ]
