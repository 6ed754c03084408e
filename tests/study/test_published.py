import pandas as pd

from mammostudy.study import published


def test_segmentation_table_holds_every_printed_pair_once():
    table = published.segmentation_table()
    assert not table.duplicated(["dataset", "model", "framing"]).any()
    assert table.groupby(["dataset", "images"]).size().tolist() == [33, 33]
    assert (table["iou"] < table["dice"]).all()
    cells = table.set_index(["dataset", "model", "framing"])[["dice", "iou"]]
    assert cells.loc["INbreast", "proposed cGAN", "loose"].tolist() == [94.07, 87.03]
    assert cells.loc["private", "proposed cGAN", "full"].tolist() == [66.38, 49.68]
    assert cells.loc["private", "SLSDeep", "tight"].tolist() == [84.28, 79.93]


def test_tables_of_counts_have_the_printed_totals():
    matrix = published.confusion_matrix()
    assert matrix.to_numpy().sum() == 292
    assert matrix.sum(axis=1).tolist() == published.read("shape_counts")["test"].tolist()
    assert published.read("shape_counts")["masses"].sum() == 1168
    table = published.subtype_table()
    assert table.to_numpy().sum() == 300
    pd.testing.assert_series_equal(table.sum(axis=1), published.subtype_counts(), check_names=False)


def test_box_plots_are_ordered_quartiles():
    table = published.box_plots()
    assert (table[["q1", "median", "q3"]].diff(axis=1).iloc[:, 1:] > 0).all(axis=None)
    assert table["outliers"].map(len).tolist() == [0, 0, 0, 0, 0, 6, 0]
