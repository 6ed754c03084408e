"""Outlines without images: masks against other ways to fill them, the hash, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammostudy.data import outline_cohort, splits
from mammostudy.data.outline_cohort import COLUMNS, MARGIN, Geometry, OutlineCohort
from mammostudy.data.splits import Split, check_leakage, split_cases, thumbnails
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of, fill_outline

STAR = Geometry("polygon", ((0, 0), (40, 30), (90, 0), (60, 50), (90, 100), (45, 70), (0, 100)))
OVAL = Geometry("ellipse", ((300, 200), (60, 25)))
DISC = Geometry("circle", ((50, 60), (20, 20)))


@pytest.fixture
def cohort() -> OutlineCohort:
    """Two outlines of each of six patients; discs round, stars irregular."""
    rows, outlines = [], {}
    for patient in range(6):
        for region in range(2):
            drawn = DISC if patient % 2 else STAR
            case = f"P{patient}_L_DM_CC_{region}"
            box = dict(zip(("x_min", "y_min", "x_max", "y_max"), drawn.box, strict=True))
            rows.append(
                {"case": case, "patient": f"P{patient}", "site": "cdd-cesm", "view": "CC",
                 "image": f"P{patient}_L_DM_CC", "side": "L", "modality": "DM", **box,
                 "shape": "round" if patient % 2 else "irregular", "pathology": "malignant",
                 "subtype": None, "tool": drawn.tool}
            )  # fmt: skip
            outlines[case] = drawn
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return OutlineCohort("outlines", Path("nowhere"), table, outlines=outlines)


@pytest.mark.parametrize("drawn", [STAR, OVAL, DISC])
def test_the_mask_fills_its_own_box_but_for_the_margin(drawn: Geometry) -> None:
    mask = drawn.mask()
    x_min, y_min, x_max, y_max = drawn.box
    assert mask.dtype == np.bool_
    assert mask.shape == (y_max - y_min + 2 * MARGIN, x_max - x_min + 2 * MARGIN)
    inner = (MARGIN, MARGIN, mask.shape[1] - MARGIN, mask.shape[0] - MARGIN)
    assert box_of(mask) == inner


def test_polygons_hold_what_scikit_image_fills_and_the_pixels_under_the_line() -> None:
    mask = STAR.mask()
    other = fill_outline(np.asarray(STAR.points) + MARGIN, mask.shape)
    assert not (other & ~mask).any()
    assert other.sum() / mask.sum() > 0.97


@pytest.mark.parametrize("drawn", [OVAL, DISC])
def test_ellipses_have_their_area(drawn: Geometry) -> None:
    width, height = drawn.points[1]
    assert drawn.mask().sum() == pytest.approx(np.pi * (width + 0.5) * (height + 0.5), rel=0.01)


@pytest.mark.parametrize(
    ("drawn", "degenerate"),
    [
        (STAR, False),
        (OVAL, False),
        (Geometry("polygon", ((0, 0), (4, 4), (8, 8))), True),
        (Geometry("polygon", ((3, 3),)), True),
        (Geometry("polygon", ((0, 0), (4, 4), (8, 8), (8, 0))), False),
        (Geometry("circle", ((5, 5), (0.9, 0.9))), True),
        (Geometry("ellipse", ((5, 5), (30, 0))), True),
        (Geometry("ellipse", ((5, 5), (30, -2))), True),
    ],
)
def test_what_encloses_nothing(drawn: Geometry, degenerate: bool) -> None:
    assert drawn.degenerate is degenerate


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.image(c.row("P1_L_DM_CC_0")),
        lambda c: c.truth("P1_L_DM_CC"),
        lambda c: c.sample("P1_L_DM_CC_0"),
        lambda c: list(c),
        lambda c: thumbnails(c),
    ],
)
def test_there_are_no_images(
    cohort: OutlineCohort, own_store: Path, call: Callable[[OutlineCohort], object]
) -> None:
    with pytest.raises(DataError, match="outlines: has outlines only"):
        call(cohort)


def test_the_hash_follows_table_geometry_and_the_way_of_filling(
    cohort: OutlineCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    shuffled = replace(
        cohort,
        manifest=cohort.manifest.iloc[::-1],
        outlines=dict(reversed(cohort.outlines.items())),
    )
    assert shuffled.manifest_hash == cohort.manifest_hash
    case = "P1_L_DM_CC_0"
    moved = replace(cohort, outlines={**cohort.outlines, case: OVAL})
    label = cohort.manifest.assign(shape=["oval", *cohort.manifest["shape"][1:]])
    relabelled = replace(cohort, manifest=label)
    monkeypatch.setattr(outline_cohort, "MARGIN", 3)
    filled = replace(cohort)
    hashes = {c.manifest_hash for c in (cohort, moved, relabelled, filled)}
    assert len(hashes) == 4
    assert cohort.truth_hash is None


def test_patients_alone_are_checked_for_leaks(
    cohort: OutlineCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_cases(cohort.masses, folds=3)
    check_leakage(cohort, split)
    crossing = Split(split.train[1:], split.validation, (*split.test, split.train[0]))
    with pytest.raises(DataError, match="stands in train and in test"):
        check_leakage(cohort, crossing)
    monkeypatch.setattr(splits, "check_patients", lambda *_: None)
    check_leakage(cohort, crossing)  # control: nothing else sees it


def test_images_are_compared_but_for_outlines(
    cohort: OutlineCohort, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = split_cases(cohort.masses, folds=3)
    check_leakage(cohort, split)
    monkeypatch.setattr(splits, "OutlineCohort", type(None))  # control: without the rule
    with pytest.raises(DataError, match="has outlines only"):
        check_leakage(cohort, split)
