"""What the pictures of the shape page show: masks chosen by rule, walks, maps, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import MissingDataError
from mammostudy.evaluation.classification import top_confusions
from mammostudy.evaluation.overlap import dice
from mammostudy.imaging.contours import fill_outline
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.runs.masks import mask_set
from mammostudy.runs.record import Record
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.study import shape_tables

PLACEMENTS: Final = ("stretch", "square")
DRAWN: Final = {
    "circle": (1.0, 0.0),
    "2:1 oval, level": (2.0, 0.0),
    "2:1 oval, tilted": (2.0, 45.0),
}
_SIDE: Final = 480
Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


def placements(size: int = 64) -> dict[tuple[str, str], Mask]:
    """Place a circle and two ovals of its area as the classifier would see them.

    Returns:
        Masks bool ``(size, size)`` by (name in :data:`DRAWN`, ``image`` | ``stretch`` |
        ``square``); ``image`` keeps the scale and the aspect.
    """
    out = {}
    for name, (ratio, degrees) in DRAWN.items():
        mask = _ellipse(ratio, degrees)
        out[name, "image"] = place_mask(mask, size, "square", keep_scale=True, window=_SIDE // 2)
        for placement in PLACEMENTS:
            out[name, placement] = place_mask(mask, size, placement)
    return out


def _ellipse(ratio: float, degrees: float) -> Mask:
    angles = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    turn = np.deg2rad(degrees)
    long, short = 60 * np.sqrt(ratio) * np.cos(angles), 60 / np.sqrt(ratio) * np.sin(angles)
    x = long * np.cos(turn) - short * np.sin(turn)
    y = long * np.sin(turn) + short * np.cos(turn)
    return fill_outline(np.column_stack([x, y]) + _SIDE / 2, (_SIDE, _SIDE))


def placement_agreement(masks: dict[tuple[str, str], Mask]) -> pd.DataFrame:
    """Return the Dice between the circle and each oval: oval, stretch, square."""
    circle, *ovals = DRAWN
    rows = []
    for oval in ovals:
        agreed = {
            placement: float(dice(masks[circle, placement][None], masks[oval, placement][None])[0])
            for placement in PLACEMENTS
        }
        rows.append({"oval": oval, **agreed})
    return pd.DataFrame(rows)


def placed_masks(spec: ShapeSpec, cases: Sequence[str]) -> dict[str, Mask]:
    """Return the masks of cases as a run's classifier saw them; empty without the data.

    Returns:
        bool ``(64, 64)`` by case, of the spec's first evaluation source.
    """
    try:
        found = mask_set(spec, spec.evaluation.sources[0])
    except MissingDataError:
        return {}
    there = set(found.cases)
    known = [case for case in cases if case in there]
    return {case: found.masks[at] for case, at in zip(known, found.at(known), strict=True)}


def confusion_cases(
    rows: pd.DataFrame, classes: Sequence[str], *, kinds: int = 3, each: int = 4
) -> pd.DataFrame:
    """Pick the commonest confusions and the surest mistakes of each.

    Args:
        rows: of :func:`mammostudy.study.shape_tables.pooled`.
        classes: names of the classes.
        kinds: confusions, commonest first.
        each: masks of each, by the probability of the wrong class, one a patient.

    Returns:
        Columns label, predicted, masks (of that confusion), case, probability.
    """
    counts = shape_tables.confusion(rows, classes)[list(classes)].to_numpy()
    out = []
    for truth, guess, n in top_confusions(counts, kinds):
        label, predicted = classes[truth], classes[guess]
        mine = rows[(rows["label"] == label) & (rows["predicted"] == predicted)]
        sure = mine.sort_values([f"p_{predicted}", "case"], ascending=[False, True])
        for row in sure.drop_duplicates("patient").head(each).to_dict("records"):
            said = {"case": row["case"], "probability": row[f"p_{predicted}"]}
            out.append({"label": label, "predicted": predicted, "masks": n, **said})
    columns = ["label", "predicted", "masks", "case", "probability"]
    return pd.DataFrame(out, columns=columns)


def confusion_pictures(records: Sequence[Record], chosen: pd.DataFrame) -> dict[str, Values]:
    """Return the masks of :func:`confusion_cases` by title; empty without the data."""
    if not records or chosen.empty:
        return {}
    masks = placed_masks(records[0].spec, list(chosen["case"]))
    rows = enumerate(chosen.to_dict("records"), 1)
    return {
        f"{at}. {row['label']},\ncalled {row['predicted']} ({row['probability']:.2f})": masks[
            row["case"]
        ].astype(np.float64)
        for at, row in rows
        if row["case"] in masks
    }


@dataclass(frozen=True)
class Walk:
    """Class probabilities along round -> oval -> lobular -> irregular.

    Attributes:
        classes: names, k of them.
        positions: 0 (round) to 3 (irregular), ``(m,)``.
        probabilities: ``(walks, m, k)``: one walk a trained network and irregular outline.
        thumbnails: masks by position.
    """

    classes: tuple[str, ...]
    positions: Values
    probabilities: Values
    thumbnails: dict[float, Mask]

    def switches(self) -> list[tuple[str, float]]:
        """Return the classes called along the mean walk, each with the position it begins at."""
        called = self.probabilities.mean(axis=0).argmax(axis=1)
        starts = [0, *(np.flatnonzero(np.diff(called)) + 1)]
        return [(self.classes[called[at]], float(self.positions[at])) for at in starts]


def _explaining(records: Sequence[Record]) -> list[Record]:
    """Return the runs that kept what explains them: one that diverged kept nothing."""
    return [r for r in records if r.spec.evaluation.explain and r.status == "completed"]


def walk(records: Sequence[Record], steps: int = 7) -> Walk | None:
    """Return the walk of the explaining runs among records; None where none explains."""
    explained = _explaining(records)
    if not explained:
        return None
    stored = [record.arrays() for record in explained]
    probabilities = np.concatenate([each["between_probabilities"] for each in stored])
    spec = explained[0].spec
    shown = np.linspace(0, 3, steps)
    thumbnails = {
        float(at): place_mask(shape_between(float(at), 256), 64, spec.input.placement)
        for at in shown
    }
    positions = stored[0]["between_positions"].astype(np.float64)
    return Walk(spec.classes, positions, probabilities.astype(np.float64), thumbnails)


@dataclass(frozen=True)
class Occlusion:
    """One mask and what its parts are worth to the classifier.

    Attributes:
        label: true class.
        predicted: class called.
        mask: bool ``(64, 64)``.
        fall: float64 ``(64, 64)``: fall of the true class's probability when a patch there is
            changed.
    """

    label: str
    predicted: str
    mask: Mask
    fall: Values


def occlusions(records: Sequence[Record]) -> list[Occlusion]:
    """Return the occlusion maps of the first explaining run; empty without one or the data."""
    record = next(iter(_explaining(records)), None)
    if record is None:
        return []
    stored = record.arrays()
    cases = [str(case) for case in stored["occlusion_cases"]]
    masks = placed_masks(record.spec, cases)
    rows = shape_tables.pooled([record]).set_index("case")
    return [
        Occlusion(
            str(rows.loc[case, "label"]),
            str(rows.loc[case, "predicted"]),
            masks[case],
            fall.astype(np.float64),
        )
        for case, fall in zip(cases, stored["occlusion_maps"], strict=True)
        if case in masks
    ]


@dataclass(frozen=True)
class Map:
    """The embeddings of all masks by one fold's network, as logarithms, on two principal axes.

    Attributes:
        points: columns case, label, part (train, validation, test), x, y, and whether a test mask
            was called wrong.
        explained: share of the variance on either axis.
        masks: by case; empty without the data.
    """

    points: pd.DataFrame
    explained: tuple[float, float]
    masks: dict[str, Mask]


def embedding_map(records: Sequence[Record]) -> Map | None:
    """Project the embeddings of the first explaining run (principal components); None without."""
    from sklearn.decomposition import PCA

    record = next(iter(_explaining(records)), None)
    if record is None:
        return None
    stored = record.arrays()
    cases = [str(case) for case in stored["embedding_cases"]]
    axes = PCA(n_components=2, svd_solver="full")
    numbers = stored["embedding"].astype(np.float64)  # a few masks have very large ones
    found = axes.fit_transform(np.sign(numbers) * np.log1p(np.abs(numbers)))
    rows = shape_tables.pooled([record]).set_index("case")["right"]
    points = pd.DataFrame(
        {
            "case": cases,
            "label": stored["embedding_labels"].astype(str),
            "part": stored["embedding_parts"].astype(str),
            "wrong": [case in rows.index and not rows[case] for case in cases],
            "x": found[:, 0],
            "y": found[:, 1],
        }
    )
    points = points.sort_values("part", kind="stable", ignore_index=True)  # test first
    first, second = (float(share) for share in axes.explained_variance_ratio_)
    return Map(points, (first, second), placed_masks(record.spec, cases))
