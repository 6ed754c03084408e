"""Small, medium and large masses apart."""

import numpy as np
import pytest

from mammostudy.errors import DataError
from mammostudy.evaluation.boxes import match_detections, size_classes, size_thirds
from mammostudy.evaluation.froc_curves import RATES, froc
from mammostudy.evaluation.froc_intervals import sensitivity_by_size

PATIENTS = ["a", "b", "c", "d"]


def test_thirds_part_masses_evenly():
    edges = size_thirds(np.arange(1, 31))
    assert np.bincount(size_classes(np.arange(1, 31), edges)).tolist() == [10, 10, 10]


def test_edges_belong_to_the_smaller_size():
    assert size_classes([1, 5, 5.1, 9, 9.1], (5, 9)).tolist() == [0, 0, 1, 1, 2]


def test_by_hand(by_hand):
    matches = match_detections(*by_hand, threshold=0.1)
    table = sensitivity_by_size(matches, PATIENTS, edges=(8, 9), rates=[0.25, 0.5], draws=50)
    assert table["size"].tolist() == ["small"] * 3 + ["medium"] + ["large"] * 3
    assert table["masses"].tolist() == [1] * 3 + [0] + [2] * 3
    assert table["above"].tolist() == [0] * 3 + [8] + [9] * 3
    assert table["up_to"].tolist() == [8] * 3 + [9] + [np.inf] * 3
    # found at 0.65 after 2 false positives; of the large ones one at none, one after 2
    shares = table["sensitivity"].to_numpy()
    assert shares == pytest.approx([0, 1, 0.5, np.nan, 0.5, 1, 0.75], nan_ok=True)
    assert table["low"].isna().all()  # each size comes from one patient


def test_sizes_add_up_to_the_whole(make_detections):
    case = make_detections(40, noise=3)
    matches, patients = match_detections(*case), np.arange(40) // 2
    table = sensitivity_by_size(matches, patients, draws=100)
    assert len(table) == 3 * (len(RATES) + 1)
    assert table[["low", "high"]].notna().all().all()
    whole = froc(*case)
    for rate, group in table.dropna(subset="rate").groupby("rate"):
        found = np.average(group["sensitivity"], weights=group["masses"])
        assert found == pytest.approx(whole.sensitivity_at(float(rate)))


def test_control_false_positives_of_one_size_alone_would_flatter(by_hand):
    matches = match_detections(*by_hand, threshold=0.1)
    table = sensitivity_by_size(matches, PATIENTS, edges=(8, 9), rates=[0.25], draws=50)
    alone = froc(by_hand.predicted[2:], by_hand.scores[2:], by_hand.true[2:], threshold=0.1)
    assert table["sensitivity"].iloc[0] == 0
    assert alone.sensitivity_at(0.25) == 1


def test_diameters_in_other_units(by_hand):
    matches = match_detections(*by_hand)
    table = sensitivity_by_size(
        matches, PATIENTS, edges=(1, 2), diameters=[0.5, 1.5, 3], rates=[1], draws=50
    )
    assert table.dropna(subset="rate")["sensitivity"].tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"edges": (9, 8)}, r"edges = \(9, 8\)"),
        ({"edges": (0, 8)}, "two finite diameters above 0"),
        ({"edges": (1, np.inf)}, "two finite diameters"),
        ({"diameters": [1, 2]}, "2 diameters for 3 masses"),
        ({"diameters": [1, 2, np.nan]}, "is a pixel spacing missing"),
        ({"patients": ["a"]}, "for 4 images"),
    ],
)
def test_bad_input_is_named(by_hand, fields, message):
    given = {"patients": PATIENTS} | fields
    with pytest.raises(DataError, match=message):
        sensitivity_by_size(match_detections(*by_hand), **given)


def test_no_mass():
    with pytest.raises(DataError, match="no mass in any"):
        sensitivity_by_size(match_detections([[]], [[]], [[]]), ["a"])
    with pytest.raises(DataError, match="diameters of shape"):
        size_thirds([])
