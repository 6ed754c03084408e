from functools import partial

import numpy as np
import pandas as pd
import pytest

from mammostudy.study import uncertainty
from mammostudy.study.uncertainty import MEAN, ONE


def rows_of(box="oracle"):
    """Six masses of three patients: what spreads more is worse, and smaller."""
    case = np.arange(6)
    rows = pd.DataFrame({"case": case.astype(str), "patient": (case // 2).astype(str)}).assign(
        fold=case % 2, seed=0, replicate=0, converged=True, judged=True, box=box, iou=0.5,
        hd95=3.0, predicted_pixels=60 - 10 * case, dice=0.9 - case / 10,
    )  # fmt: skip
    drawn = dict.fromkeys(uncertainty.DRAWN, case / 10.0)
    one = rows.assign(row=ONE, dice=rows["dice"] - 0.1)
    return pd.concat([rows.assign(row=MEAN, **drawn), one])


ROWS = pd.concat([rows_of(), rows_of("jittered")], ignore_index=True)


def test_grid_shares_its_trainings():
    named = uncertainty.named("cdd-cesm", "reference")
    pairs = zip(named[MEAN], named[ONE], strict=True)
    assert all(a.training_key("0") == b.training_key("0") for a, b in pairs)
    assert {spec.evaluation.samples for spec in named[MEAN]} == {16}
    assert uncertainty.specs("phantom", "quick") == []


def test_a_score_in_the_order_of_the_errors_is_perfect(monkeypatch):
    correlate = partial(uncertainty.rank_correlation, draws=20)
    monkeypatch.setattr(uncertainty, "rank_correlation", correlate)
    monkeypatch.setattr(uncertainty, "gain_interval", lambda *_: (0.0, 1.0))
    table = uncertainty.correlations(ROWS)
    assert len(table) == 2 * len(uncertainty.SCORES)
    assert table["difference"].tolist() == pytest.approx([1.0] * len(table))
    areas = uncertainty.areas(ROWS).set_index("score")
    assert areas["mean"].tolist() == pytest.approx([1.0] * 4)
    assert areas.loc["spread", "kept"] == pytest.approx(np.mean([0.9, 0.8, 0.7, 0.6]))


def test_the_mean_is_set_against_one_draw():
    gains = uncertainty.gains(ROWS)
    dice = gains[gains["metric"] == "dice"]["difference"]
    assert dice.tolist() == pytest.approx([0.1, 0.1])
