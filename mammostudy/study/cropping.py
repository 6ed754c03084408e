"""Cropping strategies: full, loose and tight frames, and the scale of the loose one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from numpy.typing import NDArray
from skimage.draw import rectangle_perimeter

from mammostudy.data.frames import Frame, Preprocessing, frame_of, frame_sample
from mammostudy.figures.pictures import at_hand, typical_case
from mammostudy.imaging.overlays import outline_overlay
from mammostudy.runs.spec import BASELINES, FITTED, RunSpec
from mammostudy.study.comparing import every_run
from mammostudy.study.recipes import baselines, doubled, folds_for, folds_of, headline, recipe

STRATEGIES: Final = ("full", "loose", "tight")
SCALES: Final = (1.5, 3.0, 4.0)
MODEL: Final = "cGAN"
GEOMETRY: Final = ("ellipse", *FITTED)
METRICS: Final = {
    "dice": "Dice, frame",
    "iou": "IoU, frame",
    "dice_image": "Dice, image",
    "iou_image": "IoU, image",
    "hd95": "HD95, frame pixels",
}
PAIRS: Final = (
    ("loose, cGAN", "full, cGAN"),
    ("loose, cGAN", "tight, cGAN"),
    *((f"{framing}, cGAN", f"{framing}, {row}") for framing in STRATEGIES for row in GEOMETRY),
)
JITTERS: Final = tuple(
    (f"{framing}, {row}, jittered", f"{framing}, {row}, oracle")
    for framing in STRATEGIES
    for row in (MODEL, *BASELINES)
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
    """Return model and baselines by the scale of the frame, first fold; 1 is the tight frame."""
    by_name = framings(cohort, preset)
    models = {1.0: by_name["tight"][0], 2.0: by_name["loose"][0]}
    if preset != "quick":  # which has no room for other scales
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


specs = every_run(named, scaled, truths, lambda *asked: doubled(framings(*asked)))


def frames(cohort: str) -> list[tuple[str, NDArray[Any]]]:
    """Cut the three frames of a typical mass around its known and a jittered box, titled.

    On the full mammogram the other frames are drawn. Empty without the images.
    """
    loaded = at_hand(cohort)
    return [] if loaded is None else list(_cut(loaded.sample(typical_case(loaded.masses))))


def _cut(sample: Any, size: int = 256) -> Iterator[tuple[str, NDArray[Any]]]:
    plain = Preprocessing(denoise_sigma=0.0, equalise=False)
    height, width = sample.image.shape
    for box, said in (("oracle", "known box"), ("jittered", "jittered box")):
        for strategy in STRATEGIES:
            frame = Frame.model_validate(
                {"strategy": strategy, "box": box, "size": size, "truth": "target"}
            )
            image, mask, _ = frame_sample(sample, frame, plain)
            picture = outline_overlay(image, mask)
            for other, grey in (("loose", 255), ("tight", 170)) if strategy == "full" else ():
                inner = frame_of(sample, frame.model_copy(update={"strategy": other}))
                start, end = (
                    (size * y // height, size * x // width) for x, y in (inner[:2], inner[2:])
                )
                edge = rectangle_perimeter(start, end, shape=picture.shape, clip=True)
                picture[edge] = grey
            yield f"{strategy}, {said}", picture
