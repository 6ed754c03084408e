"""The empty table of a private cohort, filled with the files that are there, and its guide."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

from mammostudy.data.cache import write_atomically
from mammostudy.data.private import PRIVATE_TABLE, SUFFIXES
from mammostudy.data.sources.folder import COLUMNS
from mammostudy.errors import DataError

GUIDE_FILE: Final = "cohort-guide.md"
MOST_FILES: Final = 100_000


def guide() -> str:
    """Return the written guide to ``cohort.csv``, Markdown."""
    lines = [f"| `{name}` | {text} |" for name, text in COLUMNS.items()]
    return "\n".join(
        [
            "# A cohort of your own",
            "",
            f"Put mammograms and masks into one folder, with the table `{PRIVATE_TABLE}` (CSV,",
            "UTF-8; comma or semicolon) that has a row for each mass, and one row with an empty",
            "`mask` for each view without a mass.",
            "",
            "| column | what it holds |",
            "|---|---|",
            *lines,
            "",
            "`image`, `mask` and `patient` are needed, the other columns may be left out.",
            "A mask has the size of its image, or differs from it by scale alone.",
            "",
            "`mammostudy data build NAME --root FOLDER_ABOVE` reads it and lists every fault at",
            "once; NAME is the name of this folder. Then `mammostudy data check NAME` reads every",
            "file again, and `make book COHORT=NAME DATA=FOLDER_ABOVE` builds the pages.",
            "",
            "The images stay where they are. Manifest and records name patients and files by a",
            "keyed hash, whose key stays in the local store; a message names the row of the table.",
            "",
        ]
    )


def write_template(folder: Path) -> tuple[Path, int]:
    """Write ``cohort.csv`` and its guide into a folder, a row for each image found there.

    A picture in a folder whose name starts with ``mask`` is a mask; it is put beside the image
    of the same name. Patients, views and labels are left to fill in.

    Args:
        folder: of the cohort; made where it is missing.

    Returns:
        The table and how many images are listed in it.

    Raises:
        DataError: the table exists already, or the folder cannot be written.
    """
    table = folder / PRIVATE_TABLE
    if table.exists():
        msg = f"{table}: exists already and is not replaced; move it away for an empty one"
        raise DataError(msg)
    images, masks = _files(folder)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(COLUMNS), lineterminator="\n", restval="")
    writer.writeheader()
    for image in images:
        writer.writerow({"image": image, "mask": masks.get(Path(image).stem.lower(), "")})
    try:
        write_atomically(table, lambda part: part.write_text(text.getvalue(), encoding="utf-8"))
        write_atomically(
            folder / GUIDE_FILE, lambda part: part.write_text(guide(), encoding="utf-8")
        )
    except OSError as error:
        msg = f"{table}: cannot be written ({error.strerror}); check the folder and the disk"
        raise DataError(msg) from None
    return table, len(images)


def _files(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the images of a folder, and its masks by lower-case name without suffix."""
    images: list[str] = []
    masks: dict[str, str] = {}
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES)
    for number, path in enumerate(found):
        if number >= MOST_FILES:
            msg = f"{folder}: more than {MOST_FILES:,} pictures; give the cohort a folder alone"
            raise DataError(msg)
        name = path.relative_to(folder)
        if any(part.lower().startswith("mask") for part in name.parts[:-1]):
            masks[path.stem.lower()] = name.as_posix()
        else:
            images.append(name.as_posix())
    return images, masks
