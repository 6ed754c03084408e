"""Mask sets: packed and placed as the spec says, drawn by the source asked for and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.outline_cohort import COLUMNS, Geometry, OutlineCohort
from mammostudy.errors import DataError, MissingDataError
from mammostudy.imaging.contours import box_of, chan_vese_mask
from mammostudy.imaging.framing import crop_and_resize, frame_box, paste_back
from mammostudy.imaging.preprocessing import preprocess
from mammostudy.imaging.shape_features import FEATURES, shape_features
from mammostudy.runs import mask_sets as module
from mammostudy.runs.mask_sets import (
    SIDE,
    MaskSet,
    feature_table,
    labelled,
    mask_set,
    native_masks,
    pixels_of,
)
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.store import find_record
from mammostudy.runs.trained import finished_masks

if TYPE_CHECKING:
    from tests.runs.conftest import Shaped

Mask = NDArray[np.bool_]
Draw = Callable[[], dict[str, Mask]]


def block(height: int, width: int, rows: int, columns: int) -> Mask:
    """A plane with a rectangle of a size in its middle."""
    mask = np.zeros((height, width), bool)
    top, left = (height - rows) // 2, (width - columns) // 2
    mask[top : top + rows, left : left + columns] = True
    return mask


def disc(side: int, diameter: float) -> Mask:
    at = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(*np.meshgrid(at, at)) <= diameter / 2, dtype=bool)


def spread(mask: Mask) -> tuple[int, int]:
    """Height and width of what a mask covers."""
    x_min, y_min, x_max, y_max = box_of(mask)
    return y_max - y_min, x_max - x_min


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5), (8, 8), (17, 31)])
def test_packing_keeps_every_bit(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    masks = {"001": rng.random(shape) > 0.5, "none": np.zeros((1, 1), bool), "b": disc(20, 12)}
    found = module._unpacked(module._packed(masks))
    assert list(found) == list(masks)
    for case, mask in masks.items():
        assert found[case].dtype == np.bool_
        assert np.array_equal(found[case], mask)


def test_nothing_is_packed_as_well() -> None:
    assert module._unpacked(module._packed({})) == {}


def test_a_mask_is_cut_to_its_largest_part_and_a_margin() -> None:
    mask = np.zeros((40, 50), bool)
    mask[5:15, 8:20] = True
    mask[30:33, 40:43] = True  # a crumb
    cut = module._cut(mask)
    assert cut.shape == (14, 16)
    assert cut.sum() == 120
    assert cut[2:-2, 2:-2].all()
    assert module._cut(np.zeros((40, 50), bool)).shape == (1, 1)
    assert not module._cut(np.zeros((40, 50), bool)).any()


def made_set(monkeypatch: pytest.MonkeyPatch, drawn: dict[str, Mask], **changes: object) -> MaskSet:
    """Place some masks; the manifest says of each what its box is."""
    rows = pd.DataFrame(
        {
            "case": list(drawn), "patient": list(drawn), "shape": "round",
            "x_min": 0, "y_min": 0,
            "x_max": [spread(m)[1] if m.any() else 4 for m in drawn.values()],
            "y_max": [spread(m)[0] if m.any() else 4 for m in drawn.values()],
        }
    )  # fmt: skip
    cohort = Cohort("made", Path("nowhere"), rows)
    monkeypatch.setattr(module, "native_masks", lambda *_: drawn)
    return mask_set(ShapeSpec(cohort="made").changed(**changes), "truth", cohort)


@pytest.mark.parametrize("shape", [(10, 10), (40, 10), (10, 40), (90, 30)])
def test_stretched_masks_fill_half_of_either_side(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = made_set(monkeypatch, {"a": block(100, 100, *shape)}).masks[0]
    assert placed.shape == (SIDE, SIDE)
    assert box_of(placed) == (SIDE // 4, SIDE // 4, 3 * SIDE // 4, 3 * SIDE // 4)


@pytest.mark.parametrize(("shape", "seen"), [((40, 20), (32, 16)), ((20, 40), (16, 32))])
def test_square_placement_keeps_the_aspect(
    shape: tuple[int, int], seen: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {"a": block(100, 100, *shape)}
    assert spread(made_set(monkeypatch, drawn, input__placement="square").masks[0]) == seen
    assert spread(made_set(monkeypatch, drawn).masks[0]) == (32, 32)  # control: it is stretched


@pytest.mark.parametrize("placement", ["stretch", "square"])
def test_where_the_scale_is_kept_half_the_size_is_half_the_size(
    placement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = {"large": block(68, 68, 64, 64), "small": block(36, 36, 32, 32)}
    change = {"input__placement": placement}
    large, small = made_set(monkeypatch, drawn, input__keep_scale=True, **change).masks
    assert spread(large) == pytest.approx((64 / 1.5, 64 / 1.5), abs=1.1)  # window: 1.5 x longest
    assert spread(small) == pytest.approx((32 / 1.5, 32 / 1.5), abs=1.1)
    large, small = made_set(monkeypatch, drawn, **change).masks
    assert spread(large) == spread(small)  # control


def test_a_mask_too_long_for_the_window_fills_the_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {"a": block(24, 24, 20, 20), "wild": block(304, 304, 300, 300)}
    rows = pd.DataFrame({"x_min": 0, "y_min": 0, "x_max": [20, 20], "y_max": [20, 20]})
    monkeypatch.setattr(module, "_window", lambda _: module_window(rows))
    placed = made_set(monkeypatch, drawn, input__keep_scale=True)
    assert not placed.missed.any()
    assert spread(placed.masks[1]) == (SIDE, SIDE)


module_window = module._window


def test_a_mask_that_is_empty_or_vanishes_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {
        "whole": disc(90, 80), "empty": np.zeros((1, 1), bool), "dot": block(5, 5, 1, 1),
        "hair": block(5, 400, 1, 396),
    }  # fmt: skip
    found = made_set(monkeypatch, drawn, input__keep_scale=True)
    assert found.cases == tuple(drawn)
    assert found.missed.tolist() == [False, True, True, True]
    assert found.masks.any(axis=(1, 2)).tolist() == [True, False, False, False]
    assert found.missed.dtype == np.bool_


def test_only_the_largest_part_is_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = disc(60, 40)
    crumbs = whole.copy()
    crumbs[:3, :3] = True
    placed = made_set(monkeypatch, {"a": whole, "b": module._cut(crumbs)}).masks
    assert (placed[0] == placed[1]).mean() > 0.99


def test_positions_are_those_of_the_cases_that_are_there() -> None:
    found = MaskSet(("a", "b", "c"), np.zeros((3, SIDE, SIDE), bool), np.zeros(3, bool))
    assert found.at(["c", "x", "a"]) == [2, 0]
    assert found.at([]) == []


def test_labels_are_the_classes_asked_for(shaped: Shaped) -> None:
    rows = labelled(shaped.cohort, shaped.spec)
    assert set(rows["label"]) == {"irregular", "round"}
    assert len(rows) == 37
    other = shaped.spec.changed(classes=("oval", "round"))
    assert set(labelled(shaped.cohort, other)["label"]) == {"round"}
    with pytest.raises(DataError, match="no mass of cohort 'tiny' has a shape among oval, lobular"):
        labelled(shaped.cohort, shaped.spec.changed(classes=("oval", "lobular")))
    tools = shaped.spec.changed(target="tool", classes=("circle", "polygon"))
    with pytest.raises(DataError, match="cohort 'tiny' has no column `tool`"):
        labelled(shaped.cohort, tools)


def test_a_cohort_without_shapes_is_one_clear_error(tiny: Cohort) -> None:
    spec = ShapeSpec(cohort="tiny")
    with pytest.raises(DataError, match=r"tiny: no mass .* shape among irregular.*column `shape`"):
        mask_set(spec, "truth")


def test_true_masks_are_those_of_the_cohort(shaped: Shaped) -> None:
    found = native_masks(shaped.cohort, "truth")
    assert list(found) == list(shaped.cohort.masses.index)
    for case, mask in found.items():
        truth = shaped.cohort.mask(case)
        assert mask.sum() == truth.sum()
        assert np.array_equal(mask[2:-2, 2:-2], truth[tuple(map(slice, *_corners(truth)))])


def _corners(mask: Mask) -> tuple[tuple[int, int], tuple[int, int]]:
    x_min, y_min, x_max, y_max = box_of(mask)
    return (y_min, x_min), (y_max, x_max)


def test_active_contours_find_the_masses_without_their_outlines(shaped: Shaped) -> None:
    found = native_masks(shaped.cohort, "active-contour")
    assert set(found) == set(shaped.cohort.masses.index)
    truth = native_masks(shaped.cohort, "truth")
    for case, mask in found.items():
        assert 0.5 < mask.sum() / truth[case].sum() < 3
    case = "P3_CC_1"
    sample = shaped.cohort.sample(case)
    frame = frame_box(sample.box, sample.image.shape, aspect="square")
    shown = preprocess(crop_and_resize(sample.image, frame, 128))
    x_min, y_min, x_max, y_max = sample.box
    sides = x_max - x_min, y_max - y_min
    share = sum(sides) / 2 / (2 * max(sides))  # of the box in a frame twice its longer side
    drawn = paste_back(chan_vese_mask(shown, box_fraction=share), frame, sample.image.shape)
    assert np.array_equal(module._cut(drawn), found[case])
    assert not np.array_equal(found[case], truth[case])


def test_masks_are_made_once(shaped: Shaped, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    first = {s: native_masks(shaped.cohort, s, shaped.runs) for s in ("truth", "segmenter")}
    monkeypatch.setattr(module, "_drawn", refuse)
    monkeypatch.setattr(module, "_segmented", refuse)
    for source, masks in first.items():
        again = native_masks(shaped.cohort, source, shaped.runs)
        assert all(np.array_equal(again[case], mask) for case, mask in masks.items())
    with pytest.raises(AssertionError, match="made again"):  # control: other masks are made
        native_masks(shaped.cohort, "segmenter", shaped.runs[:1])
    with pytest.raises(AssertionError, match="made again"):  # control: so are those of other data
        native_masks(replace(shaped.cohort, manifest=shaped.cohort.manifest[:9]), "truth")


@pytest.mark.parametrize("part", ["framing", "preprocessing", "dicom"])
def test_masks_from_pixels_are_made_again_where_a_step_before_them_changes(
    part: str, shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    def content(source: str) -> str:
        return str(module._content(shaped.cohort, source, shaped.runs))

    before = {source: content(source) for source in ("truth", "active-contour", "segmenter")}
    room = "data" if part == "dicom" else "imaging"
    monkeypatch.setattr(f"mammostudy.{room}.{part}.VERSION", 99)
    assert content("truth") == before["truth"]
    assert content("active-contour") != before["active-contour"]
    assert content("segmenter") != before["segmenter"]


def records_by_fold(shaped: Shaped) -> list[dict[str, set[str]]]:
    found = [find_record(run, shaped.cohort.manifest_hash) for run in shaped.runs]
    return [{n: set(c) for n, c in r.content["split"].items()} for r in found if r]


def test_a_segmenter_marks_no_mass_that_it_was_trained_on(
    shaped: Shaped, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run, split in zip(shaped.runs, records_by_fold(shaped), strict=True):
        found = set(native_masks(shaped.cohort, "segmenter", (run,)))
        assert found == split["test"]
        assert not found & (split["train"] | split["validation"])
    assert set(native_masks(shaped.cohort, "segmenter", shaped.runs)) == set(
        shaped.cohort.masses.index
    )
    for other in shaped.runs:  # the control: a record that takes its validation part for unseen
        record = find_record(other, shaped.cohort.manifest_hash)
        assert record is not None
        seen = record.content["split"]["validation"]
        wide = {**record.content["split"], "test": [*record.content["split"]["test"], *seen]}
        told = replace(record, content={**record.content, "split": wide})
        monkeypatch.setattr(module, "_record_of", lambda _, told=told: told)
        assert {case for case, _ in module._segmented(shaped.cohort, (other,))} & set(seen)


def test_the_masks_are_those_that_the_segmenter_was_measured_on(shaped: Shaped) -> None:
    run = shaped.runs[1]
    record = find_record(run, shaped.cohort.manifest_hash)
    assert record is not None
    stored = record.predictions()
    for case, mask in native_masks(shaped.cohort, "segmenter", (run,)).items():
        sample = shaped.cohort.sample(case)
        finished = finished_masks(stored[case][None], record)[0]
        whole = paste_back(finished, frame_box(sample.box, sample.image.shape), sample.image.shape)
        assert np.array_equal(module._cut(whole), mask)


def test_a_segmenter_of_other_patients_marks_every_mass(
    shaped: Shaped, tmp_path: Path, write_cohort: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    other = tmp_path / "data"
    write_cohort(other, "fresh", patients=4)
    (other / "tiny").symlink_to(shaped.cohort.root)
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(other))
    fresh = load_cohort("fresh")
    found = native_masks(fresh, "segmenter", shaped.runs[:1])
    assert set(found) == set(fresh.masses.index)
    for (h, w), case in ((mask.shape, case) for case, mask in found.items()):
        row = fresh.row(case)
        assert (h, w) == (1, 1) or (h <= row["height"] + 4 and w <= row["width"] + 4)


def test_a_segmenter_without_a_record_is_one_clear_error(shaped: Shaped) -> None:
    run = shaped.runs[0].changed(seed=9)
    with pytest.raises(DataError, match=r"cohort 'tiny': the segmenter .* no record; train it"):
        native_masks(shaped.cohort, "segmenter", (run,))


def test_placed_sets_hold_the_cases_of_their_source(shaped: Shaped) -> None:
    for source in ("truth", "active-contour", "segmenter"):
        found = mask_set(shaped.spec, source)
        assert found.cases == tuple(shaped.cohort.masses.index)
        assert found.masks.shape == (37, SIDE, SIDE)
        assert np.array_equal(found.missed, ~found.masks.any(axis=(1, 2)))
    one = shaped.spec.changed(segmenter=[shaped.runs[0].model_dump()])
    assert set(mask_set(one, "segmenter").cases) == records_by_fold(shaped)[0]["test"]


def test_features_are_those_of_the_whole_masks(shaped: Shaped) -> None:
    cases, table = feature_table(shaped.spec, "truth")
    native = native_masks(shaped.cohort, "truth")
    assert table.shape == (37, len(FEATURES))
    for case, row in zip(cases, table, strict=True):
        np.testing.assert_array_equal(row, shape_features(native[case]))


def test_missed_masks_have_no_features(shaped: Shaped, monkeypatch: pytest.MonkeyPatch) -> None:
    native = native_masks(shaped.cohort, "truth")
    gone = list(native)[3]
    monkeypatch.setattr(module, "native_masks", lambda *_: {**native, gone: np.zeros((1, 1), bool)})
    cases, table = feature_table(shaped.spec, "truth", shaped.cohort)
    assert gone not in cases
    assert len(cases) == len(table) == 36
    placed = mask_set(shaped.spec, "truth", shaped.cohort)
    assert [c for c, m in zip(placed.cases, placed.missed, strict=True) if m] == [gone]


@pytest.fixture
def outlines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutlineCohort:
    """Outlines of a disc and an oval whose images are not at hand."""
    drawn = {
        "A_1": Geometry("circle", ((50, 60), (20, 20))),
        "B_1": Geometry("ellipse", ((300, 200), (60, 25))),
    }
    rows = [
        {"case": case, "patient": case[0], "site": "s", "view": "CC", "image": case[0],
         "side": "L", "modality": "DM", "shape": shape, "pathology": "benign", "subtype": None,
         "tool": drawn[case].tool,
         **dict(zip(("x_min", "y_min", "x_max", "y_max"), drawn[case].box, strict=True))}
        for case, shape in (("A_1", "round"), ("B_1", "oval"))
    ]  # fmt: skip
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(tmp_path / "store"))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return OutlineCohort("cdd-cesm-contours", tmp_path / "cdd-cesm", table, outlines=drawn)


def test_outlines_are_placed_without_images(outlines: OutlineCohort) -> None:
    spec = ShapeSpec(cohort="cdd-cesm-contours", classes=("oval", "round"))
    stretched = mask_set(spec, "truth", outlines)
    assert [spread(mask) for mask in stretched.masks] == [(32, 32), (32, 32)]
    squared = mask_set(spec.changed(input__placement="square"), "truth", outlines)
    assert spread(squared.masks[0]) == (32, 32)
    height, width = spread(squared.masks[1])
    assert (height, width) == (pytest.approx(32 * 51 / 121, abs=1.1), 32)
    tools = spec.changed(target="tool", classes=("circle", "ellipse"))
    assert labelled(outlines, tools)["label"].tolist() == ["circle", "ellipse"]


def test_other_sources_of_outlines_need_their_images(
    outlines: OutlineCohort, shaped: Shaped
) -> None:
    assert pixels_of(shaped.cohort) is shaped.cohort
    with pytest.raises(MissingDataError, match="cdd-cesm"):
        native_masks(outlines, "active-contour")
    assert set(native_masks(outlines, "truth")) == {"A_1", "B_1"}  # control
