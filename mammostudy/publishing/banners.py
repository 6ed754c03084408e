"""The banner at the top of every study page: whose images, how much was spent, by which code."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, Final

from IPython import get_ipython

from mammostudy.data.descriptors import describe
from mammostudy.errors import BookError, DataError
from mammostudy.publishing.freshness import Needs, needs_of
from mammostudy.publishing.pages import Page
from mammostudy.study.chapters import unfit

INJECTED: Final = "# Parameters\n"  # what papermill begins its cell with

PHANTOM = "PHANTOM: computer-made images, no patients."
NOT_THE_PAPER = (
    "Not the paper's run: other images, a smaller budget; compare directions, not decimals."
)


@dataclass(frozen=True)
class Banner:
    """What a page says about itself; shows as HTML in the book, as Markdown elsewhere."""

    headline: str
    facts: Mapping[str, str]

    def _repr_markdown_(self) -> str:
        facts = " · ".join(f"{name}: {value}" for name, value in self.facts.items())
        return f"> **{self.headline}** {facts}. {NOT_THE_PAPER}"

    def _repr_html_(self) -> str:
        facts = " · ".join(
            f"{escape(name)}: <strong>{escape(value)}</strong>"
            for name, value in self.facts.items()
        )
        return (
            '<div class="admonition note"><p class="admonition-title">'
            f"{escape(self.headline)}</p><p>{facts}.</p><p>{NOT_THE_PAPER}</p></div>"
        )


def banner(cohort: str, preset: str, chapter: str) -> Banner:
    """Check what a notebook was given, and make its banner; ``chapter`` is the notebook's stem."""
    check_given()
    facts_of = describe(cohort)  # it refuses what is no name
    if why := unfit(cohort, [chapter]).get(chapter):
        raise DataError(f"chapter {chapter!r}: {why}")
    ours = facts_of.descriptor is not None  # its records are shown without its data, too
    needs = needs_of(Page(chapter, chapter, {"cohort": cohort, "preset": preset}, fixed=ours))
    headline = PHANTOM if facts_of.phantom else f"{facts_of.title}: real mammograms."
    facts = {"Cohort": facts_of.title, "Preset": preset, **_runs(needs)}
    if needs.manifests[cohort] is None:
        facts["Images"] = "not on this machine; tables come from the committed records"
    return Banner(headline, facts)


def check_given() -> None:
    """Raise BookError for a parameter of papermill's that the running notebook does not declare."""
    shell: Any = get_ipython()
    for declaring, given in pairwise(shell.user_ns["In"] if shell else ()):
        if given.startswith(INJECTED) and (unknown := _set(given) - (known := _set(declaring))):
            said = f"unknown parameter {', '.join(sorted(unknown))}"
            raise BookError(f"{said}; known: {', '.join(sorted(known))}")


def _set(cell: str) -> set[str]:
    """Return the names that a cell sets."""
    names = (node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Store)}


def _runs(needs: Needs) -> dict[str, str]:
    """Say how many runs there are, on whose patients, with which versions, by which commits."""
    found = [(spec, needs.record_of(spec)) for spec in needs.specs]
    records = [record for _, record in found if record is not None]
    facts: dict[str, str] = {}
    if needs.specs:
        facts["Runs"] = f"{len(records)} of {len(needs.specs)} on record"
        facts["Patients"] = _patients(found)
    if leaky := sum(record.spec.split.leaky for record in records):
        facts["LEAKY"] = f"{leaky} of these runs, split by image on purpose"
    versions: dict[str, int] = {}
    for spec in needs.specs:
        versions |= spec.recipe_versions()
    raised = [f"{name.rpartition('.')[2]} {n}" for name, n in sorted(versions.items()) if n != 1]
    if versions:
        facts["Recipe versions"] = ", ".join([*raised, "all others 1"] if raised else ["all 1"])
    if records:
        commits = sorted({str(record.provenance.get("commit", "unknown")) for record in records})
        facts["Runs made by commit"] = ", ".join(commits)
    return facts


def _patients(found: list[tuple[Any, Any]]) -> str:
    """Name each cohort behind the page with the patients of its records."""
    patients: dict[str, set[str]] = {}
    runs = Counter(spec.cohort for spec, _ in found)
    for spec, record in found:
        patients.setdefault(spec.cohort, set())
        if record is not None:
            patients[spec.cohort] |= set(record.cases["patient"].dropna().astype(str))
    return "; ".join(f"{name} {len(patients[name])} ({runs[name]} runs)" for name in runs)
