"""What the command ``mammostudy data fetch`` does and prints."""

from __future__ import annotations

import sys
from pathlib import Path

from mammostudy.data.descriptors import describe
from mammostudy.data.fetching.fetch import run
from mammostudy.data.fetching.journal import Journal
from mammostudy.data.fetching.plan import Plan, estimate, make_plan
from mammostudy.data.fetching.recipe import Recipe, cohort_of, fetchable, read_recipe
from mammostudy.data.load import check_name
from mammostudy.errors import DataError
from mammostudy.paths import data_root


def fetch(
    name: str,
    root: Path | None = None,
    *,
    patients: int | None = None,
    jobs: int = 4,
    rehash: bool = False,
    yes: bool = False,
) -> None:
    """Fetch a public set into its cohort's folder, or say how to get one that is given by hand.

    Args:
        name: the cohort, or the short name of its set.
        root: the folder that holds, or will hold, the cohort's folder; default MAMMOSTUDY_DATA.
        patients: the images of so many patients, the first ones by name; None for all.
        jobs: transfers at once.
        rehash: verify files anew that were verified before.
        yes: do not ask before it starts.

    Raises:
        DataError: a file could not be fetched, the archive cannot be reached, the disk is too
            small, or nobody said yes.
    """
    recipe = read_recipe(name)
    if recipe is None:
        print(_nothing(name))
    elif recipe.by_hand:
        folder = (root or data_root() or Path("/path/to/data")).expanduser() / name
        print(f"{recipe.title}: no program can fetch it; its owners give it like this:")
        _tell_terms(recipe)
        _tell_steps(recipe, folder)
    else:
        plan = make_plan(name, recipe, root, patients)
        _announce(plan, yes)
        outcome = run(plan, jobs=jobs, rehash=rehash)
        print(f"{outcome.fetched} files fetched and verified, {outcome.kept} were there already")
        _tell_next(plan)


def _announce(plan: Plan, yes: bool) -> None:
    """Say what is coming, refuse a disk that is too small, and ask."""
    print(f"{plan.recipe.title} -> {plan.folder}")
    _tell_terms(plan.recipe)
    expected = estimate(plan, Journal(plan.folder))
    print(f"  tables: {', '.join(table.path for table in plan.tables)}")
    if plan.series:
        print("\n".join(f"  {line}" for line in expected.lines()))
    expected.check_room(plan.folder)
    if yes or (plan.series and not expected.left):
        return
    if not sys.stdin.isatty():
        msg = "nothing was fetched: nobody can be asked here; say --yes"
        raise DataError(msg)
    try:
        answer = input("Fetch it now? [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        msg = "nothing was fetched, as nobody said yes"
        raise DataError(msg)


def _nothing(name: str) -> str:
    check_name(name)
    facts = describe(name)
    if facts.phantom:
        return f"{name}: drawn on this machine when it is first used; there is nothing to fetch"
    if facts.reader is not None:
        return (
            f"{name}: read from a small copy that is not on any server; `mammostudy data fetch "
            "cdd-cesm` gets the set as its archive publishes it"
        )
    known = ", ".join(fetchable())
    return (
        f"{name}: no public set, so there is nothing to fetch (sets: {known}); put your own files "
        "into a folder of that name and run `mammostudy data template` on it"
    )


def _tell_terms(recipe: Recipe) -> None:
    print(f"  licence: {recipe.licence}")
    for citation in recipe.citations:
        print(f"  cite: {citation}")


def _tell_steps(recipe: Recipe, folder: Path) -> None:
    for number, step in enumerate(recipe.steps, start=1):
        text = step.replace("{folder}", str(folder)).replace("{root}", str(folder.parent))
        print(f"  {number}. {text}")


def _tell_next(plan: Plan) -> None:
    if plan.recipe.steps:
        print("the rest is given in another way:")
        _tell_steps(plan.recipe, plan.folder)
    else:
        root = plan.folder.parent if plan.folder.name == plan.cohort else plan.folder
        print(f"next: mammostudy data build {cohort_of(plan.cohort)} --root {root}")
