"""The drawn cohort follows its published table, and the null variant does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from mammostudy.data.manifest import SHAPES, SUBTYPES
from mammostudy.data.phantoms.patients import SUBTYPE_BY_SHAPE, Patient, draw_patients

MANY = 4000


def cross_table(patients: list[Patient]) -> np.ndarray:
    table = np.zeros((4, 4))
    for patient in patients:
        if patient.subtype:
            row, column = SUBTYPES.index(patient.subtype), SHAPES.index(patient.masses[0].shape)
            table[row, column] += 1
    return table


def test_the_published_table() -> None:
    assert SUBTYPE_BY_SHAPE.sum() == 300
    np.testing.assert_array_equal(SUBTYPE_BY_SHAPE.sum(axis=1), [123, 107, 33, 37])
    np.testing.assert_array_equal(SUBTYPE_BY_SHAPE.sum(axis=0), [136, 67, 41, 56])


@pytest.mark.parametrize("association", [True, False])
def test_shape_given_subtype(association: bool) -> None:
    drawn = cross_table(draw_patients(MANY, 2, association=association))
    share = SUBTYPE_BY_SHAPE / 300
    if not association:
        share = np.outer(share.sum(axis=1), share.sum(axis=0))
    assert chisquare(drawn.ravel(), (share * drawn.sum()).ravel()).pvalue > 0.01
    other = chi2_contingency(drawn).pvalue  # control: are the two variants told apart?
    assert (other < 1e-6) == association


def test_both_variants_differ_in_nothing_but_the_shape_draw() -> None:
    pairs = zip(draw_patients(50, 3), draw_patients(50, 3, association=False), strict=True)
    for one, other in pairs:
        assert (one.side, one.site, one.subtype) == (other.side, other.site, other.subtype)
        assert one.masses[0].diameter == other.masses[0].diameter


def test_sites_second_masses_and_free_views() -> None:
    patients = draw_patients(64, 2020)
    assert sum(p.site == "south" for p in patients) == 16
    assert sum(len(p.masses) == 2 for p in patients) == 8
    assert all(set(p.free_views) <= {"CC", "MLO"} and p.free_views for p in patients)
    assert {p.side for p in patients} == {"L", "R"}
    assert len({p.name for p in patients}) == 64
    assert all((p.subtype is None) == (p.pathology == "benign") for p in patients)


def test_diameters_are_about_nine_per_cent_of_the_side() -> None:
    diameters = [p.masses[0].diameter for p in draw_patients(MANY, 5)]
    assert 0.08 < np.median(diameters) / np.sqrt(768 * 640) < 0.10
    assert min(diameters) >= 34
    assert max(diameters) <= 110


def test_seeds() -> None:
    assert draw_patients(8, 1) == draw_patients(8, 1)
    assert draw_patients(8, 1) != draw_patients(8, 2)
