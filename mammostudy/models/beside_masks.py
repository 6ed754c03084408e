"""What may tell a shape beside its mask: the sides of its box, and the grey values around it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mammostudy.data.cache import Arrays, cached_arrays
from mammostudy.data.cohort import Cohort
from mammostudy.data.frames import Frame, FramedSet, Preprocessing, frame_cohort
from mammostudy.models.device import device
from mammostudy.models.encoders import RANGES
from mammostudy.models.segmenters.library_unets import packaged_weights


def grey_frames(cohort: Cohort, aspect: str, side: int) -> FramedSet:
    """Frame every mass loosely, each in the middle of a crop of ``side`` pixels."""
    frame = Frame.model_validate({"aspect": aspect, "size": side, "truth": "target"})
    return frame_cohort(cohort, frame, Preprocessing())


def beside_features(cohort: Cohort, what: str, aspect: str) -> pd.DataFrame:
    """Measure what lies beside the masks of a cohort, by case.

    Of a ``box`` it is the logarithm of longer over shorter side and that of the area;
    ``grey-features`` are those of crops of 224 pixels (:func:`imagenet_features`).
    """
    rows, content = cohort.masses, {"manifest": cohort.manifest_hash, "aspect": aspect, "of": 1}
    if what == "box":
        width, height = ((rows[f"{axis}_max"] - rows[f"{axis}_min"]).astype(float) for axis in "xy")
        sides = {"aspect": np.abs(np.log(width / height)), "area": np.log(width * height)}
        return pd.DataFrame(sides)

    def make() -> Arrays:
        return {"features": imagenet_features(grey_frames(cohort, aspect, 224).images)}

    return pd.DataFrame(cached_arrays("grey-features", content, make)["features"], rows.index)


@torch.inference_mode()
def imagenet_features(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Show grey images ``(n, s, s)`` in [0, 1] to EfficientNet-lite0 as ImageNet left it.

    Features ``(n, 1280)``. Source: Tan and Le 2019; weights of the extra ``pretrained``, by order.
    """
    from timm import create_model  # here: it takes some seconds to import

    network = create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0)
    stored = [each for name, each in packaged_weights().items() if not name.startswith("_fc")]
    network.load_state_dict(dict(zip(network.state_dict(), stored, strict=True)))
    network.eval().to(device())
    mean, deviation = RANGES["packaged"]
    seen = torch.split((torch.from_numpy(images)[:, None] - mean) / deviation, 32)
    parts = [network(part.expand(-1, 3, -1, -1).to(device())).float().cpu() for part in seen]
    return np.asarray(torch.cat(parts).numpy())
