"""What the page on predicted shape by subtype says, in sentences made from its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mammostudy.evaluation.association import Misclassified, chi_square_power
from mammostudy.runs.record import Record
from mammostudy.study import printed, shape_recipes, subtype_pages, words
from mammostudy.study.subtype_people import People
from mammostudy.study.subtype_statistics import LEVEL, Association, ShareDifference, trimmed
from mammostudy.study.subtypes import PAPER, TRUE, Null, planted, planted_draws


def preliminaries(cohort: str, persons: Mapping[str, People], absent: Sequence[str]) -> str:
    """Say whether there is anything to show, and of which cohort the shapes are.

    Args:
        cohort: the page's cohort.
        persons: :func:`mammostudy.study.subtypes.everyone`.
        absent: :func:`mammostudy.study.subtypes.absent`.
    """
    made_of = shape_recipes.shape_cohort(cohort)
    if not persons and not absent:
        return (
            f"**Nothing to show: no mass of `{made_of}` comes with a molecular subtype**, or its "
            f"manifest is not on this machine. The rest of this page is empty; the published "
            f"table and a second-hand one of CMMD have a page of their own."
        )
    said = [words.not_run(absent), _drawn(cohort)]
    return words.paragraph([*said, _unsettled_folds(persons)])


def _drawn(cohort: str) -> str:
    if planted(cohort) is None:
        return ""
    text = (
        f"The masses are those of `{shape_recipes.shape_cohort(cohort)}`, computer-made, whose "
        f"generator draws the shape given the subtype by the paper's table: an association that "
        f"shows here was put there, and says nothing about patients."
    )
    if cohort == "phantom-null":
        text += (
            " That is so for this page too, although its cohort's own masses are drawn without "
            "association: shapes are classified on crops of other phantom patients."
        )
    return text


def _unsettled_folds(persons: Mapping[str, People]) -> str:
    fewer = [
        f"{name} ({words.count(each.folds, 'fold')} of {shape_recipes.FOLDS})"
        for name, each in persons.items()
        if each.folds < shape_recipes.FOLDS
    ]
    return f"Patients of some folds only: {words.listed(fewer)}." if fewer else ""


def people_page(persons: Mapping[str, People]) -> pd.DataFrame:
    """Count patients by recipe: in the tables, their masses, and left out, by reason."""
    reasons = list(dict.fromkeys(r for each in persons.values() for r in each.left_out))
    rows = []
    for name, each in persons.items():
        kept: dict[str, object] = {
            "patients": len(each.seen),
            "masses": int(each.seen["masses"].sum()),
        }
        out: dict[str, object] = {
            f"left out: {reason}": each.left_out.get(reason, 0) for reason in reasons
        }
        rows.append({"shapes predicted by": name, **kept, **out})
    return pd.DataFrame(rows)


def empty_lines(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say which rows and columns are empty and therefore left out; nothing where none is."""
    found = {name: trimmed(table) for name, table in tables.items()}
    said = [f"{name} ({words.listed(left)})" for name, (_, left) in found.items() if left]
    if not said:
        return ""
    text = (
        f"Left out of all that follows, for want of a patient: {words.listed(said)}. "
        f"A test of a row or column without a case does not exist."
    )
    nothing = [name for name, (rest, _) in found.items() if min(rest.shape) < 2]
    if not nothing:
        return text
    return (
        f"{text}\nOf {words.listed(nothing)} a single row or column remains: there is no "
        f"association to measure, and no row below."
    )


def strengths_page(table: pd.DataFrame) -> pd.DataFrame:
    """Lay :func:`mammostudy.study.subtypes.strengths` out for the eye."""
    rows = table.to_dict("records")
    return pd.DataFrame(
        {
            "shapes": table["name"],
            "Cramer's V [95 %]": [printed.cell(r["value"], r["low"], r["high"]) for r in rows],
            "with chance taken away": table["other"].map("{:.3f}".format),
        }
    )


def null_page(nulls: Mapping[str, Null]) -> pd.DataFrame:
    """Lay the redraws out for the eye, a row a table of predictions."""
    return pd.DataFrame(
        [
            {
                "predictions": name,
                "redraws": len(each.redraws),
                "test rejects": each.rejected,
                "% [95 % interval]": (
                    f"{100 * each.share:.1f} [{100 * each.low:.1f}, {100 * each.high:.1f}]"
                ),
                "mean V of redraws": f"{each.redraws['v'].mean():.3f}",
                "V observed": f"{each.observed:.3f}",
                "redraws with as large a V (p)": printed.p_value(each.beyond),
            }
            for name, each in nulls.items()
        ]
    )


def null_note(nulls: Mapping[str, Null]) -> str:
    """Say what the redraws show of the test and of the observed table."""
    return words.paragraph([_null(name, each) for name, each in nulls.items()])


def _null(name: str, each: Null) -> str:
    kept = each.low <= LEVEL <= each.high
    level = "as often as it should" if kept else "not as often as it should"
    beyond = (
        "the observed V is larger than what chance gives"
        if each.beyond < LEVEL
        else "chance gives a V as large as the observed one often enough"
    )
    return (
        f"{_capital(name)}: without association the test rejects in {100 * each.share:.1f} % of "
        f"{len(each.redraws):,} redraws ({level}: {100 * LEVEL:.0f} %), and {beyond} "
        f"(p {words.p_value(each.beyond)})."
    )


def power_note(found: Mapping[str, Association]) -> str:
    """Say how weak an association each table could have shown."""
    said = [f"{subtype_pages.detectable(each)} ({name})" for name, each in found.items()]
    if not said:
        return ""
    return f"The smallest V that is found with 80 % power is {words.listed(said)}."


def errors_note(
    found: Mapping[str, Association], passed: Mapping[str, Misclassified], recipe: str = PAPER
) -> str:
    """Say whether the measured errors explain what is left of the association."""
    through = passed.get(f"true shapes, errors of {recipe}")
    seen = found.get(f"predicted, {recipe}")
    if through is None or seen is None:
        return ""
    power = chi_square_power(through.after, seen.shape, seen.cases)
    if seen.v < through.low:
        verdict = "less than the errors explain if they do not depend on the subtype"
    elif seen.v > through.high:
        verdict = "more than that: the errors depend on the subtype, or chance helped"
    else:
        verdict = "within what the errors explain without depending on the subtype"
    return (
        f"V of the true shapes of the patients with a prediction is {through.before:.3f}. Through "
        f"the measured errors of the {recipe} recipe it would be {through.expected:.3f} on average "
        f"[{through.low:.3f}, {through.high:.3f}]; the predictions have {seen.v:.3f}: {verdict}. "
        f"What the errors leave once chance is taken away, {through.after:.3f}, would be found in "
        f"{words.count(seen.cases, 'patient')} with {100 * power:.0f} % power."
    )


def reading(
    found: Mapping[str, Association],
    passed: Mapping[str, Misclassified],
    differences: Mapping[str, ShareDifference],
    nulls: Mapping[str, Null],
    cohort: str,
) -> str:
    """Say what the page's tables mean.

    Args:
        found: :func:`mammostudy.study.subtypes.associations`.
        passed: :func:`mammostudy.study.subtypes.expected`.
        differences: :func:`mammostudy.study.subtypes.luminal`.
        nulls: :func:`mammostudy.study.subtypes.null` by table of predictions.
        cohort: the page's cohort.

    Returns:
        Markdown, a sentence a line.
    """
    if not found:
        return "No table here has two subtypes and two shapes, so it has nothing to say."
    said = [_truth(found, cohort)]
    said += [_predicted(name, each, nulls) for name, each in found.items() if name != TRUE]
    said += [errors_note(found, passed)]
    said += [_luminal(name, each) for name, each in differences.items() if name != TRUE]
    return words.bullets(said)


def _truth(found: Mapping[str, Association], cohort: str) -> str:
    each = found.get(TRUE)
    if each is None:
        return ""
    verdict = "show an association" if _p(each) < LEVEL else "show no association"
    text = (
        f"The true shapes of {words.count(each.cases, 'patient')} {verdict} "
        f"(V {printed.cell(each.v, each.v_low, each.v_high, 2)}, p {words.p_value(_p(each))})."
    )
    drawn, value = planted_draws(cohort, each.cases), planted(cohort)
    if drawn is None or value is None:
        return text
    low, high = np.percentile(drawn, [2.5, 97.5])
    place = "within that" if low <= each.v <= high else "beyond that: an unusual draw"
    return (
        f"{text} The generator plants V {value:.2f}; in cohorts of this size chance makes it "
        f"{drawn.mean():.2f} on average [{low:.2f}, {high:.2f}], and this one lies {place}."
    )


def _predicted(name: str, each: Association, nulls: Mapping[str, Null]) -> str:
    recovered = _p(each) < LEVEL
    said = "show an association" if recovered else "show no association"
    chance = nulls.get(name)
    beside = "" if chance is None else f"; redraws without one reject in {100 * chance.share:.1f} %"
    return (
        f"The shapes {name} {said} with the subtype in {words.count(each.cases, 'patient')} "
        f"(V {printed.cell(each.v, each.v_low, each.v_high, 2)}, p {words.p_value(_p(each))}"
        f"{beside})."
    )


def _p(each: Association) -> float:
    """Return the p value to read: Fisher's, which needs no large counts."""
    return each.p_fisher


def _luminal(name: str, each: ShareDifference) -> str:
    number = words.interval(each.difference, each.low, each.high, scale=100, digits=0)
    return (
        f"Irregular or lobular, {name}: the share of luminal patients minus that of the others is "
        f"{number} points (p {words.p_value(each.p_permutation)}); "
        f"{100 * each.smallest_detectable:.0f} points could have been seen."
    )


def _capital(name: str) -> str:
    return f"{name[0].upper()}{name[1:]}"


def folds_note(found: Mapping[str, Sequence[Record]]) -> str:
    """Say whose training had not settled."""
    loose = [
        name for name, listed in found.items() if any(each.converged is False for each in listed)
    ]
    if not loose:
        return ""
    return (
        f"Validation had not settled at the end of every training of {words.listed(loose)}: "
        f"more epochs may give other predictions."
    )
