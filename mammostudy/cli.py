"""The command line: each command is a call to a function that Python users can call too."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mammostudy.errors import StudyError

app = typer.Typer(
    help="A reproducible study of breast-mass segmentation and shape in mammograms.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at cohorts.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Root = Annotated[Path | None, typer.Option(help="Folder that holds a folder per cohort.")]
CohortName = Annotated[str, typer.Argument(help="phantom, cdd-cesm, ... or a folder's name.")]


@app.callback()
def _root() -> None:
    """A reproducible study of breast-mass segmentation and shape in mammograms."""


@app.command()
def book(
    preset: Annotated[
        str | None, typer.Option(help="How much to spend: smoke, quick, reference or paper.")
    ] = None,
    cohort: Annotated[
        str | None, typer.Option(help="Cohort of the pages that are not fixed to one.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder that holds a folder per cohort of real data.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Treat every warning as an error.")] = False,
) -> None:
    """Build the book: train what is missing, run what is stale, render the pages."""
    from mammostudy.paths import project_root
    from mammostudy.publishing import build_book

    build_book(project_root(), preset, cohort, data, strict)


@app.command()
def run(
    chapters: Annotated[list[str] | None, typer.Argument(help="Chapters; default all.")] = None,
    cohort: Annotated[str, typer.Option(help="The cohort.")] = "phantom",
    preset: Annotated[str, typer.Option(help="smoke, quick, reference or paper.")] = "quick",
    root: Root = None,
    workers: Annotated[int | None, typer.Option(help="Runs at once.", min=1)] = None,
    fresh: Annotated[bool, typer.Option(help="Train again what has a record.")] = False,
    keep: Annotated[bool, typer.Option(help="Copy the records to results/.")] = False,
) -> None:
    """Train what chapters need; a killed run resumes, and what has a record is not run again."""
    from mammostudy.commands import run_chapters

    _set_data(root)
    run_chapters(chapters or [], cohort, preset, workers=workers, fresh=fresh, kept=keep)


@app.command()
def predict(
    image: Annotated[Path, typer.Argument(help="DICOM, PNG, JPEG or TIFF mammogram.")],
    box: Annotated[
        str | None,
        typer.Option(help="x_min,y_min,x_max,y_max of the mass; without it a detector searches."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for mask, overlay and JSON.")] = Path("out"),
    detector: Annotated[
        str | None, typer.Option(help="Key of a detection run; default the newest `study` one.")
    ] = None,
) -> None:
    """Find the masses of a mammogram, or take the one in a box; outline them, tell their shapes."""
    from mammostudy.predict_command import predict_image

    predict_image(image, box, out, detector)


@app.command()
def doctor() -> None:
    """Say what is installed and found, what is missing, and the command that mends it."""
    from mammostudy.commands import print_findings
    from mammostudy.doctor import examine

    print_findings(examine())


@data_app.command("list")
def data_list(root: Root = None) -> None:
    """List the cohorts and where they are found."""
    from mammostudy.data_commands import list_all

    list_all(root)


@data_app.command("build")
def data_build(
    cohort: CohortName,
    root: Root = None,
    strict: Annotated[bool, typer.Option(help="Refuse the cohort at any fault.")] = False,
) -> None:
    """Read a cohort's published layout, write its manifest, say what was dropped and why."""
    from mammostudy.data_commands import build

    build(cohort, root, strict=strict)


@data_app.command("fetch")
def data_fetch(
    cohort: CohortName,
    root: Root = None,
    patients: Annotated[
        int | None, typer.Option(help="Images of so many patients only.", min=1)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before it starts.")] = False,
) -> None:
    """Fetch a public set from its archive, or say how to get it; what is there is kept."""
    from mammostudy.data.fetch import fetch

    fetch(cohort, root, patients=patients, yes=yes)


@data_app.command("check")
def data_check(cohort: CohortName, root: Root = None) -> None:
    """Read every image and mask of a cohort and check its splits for leaks."""
    from mammostudy.data_commands import check

    check(cohort, root)


@data_app.command("describe")
def data_describe(cohort: CohortName, root: Root = None) -> None:
    """Print a cohort's fingerprint as JSON."""
    from mammostudy.data_commands import describe

    describe(cohort, root)


@data_app.command("template")
def data_template(
    folder: Annotated[Path, typer.Argument(help="Folder of your own mammograms.")],
) -> None:
    """Write the table of a cohort of your own, a row for each image found, and its guide."""
    from mammostudy.data_commands import template

    template(folder)


def _set_data(root: Path | None) -> None:
    if root is not None:
        os.environ["MAMMOSTUDY_DATA"] = str(root.expanduser().resolve())


def main() -> None:
    """Run the command line; an error the user can mend is one message and exit code 2."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # idle threads must not spin: two cores
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our message about a file is the one line
    try:
        app()
    except StudyError as error:
        print(f"mammostudy: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
