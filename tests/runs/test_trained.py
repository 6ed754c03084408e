"""Trained segmenters at work: their weights, their masks, the post-processing they chose."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from mammostudy.data.frames import frame_cohort
from mammostudy.errors import DataError
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.runs.store import Record, find_record, weights_path
from mammostudy.runs.trained import chosen_steps, finished_masks, predicted_masks, trained_model

if TYPE_CHECKING:
    from tests.runs.conftest import Shaped

STEPS = "close3+erode2+dilate3"


@pytest.fixture
def record(shaped: Shaped) -> Record:
    found = find_record(shaped.runs[0], shaped.cohort.manifest_hash)
    assert found is not None
    return found


def test_the_kept_weights_give_the_kept_masks(shaped: Shaped, record: Record) -> None:
    run = record.spec
    stored = record.predictions()
    framed = frame_cohort(shaped.cohort, run.frame, run.preprocessing).take(list(stored))
    masks = predicted_masks(trained_model(record), framed, run)
    assert masks.dtype == np.bool_
    for mask, kept in zip(masks, stored.values(), strict=True):
        assert np.array_equal(mask, kept)


def test_loading_leaves_the_random_state_alone(record: Record) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    trained_model(record)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "another"])
def test_damaged_weights_are_one_clear_error(damage: str, shaped: Shaped, record: Record) -> None:
    path = weights_path(str(record.content["training_key"]))
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "another":  # of a network of another size
        wide = record.spec.changed(model__width=4).model_dump(mode="json")
        record = replace(record, content={**record.content, "spec": wide})
    else:
        path.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"safetensors: the weights of run .* missing or damaged"):
        trained_model(record)


def rows(**dice: float) -> pd.DataFrame:
    """Two validation cases a post-processing, and decoys that would turn the choice round."""
    table = []
    for steps, value in dice.items():
        name = STEPS if steps == "published" else steps
        for part, box, score in (
            ("validation", "oracle", value - 0.1), ("validation", "oracle", value + 0.1),
            ("validation", "jittered", 1 - value), ("test", "oracle", 1 - value),
        ):  # fmt: skip
            table.append({"part": part, "box": box, "postprocessing": name, "dice": score})
    return pd.DataFrame(table)


@pytest.mark.parametrize(
    ("dice", "chosen"),
    [
        ({"none": 0.8, "published": 0.81}, ("close3", "erode2", "dilate3")),
        ({"none": 0.81, "published": 0.8}, ()),
        ({"none": 0.8, "published": 0.8}, ()),
        ({"published": 0.8, "none": 0.8}, ()),  # the simpler of equals, whatever their order
        ({"none": 0.7, "close3": 0.9, "published": 0.8}, ("close3",)),
        ({"none": 0.8}, ()),
    ],
)
def test_postprocessing_is_that_of_the_best_validation_dice(
    dice: dict[str, float], chosen: tuple[str, ...], record: Record
) -> None:
    told = replace(record)
    told.__dict__["cases"] = rows(**dice)  # what the cached property would read
    assert chosen_steps(told) == chosen
    masks = np.zeros((2, 32, 32), bool)
    masks[:, 8:20, 8:20] = True
    masks[:, 12, 12] = False  # a hole of one pixel
    masks[0, 28, 28] = True  # a crumb
    assert np.array_equal(finished_masks(masks, told), postprocess(masks, chosen))


def test_no_choice_leaves_the_masks_as_they_are(record: Record) -> None:
    told = replace(record)
    told.__dict__["cases"] = rows(none=0.9, published=0.8)
    masks = np.random.default_rng(0).random((3, 32, 32)) > 0.5
    assert np.array_equal(finished_masks(masks, told), masks)
    told.__dict__["cases"] = rows(none=0.8, published=0.9)
    assert not np.array_equal(finished_masks(masks, told), masks)  # control
