"""Dice against L1 in the generator's loss, the released loss, and what the adversary is worth."""

from __future__ import annotations

import pandas as pd

from mammostudy.runs.spec import RunSpec
from mammostudy.runs.store import Record
from mammostudy.study import recipes, tables

DICE = "cGAN, Dice (paper)"
L1 = "cGAN, L1"
RELEASED = "cGAN, as released"
PLAIN = "generator, no adversary"
UNET = "U-Net, ResNet-18 encoder"
STUDY = "study"


def named(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the runs of the chapter by the name their row bears, on loose frames."""
    return {
        DICE: recipes.headline(cohort, preset),
        L1: recipes.replicates(cohort, preset, loss__overlap="l1"),
        RELEASED: [recipes.recipe(cohort, preset, "released")],
        PLAIN: recipes.replicates(cohort, preset, loss__adversarial_weight=0.0),
        UNET: recipes.folds_of(cohort, preset, model__name="unet", loss__adversarial_weight=0.0),
        STUDY: recipes.folds_of(cohort, preset, "study"),
    }


def baselines(cohort: str, preset: str) -> dict[str, list[RunSpec]]:
    """Return the baselines without training on loose frames, over the folds."""
    plain = recipes.folds_of(cohort, preset)
    out: dict[str, list[RunSpec]] = {}
    for spec in plain:
        for baseline in recipes.baselines(spec):
            out.setdefault(baseline.model.name, []).append(baseline)
    return out


def specs(cohort: str, preset: str) -> list[RunSpec]:
    """Return every run that the chapter shows."""
    both = [*named(cohort, preset).values(), *baselines(cohort, preset).values()]
    return list(dict.fromkeys(spec for specs in both for spec in specs))


def records(cohort: str, preset: str) -> dict[str, list[Record]]:
    """Return the records of the chapter by row name."""
    return tables.records_of(named(cohort, preset) | baselines(cohort, preset), preset)


def curves(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return losses and validation Dice over iterations, first fold and seed of every row.

    Columns: row, iteration, quantity (``overlap``, ``adversarial``, ``discriminator_real``,
    ``discriminator_fake``, ``validation_dice``), value.
    """
    out = []
    for name, listed in found.items():
        if not listed or listed[0].curves.empty:
            continue
        long = listed[0].curves.melt("iteration", var_name="quantity").dropna()
        out.append(long.assign(row=name))
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame()


def rows(found: dict[str, list[Record]]) -> pd.DataFrame:
    """Return the test rows before post-processing."""
    stacked = tables.rows_of(found)
    return stacked[stacked["postprocessing"] == "none"]


def table(stacked: pd.DataFrame) -> pd.DataFrame:
    """Summarise Dice, IoU and the distances by row, on oracle boxes."""
    oracle = stacked[stacked["box"] == "oracle"]
    return tables.summarise(oracle, ("dice", "iou", "hd95", "assd"))


def fair_test(stacked: pd.DataFrame, metric: str = "dice") -> pd.DataFrame:
    """Test the held-out metric after training with Dice against each alternative.

    Returns:
        A row a comparison: difference [low, high], p values, patients, smallest detectable
        difference, and the lowest and highest difference over pairs of trainings.
    """
    oracle = stacked[stacked["box"] == "oracle"]
    out = []
    for other in (L1, RELEASED, PLAIN, UNET):
        if not {DICE, other} <= set(oracle["row"]):
            continue
        test = tables.paired(oracle, DICE, other, metric)
        trainings = tables.seed_differences(oracle, DICE, other, metric)
        out.append(
            {
                "comparison": f"{DICE} - {other}",
                "metric": metric,
                **{name: getattr(test, name) for name in _SHOWN},
                "trainings": len(trainings),
                "lowest training": trainings.min(),
                "highest training": trainings.max(),
            }
        )
    return pd.DataFrame(out)


_SHOWN = (
    "difference",
    "low",
    "high",
    "p_wilcoxon",
    "p_permutation",
    "patients",
    "smallest_detectable",
)
