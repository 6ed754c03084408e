"""Where the paper, its released code and this study do different things, row by row."""

from __future__ import annotations

import pandas as pd

UNKNOWN = "not reported"
_ROWS = (
    (
        "channels in and out",
        "grey image, one mask; the printed count fits 3 and 3",
        "3 and 3",
        "1 and 1",
    ),
    ("range of the image", "[0, 1]", "[-1, 1]", "[0, 1]"),
    ("range of the mask in the losses", "0 and 1", "-1 and 1", "0 and 1: output t is (t + 1)/2"),
    (
        "Dice loss",
        "1 - 2|y o G| / (|y| + |G|)",
        "the same formula on [-1, 1], smooth 1: it has a pole",
        "on [0, 1], smooth 1",
    ),
    (
        "batch norm",
        "after all layers but Cn1, Cn8, Dn8",
        "one module shared by all layers of a width",
        "one module for each layer",
    ),
    (
        "dropout when predicting",
        "on (it is the noise z)",
        "rate 0.5; the test script does not run as released",
        "on in the paper variant, off in the study variant",
    ),
    (
        "loss of the generator",
        "adversarial + 150 x Dice loss",
        "adversarial + its own Dice loss (above)",
        "as published in the paper variant; Dice + cross-entropy, no adversary in the study one",
    ),
    ("initialisation", "from scratch", "N(0, 0.02), batch norm N(1, 0.02)", "as released"),
    (
        "augmentation",
        "none mentioned",
        UNKNOWN,
        "none in the paper variant, flips and turns in the study variant",
    ),
    ("denoising", "Gaussian, sigma 0.5", "none", "a field of the run"),
    ("histogram equalisation", "plain, global", "none", "a field of the run"),
    (
        "loose frame",
        "twice the box on each axis; two figures draw three times",
        UNKNOWN,
        "scale 2, varied from 1 to 4",
    ),
    (
        "aspect of a frame",
        "each axis resized by itself",
        UNKNOWN,
        "as published for segmentation; a square frame as an option",
    ),
    (
        "box",
        "from an SSD detector",
        "no detector",
        "oracle and jittered boxes, side by side; detected ones on the pages of the chain",
    ),
    ("threshold of the mask", UNKNOWN, UNKNOWN, "0.5 of the [0, 1] output"),
    (
        "post-processing",
        "closing 3x3, erosion 2x2, dilation 3x3",
        UNKNOWN,
        "with and without, every order",
    ),
    (
        "split by patient",
        UNKNOWN,
        UNKNOWN,
        "by patient, stratified; leakage is an error",
    ),
    (
        "test set during training",
        UNKNOWN,
        "PSNR on the test set printed each epoch",
        "never read: choices are made on validation patients",
    ),
    (
        "uncertainty",
        "box plots; no interval, no test",
        "none",
        "bootstrap over patients, paired tests, Holm's correction",
    ),
    ("seeds", UNKNOWN, UNKNOWN, "in each record"),
    ("weights", UNKNOWN, "none", "kept with each record in the local store"),
)


def deviations() -> pd.DataFrame:
    """Paper, released code and this study side by side.

    Returns:
        Columns topic, paper, released, study; what a source does not say is "not reported".
    """
    return pd.DataFrame(_ROWS, columns=["topic", "paper", "released", "study"])
