"""The trained models of a chain at work: boxes in, masks out; masks in, shapes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import FramedSet
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.calibration import apply_temperature
from mammostudy.imaging.framing import Box, crop_and_resize, frame_box, paste_back
from mammostudy.imaging.postprocessing import PUBLISHED, postprocess
from mammostudy.imaging.preprocessing import preprocess
from mammostudy.imaging.shape_masks import place_mask
from mammostudy.runs.mask_sets import SIDE, labelled
from mammostudy.runs.segmenters import baseline_masks
from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import AnyRecord, Record, ShapeRecord, Spec, find_record, weights_path
from mammostudy.runs.trained import chosen_steps, predicted_masks, trained_model

if TYPE_CHECKING:
    from torch import nn

VERSION: Final = 1  # recipe version
NO_SHAPE: Final = "none"
Mask = NDArray[np.bool_]
Told = tuple[list[str | None], NDArray[np.float64]]


def record_of(run: Spec) -> AnyRecord:
    """Return the record of a stage.

    Raises:
        DataError: it has none.
    """
    from mammostudy.runs.execute import manifest_hash

    record = find_record(run, manifest_hash(run.cohort))
    if record is None:
        msg = (
            f"cohort {run.cohort!r}: a stage of this chain has no record; make the runs of the "
            "page first (`mammostudy run chain` does)"
        )
        raise DataError(msg)
    return record


def whole_box(edges: Sequence[float], shape: tuple[int, int]) -> Box:
    """Round a detected box to whole pixels inside an image, at least one pixel a side."""
    height, width = shape
    out = []
    for low, high, limit in ((edges[0], edges[2], width), (edges[1], edges[3], height)):
        start = min(max(round(low), 0), limit - 1)
        out.append((start, min(max(round(high), start + 1), limit)))
    return out[0][0], out[1][0], out[0][1], out[1][1]


def frame_boxes(
    images: Sequence[NDArray[np.float32]], boxes: Sequence[Box], run: RunSpec
) -> FramedSet:
    """Frame boxes as a segmentation run frames them; there is no truth to frame along.

    Args:
        images: a mammogram a box.
        boxes: half-open pixels, inside their images.
        run: the segmentation run.
    """
    frame, size = run.frame, run.frame.size
    shown, framed, given = [], [], []
    for image, box in zip(images, boxes, strict=True):
        shape = (image.shape[0], image.shape[1])
        window = frame_box(
            box, shape, strategy=frame.strategy, scale=frame.scale, aspect=frame.aspect
        )
        cut = crop_and_resize(image, window, size)
        shown.append(preprocess(cut, **run.preprocessing.model_dump()))
        corner = np.array([window[0], window[1]] * 2, np.float32)
        sides = np.array([window[2] - window[0], window[3] - window[1]] * 2, np.float32)
        given.append((np.array(box, np.float32) - corner) * size / sides)
        framed.append(window)
    n = len(framed)
    return FramedSet(
        tuple(str(at) for at in range(n)),
        np.stack(shown) if n else np.zeros((0, size, size), np.float32),
        np.zeros((n, size, size), np.bool_),
        np.array(framed, np.int64).reshape(-1, 4),
        np.array(given, np.float32).reshape(-1, 4),
        np.zeros(n, np.int64),
    )


@dataclass(frozen=True)
class Segmenter:
    """The segmenter of a chain.

    Attributes:
        record: its run.
        steps: of post-processing.
    """

    record: Record
    steps: tuple[str, ...]

    @classmethod
    def of(cls, record: Record, postprocessing: str) -> Segmenter:
        """Take the published steps, or those chosen on the run's validation part."""
        published = postprocessing == "published"
        return cls(record, tuple(PUBLISHED) if published else chosen_steps(record))

    @cached_property
    def _model(self) -> nn.Module:
        return trained_model(self.record)

    def masks(self, framed: FramedSet) -> Mask:
        """Mark the mass in frames, bool ``(n, s, s)``, post-processed.

        Raises:
            DataError: the weights are missing or damaged.
        """
        spec = self.record.spec
        if not framed.cases:
            return framed.masks
        if spec.is_baseline:
            found = baseline_masks(spec.model.name, framed)
        else:
            found = predicted_masks(self._model, framed, spec)
        return postprocess(found, self.steps)

    def known(self, framed: FramedSet) -> Mask:
        """Return the masks of oracle frames as the record keeps them, post-processed."""
        stored = self.record.predictions()
        return postprocess(np.stack([stored[case] for case in framed.cases]), self.steps)


def pasted(mask: Mask, frame: NDArray[np.int64], shape: tuple[int, int]) -> Mask:
    """Paste a frame's mask into the image's grid."""
    x_min, y_min, x_max, y_max = (int(edge) for edge in frame)
    back: Mask = paste_back(mask, (x_min, y_min, x_max, y_max), shape)
    return back


class Shapes:
    """The classifiers of a chain, and which of them may judge whom.

    Attributes:
        records: their runs; none tells nothing.
        labels: shape of the masses whose shape is known, by case.
    """

    def __init__(self, records: Sequence[ShapeRecord], cohort: Cohort) -> None:
        self.records = list(records)
        self.labels: dict[str, str] = {}
        self._judge: dict[str, int | None] = {}
        self._models: dict[int, Any] = {}
        if records:
            self._assign(cohort)

    def _assign(self, cohort: Cohort) -> None:
        """Note who has learnt from whom, and the labels."""
        spec = self.records[0].spec
        masses = load_cohort(spec.cohort).masses
        shared = set(masses["patient"]) & set(cohort.manifest["patient"])
        for number, record in enumerate(self.records if shared else ()):
            split: dict[str, list[str]] = record.content["split"]
            for part, cases in split.items():
                for patient in set(masses.loc[cases, "patient"]):
                    if part == "test":
                        self._judge[patient] = number
                    else:
                        self._judge.setdefault(patient, None)
        rows = labelled(load_cohort(spec.cohort) if shared else cohort, spec)
        self.labels = {str(case): str(label) for case, label in rows["label"].items()}

    def tell(self, masks: Sequence[Mask], patients: Sequence[str]) -> Told:
        """Tell the shapes of masks.

        Args:
            masks: bool, each of its own size; an empty one has no shape.
            patients: whose mask it is: none that the classifier was trained on.

        Returns:
            The class of each (``none`` without a mask, or where the classifier diverged; None
            where every classifier at hand has learnt from the patient), and the calibrated
            probability of that class (NaN without one).
        """
        names: list[str | None] = [None] * len(masks)
        shares = np.full(len(masks), np.nan)
        if not self.records:
            return names, shares
        judges = [self._judge.get(patient, 0) for patient in patients]
        for number in sorted({judge for judge in judges if judge is not None}):
            chosen = [at for at, judge in enumerate(judges) if judge == number]
            told = self._told_by(number, [masks[at] for at in chosen])
            for at, (name, share) in zip(chosen, told, strict=True):
                names[at], shares[at] = name, share
        return names, shares

    def _told_by(self, number: int, masks: Sequence[Mask]) -> list[tuple[str, float]]:
        import torch

        from mammostudy.training.loop import device
        from mammostudy.training.shapes import predict_logits

        record = self.records[number]
        grid = np.stack([_placed(mask, record.spec.input.placement) for mask in masks])
        if number not in self._models:
            self._models[number] = shape_model(record)
        tensor = torch.from_numpy(grid.astype(np.float32)).unsqueeze(1).to(device())
        logits = predict_logits(self._models[number], tensor)
        sound = np.asarray(np.isfinite(logits).all(axis=1) & grid.any(axis=(1, 2)))
        shares = apply_temperature(np.where(sound[:, None], logits, 0.0), record.temperature)
        return [
            (record.spec.classes[int(row.argmax())], float(row.max()))
            if good
            else (NO_SHAPE, np.nan)
            for row, good in zip(shares, sound, strict=True)
        ]


def _placed(mask: Mask, placement: str) -> Mask:
    """Place a mask on the classifier's grid; an empty or vanishing one gives an empty one."""
    try:
        return place_mask(mask, SIDE, placement) if mask.any() else np.zeros((SIDE, SIDE), np.bool_)
    except DataError:
        return np.zeros((SIDE, SIDE), np.bool_)


def shape_model(record: ShapeRecord) -> Any:
    """Return the trained network of a shape record, on the device that runs compute on.

    Raises:
        DataError: its weights are not in the local store, or damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from mammostudy.runs.shape_classifiers import build_network

    with torch.random.fork_rng(devices=[]):
        model = build_network(record.spec)
    path = weights_path(str(record.content["training_key"]))
    try:
        load_model(model, path)
    except (OSError, RuntimeError, SafetensorError):
        msg = (
            f"{path}: the weights of shape run {record.key} are missing or damaged; delete the "
            "file: another model is taken then, or `mammostudy run shapes --preset quick --fresh` "
            "makes one anew"
        )
        raise DataError(msg) from None
    return model
