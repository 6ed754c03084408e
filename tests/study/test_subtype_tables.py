"""The published and the second-hand table: scipy as oracle, small tables with known numbers."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.stats.contingency import association as scipy_association

from mammostudy.data.sources.phantom import SUBTYPE_BY_SHAPE
from mammostudy.errors import DataError, MissingDataError
from mammostudy.study import cmmd_shapes, published, subtype_pages, subtype_tables
from mammostudy.study import subtype_statistics as statistics
from mammostudy.study import subtype_tables_reading as reading
from mammostudy.study.subtype_tables import CMMD, CMMD_3, PUBLISHED, PUBLISHED_3

TABLES = subtype_tables.tables()
FOUND = subtype_tables.associations(TABLES)
COLUMNS = ["ID1", "LeftRight", "mass_shape", "classification", "subtype"]


def frame(counts, rows="ab", columns="xy"):
    return pd.DataFrame(counts, list(rows), list(columns))


@pytest.fixture
def write_csv(tmp_path):
    """A writer of lesions: (patient, side, shape, classification, subtype) each."""

    def write(*rows, columns=COLUMNS):
        path = tmp_path / cmmd_shapes.NAME / cmmd_shapes.FILE
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
        return path

    return write


LESIONS = (
    ("p1", "L", "irregular", "Malignant", "Luminal A"),
    ("p1", "L", "irregular", "Malignant", "Luminal A"),
    ("p1", "R", "round_oval", "Malignant", "triple negative"),
    ("p2", "L", "polygonal", "Malignant", "HER2-enriched"),
    ("p3", "L", "lobular", "Malignant", ""),
    ("p4", "L", "lobular", "Benign", ""),
    ("p5", "L", "lobular", "", ""),
    ("p6", "L", "lobular", "Malignant", "Luminal B"),
    ("p6", "L", "irregular", "Malignant", "Luminal B"),
    ("p7", "R", "lobular", "Malignant", "Luminal A"),
    ("p7", "R", "lobular", "Malignant", "Luminal B"),
)


def test_each_breast_counts_once_and_all_others_have_a_reason(write_csv):
    table = cmmd_shapes.cmmd_table(write_csv(*LESIONS))
    assert table.to_numpy().sum() == 3
    assert table.loc["Luminal-A", "irregular"] == 1
    assert table.loc["HER-2", "polygonal"] == 1
    assert table.loc["triple negative", "round or oval"] == 1
    said = table.attrs
    assert (said["lesions"], said["breasts"], said["patients"]) == (11, 8, 7)
    assert said["patients_counted"] == 2
    assert list(said["dropped"].values()) == [3, 1, 1, 1, 1, 1]
    assert said["breasts"] - sum(list(said["dropped"].values())[1:]) == table.to_numpy().sum()


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        (("p", "L", "star", "Malignant", ""), COLUMNS, "mass_shape 'star' is unknown; known: irr"),
        (("p", "L", "lobular", "Malignant", "Z"), COLUMNS, "subtype 'Z' is unknown; known: Lumi"),
        (("p", "L", "lobular", "Malignant"), COLUMNS[:4], "column 'subtype' is missing"),
    ],
)
def test_a_file_of_another_kind_is_refused(write_csv, row, columns, message):
    with pytest.raises(DataError, match=message):
        cmmd_shapes.cmmd_table(write_csv(row, columns=columns))


def test_the_aggregate_is_written_read_and_compared(write_csv, tmp_path, monkeypatch, capsys):
    path = write_csv(*LESIONS)
    monkeypatch.setattr(cmmd_shapes, "results_root", lambda: tmp_path / "results")
    monkeypatch.setattr(cmmd_shapes, "data_root", lambda: None)
    with pytest.raises(MissingDataError, match="MAMMOSTUDY_DATA"):
        cmmd_shapes.write_aggregate()
    assert subtype_tables.main() == 2
    assert "MAMMOSTUDY_DATA" in capsys.readouterr().err
    with pytest.raises(DataError, match="missing or damaged"):
        cmmd_shapes.read_aggregate()
    monkeypatch.setattr(cmmd_shapes, "data_root", lambda: tmp_path)
    assert subtype_tables.main() == 0
    assert cmmd_shapes.check() == "same"
    text = cmmd_shapes.committed().read_text()
    assert not any(patient in text for patient in ("p1", "p2", "p6"))
    table = cmmd_shapes.table_of(cmmd_shapes.read_aggregate())
    pd.testing.assert_frame_equal(table, cmmd_shapes.cmmd_table(path))
    write_csv(*LESIONS[:-2])
    assert cmmd_shapes.check() == "differs"
    assert "**The CSV on this machine gives other" in reading.origin(cmmd_shapes.read_aggregate())
    cmmd_shapes.committed().write_text(text.replace('"counted": 3', '"counted": 4'))
    with pytest.raises(DataError, match="do not sum to `counted`"):
        cmmd_shapes.read_aggregate()


def test_committed_counts_are_those_of_the_data(real_data):
    path = real_data / cmmd_shapes.NAME / cmmd_shapes.FILE
    if not path.is_file():
        pytest.skip(f"no {cmmd_shapes.NAME} in MAMMOSTUDY_DATA")
    assert cmmd_shapes.aggregate(path) == cmmd_shapes.read_aggregate()


def test_committed_counts_add_up_and_hold_no_row():
    content = cmmd_shapes.read_aggregate()
    dropped = dict(content["dropped"])
    assert content["lesions"] - dropped.pop(cmmd_shapes.FURTHER) == content["breasts"]
    assert content["breasts"] - sum(dropped.values()) == content["counted"] == 186
    assert (content["lesions"], content["patients"]) == (355, 341)
    assert "D1-" not in json.dumps(content)
    assert content["shapes"] == ["irregular", "lobular", "polygonal", "round or oval"]


def test_the_published_fractions_come_out_of_the_table():
    fractions = subtype_tables.fractions()
    assert fractions["agree"].all()
    assert fractions[["count", "total"]].to_numpy().tolist() == [
        [96, 123], [82, 107], [23, 33], [22, 37]
    ]  # fmt: skip
    assert "All printed fractions" in reading.fractions_note(fractions)
    assert "Basal-like (22 of 37)" in reading.fractions_note(fractions)


def test_control_a_wrong_fraction_is_named(monkeypatch):
    wrong = published.subtype_fractions().assign(masses=[96, 82, 24, 22])
    monkeypatch.setattr(published, "subtype_fractions", lambda: wrong)
    note = reading.fractions_note(subtype_tables.fractions())
    assert "Not out of the printed table: HER-2." in note


def test_generator_holds_the_published_numbers(monkeypatch):
    assert np.array_equal(published.subtype_table().to_numpy(), SUBTYPE_BY_SHAPE)
    assert subtype_tables.same_as_generator()
    assert "exactly these counts" in reading.generator_note(True)
    monkeypatch.setattr(subtype_tables, "SUBTYPE_BY_SHAPE", SUBTYPE_BY_SHAPE + 1)
    assert not subtype_tables.same_as_generator()


@pytest.mark.parametrize("name", [PUBLISHED, CMMD])
def test_association_agrees_with_scipy(name):
    table, each = TABLES[name].to_numpy(), FOUND[name]
    oracle = stats.chi2_contingency(table, correction=False)
    assert (each.statistic, each.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert each.v == pytest.approx(scipy_association(table, method="cramer"))
    assert each.corrected <= each.v
    assert each.v_low <= each.v <= each.v_high
    assert each.cases == table.sum()
    permuted = stats.permutation_test(
        statistics.tests.individuals(table),
        lambda a, b: stats.contingency.association(stats.contingency.crosstab(a, b).count),
        permutation_type="pairings",
        n_resamples=300,
        alternative="greater",
        rng=np.random.default_rng(0),
    )
    assert each.p_fisher == pytest.approx(permuted.pvalue, abs=0.1)


def test_numbers_of_the_two_tables():
    assert FOUND[PUBLISHED].statistic == pytest.approx(51.947, abs=1e-3)
    assert FOUND[PUBLISHED].v == pytest.approx(0.2402, abs=1e-4)
    assert FOUND[CMMD].v == pytest.approx(0.1121, abs=1e-4)
    assert FOUND[PUBLISHED].p_fisher < 0.001 < 0.05 < FOUND[CMMD].p_fisher
    assert subtype_tables.power_for_published(FOUND) > 0.9


def test_shared_classes():
    merged = subtype_tables.common(TABLES[PUBLISHED])
    assert merged.columns.tolist() == ["irregular", "lobular", "round or oval"]
    assert merged["round or oval"].tolist() == [27, 25, 23, 22]
    assert subtype_tables.common(TABLES[CMMD]).to_numpy().sum() == 186 - 45
    matrix = subtype_tables.error_model(merged=True)
    assert matrix.to_numpy().tolist() == [[96, 30, 0], [33, 83, 1], [0, 2, 47]]
    assert (FOUND[CMMD_3].cases, FOUND[CMMD_3].shape) == (141, (4, 3))
    assert FOUND[PUBLISHED_3].v == pytest.approx(
        scipy_association(merged.to_numpy(), method="cramer")
    )


def test_errors_blur_by_the_rows_of_the_matrix():
    table = frame([[20, 0], [0, 20]])
    right = pd.DataFrame([[3, 1], [1, 3]], list("xy"), list("xy"))
    assert statistics.blurred(table, right).after == pytest.approx(0.5)
    found = subtype_tables.blurred(TABLES)
    assert list(found) == [PUBLISHED, PUBLISHED_3, CMMD_3]
    assert all(each.after < each.before for each in found.values())
    published_table = published.subtype_table().to_numpy()
    shares = published.confusion_matrix().to_numpy()
    expected = published_table @ (shares / shares.sum(axis=1, keepdims=True))
    assert found[PUBLISHED].after == pytest.approx(
        np.sqrt(_chi_square(expected) / expected.sum() / 3)
    )
    assert "63 of the 71" in reading.blurred_note(found)


def _chi_square(table):
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return ((table - expected) ** 2 / expected).sum()


def test_a_shape_that_the_error_model_never_saw_has_no_row():
    table = frame([[5, 1], [2, 8]])
    unseen = pd.DataFrame([[3, 1], [0, 0]], list("xy"), list("xy"))
    assert statistics.blurred(table, unseen) is None


def test_empty_lines_are_left_out_and_named():
    table = frame([[5, 0, 1], [0, 0, 0], [2, 0, 8]], "abc", "xyz")
    left, names = statistics.trimmed(table)
    assert (left.shape, names) == ((2, 2), ["b", "y"])
    whole = statistics.associate(table)
    assert whole == statistics.associate(left)
    assert whole.v == pytest.approx(scipy_association(left.to_numpy(), method="cramer"))
    assert statistics.shares(table)["row"].unique().tolist() == ["a", "c"]
    assert statistics.residuals(table).shape == (2, 2)


def test_a_table_of_one_line_has_no_association():
    table = frame([[5, 0], [2, 0]])
    assert statistics.associate(table) is None
    assert statistics.shares(table).empty
    assert statistics.blurred(table, frame([[1, 0], [0, 1]], "xy")) is None


def test_luminal_difference_of_a_known_table():
    groups = statistics.luminal_share(TABLES[PUBLISHED])
    assert groups == ((178, 230), (25, 70))
    each = statistics.share_difference(*groups)
    assert each.difference == pytest.approx(178 / 230 - 25 / 70)
    assert each.low < each.difference < each.high
    pooled = 203 / 300
    spread = np.sqrt(pooled * (1 - pooled) * (1 / 230 + 1 / 70))
    assert each.smallest_detectable == pytest.approx((1.959964 + 0.841621) * spread, rel=1e-5)
    error = np.sqrt(178 * 52 / 230**3 + 25 * 45 / 70**3)
    assert each.high - each.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_dealt_anew_agrees_with_a_permutation_test():
    first, second = (6, 8), (3, 9)
    values = np.array([1] * 6 + [0] * 2), np.array([1] * 3 + [0] * 6)
    oracle = stats.permutation_test(
        values, lambda a, b: abs(a.mean() - b.mean()), alternative="greater", n_resamples=np.inf
    )
    found = statistics.share_difference(first, second)
    assert found.p_permutation == pytest.approx(oracle.pvalue)


def test_nothing_to_compare_without_a_group_or_a_difference():
    index = ["Luminal-A", "HER-2"]
    assert (
        statistics.luminal_share(pd.DataFrame({"irregular": [3, 0], "round": [1, 0]}, index))
        is None
    )
    assert statistics.luminal_share(pd.DataFrame({"irregular": [3, 4]}, index)) is None
    assert statistics.luminal_share(pd.DataFrame({"oval": [3, 4]}, index)) is None


def test_polygonal_is_counted_both_ways():
    found = subtype_tables.luminal(TABLES)
    assert found[CMMD].counts == ((58, 128), (32, 58))
    assert found[f"{CMMD}, or polygonal"].counts == ((90, 128), (45, 58))


def test_power_falls_on_the_level_at_no_association_and_grows():
    curves = statistics.power_curves({"a": ((4, 4), 300)})
    assert curves["power"].iloc[0] == pytest.approx(0.05)
    assert curves["power"].is_monotonic_increasing
    marks = subtype_tables.power_marks(FOUND)
    assert marks["table"].tolist() == [PUBLISHED, CMMD]
    at = np.interp(marks["detectable"][0], curves["v"], curves["power"])
    assert at == pytest.approx(0.8, abs=0.01)


def test_pages_hold_their_numbers():
    page = subtype_pages.association_page(FOUND).set_index("table")
    assert page.loc[PUBLISHED, "chi-square (degrees)"] == "51.9 (9)"
    assert page.loc[PUBLISHED, "p"] == "< 0.001"
    counts = subtype_pages.counts_page(TABLES[CMMD])
    assert counts.iloc[-1].tolist() == ["total", 77, 13, 45, 51, 186]
    shares = subtype_pages.shares_page(statistics.shares(TABLES[PUBLISHED]))
    assert shares.loc[0, "irregular, %"] == "54 [46, 63]"
    assert len(subtype_pages.differences_page(subtype_tables.luminal(TABLES))) == 3
    assert subtype_pages.blurred_page(subtype_tables.blurred(TABLES))["V kept"][0] == "92 %"
    assert "Sparse" in subtype_pages.sparse_note(
        {"s": statistics.associate(frame([[1, 2], [2, 1]]))}
    )
    assert "No table" in subtype_pages.sparse_note({PUBLISHED: FOUND[PUBLISHED]})


def test_reading_tells_the_tables_apart():
    text = reading.reading(FOUND, subtype_tables.luminal(TABLES), subtype_tables.fractions())
    assert "Published: shape and subtype are associated (p below 0.001" in text
    assert "CMMD, second-hand: no association is shown" in text
    assert "That is a lead, not a refutation" in text
    assert "does not hold 0" in text
    assert "second pass" in reading.blurred_note(subtype_tables.blurred(TABLES))
    other = FOUND | {CMMD_3: FOUND[PUBLISHED_3]}
    again = reading.reading(other, {}, subtype_tables.fractions())
    assert "Both tables show an association" in again


def test_origin_names_counts_and_whether_the_file_is_here(monkeypatch):
    monkeypatch.setattr(cmmd_shapes, "data_root", lambda: None)
    content = cmmd_shapes.read_aggregate()
    text = reading.origin(content)
    assert "186 breasts of 186 patients" in text
    assert "not on this machine" in text
    assert reading.dropped_page(content)["n"].tolist() == list(content["dropped"].values())
