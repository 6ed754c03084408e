"""From masses to the arrays a model sees: framed, resized, pre-processed, cached."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mammostudy.data.cache import Arrays, cached_arrays
from mammostudy.data.cohort import Cohort, Sample
from mammostudy.errors import DataError
from mammostudy.imaging import framing, preprocessing
from mammostudy.imaging.framing import Box


class Frame(BaseModel):
    """How a mass is framed (paper, section "workflow"; see :mod:`mammostudy.imaging.framing`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: Literal["full", "loose", "tight"] = "loose"
    scale: float = Field(2.0, ge=1.0, le=8.0)  # of a loose frame; the paper doubles each side
    aspect: Literal["stretch", "square"] = "stretch"  # each axis by itself (paper), or kept
    truth: Literal["all", "target"] = "all"  # masses that the frame shows (paper), or its own
    box: Literal["oracle", "jittered"] = "oracle"  # known, or centre +-10 % and size +-20 %
    size: int = Field(256, ge=16, le=1024)  # side of the resized frame, px


class Preprocessing(BaseModel):
    """The steps before the model, each a switch (paper, section "pre-processing")."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    denoise_sigma: float = Field(0.5, ge=0.0, le=10.0)  # Gaussian, px of the frame; 0 is none
    equalise: bool = True  # global histogram equalisation
    value_range: Literal["unit", "signed"] = "unit"  # [0, 1] (paper) or [-1, 1] (its code)


_ARRAYS: Final = ("images", "masks", "boxes", "given", "company")


@dataclass(frozen=True)
class FramedSet:
    """Framed cases, in order."""

    cases: tuple[str, ...]  # names, n of them
    images: NDArray[np.float32]  # (n, s, s), pre-processed
    masks: NDArray[np.bool_]  # (n, s, s)
    boxes: NDArray[np.int64]  # (n, 4), the frame's box in the image
    given: NDArray[np.float32]  # (n, 4), the given box of the mass in the frame's pixels
    company: NDArray[np.int64]  # (n,), pixels of the frame that belong to other masses alone

    def take(self, cases: Sequence[str]) -> FramedSet:
        """Return some cases, in the order asked for."""
        index = {case: i for i, case in enumerate(self.cases)}
        rows = [index[case] for case in cases]
        picked = (getattr(self, name)[rows] for name in _ARRAYS)
        return FramedSet(tuple(cases), *picked)


def given_box(sample: Sample, frame: Frame) -> Box:
    """Return the known box of a mass, or that one jittered by the case's name: always the same."""
    if frame.box == "oracle":
        return sample.box
    rng = np.random.default_rng(zlib.crc32(sample.case.encode()))
    return framing.jitter_box(sample.box, sample.image.shape, rng=rng)


def frame_of(sample: Sample, frame: Frame) -> Box:
    """Return the frame's box of a sample, half-open pixels; may reach outside the image."""
    how = frame.model_dump(include={"strategy", "scale", "aspect"})
    return framing.frame_box(given_box(sample, frame), sample.image.shape, **how)


def frame_sample(
    sample: Sample, frame: Frame, steps: Preprocessing
) -> tuple[NDArray[np.float32], NDArray[np.bool_], Box]:
    """Return image float32 ``(s, s)``, mask bool ``(s, s)`` and the frame's box in the image."""
    box = frame_of(sample, frame)
    image = framing.crop_and_resize(sample.image, box, frame.size)
    truth = sample.truth_all if frame.truth == "all" else sample.mask
    image = preprocessing.preprocess(image, **steps.model_dump())
    return image, framing.crop_and_resize(truth, box, frame.size), box


def _row(sample: Sample, frame: Frame, steps: Preprocessing) -> tuple[NDArray[Any], ...]:
    """Return what a framed set holds of one sample, in the order of its fields."""
    image, mask, box = frame_sample(sample, frame, steps)
    others = framing.crop_and_resize(sample.truth_all & ~sample.mask, box, frame.size)
    offset = np.array([box[0], box[1], box[0], box[1]], np.float32)
    side = np.array([box[2] - box[0], box[3] - box[1]] * 2, np.float32)
    given = (np.array(given_box(sample, frame), np.float32) - offset) * frame.size / side
    return image, mask, np.array(box), given, np.array(others.sum())


def frame_samples(samples: Iterable[Sample], frame: Frame, steps: Preprocessing) -> Arrays:
    """Frame one sample or more; return the arrays of a :class:`FramedSet`."""
    rows = [_row(sample, frame, steps) for sample in samples]
    return dict(zip(_ARRAYS, map(np.stack, zip(*rows, strict=True)), strict=True))


def frame_cohort(cohort: Cohort, frame: Frame, steps: Preprocessing) -> FramedSet:
    """Frame every mass of a cohort; made once, then read from the cache."""
    if not len(cohort):
        raise DataError(f"{cohort.name}: the manifest has no row with a box: nothing to frame")
    content = {"manifest": cohort.manifest_hash, "frame": frame.model_dump()}
    content["preprocessing"] = steps.model_dump()
    arrays = cached_arrays("frames", content, lambda: frame_samples(cohort, frame, steps))
    return FramedSet(tuple(cohort.masses.index), **arrays)
