"""One mass in every frame, for the page on cropping: chosen by rule, cut as the runs cut it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mammostudy.data.cohort import Sample
from mammostudy.data.frames import Frame, Preprocessing, frame_of, frame_sample
from mammostudy.study.cropping import BOXES, STRATEGIES
from mammostudy.study.examples import typical_case
from mammostudy.study.fingerprint import at_hand

RECTANGLES: Final = ("loose", "tight")
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Example:
    """One mass in one frame.

    Attributes:
        strategy: ``full``, ``loose`` or ``tight``.
        box: ``oracle`` or ``jittered``.
        image: float32 ``(s, s)``, resized, not equalised.
        target: bool ``(s, s)``, the mass that the frame was laid around.
        others: bool ``(s, s)``, the other masses that the frame shows.
        rectangles: loose and tight frame in the pixels of a full one; empty elsewhere.
    """

    strategy: str
    box: str
    image: NDArray[np.float32]
    target: NDArray[np.bool_]
    others: NDArray[np.bool_]
    rectangles: dict[str, Rectangle]


def examples(cohort: str, size: int = 256) -> list[Example]:
    """Cut the three frames of the mass of median box area, around its known and a jittered box.

    Args:
        cohort: its name.
        size: of the resized frames.

    Returns:
        Oracle frames first, then jittered ones; empty where the images are not at hand.
    """
    loaded = at_hand(cohort)
    if loaded is None:
        return []
    sample = loaded.sample(typical_case(loaded.masses))
    return [_cut(sample, strategy, box, size) for box in BOXES for strategy in STRATEGIES]


def _cut(sample: Sample, strategy: str, box: str, size: int) -> Example:
    plain = Preprocessing(denoise_sigma=0.0, equalise=False)
    frame = Frame.model_validate(
        {"strategy": strategy, "box": box, "size": size, "truth": "target"}
    )
    image, target, _ = frame_sample(sample, frame, plain)
    every = frame_sample(sample, frame.model_copy(update={"truth": "all"}), plain)[1]
    rectangles = {name: _in_full(sample, frame, name) for name in RECTANGLES}
    drawn = rectangles if strategy == "full" else {}
    return Example(strategy, box, image, target, every & ~target, drawn)


def _in_full(sample: Sample, frame: Frame, strategy: str) -> Rectangle:
    """Place another frame of the same box in the pixels of the full frame."""
    height, width = sample.image.shape
    inner = frame_of(sample, frame.model_copy(update={"strategy": strategy}))
    x_min, x_max = (frame.size * x / width for x in inner[::2])
    y_min, y_max = (frame.size * y / height for y in inner[1::2])
    return x_min, y_min, x_max, y_max
