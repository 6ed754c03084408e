import pandas as pd
import pytest

from mammostudy.study import published


def test_segmentation_table_holds_every_printed_pair_once():
    table = published.segmentation_table()
    assert not table.duplicated(["dataset", "model", "framing"]).any()
    assert table.groupby("dataset").size().to_dict() == {"INbreast": 33, "private": 33}
    assert table.groupby("dataset")["images"].unique().map(list).to_dict() == {
        "INbreast": [106], "private": [80],
    }  # fmt: skip
    assert (table["iou"] < table["dice"]).all()
    counts = {"none": 30, "ImageNet": 30, "not reported": 6}
    assert table["pretrained"].value_counts().to_dict() == counts


@pytest.mark.parametrize(
    ("dataset", "model", "framing", "dice", "iou"),
    [
        ("INbreast", "proposed cGAN", "loose", 94.07, 87.03),
        ("INbreast", "proposed cGAN", "tight", 92.11, 84.55),
        ("private", "proposed cGAN", "full", 66.38, 49.68),
        ("private", "FCN", "full", 59.06, 39.92),
        ("private", "SLSDeep", "tight", 84.28, 79.93),
        ("INbreast", "cGAN-ResNet101 (Dice)", "loose", 88.89, 82.58),
    ],
)
def test_cells_of_the_printed_table(dataset, model, framing, dice, iou):
    table = published.segmentation_table().set_index(["dataset", "model", "framing"])
    assert table.loc[(dataset, model, framing), ["dice", "iou"]].tolist() == [dice, iou]


def test_tables_of_counts_have_the_printed_totals():
    matrix = published.confusion_matrix()
    assert matrix.to_numpy().sum() == 292
    assert matrix.sum(axis=1).tolist() == published.shape_counts()["test"].tolist()
    assert published.shape_counts()["masses"].sum() == 1168
    table = published.subtype_table()
    assert table.to_numpy().sum() == 300
    pd.testing.assert_series_equal(table.sum(axis=1), published.subtype_counts(), check_names=False)
    for line in published.subtype_fractions().to_dict("records"):
        found = table.loc[line["subtype"], list(line["shapes"])].sum()
        assert (found, table.loc[line["subtype"]].sum()) == (line["masses"], line["of"])


def test_box_plots_are_ordered_quartiles():
    table = published.box_plots()
    assert (table["q1"] < table["median"]).all()
    assert (table["median"] < table["q3"]).all()
    headline = table[(table["model"] == "proposed cGAN") & (table["metric"] == "dice")].iloc[0]
    assert (headline["median"], headline["outliers"][0]) == (0.939, 0.109)
    assert table["outliers"].map(len).tolist() == [0, 0, 0, 0, 0, 6, 0]
    assert set(table["model"]) <= set(published.segmentation_table()["model"])


def test_architecture_has_the_printed_widths():
    layers = published.architecture()
    widths = layers.groupby("network", sort=False)["filters"].apply(list)
    down, up = [32, 64, 128, 256, 256, 256, 256, 256], [256, 256, 256, 256, 128, 64, 32, 1]
    assert widths["generator"] == down + up
    assert widths["discriminator"] == [32, 64, 128, 256, 1]
    assert widths["shape CNN"] == [64, 128, 256, 128, 4]
    bare = layers.loc[~layers["norm"] & (layers["network"] == "generator"), "layer"]
    assert bare.tolist() == ["Cn1", "Cn8", "Dn8"]


def test_everything_names_a_known_source():
    for table in (
        published.segmentation_table(),
        published.literature_table(),
        published.box_plots(),
        published.accuracy_table(),
        published.shape_counts(),
        published.architecture(),
        published.facts(),
    ):
        assert set(table["source"]) <= set(published.SOURCES)
    for matrix in (published.confusion_matrix(), published.subtype_table()):
        assert matrix.attrs["source"] in published.SOURCES


def test_what_is_not_known_is_listed():
    assert len(published.not_reported()) == 6
    assert published.literature_table()["iou"].isna().sum() == 3
    assert (
        published.accuracy_table()["accuracy"].iloc[-1] == published.FACTS["shape accuracy"].value
    )
