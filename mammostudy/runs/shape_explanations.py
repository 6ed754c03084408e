"""What an explaining shape run keeps: embeddings, a walk between shapes, occlusion maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import SpecError
from mammostudy.evaluation.calibration import apply_temperature
from mammostudy.evaluation.uncertainty import occlusion_map
from mammostudy.imaging.shape_masks import place_mask, shape_between
from mammostudy.runs.mask_sets import SIDE

if TYPE_CHECKING:
    from mammostudy.runs.shape_classifiers import Classifier
    from mammostudy.runs.shapes import Task

POSITIONS: Final = np.linspace(0, 3, 25)
SEEDS: Final = (0, 1, 2, 3, 4)
Arrays = dict[str, NDArray[Any]]


def explanations(
    task: Task, classifier: Classifier, rows: pd.DataFrame, temperature: float
) -> Arrays:
    """Explain a trained network on the masks of the first source.

    Returns:
        ``embedding`` float16 ``(n, d)`` of all masks, ``embedding_cases``, with their
        ``embedding_labels`` and ``embedding_parts`` (train, validation, test);
        ``between_probabilities`` float32 ``(seeds, positions, k)`` along ``between_positions`` (see
        :func:`mammostudy.imaging.shape_masks.shape_between`) for ``between_seeds``; and
        ``occlusion_maps`` float16 ``(j, 64, 64)`` of ``occlusion_cases``: of each class the
        surest right and the surest wrong test case.

    Raises:
        SpecError: the classifier is no network on masks.
    """
    import torch

    from mammostudy.runs.shape_classifiers import Network
    from mammostudy.training.loop import device
    from mammostudy.training.shapes import embed, predict_logits

    if not isinstance(classifier, Network) or task.spec.classifier == "grey-cnn":
        msg = "run spec: evaluation.explain needs a network on masks (cnn or resnet)"
        raise SpecError(msg)
    source = task.spec.evaluation.sources[0]
    test = rows[(rows["part"] == "test") & (rows["source"] == source) & ~rows["missed"]]
    model = classifier.model

    def probabilities(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        tensor = torch.from_numpy(masks.astype(np.float32)).unsqueeze(1).to(device())
        return apply_temperature(predict_logits(model, tensor), temperature)

    chosen = _surest(test, task.spec.classes)
    masks = task.masks(source)
    seen = {masks.cases[i] for i in np.flatnonzero(~masks.missed)}
    part_of = {c: name for name, cases in task.split.parts().items() for c in cases if c in seen}
    place = {name: k for k, name in enumerate(task.spec.classes)}
    labels = test.set_index("case")["label"].map(place)
    maps = [
        occlusion_map(masks.masks[masks.at([case])[0]], int(labels[case]), probabilities)
        for case in chosen
    ]
    walk = np.stack([probabilities(_between(task.spec.input.placement, seed)) for seed in SEEDS])
    return {
        "embedding": embed(model, classifier.inputs(source, list(part_of))).astype(np.float16),
        "embedding_cases": np.array(list(part_of), dtype=np.str_),
        "embedding_labels": task.rows.loc[list(part_of), "label"].to_numpy(np.str_),
        "embedding_parts": np.array(list(part_of.values()), dtype=np.str_),
        "between_positions": POSITIONS,
        "between_seeds": np.array(SEEDS),
        "between_probabilities": walk.astype(np.float32),
        "occlusion_cases": np.array(chosen, dtype=np.str_),
        "occlusion_maps": np.array(maps, dtype=np.float16).reshape(-1, SIDE, SIDE),
    }


def _surest(test: pd.DataFrame, classes: tuple[str, ...]) -> list[str]:
    """Of each class the surest right and the surest wrong case, in the classes' order."""
    names = [f"logit_{name}" for name in classes]
    logits = test[names].to_numpy(np.float64)
    ranked = np.sort(logits, axis=1)
    margin = pd.Series(ranked[:, -1] - ranked[:, -2], index=test.index)
    chosen = []
    for name in classes:
        for right in (True, False):
            group = test[(test["label"] == name) & ((test["predicted"] == name) == right)]
            if len(group):
                surest = int(margin[group.index].to_numpy().argmax())
                chosen.append(str(group["case"].iloc[surest]))
    return chosen


def _between(placement: str, seed: int) -> NDArray[np.bool_]:
    walk = (shape_between(float(at), 256, seed=seed) for at in POSITIONS)
    return np.stack([place_mask(mask, SIDE, placement) for mask in walk])
