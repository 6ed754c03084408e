"""Every number of Singh et al. (2020) that the study uses, each with where it was read.

Nothing is computed here and nothing is added: what the sources do not say is listed too, in
``not_reported.csv``. The numbers lie in ``mammostudy/study/tables``, their sources as short tags,
which :data:`SOURCES` spells out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd

PARAMETER_COUNTS: Final = {"generator": 13_607_043, "shape CNN": 767_684}
"""Trainable parameters as printed [P]; the preprint gives no count for the discriminator."""


class Fact(NamedTuple):
    """One published number: its value in ``unit``, its source, the statement it belongs to."""

    value: float
    unit: str
    source: str
    what: str


def read(name: str) -> pd.DataFrame:
    """Return a table of ``mammostudy/study/tables``, empty cells as empty text.

    Beside those below: facts (single numbers: fact, value, unit, source, what), shape_counts (DDSM
    masses by shape), accuracies (of shapes, %, that the paper compares), deviations (paper,
    released code and this study side by side).
    """
    path = Path(__file__).with_name("tables") / f"{name}.csv"
    return pd.read_csv(path, encoding="utf-8", keep_default_na=False)


SOURCES: Final = {str(tag): str(where) for tag, where in read("sources").itertuples(index=False)}


FACTS: Final = {
    str(row["fact"]): Fact(*(row[name] for name in Fact._fields))
    for row in read("facts").to_dict("records")
}


def segmentation_table() -> pd.DataFrame:
    """Segmentation scores: 11 models x 3 framings x 2 test sets.

    Columns dataset (private | INbreast), images, model, pretrained, framing (full | loose |
    tight), dice (%), iou (%), source.
    """
    table = read("segmentation").assign(source="P")
    sizes = {"private": "test images", "INbreast": "INbreast images"}
    images = {name: int(FACTS[fact].value) for name, fact in sizes.items()}
    table.insert(1, "images", table["dataset"].map(images))
    return table


def box_plots() -> pd.DataFrame:
    """Quartiles of the box plots: INbreast, loose frames.

    Columns model, metric (dice | iou), q1, median, q3 (in [0, 1]), images, outliers (tuple;
    empty = not reported), dataset, framing, reading (how exactly the figure was read), source.
    """
    table = read("box_plots")
    drawn = table.pop("outliers")
    table["images"] = int(FACTS["INbreast images"].value)
    table["outliers"] = [tuple(map(float, values.split())) for values in drawn]
    return table.assign(dataset="INbreast", framing="loose", reading=0.002, source="F")


def confusion_matrix() -> pd.DataFrame:
    """Shape classification of the DDSM test masses: rows truth, columns predicted, counts."""
    return read("confusion").set_index("truth").rename_axis(columns="predicted")


def subtype_table() -> pd.DataFrame:
    """Molecular subtype (rows) against predicted shape (columns), private masses, counts."""
    table = read("subtypes").set_index("subtype").drop(columns="printed")
    return table.rename_axis(columns="shape")


def subtype_counts() -> pd.Series:
    """Private masses by molecular subtype, as printed (sum 300)."""
    return read("subtypes").set_index("subtype")["printed"].rename("masses").rename_axis(None)


def architecture() -> pd.DataFrame:
    """Layers of the three networks with one image and one mask channel.

    Columns network, layer, kind (conv | transposed | dense), kernel, stride, filters (out), bias,
    norm (batch norm follows), skip (the layer whose output is joined to this one's output; empty =
    none), source. Biases are from the released code [C] and, for the shape CNN, from the printed
    count [D].
    """
    table = read("layers").assign(source="P")
    table[["bias", "norm"]] = table[["bias", "norm"]] == "yes"
    return table
