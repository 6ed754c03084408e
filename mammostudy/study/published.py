"""Every number of Singh et al. (2020) that the study uses, each with where it was read.

Nothing is computed here and nothing is added: what the sources do not say is listed by
:func:`not_reported`. Sources are short tags, spelt out in :data:`SOURCES`; the long tables lie in
``mammostudy/study/tables``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

SOURCES: Final = {
    "P": "read in the preprint (arXiv:1809.01687v3, October 2018)",
    "F": "measured in a figure of the preprint (box plots to within 0.002)",
    "C": "read in the first author's released code (2021; the cGAN only)",
    "J": "a review of the journal version",
    "D": "derived from the above by arithmetic",
    "R": "an independent student reproduction on INbreast (92 crops to train, 23 to test)",
}
SHAPES: Final = ("irregular", "lobular", "oval", "round")
PARAMETER_COUNTS: Final = {"generator": 13_607_043, "shape CNN": 767_684}
"""Trainable parameters as printed [P]; the preprint gives no count for the discriminator."""
HEADLINE_OUTLIERS: Final = (0.109, 0.128, 0.517, 0.770, 0.783, 0.784)
"""Dice of the outliers drawn for the proposed cGAN on INbreast, loose frames [F]."""


class Fact(NamedTuple):
    """One published number: its value in ``unit``, its source, the statement it belongs to."""

    value: float
    unit: str
    source: str
    what: str


def read(name: str) -> pd.DataFrame:
    """Return a table of ``mammostudy/study/tables``, empty cells as empty text."""
    path = Path(__file__).with_name("tables") / f"{name}.csv"
    return pd.read_csv(path, encoding="utf-8", keep_default_na=False)


def facts() -> pd.DataFrame:
    """The single numbers: columns fact, value, unit, source, what."""
    return read("facts")


FACTS: Final = {
    str(row["fact"]): Fact(*(row[name] for name in Fact._fields))
    for row in facts().to_dict("records")
}


def _with_source(table: pd.DataFrame, source: str) -> pd.DataFrame:
    table.attrs["source"] = source
    return table


def segmentation_table() -> pd.DataFrame:
    """Segmentation scores: 11 models x 3 framings x 2 test sets.

    Returns:
        Columns dataset (private | INbreast), images, model, pretrained, framing (full | loose |
        tight), dice (%), iou (%), source.

    Source: paper, section on segmentation results.
    """
    table = read("segmentation")
    images = {"private": "test images", "INbreast": "INbreast images"}
    counts = [int(FACTS[images[name]].value) for name in table["dataset"]]
    table.insert(1, "images", counts)
    return _with_source(table.assign(source="P"), "P")


def literature_table() -> pd.DataFrame:
    """Scores of earlier work on INbreast tight frames, as the paper reports them.

    Returns:
        Columns model, dataset, framing, dice (%), iou (%; missing = not reported), source.
    """
    rows = [
        ("Dhungel 2015", 90.00, None),
        ("Cardoso 2017", 90.00, None),
        ("Zhu 2018", 90.97, None),
        ("Al-antari 2018", 92.69, 86.37),
    ]
    table = pd.DataFrame(rows, columns=["model", "dice", "iou"]).astype({"iou": float})
    return _with_source(table.assign(dataset="INbreast", framing="tight", source="P"), "P")


def box_plots() -> pd.DataFrame:
    """Quartiles of the box plots: INbreast, loose frames.

    Returns:
        Columns model, metric (dice | iou), q1, median, q3 (in [0, 1]), images, outliers (tuple;
        empty = not reported), dataset, framing, reading (how exactly the figure was read), source.
    """
    table = read("box_plots")
    headline = (table["model"] == "proposed cGAN") & (table["metric"] == "dice")
    table["images"] = int(FACTS["INbreast images"].value)
    table["outliers"] = [HEADLINE_OUTLIERS if yes else () for yes in headline]
    table = table.assign(dataset="INbreast", framing="loose", reading=0.002, source="F")
    return _with_source(table, "F")


def confusion_matrix() -> pd.DataFrame:
    """Shape classification of the DDSM test masses: rows truth, columns predicted, counts."""
    counts = [[96, 30, 0, 0], [33, 83, 1, 0], [0, 1, 26, 4], [0, 1, 1, 16]]
    table = pd.DataFrame(counts, index=list(SHAPES), columns=list(SHAPES))
    return _with_source(table.rename_axis(index="truth", columns="predicted"), "P")


def shape_counts() -> pd.DataFrame:
    """DDSM masses by shape: columns shape, masses (all), test, source."""
    table = pd.DataFrame(
        {"shape": SHAPES, "masses": [504, 473, 115, 76], "test": [126, 117, 31, 18], "source": "P"}
    )
    return _with_source(table, "P")


def accuracy_table() -> pd.DataFrame:
    """Shape accuracies the paper compares: columns method, accuracy (%), source."""
    methods = {
        "Kisilev (SSVM)": 71.0,
        "Kim (multi-task CNN)": 66.0,
        "Kim (ICADx)": 72.0,
        "Singh 2018": 72.0,
        "proposed": FACTS["shape accuracy"].value,
    }
    table = pd.DataFrame({"method": list(methods), "accuracy": list(methods.values())})
    return _with_source(table.assign(source="P"), "P")


def subtype_table() -> pd.DataFrame:
    """Molecular subtype (rows) against predicted shape (columns), private masses, counts."""
    counts = {
        "Luminal-A": [67, 29, 10, 17],
        "Luminal-B": [58, 24, 14, 11],
        "HER-2": [6, 4, 8, 15],
        "Basal-like": [5, 10, 9, 13],
    }
    table = pd.DataFrame.from_dict(counts, orient="index", columns=list(SHAPES))
    return _with_source(table.rename_axis(index="subtype", columns="shape"), "P")


def subtype_counts() -> pd.Series:
    """Private masses by molecular subtype, as printed (sum 300)."""
    return pd.Series(
        {"Luminal-A": 123, "Luminal-B": 107, "HER-2": 33, "Basal-like": 37}, name="masses"
    )


def subtype_fractions() -> pd.DataFrame:
    """The paper's shares of each subtype, as counts: subtype, shapes (tuple), masses, of."""
    rows = [
        ("Luminal-A", ("irregular", "lobular"), 96, 123),
        ("Luminal-B", ("irregular", "lobular"), 82, 107),
        ("HER-2", ("oval", "round"), 23, 33),
        ("Basal-like", ("oval", "round"), 22, 37),
    ]
    return _with_source(pd.DataFrame(rows, columns=["subtype", "shapes", "masses", "of"]), "P")


def architecture() -> pd.DataFrame:
    """Layers of the three networks with one image and one mask channel.

    Returns:
        Columns network, layer, kind (conv | transposed | dense), kernel, stride, filters (out),
        bias, norm (batch norm follows), skip (the layer whose output is joined to this one's
        output; empty = none), source. Biases are from the released code [C] and, for the shape
        CNN, from the printed count [D].
    """
    table = read("layers")
    table[["bias", "norm"]] = table[["bias", "norm"]] == "yes"
    return _with_source(table.assign(source="P"), "P")


def not_reported() -> list[str]:
    """What none of the sources says; a table of the book prints "not reported" for it."""
    return [
        "the journal's detector table (methods, numbers, IoU threshold); it names SSD as best",
        "segmentation scores without post-processing",
        "the threshold that makes the mask binary",
        "the backbone and the training set of the SSD",
        "fold-wise results of the shape classification",
        "the random seeds",
    ]
