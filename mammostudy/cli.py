"""The command line: what each command does and prints; each is a function of Python, too."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mammostudy import __version__
from mammostudy.errors import SpecError
from mammostudy.faults import CODES, told
from mammostudy.paths import project_root, results_root, store_root, use_data_root
from mammostudy.processes import GRACE, STOPPED, end_when_told

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads must not spin: two cores
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our message about a file is the one line

from mammostudy import data_commands

if TYPE_CHECKING:
    from mammostudy.runs.kinds import Spec

app = typer.Typer(
    help="A reproducible study of breast-mass segmentation and shape in mammograms.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    rich_markup_mode=None,  # what a user types may hold brackets
    epilog=CODES,
)  # fmt: skip
app.add_typer(data_commands.app, name="data")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """A reproducible study of breast-mass segmentation and shape in mammograms."""
    if version:
        print(f"mammostudy {__version__}")
        raise typer.Exit


@data_commands.app.command("list")
def list_cohorts(root: data_commands.Root = None, as_json: data_commands.Json = False) -> None:
    """List the cohorts and what is found of them."""
    from mammostudy.doctor import cohorts

    use_data_root(root)
    if as_json:
        rows = [dict(zip(("cohort", "well", "found"), each, strict=True)) for each in cohorts()]
        print(json.dumps(rows, indent=1))
        return
    for name, _, found in cohorts():
        print(f"{name}: {found}")


@app.command()
def book(
    preset: Annotated[
        str | None, typer.Option(help="smoke, quick, reference, evidence or paper: the cost.")
    ] = None,
    cohort: Annotated[
        str | None, typer.Option(help="Cohort of the pages that are not fixed to one.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that holds a folder per cohort of real data.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Treat every warning as an error.")] = False,
) -> None:
    """Build the book, training what is missing first.

    Pages that are stale run again; the last line names the page to open in a browser.
    """
    from mammostudy.publishing.build import build_book

    build_book(project_root(), preset, cohort, data, strict)


@app.command()
def run(
    chapters: Annotated[list[str] | None, typer.Argument(help="Chapters; default all.")] = None,
    cohort: Annotated[str, typer.Option(help="The cohort.")] = "phantom",
    preset: Annotated[str, typer.Option(help="How much to spend, as for `book`.")] = "quick",
    root: data_commands.Root = None,
    workers: Annotated[int | None, typer.Option(help="Runs at once.", min=1)] = None,
    fresh: Annotated[bool, typer.Option(help="Train again what has a record.")] = False,
    keep: Annotated[bool, typer.Option(help="Copy the records to results/.")] = False,
) -> None:
    """Train what chapters need and what has no record yet.

    A killed run resumes; what has a record is not run again.
    """
    from mammostudy.publishing.leftovers import remove_leftovers
    from mammostudy.runs import record as records
    from mammostudy.runs.execute import ensure, missing

    use_data_root(root)
    remove_leftovers()
    specs = _specs(chapters or [], cohort, preset)
    if fresh:
        _drop([spec for spec in specs if not spec.cannot_run], keep)
    absent = missing(specs)
    print(f"{cohort}, {preset}: {len(specs)} runs, {len(absent)} of them to do")
    for reason, count in Counter(filter(None, (spec.cannot_run for spec in absent))).items():
        print(f"  not run ({count}): {reason}")
    made = ensure(specs, workers=workers, progress=True)
    for record in made:
        if record.status == "diverged":
            print(f"  {record.key}: diverged, {record.content['diverged_with']}")
    if keep:
        print(f"{len(records.keep(made))} new records under results/")


def _specs(chapters: Sequence[str], cohort: str, preset: str) -> list[Spec]:
    """Return the runs of chapters, each once; say which chapters a cohort cannot serve."""
    from importlib import import_module

    from mammostudy.study.chapters import CHAPTERS, fit_chapters
    from mammostudy.study.recipes import preset as known_preset

    if unknown := sorted(set(chapters) - set(CHAPTERS)):
        near = " or ".join(get_close_matches(unknown[0], CHAPTERS))
        told = f"did you mean {near}?" if near else f"use {', '.join(CHAPTERS)}"
        raise SpecError(f"chapter {unknown[0]!r} is unknown; {told}")
    known_preset(preset)  # an unknown one is refused before a phantom is made
    fit, left_out = fit_chapters(chapters, cohort)
    for chapter, reason in left_out.items():
        print(f"{chapter}: left out: {reason}")
    listed = (import_module(f"mammostudy.study.{name}").specs(cohort, preset) for name in fit)
    return list(dict.fromkeys(spec for specs in listed for spec in specs))


def _drop(specs: Sequence[Spec], kept: bool) -> None:
    """Drop what the local store holds of runs, and their committed records where ``kept``."""
    from mammostudy.data.load import load_cohort
    from mammostudy.runs.record import local_records, weights_path

    hashes = {name: load_cohort(name).manifest_hash for name in {spec.cohort for spec in specs}}
    keys = {spec: spec.key(hashes[spec.cohort]) for spec in specs}
    there = [spec for spec, key in keys.items() if (results_root() / spec.cohort / key).is_dir()]
    if there and not kept:
        told = f"{len(there)} of these runs have committed records"
        raise SpecError(f"--fresh: {told}; add --keep to replace them")
    for spec, key in keys.items():
        for root in (results_root(), local_records()):
            shutil.rmtree(root / spec.cohort / key, ignore_errors=True)
        weights = weights_path(spec.training_key(hashes[spec.cohort]))
        checkpoint = store_root() / "checkpoints" / f"{weights.stem}.pt"
        for path in (weights, weights.with_suffix(".history"), checkpoint):
            path.unlink(missing_ok=True)


@app.command()
def predict(
    image: Annotated[Path, typer.Argument(help="DICOM, PNG, JPEG or TIFF mammogram.")],
    box: Annotated[
        str | None,
        typer.Option(help="x_min,y_min,x_max,y_max of the mass; without it a detector searches."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for mask, overlay and JSON.")] = Path("out"),
    detector: Annotated[
        str | None, typer.Option(help="Key of a detection run; default the best `study` one.")
    ] = None,
    spacing: Annotated[
        float | None, typer.Option(help="Millimetres a pixel, where the file does not say.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files in --out.")] = False,
    as_json: data_commands.Json = False,
) -> None:
    """Find the masses of a mammogram, outline them, tell shapes.

    With --box the mass in it is outlined, and nothing is searched.
    """
    from mammostudy import inference
    from mammostudy.figures import predictions

    predictions.refuse_to_replace(out, image, overwrite)  # before anything is computed
    given: Any = None if box is None else box.split(",")
    named = None if detector is None else inference.detector_of_key(detector)
    found = inference.predict(image, given, detection_record=named, spacing_mm=spacing)
    paths = predictions.save_prediction(found, out, image, overwrite)
    print(*predictions.doubts(found), sep="\n", file=sys.stderr)
    if as_json:
        print(paths[-1].read_text(encoding="utf-8"), end="")
    else:
        print(*paths, *predictions.told(found), sep="\n")


@app.command()
def doctor(as_json: data_commands.Json = False) -> None:
    """Say whether `make book` can run here, and what is found.

    What is amiss has the command that mends it. Exit code 0 if the book can run, else 1.
    """
    from mammostudy.doctor import examine

    findings = list(examine())
    ill = [each for each in findings if not each.well]
    able = not any(each.needed for each in ill)
    if as_json:
        print(json.dumps({"able": able, "findings": [vars(each) for each in findings]}, indent=1))
    else:
        told = f"{len(ill)} finding(s) to mend, marked --" if ill else "nothing to mend"
        print(f"`make book` can{'' if able else 'not'} run here (on phantoms); {told}")
        for each in findings:
            mend = f"; to mend: {each.mend}" if each.mend and not each.well else ""
            print(f"{'ok' if each.well else '--'}  {each.subject:28} {each.found}{mend}")
    raise typer.Exit(0 if able else 1)


def main() -> None:
    """Run the command line; what ends it is one message, and an exit code of :data:`CODES`."""
    end_when_told(grace=GRACE + 1.25)  # its own processes end before it
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal may not have every letter of a name
        sys.stdout.reconfigure(errors="backslashreplace")
    if "--debug" in sys.argv:  # wherever it stands
        sys.argv.remove("--debug")
        os.environ["MAMMOSTUDY_DEBUG"] = "1"  # for children, too
    try:
        app()
    except BaseException as error:
        ended = error.code if isinstance(error, SystemExit) else None
        if isinstance(error, SystemExit) and ended not in STOPPED:
            raise
        line, code = told(KeyboardInterrupt() if ended else error)
        print(f"mammostudy: {line}", file=sys.stderr)
        raise SystemExit(ended or code) from None


if __name__ == "__main__":
    main()
