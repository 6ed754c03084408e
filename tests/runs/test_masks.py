"""Masks for shapes: whose they are, how they are placed, and that no run marks what it learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of
from mammostudy.imaging.framing import frame_box, paste_back
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.imaging.shape_features import shape_features
from mammostudy.runs import masks as module
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.runs.masks import SIDE, feature_table, native_masks, placed_mask, placed_masks
from mammostudy.runs.record import find_record
from mammostudy.runs.segmentation import chosen_steps

Mask = NDArray[np.bool_]


def block(size, height, width):
    mask = np.zeros((size, size), bool)
    mask[2 : 2 + height, 2 : 2 + width] = True
    return mask


def spread(mask):
    x_min, y_min, x_max, y_max = box_of(mask)
    return y_max - y_min, x_max - x_min


@pytest.mark.parametrize(
    ("mask", "placement", "window", "seen"),
    [
        (block(100, 40, 10), "stretch", None, (32, 32)),
        (block(100, 40, 20), "square", None, (32, 16)),
        (block(68, 64, 64), "stretch", 96, (64 / 1.5, 64 / 1.5)),
        (block(36, 32, 32), "square", 96, (32 / 1.5, 32 / 1.5)),  # half the size is half the size
        (block(304, 300, 300), "stretch", 30, (SIDE, SIDE)),  # too long for the window: it fills
    ],
)
def test_masks_are_placed(mask, placement, window, seen):
    placed = placed_mask(mask, placement, window)
    assert placed.shape == (SIDE, SIDE)
    assert spread(placed) == pytest.approx(seen, abs=1.1)


def test_a_mask_that_is_empty_or_vanishes_is_missed():
    for mask in (np.zeros((1, 1), bool), block(600, 1, 590)):
        assert not placed_mask(mask, "square").any()
    assert not placed_mask(block(5, 1, 1), "stretch", 900).any()
    crumbs = block(60, 40, 40)
    crumbs[50:53, 50:53] = True
    assert np.array_equal(placed_mask(crumbs, "square"), placed_mask(block(60, 40, 40), "square"))


def test_true_masks_are_those_of_the_cohort_made_once(shaped, monkeypatch):
    found = native_masks(shaped.cohort, "truth")
    assert list(found) == list(shaped.cohort.masses.index)
    for case, mask in found.items():
        truth = shaped.cohort.mask(case)
        x_min, y_min, x_max, y_max = box_of(truth)
        assert np.array_equal(mask[2:-2, 2:-2], truth[y_min:y_max, x_min:x_max])
    contoured = native_masks(shaped.cohort, "active-contour")
    assert set(contoured) == set(found)
    assert all(0.5 < mask.sum() / found[case].sum() < 3 for case, mask in contoured.items())
    monkeypatch.setattr(module, "_cut", lambda _: pytest.fail("made again"))
    again = native_masks(shaped.cohort, "truth")
    assert all(np.array_equal(again[case], mask) for case, mask in found.items())
    others = replace(shaped.cohort, manifest=shaped.cohort.manifest[:9])
    with pytest.raises(pytest.fail.Exception, match="made again"):  # control: those of other data
        native_masks(others, "truth")


def test_a_segmenter_marks_no_mass_that_it_was_trained_on(shaped):
    for run in shaped.runs:
        record = find_record(run, shaped.cohort.manifest_hash)
        assert record is not None
        split, stored = record.content["split"], record.predictions()
        found = native_masks(shaped.cohort, "segmenter", (run,))
        assert set(found) == set(split["test"])
        assert not set(found) & {*split["train"], *split["validation"]}
        for case, mask in found.items():  # those that the segmenter was measured on
            sample = shaped.cohort.sample(case)
            shape = sample.image.shape
            finished = postprocess(stored[case][None], chosen_steps(record))[0]
            whole = paste_back(finished, frame_box(sample.box, shape), shape)
            assert np.array_equal(module._cut(whole), mask)
        wide = {**split, "test": [*split["test"], *split["validation"]]}
        told = replace(record, content={**record.content, "split": wide})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "record_of", lambda _, told=told: told)
            control = {case for case, _ in module._drawn(shaped.cohort, "segmenter", (run,))}
        assert control & set(split["validation"])  # a record that takes them for unseen
    every = native_masks(shaped.cohort, "segmenter", shaped.runs)
    assert set(every) == set(shaped.cohort.masses.index)


def test_features_are_those_of_the_whole_masks_that_are_there(shaped, monkeypatch):
    native = native_masks(shaped.cohort, "truth")
    gone = list(native)[3]
    holed = {**native, gone: np.zeros((1, 1), bool)}
    monkeypatch.setattr(module, "native_masks", lambda *_: holed)
    table = feature_table(shaped.spec, "truth", shaped.cohort)
    assert set(table.index) == set(native) - {gone}
    for case, row in table.iterrows():
        np.testing.assert_array_equal(row, shape_features(native[str(case)]))
    placed = placed_masks(shaped.spec, "truth", shaped.cohort)
    assert [case for case, mask in placed.items() if not mask.any()] == [gone]


def test_scale_is_that_of_the_longest_mass(monkeypatch):
    drawn = {"a": block(68, 64, 64), "b": block(36, 32, 32)}
    edges = {"x_min": 0, "y_min": 0, "x_max": [64, 32], "y_max": [64, 32]}
    rows = pd.DataFrame({"case": list(drawn), "patient": list(drawn), "shape": "round", **edges})
    monkeypatch.setattr(module, "native_masks", lambda *_: drawn)
    spec = ShapeSpec.parse({"cohort": "made", "input": {"keep_scale": True}})
    found = placed_masks(spec, "truth", Cohort("made", Path("nowhere"), rows))
    assert spread(found["a"])[0] == pytest.approx(2 * spread(found["b"])[0], abs=2.1)


def test_a_segmenter_of_others_marks_every_mass(shaped, tmp_path, write_cohort, monkeypatch):
    other = tmp_path / "data"
    write_cohort(other, "fresh", patients=4)
    (other / "tiny").symlink_to(shaped.cohort.root)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(other))
    fresh = load_cohort("fresh")
    assert set(native_masks(fresh, "segmenter", shaped.runs[:1])) == set(fresh.masses.index)
    with pytest.raises(DataError, match="a segmentation run that this run works on has no record"):
        native_masks(fresh, "segmenter", (shaped.runs[0].changed(seed=9),))
