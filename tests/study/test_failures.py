from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammostudy.figures.tables import thirds
from mammostudy.study import failures
from mammostudy.study.comparing import Runs

COHORT, PRESET = "cdd-cesm", "reference"


def test_kinds():
    dice, predicted = [0.7, 0.0, 0.6, 0.6, 0.6, 0.6], [100, 0, 66, 67, 150, 151]
    rows = pd.DataFrame({"dice": dice, "predicted_pixels": predicted, "truth_pixels": 100})
    expected = ["no failure", "missed", "too small", "misplaced", "misplaced", "too large"]
    assert failures.kinds_of(rows).tolist() == expected


@pytest.fixture
def rows(write, monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)  # no images
    named = failures.named(COHORT, PRESET)
    write(named["cGAN"][0], [0.9, 0.5, 0.8, 0.2])
    return failures.tested_rows(Runs.load(named, PRESET), COHORT)


def test_rows_are_sorted_and_sized(rows):
    assert rows["dice"].tolist() == [0.2, 0.5, 0.8, 0.9]
    assert rows["size"].tolist() == pytest.approx([25] * 4, rel=1e-4)  # of the frame: no images
    table = failures.kinds(rows).set_index("kind")
    assert table.loc["too large", ["masses", "patients"]].tolist() == [2, 2]
    assert table.loc["missed", "masses"] == 0
    assert np.isnan(table.loc["missed", "mean Dice"])


def test_company(rows):
    sized = rows.assign(company=[True, False, False, True])
    company = failures.by_company(sized).query("metric == 'dice'").set_index("frame")["mean"]
    assert company["with a second mass"] == pytest.approx(0.55)


def test_thirds_name_their_ends_and_part_no_equal_values():
    values = pd.Series([1.0, 2.0, 2.0, 2.0, 5.0, 6.5, np.nan])
    found = thirds(values).tolist()
    assert found[0] == found[3]
    assert found[-1] == "unknown"
    assert thirds(pd.Series([1.0, 4.0, 6.0])).tolist() == [
        "third 1: 1 to 1", "third 2: 4 to 4", "third 3: 6 to 6",
    ]  # fmt: skip


SUBGROUPED = [("PA_L_DM_CC_0", "c"), ("PA_L_DM_MLO_0", "c"), ("PB_R_DM_CC_1", np.nan)]


def test_subgroups_are_of_all_trainings_and_of_what_is_at_hand(monkeypatch):
    cases = [name for name, _ in SUBGROUPED]
    rows = pd.DataFrame({
        "case": cases * 2, "patient": ["A", "A", "B"] * 2, "replicate": [0] * 3 + [1] * 3,
        "dice": [0.9, 0.7, 0.4, 0.7, 0.5, 0.6], "fold": 0, "converged": True,
        "truth_pixels": [16, 32, 48] * 2, "diagonal": 8 * 2**0.5,
    })  # fmt: skip
    runs = SimpleNamespace(test=lambda: rows)
    monkeypatch.setattr(failures, "at_hand", lambda _: None)
    table = failures.subgroups(runs, COHORT).set_index(["subgroup", "value"])
    assert table.loc[("view", "CC"), ["mean", "masses", "trainings"]].tolist() == [0.65, 2, 2]
    assert set(table.index.unique("subgroup")) == {"view", "size"}  # what a record tells
    masses = pd.DataFrame({
        "image": cases, "view": ["CC", "MLO", "CC"], "x_min": 0, "y_min": 0, "x_max": [8, 16, 12],
        "y_max": 8, "height": 64, "width": 64,
    }, index=cases)  # fmt: skip
    facts = pd.DataFrame(
        {
            "patient": ["A", "A", "B"],
            "density": [d for _, d in SUBGROUPED],
            "BI-RADS": "5",
            "age": [40.0, 50.0, 60.0],
        },
        index=cases,
    )
    monkeypatch.setattr(failures, "at_hand", lambda _: SimpleNamespace(masses=masses))
    monkeypatch.setattr(failures, "image_facts", lambda _: facts)
    table = failures.subgroups(runs, COHORT).set_index(["subgroup", "value"])
    assert tuple(dict.fromkeys(table.index.get_level_values(0))) == failures.SUBGROUPS
    assert table.loc[("density", "c"), "mean"] == pytest.approx(0.7)
    assert table.loc[("density", "unknown"), "masses"] == 1
    assert ("size", "third 3: 25 to 25") in table.index
