"""The published and the second-hand table: known numbers, and a file made by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from mammostudy.study import subtype_tables, subtypes
from mammostudy.study.subtype_tables import CMMD, PUBLISHED

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


def test_committed_counts_add_up_and_hold_no_row():
    content = subtype_tables.committed()
    first, *dropped = content["dropped"].values()
    assert content["lesions"] - first == content["breasts"]
    assert content["breasts"] - sum(dropped) == content["counted"] == 186
    assert np.sum(content["counts"]) == 186
    assert "D1-" not in json.dumps(content)


def test_numbers_of_the_two_tables():
    assert FOUND.loc[PUBLISHED, "chi-square"] == pytest.approx(51.947, abs=1e-3)
    assert FOUND["v"].tolist() == pytest.approx([0.2402, 0.1121, 0.2863, 0.1414], abs=1e-4)
    assert FOUND.loc[PUBLISHED, "p, Fisher"] == "< 0.001"
    assert subtype_tables.power_for_published(FOUND.reset_index()) == pytest.approx(
        0.9452, abs=1e-4
    )
    assert FOUND.loc[PUBLISHED, "Cramer's V"] == "0.240 [0.198, 0.317]"


def test_polygonal_is_counted_both_ways():
    found = subtype_tables.luminal(TABLES)
    assert found["difference"][2] == pytest.approx(90 / 128 - 45 / 58)
