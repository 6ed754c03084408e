import numpy as np
import pandas as pd
import pytest

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


def test_thirds_and_company(rows):
    sized = rows.assign(size=[4.0, 1.0, 2.0, 3.0], company=[True, False, False, True])
    table = failures.by_size(sized).set_index("third")
    assert table["masses"].sum() == 4
    assert table.loc["largest third", "mean"] == pytest.approx(0.2)
    assert table.loc["smallest third", "to"] == 2.0
    company = failures.by_company(sized).query("metric == 'dice'").set_index("frame")["mean"]
    assert company["with a second mass"] == pytest.approx(0.55)
