"""A segmentation run from spec to record: its model, its training, its masks, its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from mammostudy.data.cohort import Cohort, box_of_row, require
from mammostudy.data.frames import Frame, FramedSet, frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation import overlap, uncertainty
from mammostudy.evaluation.splits import Split, checked_split
from mammostudy.imaging.postprocessing import PUBLISHED, orderings, postprocess
from mammostudy.models.baselines import Shown, baseline_masks
from mammostudy.models.device import device
from mammostudy.models.discriminator import Discriminator
from mammostudy.models.quick_layers import lay_channels_last
from mammostudy.models.registry import SEGMENTERS, build_segmenter
from mammostudy.runs.provenance import Result
from mammostudy.runs.record import Record
from mammostudy.runs.spec import COLUMNS, FITTED, Model, RunSpec
from mammostudy.runs.trained import Training, train_or_read, trained_model
from mammostudy.training import segmentation as training

Masks = NDArray[np.bool_]
Maps = NDArray[np.float32]
THRESHOLD: Final = 0.5  # of the probability; the paper does not report its own
METRICS: Final = ("dice", "iou", "precision", "recall", "hd95", "assd")  # in the frame's grid
Prediction = tuple[Masks, dict[str, NDArray[np.float64]]]  # masks, and scores of uncertainty


def evaluate(
    spec: RunSpec,
    cohort: Cohort,
    cases: Sequence[str],
    predict: Callable[[FramedSet, Frame], Prediction],
) -> tuple[pd.DataFrame, dict[str, Masks]]:
    """Predict and measure the cases of one part; the masks of the first box go with the rows."""
    asked = spec.evaluation
    named, every = list(map(cohort.row, cases)), spec.frame.truth == "all"  # masses of the image
    known = (cohort.truth(str(at["image"])) if every else cohort.mask(at["case"]) for at in named)
    judges = list(map(overlap.judge_in_image, known, map(box_of_row, named)))
    orders = orderings(PUBLISHED) if asked.postprocessing == "every" else [(), PUBLISHED]
    tables: list[pd.DataFrame] = []
    kept: dict[str, Masks] = {}
    for box in asked.boxes:
        frame = spec.frame.model_copy(update={"box": box})
        framed = frame_cohort(cohort, frame, spec.preprocessing).take(cases)
        masks, beside = predict(framed, frame)  # beside: what tells of masks before post-processing
        kept = kept or dict(zip(cases, masks, strict=True))
        if asked.boundary:
            beside = {"boundary_iou": overlap.boundary_iou(masks, framed.masks)} | beside
        for steps in orders:
            done = postprocess(masks, steps)
            each = zip(judges, done, framed.boxes.tolist(), strict=True)
            whole = [judge(mask, place) for judge, mask, place in each]
            table = pd.DataFrame(whole, columns=["dice_image", "iou_image"]).assign(
                **{name: getattr(overlap, name)(done, framed.masks) for name in METRICS},
                case=cases,
                truth_pixels=framed.masks.sum(axis=(1, 2)),
                predicted_pixels=done.sum(axis=(1, 2)),
                company_pixels=framed.company,
                diagonal=float(np.hypot(*done.shape[1:])),
            )
            name = "+".join(steps) or "none"
            tables.append(table.assign(box=box, postprocessing=name, **({} if steps else beside)))
    rows = pd.concat(tables, ignore_index=True)
    return rows.join(cohort.masses[["patient", "site"]], on="case"), kept


def model_fields(model: Model) -> dict[str, Any]:
    """Return what the builder of a segmenter takes of the fields of a spec."""
    own = {name: getattr(model, name) for name in SEGMENTERS[model.name].fields}
    return {"in_channels": model.channels, "out_channels": model.channels} | own


def network(spec: RunSpec, _: object = None) -> nn.Module:
    """Build the segmenter of a spec, initialised from torch's present random state."""
    return build_segmenter(spec.model.name, **model_fields(spec.model))


def build_trainer(spec: RunSpec) -> training.Supervised:
    """Build the trainer of a spec, initialised as published from torch's present random state."""
    asked, loss = spec.optimiser, spec.loss

    def adam(parameters: Iterator[nn.Parameter]) -> optim.Optimizer:
        betas = (asked.beta1, asked.beta2)
        return torch.optim.Adam(parameters, lr=asked.learning_rate, betas=betas, fused=True)

    def placed(model: nn.Module) -> nn.Module:
        model.to(device())
        return lay_channels_last(model) if spec.trains_channels_last else model

    generator = placed(network(spec))
    if loss.adversarial_weight == 0:
        plain = loss.model_dump(include={"overlap", "overlap_weight"})
        trainer = training.Supervised(generator, **plain, optimiser=adam)
    else:
        judge = Discriminator(in_channels=2 * spec.model.channels, width=spec.model.width)
        fields = loss.model_dump()
        trainer = training.Adversarial(generator, placed(judge), **fields, optimiser=adam)
    return training.Averaged(trainer, asked.averaging) if asked.averaging else trainer


def as_tensor(planes: Maps | Masks, channels: int) -> Tensor:
    """Return ``(n, s, s)`` planes as a float32 ``(n, channels, s, s)`` tensor on the device."""
    tensor = torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float32)).to(device())
    return tensor.unsqueeze(1).repeat(1, channels, 1, 1)


def one_draw(model: nn.Module, framed: FramedSet, spec: RunSpec, draw: int = 0) -> Maps:
    """Return the probability of mass, float32 ``(n, s, s)``; draw 0 of the z is the run's own."""
    images = as_tensor(framed.images, spec.model.channels)
    seed = spec.seed if draw == 0 else 1_000 * (spec.seed + 1) + draw
    return training.predict_probabilities(model, images, seed=seed)


def flip_averaged(model: nn.Module, framed: FramedSet, spec: RunSpec) -> Maps:
    """Return the mean probability of an image and its three mirror images, turned back."""
    total = np.zeros(framed.images.shape, np.float32)
    for axes in ((), (-1,), (-2,), (-2, -1)):
        mirrored = replace(framed, images=np.flip(framed.images, axes))
        total += np.flip(one_draw(model, mirrored, spec), axes) / 4
    return total


def predict_framed(model: nn.Module | None, framed: FramedSet, spec: RunSpec) -> Prediction:
    """Predict framed cases as a spec says, before post-processing; a baseline has no model."""
    if model is None:
        return baseline_masks(spec.model.name, framed.images, framed.given), {}
    if not spec.evaluation.samples:
        draw = flip_averaged if spec.evaluation.flips else one_draw
        return draw(model, framed, spec) >= THRESHOLD, {}
    draws = range(spec.evaluation.samples)
    samples = np.stack([one_draw(model, framed, spec, draw) for draw in draws])  # (k, n, s, s)
    scores = {
        "spread": uncertainty.spread_score(uncertainty.deviation_map(samples), samples),
        "information": uncertainty.spread_score(uncertainty.information_map(samples), samples),
        "disagreement": uncertainty.disagreement(samples),
    }
    return samples.mean(axis=0) >= THRESHOLD, scores


def marked(
    record: Record[RunSpec], cohort: Cohort, cases: Sequence[str], box: str = "oracle"
) -> tuple[FramedSet, Masks]:
    """Frame masses of a cohort and mark them by a run's model, or as its record keeps them."""
    run = record.spec
    frame = run.frame.model_copy(update={"box": box})
    framed = frame_cohort(cohort, frame, run.preprocessing).take(cases)
    if run.cohort == cohort.name and box == "oracle":
        stored = record.predictions()
        return framed, np.stack([stored[case] for case in cases])
    return framed, predict_framed(model_of(record), framed, run)[0]


def model_of(record: Record[RunSpec]) -> nn.Module | None:
    """Return the trained network of a record, None of a baseline."""
    return None if record.spec.is_baseline else trained_model(record)


def chosen_steps(record: Record[RunSpec]) -> tuple[str, ...]:
    """Return the post-processing with the better mean Dice on the record's validation part."""
    validation = record.cases.query("part == 'validation' and box == 'oracle'")
    means = validation.groupby("postprocessing")["dice"].mean()
    best = str(means.idxmax())
    return () if best == "none" or means["none"] >= means[best] else tuple(best.split("+"))


def run(spec: RunSpec, cohort: Cohort, progress: bool | None) -> Result:
    """Train a segmenter, or take a baseline, and measure its masks of validation and test."""
    split = checked_split(cohort, cohort.masses, **spec.split.model_dump())
    tested, cases = held_out(spec, cohort, split)
    baseline = spec.is_baseline
    model, left = (None, None) if baseline else _trained(spec, cohort, split, progress)

    def predict(framed: FramedSet, frame: Frame) -> Prediction:
        if spec.model.name not in FITTED:
            return predict_framed(model, framed, spec)
        train = frame_cohort(cohort, frame, spec.preprocessing).take(split.train)
        shown = Shown(train.masks, train.given)
        return baseline_masks(spec.model.name, framed.images, framed.given, shown), {}

    validation, kept = evaluate(spec, cohort, split.validation, predict)
    test, found = evaluate(spec, tested, cases, predict)
    rows = pd.concat([validation.assign(part="validation"), test.assign(part="test")])
    rows = rows[[*COLUMNS, *rows.columns.difference([*COLUMNS], sort=False)]]
    said = {"test_manifest_hash": tested.manifest_hash} if spec.evaluation.test_cohort else {}
    return Result(replace(split, test=cases), rows, left, kept | found, content=said)


def held_out(spec: RunSpec, cohort: Cohort, split: Split) -> tuple[Cohort, tuple[str, ...]]:
    """Return the cohort and cases that a run is tested on: of another one, the new patients'."""
    if not spec.evaluation.test_cohort:
        return cohort, split.test
    other = load_cohort(spec.evaluation.test_cohort)
    require(other, spec.needs)
    met = set(cohort.masses.loc[[*split.train, *split.validation], "patient"])
    new = other.masses.index[~other.masses["patient"].isin(met)]
    if new.empty:
        raise DataError(f"evaluation.test_cohort {other.name}: no patient is new; name another")
    return other, tuple(new)


def _trained(
    spec: RunSpec, cohort: Cohort, split: Split, progress: bool | None
) -> tuple[nn.Module, Training]:
    framed = frame_cohort(cohort, spec.frame, spec.preprocessing)
    shown, validation = framed.take(split.train), framed.take(split.validation)
    torch.manual_seed(spec.seed)
    trainer, asked = build_trainer(spec), spec.optimiser

    def validate() -> float:
        masks = one_draw(trainer.generator, validation, spec) >= THRESHOLD
        return float(overlap.dice(masks, validation.masks).mean())

    fit = partial(
        training.fit,
        trainer,
        as_tensor(shown.images, spec.model.channels),
        as_tensor(shown.masks, spec.model.channels),
        training.Budget(asked.iterations, asked.batch, asked.validations, asked.schedule),
        validate=validate,
        augment=asked.augment,
    )
    return trainer.generator, train_or_read(spec, cohort, trainer.generator, fit, progress)
