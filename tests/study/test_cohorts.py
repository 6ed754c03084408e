import math

import pytest
from statsmodels.stats.power import TTestPower

from mammostudy.data.descriptors import data_sheets
from mammostudy.figures.primitives import page_table
from mammostudy.study import cohorts


def test_counts_are_confirmed_or_open_never_guessed():
    assert set(cohorts.counts_table("cdd-cesm")["verdict"]) == {cohorts.CONFIRMED}
    assert set(cohorts.counts_table("inbreast")["verdict"]) == {cohorts.OPEN}
    assert cohorts.DIFFERS not in set(cohorts.all_counts()["verdict"])
    assert len(cohorts.overview()) == len(data_sheets())
    shapes = cohorts.shapes_table()
    assert shapes.groupby("data set")["share"].sum().tolist() == pytest.approx([100] * 8)
    assert set(shapes.loc[~shapes["confirmed"], "data set"]) == {"DDSM: shapes in the paper"}


def test_what_comes_from_files_is_escaped(monkeypatch):
    sheet = data_sheets()["phantom"].model_copy(update={"source": "<script>1</script>"})
    monkeypatch.setattr(cohorts, "data_sheets", lambda: {"phantom": sheet})
    assert "<script>" not in page_table(cohorts.sheets()).to_html()


@pytest.mark.parametrize(("sd", "difference"), [(0.1, 0.05), (0.05, 0.01), (1.0, 2.0)])
def test_patients_needed_are_the_fewest_that_reach_the_power(sd, difference):
    n = cohorts.patients_needed(sd, difference)
    power = [TTestPower().power(difference / sd, m, 0.05) for m in (n, n - 1)]
    assert power[0] >= 0.8
    assert n == 2 or power[1] < 0.8
    assert cohorts.patients_needed(1.0, 1e-6) == math.inf
