"""The published and the second-hand table: known numbers, and a file made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mammostudy.data.sources.phantom import SUBTYPE_BY_SHAPE
from mammostudy.errors import DataError
from mammostudy.study import published, subtype_tables, subtypes
from mammostudy.study.subtype_tables import CMMD, PUBLISHED, THREE

TABLES = subtype_tables.tables()
FOUND = subtypes.associations(subtype_tables.with_common(TABLES)).set_index("table")


def test_committed_counts_are_those_of_the_data(real_data):
    """Each breast counts once; those without a subtype, or with two of either, are left out."""
    path = real_data / "cmmd-shape-second-hand" / subtype_tables.committed()["file"]
    if not path.is_file():
        pytest.skip(f"no {path.name} in MAMMOSTUDY_DATA")
    lesions = pd.read_csv(path, dtype=str, keep_default_na=False)
    by_breast = lesions.groupby(["ID1", "LeftRight"])[["subtype", "mass_shape"]]
    breasts = by_breast.agg(lambda values: "|".join(sorted(set(values) - {""})))
    kinds = {"Luminal A": "Luminal-A", "Luminal B": "Luminal-B", "HER2-enriched": "HER-2"}
    rows = breasts["subtype"].replace(kinds)
    columns = breasts["mass_shape"].replace({"round_oval": "round or oval"})
    counted = pd.crosstab(rows, columns).reindex_like(TABLES[CMMD])
    assert counted.to_numpy().tolist() == TABLES[CMMD].to_numpy().tolist()


def test_committed_counts_add_up_and_hold_no_row(tmp_path, monkeypatch):
    content = subtype_tables.committed()
    first, *dropped = content["dropped"].values()
    assert content["lesions"] - first == content["breasts"]
    assert content["breasts"] - sum(dropped) == content["counted"] == 186
    assert "D1-" not in json.dumps(content)
    monkeypatch.setattr(subtype_tables, "results_root", lambda: tmp_path)
    with pytest.raises(DataError, match="missing"):
        subtype_tables.committed()
    (tmp_path / "cmmd-shape-second-hand").mkdir()
    changed = json.dumps(content | {"counted": 187})
    (tmp_path / "cmmd-shape-second-hand" / "table.json").write_text(changed)
    with pytest.raises(DataError, match="sum"):
        subtype_tables.committed()


def test_the_published_fractions_come_out_of_the_table():
    found = subtype_tables.fractions()
    assert found["masses"].tolist() == found["count"].tolist() == [96, 82, 23, 22]
    assert found["of"].tolist() == found["total"].tolist()
    assert found["low"].iloc[-1] < 0.5
    assert np.array_equal(TABLES[PUBLISHED].to_numpy(), SUBTYPE_BY_SHAPE)  # as the phantoms


def test_numbers_of_the_two_tables():
    assert FOUND.loc[PUBLISHED, "chi-square"] == pytest.approx(51.947, abs=1e-3)
    assert FOUND["v"].tolist() == pytest.approx([0.2402, 0.1121, 0.2863, 0.1414], abs=1e-4)
    assert FOUND.loc[PUBLISHED, "v_high"] == pytest.approx(0.317034, abs=1e-6)
    assert FOUND.loc[PUBLISHED, "p, Fisher"] == "< 0.001"
    assert subtype_tables.power_for_published(FOUND.reset_index()) == pytest.approx(
        0.9452, abs=1e-4
    )
    assert FOUND.loc[PUBLISHED, "Cramer's V"] == "0.240 [0.198, 0.317]"


def test_shared_classes():
    assert subtype_tables.common(TABLES[PUBLISHED])["round or oval"].tolist() == [27, 25, 23, 22]
    assert (FOUND.loc[f"{CMMD}{THREE}", "cases"], FOUND.loc[f"{CMMD}{THREE}", "shape"]) == (
        141,
        (4, 3),
    )


def test_the_published_errors_blur_both():
    found = subtype_tables.blurred(TABLES).set_index(["table", "kind"])["mean"].unstack()
    assert list(found.index) == [f"{CMMD}{THREE}", PUBLISHED, f"{PUBLISHED}{THREE}"]
    assert (found["after, without chance"] < found["before the errors"]).all()
    shares = published.confusion_matrix().to_numpy()
    expected = TABLES[PUBLISHED].to_numpy() @ (shares / shares.sum(axis=1, keepdims=True))
    v = np.sqrt(stats.chi2_contingency(expected).statistic / 300 / 3)
    assert found.loc[PUBLISHED, "after, without chance"] == pytest.approx(v)


def test_polygonal_is_counted_both_ways():
    found = subtype_tables.luminal(TABLES)
    assert found["a"].str.extract(r"\((.*)\)")[0].tolist() == [
        "178 of 230",
        "58 of 128",
        "90 of 128",
    ]
    assert found["difference"][2] == pytest.approx(90 / 128 - 45 / 58)


def test_power_starts_at_the_level_and_grows():
    curves = subtype_tables.power_curves(FOUND.reset_index())
    mine = curves[curves["table"] == PUBLISHED]
    assert mine["power"].iloc[0] == pytest.approx(0.05)
    assert mine["power"].is_monotonic_increasing
    at = np.interp(FOUND.loc[PUBLISHED, "smallest V"], mine["v"], mine["power"])
    assert at == pytest.approx(0.8, abs=0.01)
