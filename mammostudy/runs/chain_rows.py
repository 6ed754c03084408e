"""The rows of a chain record: test views, their masses by the source of the mask, false boxes.

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

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.frames import frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.evaluation import overlap
from mammostudy.evaluation.boxes import pairwise_iou
from mammostudy.runs.chain import Segmenter, Shapes, frame_boxes, whole_box
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.detection_rows import EDGES, NOTHING
from mammostudy.runs.evaluate import pasted
from mammostudy.runs.masks import Mask

SOURCES: Final = ("truth", "oracle", "jittered", "detected")
DETECTED: Final = "detected"
Framed = tuple[Mask, NDArray[np.int64]]  # a mask in its frame, and the frame's box in the image


class ChainRows:
    """The test views on their way through the chain."""

    def __init__(
        self,
        spec: ChainSpec,
        cohort: Cohort,
        rows: pd.DataFrame,
        threshold: float,
        segmenter: Segmenter,
        shapes: Shapes,
    ) -> None:
        """Frame and segment every box from the threshold on.

        Args:
            spec: of the chain.
            cohort: with the views.
            rows: of the detector's test part (:mod:`mammostudy.runs.detection_rows`).
            threshold: score from which a box counts.
            segmenter: marks the masses.
            shapes: tell their shapes.
        """
        self.spec, self.cohort = spec, cohort
        self.segmenter, self.shapes = segmenter, shapes
        self.views = rows[rows["row"] == "view"].set_index("view", drop=False)
        self.masses = rows[rows["row"] == "mass"].reset_index(drop=True)
        boxes = rows[(rows["row"] == "box") & (rows["score"] >= threshold)]
        self.boxes = boxes.reset_index(drop=True)
        self.rule = self.boxes[spec.rule].to_numpy(np.int64)
        self._last: tuple[str, dict[str, Mask]] = ("", {})
        self.windows, self.marked = self._segmented()
        self.hits = self._hits()

    def _segmented(self) -> tuple[NDArray[np.int64], Mask]:
        """Frame every box, the images read one after the other, and mark what is in it."""
        run, images = self.spec.segmenter, self.cohort.manifest.set_index("case", drop=False)
        framed = [frame_boxes([], [], run)]
        for view, part in self.boxes.groupby("view", sort=False):  # a view's boxes stand together
            image = self.cohort.image(images.loc[[str(view)]].iloc[0])
            shape = (image.shape[0], image.shape[1])
            boxes = [whole_box(edges, shape) for edges in part[list(EDGES)].to_numpy().tolist()]
            framed.append(frame_boxes([image] * len(boxes), boxes, run))
        stacked = {
            name: np.concatenate([getattr(each, name) for each in framed])
            for name in ("images", "masks", "boxes", "given", "company")
        }
        names = tuple(str(at) for at in range(len(self.boxes)))
        whole = replace(framed[0], cases=names, **stacked)
        return whole.boxes, self.segmenter.masks(whole)

    def _hits(self) -> dict[str, int]:
        """Return the position of the box that finds a mass, by case."""
        masses = self.masses["mass"].to_numpy(np.int64).tolist()
        named = zip(self.masses["view"].astype(str), masses, strict=True)
        case_of = dict(zip(named, self.masses["case"].astype(str), strict=True))
        views = self.boxes["view"].astype(str).tolist()
        hits = np.flatnonzero(self.rule > NOTHING).tolist()
        return {case_of[views[at], int(self.rule[at])]: at for at in hits}

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
        kinds = pd.DataFrame(
            {
                "view": self.boxes["view"],
                "boxes": 1,
                "false_boxes": (self.rule == NOTHING).astype(int),
                "repeats": (self.rule < NOTHING).astype(int),
            }
        )
        counts = kinds.groupby("view").sum().reindex(self.views.index, fill_value=0)
        table = self.views[["view", "patient", "site", "masses"]].join(counts)
        pixels = self.views["height"] * self.views["width"]
        return table.assign(row="view", pixels=pixels.astype(np.int64)).reset_index(drop=True)

    def mass_rows(self) -> list[pd.DataFrame]:
        """Return the rows of the masses, a table a source."""
        labels = self.masses["case"].astype(str).map(self.shapes.labels).astype(object)
        base = self.masses[["row", "view", "patient", "site", "case"]].assign(label=labels)
        return [self._source(base, source) for source in SOURCES]

    def _source(self, base: pd.DataFrame, source: str) -> pd.DataFrame:
        """Measure the masks of one source and tell their shapes."""
        cases = base["case"].astype(str).tolist()
        views = base["view"].astype(str).tolist()
        found = self._masks(source, cases)
        whole = [self._whole(mask, view) for mask, view in zip(found, views, strict=True)]
        measured = [self._measure(*each) for each in zip(cases, views, whole, strict=True)]
        told, shares = self.shapes.tell(whole, base["patient"].astype(str).tolist())
        dice, truth, predicted = zip(*measured, strict=True)
        boxes = self._boxes_of(cases) if source == DETECTED else {"score": np.nan, "iou": np.nan}
        return base.assign(
            source=source,
            found=[mask is not None for mask in found],
            **boxes,
            dice=dice,
            truth_pixels=truth,
            predicted_pixels=predicted,
            predicted=pd.Series(told, dtype=object),
            probability=shares,
        )

    def _masks(self, source: str, cases: Sequence[str]) -> list[Framed | Mask | None]:
        """Return the mask of each case: in its frame, or (truth) whole; None where missed."""
        if source == "truth":
            return [self.cohort.mask(case) for case in cases]
        if source == DETECTED:
            at = self.hits
            return [self._framed(at[case]) if case in at else None for case in cases]
        run = self.spec.segmenter
        owner = self.cohort
        if run.cohort != owner.name:
            owner = load_cohort(run.cohort, owner.root.parent)
        frame = run.frame.model_copy(update={"box": source})
        framed = frame_cohort(owner, frame, run.preprocessing).take(cases)
        known = self.segmenter.known if source == "oracle" else self.segmenter.masks
        return list(zip(known(framed), framed.boxes, strict=True))

    def _framed(self, box: int) -> Framed:
        return self.marked[box], self.windows[box]

    def _whole(self, found: Framed | Mask | None, view: str) -> Mask:
        """Return a mask in the image's grid; a missed one is empty."""
        if found is None:
            return np.zeros(self._shape(view), np.bool_)
        if isinstance(found, tuple):
            mask, window = found
            return pasted(mask, window, self._shape(view))
        return found

    def _measure(self, case: str, view: str, mask: Mask) -> tuple[float, int, int]:
        """Return Dice, and the pixels of truth and mask."""
        truths = self._truths(view)
        own = truths.pop(case)
        spared = mask.copy()
        for other in truths.values():
            spared &= own | ~other
        return float(overlap.dice(spared[None], own[None])[0]), int(own.sum()), int(mask.sum())

    def _boxes_of(self, cases: Sequence[str]) -> dict[str, Any]:
        """Return score of the box that finds each mass, and its IoU with the known box."""
        out: dict[str, list[float]] = {"score": [], "iou": []}
        for case in cases:
            score = iou = np.nan
            if case in self.hits:
                box = self.boxes.iloc[self.hits[case]]
                known = np.array([box_of_row(self.cohort.row(case))], np.float64)
                edges = box[list(EDGES)].to_numpy(np.float64)[None]
                score, iou = float(box["score"]), float(pairwise_iou(edges, known)[0, 0])
            out["score"].append(score)
            out["iou"].append(round(iou, 3))
        return out

    def box_rows(self) -> pd.DataFrame:
        """Return a row a box that finds nothing new."""
        out = []
        for at in np.flatnonzero(self.rule <= NOTHING).tolist():
            view = str(self.boxes.loc[at, "view"])
            mask = self._whole(self._framed(at), view)
            painted = mask.copy()
            for truth in self._truths(view).values():
                painted &= ~truth
            out.append(
                {
                    "row": "box",
                    "view": view,
                    "patient": self.views.loc[view, "patient"],
                    "site": self.views.loc[view, "site"],
                    "kind": "false" if self.rule[at] == NOTHING else "repeat",
                    "score": self.boxes.loc[at, "score"],
                    "predicted_pixels": int(mask.sum()),
                    "painted": int(painted.sum()),
                }
            )
        return pd.DataFrame(out)

    def kept(self) -> dict[str, Framed]:
        """Return the masks of found masses and their frames, by case."""
        return {case: self._framed(at) for case, at in sorted(self.hits.items())}
