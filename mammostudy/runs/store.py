"""Records: what a run left, in the project's ``results`` (committed) or in the local store.

A record is a folder ``<cohort>/<key>`` with ``record.json`` (spec, key, status, curves,
provenance), ``cases.csv`` (a row a case, box and post-processing) and ``predictions.npz``
(the masks, packed to bits).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.paths import results_root, store_root
from mammostudy.runs.spec import RunSpec, parse_spec

FORMAT = 1
_FIELDS = frozenset(
    {"spec", "key", "recipe_key", "manifest_hash", "status", "converged", "curves", "provenance"}
)
Status = Literal["completed", "diverged"]


@dataclass(frozen=True)
class Record:
    """One finished run, read from its folder.

    Attributes:
        folder: where it lies.
        content: the parsed ``record.json``.
    """

    folder: Path
    content: dict[str, Any]

    @cached_property
    def spec(self) -> RunSpec:
        """What was run."""
        return parse_spec(self.content["spec"])

    @property
    def key(self) -> str:
        """The run's key."""
        return str(self.content["key"])

    @property
    def manifest_hash(self) -> str:
        """Hash of the manifest the run saw."""
        return str(self.content["manifest_hash"])

    @property
    def status(self) -> Status:
        """``completed``, or ``diverged`` where a loss was not finite."""
        status: Status = self.content["status"]
        return status

    @property
    def converged(self) -> bool | None:
        """Whether validation Dice had stopped rising (see :func:`has_converged`).

        None for a baseline.
        """
        converged: bool | None = self.content["converged"]
        return converged

    @property
    def provenance(self) -> dict[str, Any]:
        """Commit, versions, machine, seconds."""
        content: dict[str, Any] = self.content["provenance"]
        return content

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Losses and validation Dice by iteration."""
        return pd.DataFrame(self.content["curves"])

    @cached_property
    def cases(self) -> pd.DataFrame:
        """A row a case, box and post-processing (see :mod:`mammostudy.runs.evaluate`).

        Raises:
            DataError: ``cases.csv`` is missing or damaged.
        """
        path = self.folder / "cases.csv"
        text = {"case": str, "patient": str, "site": str}
        try:
            return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from None

    def predictions(self) -> dict[str, NDArray[np.bool_]]:
        """Return the predicted masks in oracle frames before post-processing, by case.

        Returns:
            bool ``(s, s)`` by case.

        Raises:
            DataError: ``predictions.npz`` is missing or damaged.
        """
        path = self.folder / "predictions.npz"
        try:
            with np.load(path, allow_pickle=False) as stored:
                bits, cases, side = stored["bits"], stored["cases"], int(stored["side"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise _damaged(path, error) from None
        masks = np.unpackbits(bits, axis=1)[:, : side * side].reshape(-1, side, side)
        return dict(zip(cases.tolist(), masks.astype(bool), strict=True))


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: not a readable record ({error}); delete the folder and run it again")


def has_converged(curves: list[dict[str, float]]) -> bool:
    """Return False where validation Dice still rose more than 1 % in the last fifth of a run.

    The mean of the last fifth's validations is compared with the best one before them.
    """
    points = [
        (row["iteration"], row["validation_dice"]) for row in curves if "validation_dice" in row
    ]
    if len(points) < 5:
        return False
    border = 0.8 * points[-1][0]
    before = max((value for at, value in points if at <= border), default=0.0)
    last = [value for at, value in points if at > border]
    return float(np.mean(last)) <= 1.01 * before


def local_records() -> Path:
    """Return the folder of records made on this machine."""
    return store_root() / "records"


def weights_path(key: str) -> Path:
    """Return where the weights of a training key are kept (safetensors, local store only)."""
    return store_root() / "weights" / f"{key}.safetensors"


def write_record(
    content: dict[str, Any],
    cases: pd.DataFrame,
    predictions: dict[str, NDArray[np.bool_]],
    root: Path | None = None,
) -> Record:
    """Write a record's folder in one move and return it.

    Args:
        content: what ``record.json`` holds.
        cases: the rows.
        predictions: masks by case, all of one side.
        root: folder of records; default the local store.
    """
    root = root or local_records()
    folder = root / content["spec"]["cohort"] / content["key"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        cases.to_csv(partial / "cases.csv", index=False, float_format="%.5g")
        masks = np.stack(list(predictions.values()))
        bits = np.packbits(masks.reshape(len(masks), -1), axis=1)
        np.savez_compressed(
            partial / "predictions.npz", bits=bits, cases=list(predictions), side=masks.shape[1]
        )
        text = json.dumps({"format": FORMAT, **content}, indent=1, sort_keys=True)
        (partial / "record.json").write_text(text + "\n")
        partial.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return read_record(folder)


def read_record(folder: Path) -> Record:
    """Read a record's folder.

    Raises:
        DataError: ``record.json`` is missing, damaged or of another format.
    """
    path = folder / "record.json"
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None
    if not isinstance(content, dict):
        raise _damaged(path, ValueError("not a table of fields"))
    if content.get("format") != FORMAT:
        msg = f"{path}: record format {content.get('format')!r}, this code reads {FORMAT}"
        raise DataError(msg)
    if absent := sorted(_FIELDS - set(content)):
        raise _damaged(path, ValueError(f"without {', '.join(absent)}"))
    return Record(folder, content)


def records(cohort: str) -> Iterator[Record]:
    """Yield the committed records of a cohort, then the local ones."""
    for root in (results_root(), local_records()):
        for path in sorted((root / cohort).glob("[!.]*/record.json")):
            yield read_record(path.parent)


def find_record(spec: RunSpec, manifest_hash: str | None) -> Record | None:
    """Find the record of a spec, a committed one first.

    Args:
        spec: what was run.
        manifest_hash: of the cohort; None where the data are not at hand: then a record of the
            same recipe is taken, whatever data it saw.

    Raises:
        DataError: a record that was looked into is damaged.
    """
    if manifest_hash is None:
        recipe = spec.recipe_key()
        found = (r for r in records(spec.cohort) if r.content["recipe_key"] == recipe)
        return next(found, None)
    key = spec.key(manifest_hash)
    for root in (results_root(), local_records()):
        folder = root / spec.cohort / key
        if (folder / "record.json").is_file():
            return read_record(folder)
    return None
