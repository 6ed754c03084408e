"""What the commands do and print."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module

from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from mammostudy.data import manifest
from mammostudy.data.cohort import Cohort
from mammostudy.data.descriptors import describe
from mammostudy.data.load import load_cohort
from mammostudy.data.outline_cohort import OutlineCohort
from mammostudy.data.splits import check_images, check_leakage, split_cases
from mammostudy.doctor import Finding
from mammostudy.errors import DataError, SpecError
from mammostudy.paths import results_root, store_root
from mammostudy.runs.kinds import Spec
from mammostudy.study.chapters import CHAPTERS


def run_chapters(
    chapters: Sequence[str],
    cohort: str,
    preset: str,
    *,
    workers: int | None = None,
    fresh: bool = False,
    kept: bool = False,
) -> None:
    """Train what chapters need and say what was run.

    Args:
        chapters: names of :data:`CHAPTERS`; none means all.
        cohort: the cohort.
        preset: how much to spend.
        workers: runs at once; None lets the machine decide.
        fresh: drop the records, weights and checkpoints of these runs first; committed records
            only together with ``kept``, which then replaces them. Runs that this machine cannot
            make keep theirs.
        kept: copy the records to ``results`` afterwards.

    Raises:
        SpecError: a chapter or preset is unknown, or ``fresh`` alone meets committed records.
        DataError: the cohort is not at hand, or lacks what the task of a named chapter needs; of
            all chapters, those that it cannot serve are left out, and said.
    """
    from mammostudy.runs.execute import cannot_run, ensure, missing
    from mammostudy.runs.record import keep
    from mammostudy.study.chapters import fit_chapters
    from mammostudy.study.recipes import preset as known_preset

    if unknown := sorted(set(chapters) - set(CHAPTERS)):
        msg = f"chapter {unknown[0]!r} is unknown; use {', '.join(CHAPTERS)}"
        raise SpecError(msg)
    known_preset(preset)  # an unknown one is refused before a phantom is made
    load_cohort(cohort)
    fit, left_out = fit_chapters(chapters, cohort)
    for chapter, reason in left_out.items():
        print(f"{chapter}: left out: {reason}")
    listed: list[Spec] = [
        spec
        for chapter in fit
        for spec in import_module(f"mammostudy.study.{chapter}").specs(cohort, preset)
    ]
    specs = list(dict.fromkeys(listed))
    if fresh:
        _drop([spec for spec in specs if not spec.cannot_run], kept)
    print(f"{cohort}, {preset}: {len(specs)} runs, {len(missing(specs))} of them to do")
    unmade = cannot_run(specs)
    _say("not run", unmade.values())
    if fresh:
        _say("left as on record", (s.cannot_run for s in specs if s.cannot_run and s not in unmade))
    records = ensure(specs, workers=workers, progress=True)
    for record in records:
        if record.status == "diverged":
            print(f"  {record.key}: diverged, {record.content['diverged_with']}")
    if kept:
        kept_in = keep(records)
        folders = sorted({path.parent.name or cohort for path in kept_in}) or [cohort]
        print(f"{len(kept_in)} new records under results/{', results/'.join(folders)}")


def _say(what: str, reasons: Iterable[str]) -> None:
    """Print each reason once, with the number of runs that it holds back."""
    for reason, count in Counter(reasons).items():
        print(f"  {what} ({count}): {reason}")


def _drop(specs: Sequence[Spec], kept: bool) -> None:
    """Drop what the local store holds of runs, and their committed records where ``kept``."""
    hashes = {name: load_cohort(name).manifest_hash for name in {spec.cohort for spec in specs}}
    keys = {spec: spec.key(hashes[spec.cohort]) for spec in specs}
    there = [spec for spec, key in keys.items() if (results_root() / spec.cohort / key).is_dir()]
    if there and not kept:
        folders = ", ".join(sorted({f"results/{spec.cohort}" for spec in there}))
        msg = (
            f"--fresh: {len(there)} of these runs have committed records under {folders}; "
            "add --keep to replace them"
        )
        raise SpecError(msg)
    for spec, key in keys.items():
        shutil.rmtree(results_root() / spec.cohort / key, ignore_errors=True)
        _forget(key, spec.training_key(hashes[spec.cohort]), spec.cohort)


def _forget(key: str, training_key: str, cohort: str) -> None:
    store = store_root()
    shutil.rmtree(store / "records" / cohort / key, ignore_errors=True)
    for path in (
        store / "weights" / f"{training_key}.safetensors",
        store / "weights" / f"{training_key}.history",
        store / "checkpoints" / f"{training_key}.pt",
    ):
        path.unlink(missing_ok=True)


def print_findings(findings: Iterable[Finding]) -> None:
    """Print the doctor's report as a table, and how many findings want mending."""
    table = Table("", "what", "found", "to mend")
    ill = 0
    for finding in findings:
        ill += not finding.well
        table.add_row("ok" if finding.well else "--", finding.subject, finding.found, finding.mend)
    console = Console(soft_wrap=False)
    console.print(table)
    console.print(f"{ill} finding(s) to mend" if ill else "all is well")


def build_cohort(name: str) -> None:
    """Write a cohort's manifest into the local store and print what was dropped, by reason."""
    cohort = load_cohort(name)
    if isinstance(cohort, OutlineCohort):
        msg = f"{name}: has outlines only, and a manifest lists images; nothing to write"
        raise DataError(msg)
    path = store_root() / "manifests" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_manifest(cohort.manifest, path)
    patients = cohort.masses["patient"].nunique()
    print(f"{name}: {len(cohort)} masses, {patients} patients")
    for reason, count in cohort.dropped.items():
        print(f"  dropped {count}: {reason}")
    print(path)


def check_cohort(name: str) -> None:
    """Read every image and mask of a cohort, and check the first split for leaks.

    Raises:
        DataError: with every case that cannot be used.
    """
    cohort = load_cohort(name)
    faults = list(_faults(cohort))
    if faults:
        listed = "\n  ".join(faults)
        msg = f"{name}: {len(faults)} case(s) cannot be used:\n  {listed}"
        raise DataError(msg)
    folds = min(5, cohort.masses["patient"].nunique())
    split = split_cases(cohort.masses, folds=folds)
    check_leakage(cohort, split)
    if isinstance(cohort, OutlineCohort):
        print(f"{name}: {len(cohort)} outlines drawn, no images; no patient crosses a split")
        return
    by_patient = cohort.masses.groupby("patient")["image"].apply(set)
    if len(by_patient) < 200:
        check_images(cohort, {str(p): images for p, images in by_patient.items()})
    print(f"{name}: {len(cohort)} masses read; no patient and no image crosses a split")


def _faults(cohort: Cohort) -> Iterable[str]:
    for case in tqdm(cohort.masses.index, "reading", disable=None):
        try:
            _ = cohort.mask(case) if isinstance(cohort, OutlineCohort) else cohort.sample(case)
        except DataError as error:
            yield str(error)
    others = cohort.manifest[cohort.manifest["x_min"].isna()]
    for _, row in others.iterrows():
        try:
            cohort.image(row)
        except DataError as error:
            yield str(error)


def describe_cohort(name: str) -> None:
    """Print a cohort's fingerprint as JSON; of outlines without images, their counts."""
    if not describe(name).images:
        cohort = load_cohort(name)
        print(json.dumps(_counts_of_outlines(cohort), indent=1))
        return
    from mammostudy.study.fingerprint import fingerprint

    print(json.dumps(fingerprint(name), indent=1))


def _counts_of_outlines(cohort: Cohort) -> dict[str, object]:
    masses = cohort.masses
    by_shape = {
        str(shape): {
            "masses": len(rows),
            "patients": int(rows["patient"].nunique()),
            "tools": {str(tool): int(n) for tool, n in rows["tool"].value_counts().items()},
        }
        for shape, rows in masses.groupby("shape")
    }
    return {
        "cohort": cohort.name,
        "manifest_hash": cohort.manifest_hash,
        "masses": len(masses),
        "patients": int(masses["patient"].nunique()),
        "shapes": by_shape,
        "dropped": cohort.dropped,
    }
