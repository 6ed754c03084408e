"""Every number of Singh et al. (2020) that the study uses, each with where it was read.

Nothing is computed here and nothing is added: what the sources do not say is listed by
:func:`not_reported`. Sources are short tags, spelt out in :data:`SOURCES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO

import pandas as pd

SOURCES = {
    "P": "read in the preprint (arXiv:1809.01687v3, October 2018)",
    "F": "measured in a figure of the preprint (box plots to within 0.002)",
    "C": "read in the first author's released code (2021; the cGAN only)",
    "J": "a review of the journal version",
    "D": "derived from the above by arithmetic",
    "R": "an independent student reproduction on INbreast (92 crops to train, 23 to test)",
}
SHAPES = ("irregular", "lobular", "oval", "round")
PARAMETER_COUNTS = {"generator": 13_607_043, "shape CNN": 767_684}
"""Trainable parameters as printed [P]; the preprint gives no count for the discriminator."""


@dataclass(frozen=True)
class Fact:
    """One published number.

    Attributes:
        value: the number, in ``unit``.
        unit: what it counts or is measured in.
        source: a key of :data:`SOURCES`.
        what: the statement it belongs to.
    """

    value: float
    unit: str
    source: str
    what: str


FACTS = {
    "shape accuracy": Fact(80.0, "%", "P", "overall accuracy of the shape classification"),
    "shape AUC": Fact(0.80, "AUC", "P", "area under the mean ROC curve of five folds"),
    "shape test masses": Fact(292, "masses", "P", "test images of the shape classification"),
    "shape train share": Fact(0.75, "share", "P", "share of the DDSM masses used to train"),
    "shape folds": Fact(5, "folds", "P", "stratified cross-validation of the shape CNN"),
    "tight fill": Fact(90.0, "%", "P", "a mass fills more than this share of its tight frame"),
    "tight fill, smallest panel": Fact(64.0, "%", "F", "fill of the paper's own tight panels"),
    "tight fill, largest panel": Fact(67.0, "%", "F", "fill of the paper's own tight panels"),
    "dice loss at the end": Fact(0.8, "1 - Dice", "F", "loss figure, after the last iteration"),
    "L1 loss at the end": Fact(1.05, "L1", "F", "loss figure, after the last iteration"),
    "iterations": Fact(4_200, "iterations", "F", "end of the horizontal axis of the loss figure"),
    "training images": Fact(220, "images", "P", "private masses used to train"),
    "test images": Fact(80, "images", "P", "private masses used to test"),
    "INbreast images": Fact(106, "images", "P", "INbreast masses used to test"),
    "epochs": Fact(150, "epochs", "P", "training of the cGAN"),
    "batch": Fact(8, "images", "P", "training of the cGAN"),
    "lambda": Fact(150, "weight", "P", "weight of the dice loss against the adversarial loss"),
    "post-processing gain": Fact(1.0, "points", "J", "worth of the morphology, in all framings"),
    "reproduced cGAN dice": Fact(0.796, "Dice", "R", "loose frames"),
    "reproduced cGAN iou": Fact(0.752, "IoU", "R", "loose frames"),
    "reproduced UNet dice": Fact(0.805, "Dice", "R", "loose frames, no adversary"),
    "reproduced UNet iou": Fact(0.750, "IoU", "R", "loose frames, no adversary"),
}

_SCORES = {
    "private": """
FCN                    | none     | 59.06 74.94 80.20 | 39.92 62.21 78.89
FCN-ResNet101          | ImageNet | 59.21 77.42 82.78 | 40.26 68.16 77.32
UNet                   | none     | 63.69 78.03 83.15 | 46.73 68.36 78.81
UNet-VGG16             | ImageNet | 59.27 78.57 83.71 | 42.13 69.71 79.42
SegNet                 | none     | 59.87 80.26 82.33 | 42.79 70.07 76.17
SegNet-VGG16           | ImageNet | 61.59 81.09 81.41 | 41.61 68.19 77.82
CRFCNN                 | none     | 53.21 71.33 63.52 | 41.38 65.24 54.28
SLSDeep                | not reported | 59.64 71.10 84.28 | 43.89 60.16 79.93
cGAN-ResNet101         | ImageNet | 58.37 80.11 86.22 | 42.12 71.91 76.62
cGAN-ResNet101 (Dice)  | ImageNet | 61.49 86.57 86.37 | 45.90 76.32 77.26
proposed cGAN          | none     | 66.38 89.99 88.12 | 49.68 81.81 79.87
""",
    "INbreast": """
FCN                    | none     | 54.36 66.12 81.74 | 36.88 49.38 77.33
FCN-ResNet101          | ImageNet | 51.76 83.80 82.38 | 38.49 74.12 78.09
UNet                   | none     | 55.58 77.92 80.76 | 38.46 70.83 77.97
UNet-VGG16             | ImageNet | 56.79 78.02 80.89 | 39.65 68.32 78.13
SegNet                 | none     | 53.33 79.06 81.11 | 36.36 65.37 77.02
SegNet-VGG16           | ImageNet | 56.27 80.17 81.75 | 39.46 69.79 78.68
CRFCNN                 | none     | 52.96 73.25 65.41 | 40.41 67.14 57.69
SLSDeep                | not reported | 60.35 75.90 85.53 | 44.63 65.16 80.26
cGAN-ResNet101         | ImageNet | 54.69 87.19 89.17 | 37.94 77.51 82.26
cGAN-ResNet101 (Dice)  | ImageNet | 59.72 88.89 90.42 | 44.89 82.58 82.95
proposed cGAN          | none     | 68.69 94.07 92.11 | 52.31 87.03 84.55
""",
}

_BOX_PLOTS = """
model,metric,q1,median,q3
FCN-ResNet101,dice,0.770,0.893,0.955
UNet-VGG16,dice,0.655,0.820,0.912
SegNet-VGG16,dice,0.725,0.828,0.899
SLSDeep,dice,0.618,0.855,0.924
cGAN-ResNet101 (Dice),dice,0.867,0.928,0.963
proposed cGAN,dice,0.901,0.939,0.967
proposed cGAN,iou,0.820,0.885,0.936
"""
HEADLINE_OUTLIERS = (0.109, 0.128, 0.517, 0.770, 0.783, 0.784)
"""Dice of the outliers drawn for the proposed cGAN on INbreast, loose frames [F]."""

_LAYERS = """
network,layer,kind,kernel,stride,filters,bias,norm,skip
generator,Cn1,conv,4,2,32,yes,no,
generator,Cn2,conv,4,2,64,yes,yes,
generator,Cn3,conv,4,2,128,yes,yes,
generator,Cn4,conv,4,2,256,yes,yes,
generator,Cn5,conv,4,2,256,yes,yes,
generator,Cn6,conv,4,2,256,yes,yes,
generator,Cn7,conv,4,2,256,yes,yes,
generator,Cn8,conv,4,2,256,yes,no,
generator,Dn1,transposed,4,2,256,yes,yes,Cn7
generator,Dn2,transposed,4,2,256,yes,yes,Cn6
generator,Dn3,transposed,4,2,256,yes,yes,Cn5
generator,Dn4,transposed,4,2,256,yes,yes,Cn4
generator,Dn5,transposed,4,2,128,yes,yes,Cn3
generator,Dn6,transposed,4,2,64,yes,yes,Cn2
generator,Dn7,transposed,4,2,32,yes,yes,Cn1
generator,Dn8,transposed,4,2,1,yes,no,
discriminator,Cn1,conv,4,2,32,yes,no,
discriminator,Cn2,conv,4,2,64,yes,yes,
discriminator,Cn3,conv,4,2,128,yes,yes,
discriminator,Cn4,conv,4,1,256,yes,yes,
discriminator,Cn5,conv,4,1,1,yes,no,
shape CNN,Cn1,conv,9,1,64,no,no,
shape CNN,Cn2,conv,5,1,128,no,no,
shape CNN,Cn3,conv,4,1,256,no,no,
shape CNN,FC1,dense,1,1,128,yes,no,
shape CNN,FC2,dense,1,1,4,yes,no,
"""


def _with_source(table: pd.DataFrame, source: str) -> pd.DataFrame:
    table.attrs["source"] = source
    return table


def facts() -> pd.DataFrame:
    """The single numbers: columns fact, value, unit, source, what."""
    rows = [
        {"fact": name, "value": f.value, "unit": f.unit, "source": f.source, "what": f.what}
        for name, f in FACTS.items()
    ]
    return pd.DataFrame(rows)


def segmentation_table() -> pd.DataFrame:
    """Segmentation scores: 11 models x 3 framings x 2 test sets.

    Returns:
        Columns dataset (private | INbreast), images, model, pretrained, framing (full | loose |
        tight), dice (%), iou (%), source.

    Source: paper, section on segmentation results.
    """
    rows = []
    for dataset, text in _SCORES.items():
        images = int(FACTS["test images" if dataset == "private" else "INbreast images"].value)
        for line in text.strip().splitlines():
            model, pretrained, dice, iou = (part.strip() for part in line.split("|"))
            pairs = zip(("full", "loose", "tight"), dice.split(), iou.split(), strict=True)
            rows += [
                (dataset, images, model, pretrained, framing, float(d), float(j), "P")
                for framing, d, j in pairs
            ]
    names = ["dataset", "images", "model", "pretrained", "framing", "dice", "iou", "source"]
    return _with_source(pd.DataFrame(rows, columns=names), "P")


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
    table = pd.read_csv(StringIO(_BOX_PLOTS))
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
    table = pd.read_csv(StringIO(_LAYERS), keep_default_na=False)
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
