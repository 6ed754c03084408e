"""Cropping strategies: full, loose and tight frames, and the scale of the loose one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.data.frames import Frame, Preprocessing, frame_of, frame_sample
from mammostudy.imaging.overlays import outline_overlay
from mammostudy.runs.spec import BASELINES, RunSpec
from mammostudy.study import published
from mammostudy.study.comparing import compare
from mammostudy.study.pictures import at_hand, typical_case
from mammostudy.study.recipes import baselines, folds_for, folds_of, headline, recipe

STRATEGIES: Final = ("full", "loose", "tight")
SCALES: Final = (1.5, 3.0, 4.0)
MODEL: Final = "cGAN"
METRICS: Final = {
    "dice": "Dice, frame",
    "iou": "IoU, frame",
    "dice_image": "Dice, image",
    "iou_image": "IoU, image",
    "hd95": "HD95, frame pixels",
}
TRUTHS: Final = {
    "dice": "Dice",
    "iou": "IoU",
    "recall": "recall",
    "precision": "precision",
    "row": "truth",
}
_PAIRS: Final = (
    ("loose, cGAN", "full, cGAN"),
    ("loose, cGAN", "tight, cGAN"),
    *((f"{framing}, cGAN", f"{framing}, ellipse") for framing in STRATEGIES),
)


def framings(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the paper's model in each framing, over the folds of the preset."""
    runs = {strategy: folds_of(cohort, preset, frame__strategy=strategy) for strategy in STRATEGIES}
    return runs | {"loose": headline(cohort, preset)}


def named(cohort: str, preset: str) -> dict[tuple[str, str], list[RunSpec]]:
    """Return the runs by framing and row: the model, and the baselines without training."""
    out: dict[tuple[str, str], list[RunSpec]] = {}
    folds = len(folds_for(cohort, preset))
    for framing, specs in framings(cohort, preset).items():
        out[framing, MODEL] = specs
        for spec in specs[:folds]:
            for baseline in _plain(spec):
                out.setdefault((framing, baseline.model.name), []).append(baseline)
    return out


def _plain(spec: RunSpec) -> list[RunSpec]:
    return baselines(spec.changed(evaluation__postprocessing="published"))


def scaled(cohort: str, preset: str) -> dict[tuple[str, float], list[RunSpec]]:
    """Return model and baselines by the scale of the frame, first fold; 1 is the tight frame.

    ``quick`` has no room for other scales.
    """
    by_name = framings(cohort, preset)
    models = {1.0: by_name["tight"][0], 2.0: by_name["loose"][0]}
    if preset != "quick":
        models |= {scale: recipe(cohort, preset, frame__scale=scale) for scale in SCALES}
    out = {(MODEL, scale): [spec] for scale, spec in sorted(models.items())}
    for scale, spec in sorted(models.items()):
        out |= {(baseline.model.name, scale): [baseline] for baseline in _plain(spec)}
    return out


def truths(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the loose run with the other definition of truth, where the cohort needs one."""
    main = headline(cohort, preset)[0]
    if main.frame.truth == "all":
        return {}
    return {"target": [main], "all masses": [recipe(cohort, preset, frame__truth="all")]}


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows, each once."""
    grids = (named(cohort, preset), scaled(cohort, preset), truths(cohort, preset))
    return list(dict.fromkeys(spec for grid in grids for runs in grid.values() for spec in runs))


def beside_published(summary: pd.DataFrame) -> pd.DataFrame:
    """Set the paper's cGAN cells beside ours, in %: other data, so shown and not compared.

    A row a framing: Dice and IoU here (known boxes, frame's grid) and in the paper.
    """
    paper = published.segmentation_table().query("model == 'proposed cGAN'")
    wide = paper.pivot(index="framing", columns="dataset", values=["dice", "iou"])
    words = {"dice": "Dice", "iou": "IoU"}
    wide.columns = pd.Index(
        [f"{words[each[0]]}, paper, {each[1]}" for each in wide.columns.tolist()]
    )
    ours = summary[(summary["row"] == MODEL) & (summary["box"] == "oracle")]
    for at, (metric, name) in enumerate(words.items()):
        mine = ours[ours["metric"] == metric].set_index("framing")["mean"]
        wide.insert(at, f"{name}, here", mine.astype(float) * 100)
    return wide.loc[list(STRATEGIES)].reset_index()


def framing_tests(rows: pd.DataFrame, box: str = "oracle") -> pd.DataFrame:
    """Set loose frames against the others, and the model against the ellipse, in the image's grid."""
    part = rows[rows["box"] == box]
    return compare(
        part.assign(cell=part["framing"] + ", " + part["row"]), _PAIRS, "dice_image", "cell"
    )


def jitter_tests(rows: pd.DataFrame, metric: str = "dice_image") -> pd.DataFrame:
    """Set jittered boxes against known ones, row by row: what a wrong box costs."""
    cells = rows.assign(cell=rows["framing"] + ", " + rows["row"] + ", " + rows["box"])
    pairs = [
        (f"{framing}, {row}, jittered", f"{framing}, {row}, oracle")
        for framing in STRATEGIES
        for row in (MODEL, *BASELINES)
    ]
    return compare(cells, pairs, metric, "cell")


def frames(cohort: str, size: int = 256) -> list[tuple[str, NDArray[Any]]]:
    """Cut the three frames of the mass of median box area, around its known and a jittered box.

    Pictures uint8 ``(size, size, 3)`` with the mass outlined, titled by box and framing; on the
    full mammogram its loose and its tight frame are drawn. Empty without the images.
    """
    loaded = at_hand(cohort)
    return [] if loaded is None else list(_cut(loaded.sample(typical_case(loaded.masses)), size))


def _cut(sample: Any, size: int) -> Iterator[tuple[str, NDArray[Any]]]:
    plain = Preprocessing(denoise_sigma=0.0, equalise=False)
    for box, said in (("oracle", "known box"), ("jittered", "jittered box")):
        for strategy in STRATEGIES:
            frame = Frame.model_validate(
                {"strategy": strategy, "box": box, "size": size, "truth": "target"}
            )
            image, mask, _ = frame_sample(sample, frame, plain)
            picture = outline_overlay(image, mask)
            if strategy == "full":
                for other, grey in (("loose", 255), ("tight", 170)):
                    inner = frame_of(sample, frame.model_copy(update={"strategy": other}))
                    _rectangle(picture, inner, sample.image.shape, grey)
            yield f"{strategy}, {said}", picture


def _rectangle(
    picture: NDArray[Any], box: tuple[int, ...], shape: tuple[int, ...], grey: int
) -> None:
    """Draw the border of a box of the image on its resized picture, in place."""
    side = len(picture)
    x_min, x_max = (int(np.clip(side * x / shape[1], 0, side - 1)) for x in box[::2])
    y_min, y_max = (int(np.clip(side * y / shape[0], 0, side - 1)) for y in box[1::2])
    picture[[y_min, y_max], x_min : x_max + 1] = grey
    picture[y_min : y_max + 1, [x_min, x_max]] = grey
