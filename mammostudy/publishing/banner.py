"""The banner at the top of every study page: whose images, how much was spent, by which code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from mammostudy.publishing.freshness import Needs, needs_of
from mammostudy.publishing.pages import Page
from mammostudy.study.recipes import cohort_title, is_phantom

PHANTOM = "PHANTOM: computer-made images, no patients."
NOT_THE_PAPER = (
    "Not the paper's run: other images, a smaller budget; compare directions, not decimals."
)


@dataclass(frozen=True)
class Banner:
    """What a page says about itself; shows as HTML in the book, as Markdown elsewhere.

    Attributes:
        headline: the first words, set in bold.
        facts: name -> value, in the order shown.
        caution: the closing sentence.
    """

    headline: str
    facts: Mapping[str, str]
    caution: str = NOT_THE_PAPER

    def _repr_markdown_(self) -> str:
        facts = " · ".join(f"{name}: {value}" for name, value in self.facts.items())
        return f"> **{self.headline}** {facts}. {self.caution}"

    def _repr_html_(self) -> str:
        facts = " · ".join(
            f"{escape(name)}: <strong>{escape(value)}</strong>"
            for name, value in self.facts.items()
        )
        return (
            '<div class="admonition note"><p class="admonition-title">'
            f"{escape(self.headline)}</p><p>{facts}.</p><p>{escape(self.caution)}</p></div>"
        )


def banner(cohort: str, preset: str, chapter: str) -> Banner:
    """Make the banner of a page; the last line of its first code cell.

    Args:
        cohort: the page's cohort.
        preset: the page's preset.
        chapter: stem of the notebook, whose runs are looked up.
    """
    page = Page(chapter, chapter, {"cohort": cohort, "preset": preset}, fixed=True)
    needs = needs_of(page)
    title = cohort_title(cohort)
    headline = PHANTOM if is_phantom(cohort) else f"{title}: real mammograms."
    facts = {"Cohort": title, "Preset": preset, **_runs(needs)}
    if cohort in needs.notes:
        facts["Images"] = "not on this machine; tables come from the committed records"
    return Banner(headline, facts)


def _runs(needs: Needs) -> dict[str, str]:
    """Say how many runs there are, with which recipe versions, and by which commits."""
    facts = {}
    recipes: dict[str, int] = {}
    commits = set()
    made = leaky = 0
    for spec in needs.specs:
        recipes |= spec.recipe_versions()
        leaky += bool(getattr(getattr(spec, "split", None), "leaky", False))
        if folder := needs.record_of(spec):
            content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            commits.add(str(content["provenance"].get("commit", "unknown")))
            made += 1
    if total := len(needs.specs):
        facts["Runs"] = str(total) if made == total else f"{made} of {total} on record"
    if leaky:
        facts["LEAKY"] = f"{leaky} of these runs, split by image on purpose"
    if recipes:
        facts["Recipe versions"] = _versions(recipes)
    if commits:
        facts["Runs made by commit"] = ", ".join(sorted(commits))
    return facts


def _versions(recipes: Mapping[str, int]) -> str:
    """Name the components whose recipe version is not 1, and count the others."""
    raised = {name.rpartition(".")[2]: n for name, n in sorted(recipes.items()) if n != 1}
    first = len(recipes) - len(raised)
    named = [f"{name} {version}" for name, version in raised.items()]
    if first:
        named.append(f"{'the other ' if named else 'all '}{first} at 1")
    return ", ".join(named)
