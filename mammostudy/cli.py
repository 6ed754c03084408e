"""The command line: each command is a call to a function that Python users can call too."""

from __future__ import annotations

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


def main() -> None:
    """Run the command line; an error the user can mend is one message and exit code 2."""
    try:
        app()
    except StudyError as error:
        print(f"mammostudy: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
