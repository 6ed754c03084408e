"""Audit of the paper: do its published numbers agree with each other?

No image and no run is needed: each row of :func:`checks` is a computation on the numbers of
:mod:`mammostudy.study.published`, by way of :mod:`mammostudy.study.arithmetic` and
:mod:`mammostudy.study.arithmetic`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pandas as pd

from mammostudy.study import arithmetic, published

VERDICTS = {
    "consistent": "the numbers agree",
    "does not add up": "the numbers exclude each other",
    "different units": "the two sides are measured on different scales",
    "not comparable": "the score does not say what the comparison needs",
    "differs from the paper": "the released code does something else",
    "too weak": "the step works in the stated direction, but not far enough",
    "information lost": "the step removes what a later one should use",
    "not confirmed": "an independent repetition found something else",
}


@dataclass(frozen=True)
class Check:
    """One claim of the paper and what its own numbers say.

    Attributes:
        check: number of the check.
        claim: what the paper says.
        published: the published number, as printed.
        computed: what follows from the published numbers.
        verdict: a key of :data:`VERDICTS`.
    """

    check: int
    claim: str
    published: str
    computed: str
    verdict: str


def checks() -> pd.DataFrame:
    """Every check of the audit: columns check, claim, published, computed, verdict."""
    makers = (
        _accuracy,
        _overlap_bound,
        _headline_mean,
        _loss_figure,
        _tight_frames,
        _released_dice,
        _class_weights,
        _folds,
        _stretch,
        _reproduction,
        _arithmetic_that_holds,
    )
    return pd.DataFrame([asdict(row) for make in makers for row in make()])


def deviations() -> pd.DataFrame:
    """Paper, released code and this study side by side.

    Returns:
        Columns topic, paper, released, study; what a source does not say is "not reported".
    """
    return published.read("deviations")


def _fact(name: str) -> float:
    return published.FACTS[name].value


def _agree(stated: float, found: float, within: float) -> str:
    return "consistent" if abs(stated - found) <= within else "does not add up"


def _accuracy() -> Iterator[Check]:
    stated = _fact("shape accuracy")
    accuracy, macro = arithmetic.accuracy_and_macro_recall()
    table = arithmetic.class_recalls()
    right, masses = table["correct"].sum(), table["masses"].sum()
    yield Check(
        1,
        "Overall accuracy of the shape classification",
        f"{stated:.0f} %",
        f"{right}/{masses} = {accuracy:.1f} %; the mean of the class recalls is {macro:.2f} %",
        _agree(stated, accuracy, 0.5),
    )


def _overlap_bound() -> Iterator[Check]:
    pairs = arithmetic.overlap_pairs()
    broken, equal = (pairs[pairs["status"] == status] for status in ("broken", "equal"))
    worst = broken[broken["model"] == "proposed cGAN"].sort_values("gap")
    named = "; ".join(
        f"{r['dataset']} {r['framing']} {r['dice']}/{r['iou']}, bound {r['bound']:.2f}"
        for r in worst.to_dict("records")
    )
    yield Check(
        2,
        "Mean Dice and mean IoU of one model over one test set (mean IoU is at least D/(2 - D))",
        f"{len(pairs)} pairs",
        f"{len(broken)} below the bound by more than {arithmetic.BROKEN_BY} points; "
        f"of the proposed cGAN: {named}",
        "does not add up" if len(broken) else "consistent",
    )
    yield Check(
        2,
        "Dice and IoU are both averages over images",
        f"{len(pairs)} pairs",
        f"{len(equal)} equal D/(2 - D) to within {arithmetic.EQUAL_WITHIN} points: one was "
        "converted from the other, or both were pooled over pixels",
        "not comparable" if len(equal) else "consistent",
    )


def _headline_mean() -> Iterator[Check]:
    row = arithmetic.box_plot_means().set_index("model").loc["proposed cGAN"]
    yield Check(
        3,
        "Mean Dice of the proposed cGAN on INbreast, loose frames",
        f"{row['printed']:.2f} %",
        f"its box plot has median {row['median']:.1f} % and allows a mean of at most "
        f"{row['largest_mean']:.1f} %",
        "does not add up" if row["impossible"] else "consistent",
    )


def _loss_figure() -> Iterator[Check]:
    dice, manhattan = (published.FACTS[f"{name} loss at the end"] for name in ("dice", "L1"))
    yield Check(
        4,
        "The dice loss ends lower than the L1 loss",
        f"{dice.value} against {manhattan.value}",
        f"one axis holds {dice.unit} and {manhattan.unit}; held-out Dice after training with "
        "each would be one scale",
        "different units" if dice.unit != manhattan.unit else "consistent",
    )


def _tight_frames() -> Iterator[Check]:
    baseline = arithmetic.everything_in_tight_frame().set_index("metric")["analytic"]
    tight = published.segmentation_table().query("framing == 'tight'")
    below = int((tight["dice"] < baseline["dice"]).sum())
    span = "/".join(f"{tight[m].min():.0f}-{tight[m].max():.0f}" for m in ("dice", "iou"))
    yield Check(
        5,
        "Scores on tight frames show segmentation",
        f"Dice/IoU {span} %",
        f'"everything is mass" scores {baseline["dice"]:.1f}/{baseline["iou"]:.1f} % for an '
        f"ellipse in its box; {below} of {len(tight)} printed Dice values are below that",
        "not comparable" if below else "consistent",
    )
    stated = _fact("tight fill")
    low, high = _fact("tight fill, smallest panel"), _fact("tight fill, largest panel")
    yield Check(
        5,
        "A mass fills more than this share of its tight frame",
        f"{stated:.0f} %",
        f"an ellipse fills {baseline['iou']:.1f} %; the paper's own panels {low:.0f}-{high:.0f} %",
        "does not add up" if max(high, baseline["iou"]) < stated else "consistent",
    )


def _released_dice() -> Iterator[Check]:
    costs = arithmetic.dice_loss_costs(share=0.20).set_index("prediction")["released"]
    perfect, nothing = costs["perfect"], costs["middle grey (output 0)"]
    yield Check(
        6,
        "The dice loss is least for the perfect mask (released code: masks in [-1, 1])",
        "0 for a perfect mask",
        f"with a 20 % mask a perfect prediction costs {perfect:.2f}, an all-zero output "
        f"{nothing:.1f}, a uniform one just below the pole {costs.min():.0f}",
        "differs from the paper" if perfect > nothing else "consistent",
    )


def _class_weights() -> Iterator[Check]:
    table = arithmetic.class_weights()
    spread = table["weight"].max() / table["weight"].min()
    imbalance = table["masses"].max() / table["masses"].min()
    pull = table["pull"].max() / table["pull"].min()
    weights = ", ".join(f"{w:.3f}" for w in table["weight"])
    yield Check(
        7,
        "Weights 1 - n/N make up for the class imbalance",
        f"{imbalance:.1f}x imbalance",
        f"weights {weights}: a {spread:.1f}x spread; the largest class still weighs {pull:.1f}x "
        "the smallest",
        "too weak" if pull > 2 else "consistent",
    )


def _folds() -> Iterator[Check]:
    masses = int(published.shape_counts()["masses"].sum())
    stated, folds = int(_fact("shape test masses")), int(_fact("shape folds"))
    held_out = masses * (1 - _fact("shape train share"))
    yield Check(
        8,
        "Mean ROC curve of five folds, of the test images",
        f"{stated} images",
        f"a fold of {masses:,} masses holds about {masses / folds:.0f}; {stated} is the 25 % "
        f"hold-out ({held_out:.0f})",
        _agree(stated, masses / folds, 1),
    )
    accuracy, _ = arithmetic.accuracy_and_macro_recall()
    yield Check(
        8,
        "Accuracy weighted by class size",
        f"{_fact('shape accuracy'):.0f} %",
        f"weighted by class size it is {accuracy:.1f} %",
        _agree(_fact("shape accuracy"), accuracy, 0.5),
    )


def _stretch() -> Iterator[Check]:
    same = arithmetic.stretched_agreement().set_index("aspect")["dice"]
    yield Check(
        9,
        "The shape CNN tells oval from round by the mask alone",
        "64 x 64 mask, each axis scaled by itself",
        f"Dice between the masks of a round and an axis-aligned oval mass: {same['stretch']:.3f} "
        f"(square frames keep them apart: {same['square']:.3f})",
        "information lost" if same["stretch"] > 0.99 else "consistent",
    )


def _reproduction() -> Iterator[Check]:
    (cgan, cgan_iou), (unet, unet_iou) = (
        (_fact(f"reproduced {model} dice"), _fact(f"reproduced {model} iou"))
        for model in ("cGAN", "UNet")
    )
    scores = published.segmentation_table().query("dataset == 'INbreast' and framing == 'loose'")
    printed = scores.set_index("model")["dice"]
    yield Check(
        10,
        "The cGAN beats a plain U-Net on INbreast, loose frames",
        f"Dice {printed['proposed cGAN']:.2f} against {printed['UNet']:.2f} %",
        f"a student reproduction: Dice {100 * cgan:.1f} against {100 * unet:.1f} %, "
        f"IoU {100 * cgan_iou:.1f} against {100 * unet_iou:.1f} %",
        "not confirmed" if cgan <= unet else "consistent",
    )


def _arithmetic_that_holds() -> Iterator[Check]:
    counts = arithmetic.parameter_counts()
    for network, printed in published.PARAMETER_COUNTS.items():
        exact = counts[(counts["network"] == network) & counts["exact"]]
        yield Check(
            11,
            f"Parameters of the {network}",
            f"{printed:,}",
            f"exact with {exact['reading'].iloc[0]}" if len(exact) else "no reading gives it",
            "consistent" if len(exact) else "does not add up",
        )
    images, batch, epochs = (int(_fact(n)) for n in ("training images", "batch", "epochs"))
    steps = arithmetic.iterations(images, batch, epochs)
    yield Check(
        11,
        "Iterations on the axis of the loss figure",
        f"{_fact('iterations'):,.0f}",
        f"{images} images in batches of {batch}, {epochs} epochs: {steps:,}",
        _agree(_fact("iterations"), steps, 0),
    )
    totals = published.subtype_table().sum(axis=1)
    agree = totals.equals(published.subtype_counts())
    yield Check(
        11,
        "Rows of the subtype table sum to the subtypes' counts",
        ", ".join(str(n) for n in published.subtype_counts()),
        f"{', '.join(str(n) for n in totals)}: {totals.sum()} in all",
        "consistent" if agree else "does not add up",
    )
