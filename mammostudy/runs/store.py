"""Records: what a run left, in the project's ``results`` (committed) or in the local store.

A record is a folder ``<cohort>/<key>`` with ``record.json`` (spec, key, status, curves,
provenance) and ``cases.csv`` (rows of cases). A segmentation run adds ``predictions.npz`` (the
masks, packed to bits), a shape run may add ``arrays.npz`` (what explains its classifier), a
detection run adds nothing: its boxes are rows. A chain adds ``predictions.npz`` with the masks of
the masses that it found, and their frames.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.paths import results_root, store_root
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.record_kinds import (
    KINDS,
    SEGMENTATION,
    AnyRecord,
    ChainRecord,
    DetectionRecord,
    Record,
    ShapeRecord,
    Spec,
    damaged,
)
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import RunSpec

__all__ = [
    "AnyRecord",
    "ChainRecord",
    "DetectionRecord",
    "Record",
    "ShapeRecord",
    "Spec",
    "find_record",
    "read_record",
    "records",
]

FORMAT = 1
_FIELDS = frozenset(
    {"spec", "key", "recipe_key", "manifest_hash", "status", "converged", "curves", "provenance"}
)


def has_converged(curves: list[dict[str, float]], metric: str = "validation_dice") -> bool:
    """Return False where a validation metric still rose more than 1 % in the last fifth of a run.

    The mean of the last fifth's validations is compared with the best one before them. A metric
    that had not left 0 by then has not converged to anything.

    Args:
        curves: rows with ``iteration`` and, where it was validated, the metric.
        metric: of which more is better.
    """
    points = [(row["iteration"], row[metric]) for row in curves if metric in row]
    if len(points) < 5:
        return False
    border = 0.8 * points[-1][0]
    before = max((value for at, value in points if at <= border), default=0.0)
    last = [value for at, value in points if at > border]
    return before > 0 and float(np.mean(last)) <= 1.01 * before


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
    """Write the folder of a segmentation run in one move and return its record.

    Args:
        content: what ``record.json`` holds.
        cases: the rows.
        predictions: masks by case, all of one side.
        root: folder of records; default the local store.
    """
    return Record(*_write(content, cases, {"predictions.npz": _packed(predictions)}, root))


def _packed(predictions: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[Any]]:
    """Pack masks of one side to bits."""
    masks = np.stack(list(predictions.values())) if predictions else np.zeros((0, 1, 1), np.bool_)
    bits = np.packbits(masks.reshape(len(masks), masks[0].size if len(masks) else 1), axis=1)
    names = np.array(list(predictions), dtype=np.str_)
    return {"bits": bits, "cases": names, "side": np.array(masks.shape[1])}


def write_shape_record(
    content: dict[str, Any],
    cases: pd.DataFrame,
    arrays: dict[str, NDArray[Any]] | None = None,
    root: Path | None = None,
) -> ShapeRecord:
    """Write the folder of a shape run in one move and return its record.

    Args:
        content: what ``record.json`` holds.
        cases: the rows.
        arrays: what ``arrays.npz`` holds; none leaves it out.
        root: folder of records; default the local store.
    """
    archives = {"arrays.npz": arrays} if arrays else {}
    return ShapeRecord(*_write(content, cases, archives, root))


def write_detection_record(
    content: dict[str, Any], rows: pd.DataFrame, root: Path | None = None
) -> DetectionRecord:
    """Write the folder of a detection run in one move and return its record.

    Args:
        content: what ``record.json`` holds.
        rows: of :mod:`mammostudy.runs.detection_rows`.
        root: folder of records; default the local store.
    """
    whole = rows.convert_dtypes(convert_string=False, convert_boolean=False, convert_floating=False)
    return DetectionRecord(*_write(content, whole, {}, root))


def write_chain_record(
    content: dict[str, Any],
    rows: pd.DataFrame,
    predictions: dict[str, tuple[NDArray[np.bool_], NDArray[np.int64]]],
    root: Path | None = None,
) -> ChainRecord:
    """Write the folder of a chain in one move and return its record.

    Args:
        content: what ``record.json`` holds.
        rows: of :mod:`mammostudy.runs.chain_rows`.
        predictions: mask and frame of each found mass, by case.
        root: folder of records; default the local store.
    """
    stored = _packed({case: mask for case, (mask, _) in predictions.items()})
    frames = np.array([frame for _, frame in predictions.values()], np.int64).reshape(-1, 4)
    whole = rows.convert_dtypes(convert_string=False, convert_boolean=False, convert_floating=False)
    return ChainRecord(
        *_write(content, whole, {"predictions.npz": stored | {"frames": frames}}, root)
    )


def _write(
    content: dict[str, Any],
    cases: pd.DataFrame,
    archives: dict[str, dict[str, NDArray[Any]]],
    root: Path | None,
) -> tuple[Path, dict[str, Any]]:
    """Write a record's folder in one move; return it and the content of ``record.json``."""
    root = root or local_records()
    folder = root / content["spec"]["cohort"] / content["key"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial-"))
    try:
        cases.to_csv(partial / "cases.csv", index=False, float_format="%.5g")
        for name, arrays in archives.items():
            np.savez_compressed(partial / name, **arrays)  # type: ignore[arg-type]
        text = json.dumps({"format": FORMAT, **content}, indent=1, sort_keys=True)
        (partial / "record.json").write_text(text + "\n")
        partial.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder, read_record(folder).content


def read_record(folder: Path) -> AnyRecord:
    """Read a record's folder, whatever kind of run it holds.

    Raises:
        DataError: ``record.json`` is missing, damaged or of another format.
    """
    path = folder / "record.json"
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise damaged(path, error) from None
    if not isinstance(content, dict):
        raise damaged(path, ValueError("not a table of fields"))
    if content.get("format") != FORMAT:
        msg = f"{path}: record format {content.get('format')!r}, this code reads {FORMAT}"
        raise DataError(msg)
    if absent := sorted(_FIELDS - set(content)):
        raise damaged(path, ValueError(f"without {', '.join(absent)}"))
    kind = content["spec"].get("kind", SEGMENTATION) if isinstance(content["spec"], dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise damaged(path, ValueError(f"a run of kind {kind!r} is unknown"))
    if KINDS[kind] is ShapeRecord and not isinstance(content.get("temperature"), int | float):
        raise damaged(path, ValueError("without temperature"))
    return KINDS[kind](folder, content)


def records(cohort: str) -> Iterator[AnyRecord]:
    """Yield the committed records of a cohort, then the local ones."""
    for root in (results_root(), local_records()):
        for path in sorted((root / cohort).glob("[!.]*/record.json")):
            yield read_record(path.parent)


@overload
def find_record(spec: RunSpec, manifest_hash: str | None) -> Record | None: ...
@overload
def find_record(spec: ShapeSpec, manifest_hash: str | None) -> ShapeRecord | None: ...
@overload
def find_record(spec: DetectSpec, manifest_hash: str | None) -> DetectionRecord | None: ...
@overload
def find_record(spec: ChainSpec, manifest_hash: str | None) -> ChainRecord | None: ...
@overload
def find_record(spec: Spec, manifest_hash: str | None) -> AnyRecord | None: ...
def find_record(spec: Spec, manifest_hash: str | None) -> AnyRecord | None:
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
