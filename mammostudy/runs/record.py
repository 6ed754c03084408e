"""Records: what a run left, in the project's ``results`` (committed) or in the local store.

A record is a folder ``<cohort>/<key>`` with ``record.json`` (spec, key, status, curves,
provenance) and ``cases.csv`` (the rows). A segmentation run adds ``predictions.npz`` (the masks,
packed to bits), and a chain those of the masses that it found with their frames. A shape run may
add ``arrays.npz`` (what explains its classifier). ``record.json`` holds their checksums
(``sha256``; older records have none).
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, Generic, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import TypeVar

from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError, MissingDataError
from mammostudy.paths import bounded, results_root, store_root
from mammostudy.runs.kinds import KINDS, kind_of
from mammostudy.runs.spec import KeyedSpec

FORMAT: Final = 1
PACKED_FROM: Final = 6_000  # rows: what is longer is kept as ``cases.csv.gz``
_FIELDS: Final = {
    "spec", "key", "recipe_key", "manifest_hash", "status", "converged", "curves", "provenance",
}  # fmt: skip
_TEXT: Final = dict.fromkeys(("case", "patient", "site", "view", "side"), str)
S = TypeVar("S", bound=KeyedSpec, default=Any)
Content = dict[str, Any]


@dataclass(frozen=True)
class Record(Generic[S]):
    """One finished run: its folder and the parsed ``record.json``, which is not to be changed."""

    folder: Path
    content: Content

    @cached_property
    def spec(self) -> S:
        """What was run."""
        return cast(S, KINDS[self.kind].spec.parse(self.content["spec"]))

    @property
    def kind(self) -> str:
        """The kind of run, a key of :data:`mammostudy.runs.kinds.KINDS`."""
        return kind_of(self.content["spec"])

    @property
    def key(self) -> str:
        """The run's key."""
        return str(self.content["key"])

    @property
    def status(self) -> str:
        """``completed``, or ``diverged`` where a loss was not finite."""
        return str(self.content["status"])

    @property
    def converged(self) -> bool | None:
        """Whether the validation metric had settled; None where nothing was trained."""
        return cast("bool | None", self.content["converged"])

    @property
    def provenance(self) -> Content:
        """Commit, versions, machine, seconds."""
        return cast(Content, self.content["provenance"])

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Losses and the validation metric by iteration."""
        return pd.DataFrame(self.content["curves"])

    @property
    def rows_path(self) -> Path:
        """The file of the rows, packed where they are many."""
        packed = self.folder / "cases.csv.gz"
        return packed if packed.is_file() else self.folder / "cases.csv"

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The rows: what they tell of is said where each kind of run is made."""
        path = self.rows_path
        try:
            return pd.read_csv(path, dtype=_TEXT, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from None

    def part(self, name: str) -> pd.DataFrame:
        """Return the rows of ``validation`` or ``test``."""
        return self.cases[self.cases["part"] == name]

    def predictions(self) -> dict[str, Any]:
        """Return the predicted masks by case, bool ``(s, s)``; of a chain, frames ``(4,)`` too."""
        stored = self._archive("predictions.npz", "bits", "cases", "side")
        side, cases = int(stored["side"]), stored["cases"].tolist()
        masks = np.unpackbits(stored["bits"], axis=1)[:, : side * side].reshape(-1, side, side)
        found: Iterable[Any] = masks.astype(bool)
        if "frames" in stored:
            found = zip(found, stored["frames"], strict=True)
        return dict(zip(cases, found, strict=True))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what an explaining shape run kept (see :mod:`mammostudy.runs.shapes`)."""
        return self._archive("arrays.npz")

    def _archive(self, name: str, *needed: str) -> dict[str, NDArray[Any]]:
        try:
            with np.load(bounded(self.folder / name), allow_pickle=False) as stored:
                return {key: stored[key] for key in {*stored.files, *needed}}
        except Exception as error:  # damage shows itself in many ways
            raise _damaged(self.folder / name, error) from None

    @property
    def temperature(self) -> float:
        """What a shape run's logits are divided by before the softmax, from validation masks."""
        return float(self.content["temperature"])

    def logits(self, rows: pd.DataFrame | None = None) -> NDArray[np.float64]:
        """Return the logits of rows of a shape run (default all), ``(n, classes)``."""
        names = [f"logit_{name}" for name in self.content["spec"]["classes"]]
        return (self.cases if rows is None else rows)[names].to_numpy(dtype=np.float64)


def _damaged(path: Path, error: Exception) -> DataError:
    mend = "delete the folder and run it again, or bring it back where it was committed"
    return DataError(f"{path}: not a readable record ({error}); {mend}")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_aside(path: Path) -> Path:
    """Move what is damaged to the store's ``quarantine``; return where it lies."""
    place = store_root() / "quarantine" / f"{path.name}-{secrets.token_hex(4)}"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, place)
    return place


def local_records() -> Path:
    """Return the folder of records made on this machine."""
    return store_root() / "records"


def weights_path(key: str) -> Path:
    """Return where the weights of a training key are kept (safetensors, local store only)."""
    return store_root() / "weights" / f"{key}.safetensors"


def write_record(
    content: Content,
    cases: pd.DataFrame,
    predictions: Mapping[str, Any] | None = None,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    root: Path | None = None,
) -> Record:
    """Write the folder of a run in one move, by default to the local store; return its record."""
    folder = (root or local_records()) / content["spec"]["cohort"] / content["key"]
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".partial-{os.getpid()}-"))
    try:
        path = partial / f"cases.csv{'.gz' * (len(cases) >= PACKED_FROM)}"
        cases.to_csv(path, index=False, float_format="%.5g", encoding="utf-8")
        if predictions is not None:
            np.savez_compressed(partial / "predictions.npz", **_packed(predictions))
        if arrays:
            np.savez_compressed(partial / "arrays.npz", **arrays)  # type: ignore[arg-type]
        sums = {path.name: checksum(path) for path in partial.iterdir()}
        whole = {"format": FORMAT, **content, "sha256": sums}
        text = json.dumps(whole, indent=1, sort_keys=True)
        (partial / "record.json").write_text(text + "\n", encoding="utf-8")
        partial.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _by_recipe.cache_clear()
    return read_record(folder)


def _packed(predictions: Mapping[str, Any]) -> dict[str, Any]:
    """Pack masks of one side to bits."""
    framed = [each for each in predictions.values() if isinstance(each, tuple)]
    masks = [mask for mask, _ in framed] or list(predictions.values())
    side = masks[0].shape[0] if masks else 1
    bits = np.packbits(np.array(masks, np.bool_).reshape(len(masks), side * side), axis=1)
    names = np.array(list(predictions), dtype=np.str_)
    packed = {"bits": bits, "cases": names, "side": np.array(side)}
    return packed | ({"frames": np.array([frame for _, frame in framed])} if framed else {})


def read_record(folder: Path) -> Record:
    """Read a record's folder; a missing, damaged or foreign one is a DataError."""
    path = folder / "record.json"
    try:
        states = (each.stat() for each in sorted(folder.iterdir()))
        return Record(folder, _read(path, *((s.st_mtime_ns, s.st_ino, s.st_size) for s in states)))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from None


def _sound(folder: Path) -> Record | None:
    """Read a record; a damaged local one is set aside, and made anew."""
    try:
        return read_record(folder)
    except DataError as error:
        if not folder.is_relative_to(local_records()):
            raise
        fault = str(error).rpartition("; ")[0]
        logging.getLogger(__name__).warning("%s; moved to %s, made anew", fault, set_aside(folder))
        return None


@cache
def _read(path: Path, *states: object) -> Content:
    """Parse a ``record.json`` and check its folder, once a process for each state of its files."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"not a table of fields of record format {FORMAT}")
    if absent := sorted(_FIELDS - set(content)):
        raise ValueError(f"without {', '.join(absent)}")
    if not isinstance(content["spec"], dict) or kind_of(content["spec"]) not in KINDS:
        raise ValueError("a run of unknown kind")
    for name, known in content.get("sha256", {}).items():
        if checksum(path.with_name(name)) != known:
            raise ValueError(f"{name} is not the file that was written")
    return content


def _read_all(place: Path) -> Iterator[Record]:
    found = (_sound(path.parent) for path in sorted(place.glob("[!.]*/record.json")))
    return (record for record in found if record is not None)


def records(cohort: str) -> Iterator[Record]:
    """Yield the committed records of a cohort, then the local ones."""
    for root in (results_root(), local_records()):
        yield from _read_all(root / cohort)


@cache
def _by_recipe(place: Path, changed: int) -> dict[str, Path]:
    """Return the folders of a cohort's records by recipe key, listed anew when one comes."""
    listed = [(each.content["recipe_key"], each.folder) for each in _read_all(place)]
    return dict(reversed(listed))  # of equal ones the first


def find_record(spec: S, manifest_hash: str | None) -> Record[S] | None:
    """Find the record of a spec, a committed one first; without data, any of the same recipe."""
    for place in (results_root() / spec.cohort, local_records() / spec.cohort):
        folder = None
        if manifest_hash is not None:
            folder = place / spec.key(manifest_hash)
        elif place.is_dir():
            folder = _by_recipe(place, place.stat().st_mtime_ns).get(spec.recipe_key())
        there = folder is not None and (folder / "record.json").is_file()
        if folder and there and (record := _sound(folder)):
            return record
    return None


def next_sequence() -> int:
    """Return a number above those of all local records: a clock may be set back."""
    last = 0
    for path in local_records().glob("*/[!.]*/record.json"):
        with suppress(DataError):
            last = max(last, int(read_record(path.parent).provenance.get("sequence", 0)))
    return last + 1


def manifest_hash(cohort: str) -> str | None:
    """Return the manifest hash of a cohort, or None where its folder is not at hand."""
    try:
        return load_cohort(cohort).manifest_hash
    except MissingDataError:
        return None


def record_of(spec: S) -> Record[S]:
    """Return the record of a run that another works on; without one it is a DataError."""
    record = find_record(spec, manifest_hash(spec.cohort))
    if record is None:
        asked = f"cohort {spec.cohort!r}: a {kind_of(spec)} run that this run works on"
        raise DataError(f"{asked} has no record; `mammostudy run` makes it")
    return record


def keep(records: Iterable[Record]) -> list[Path]:
    """Copy new records from the local store to ``results`` (no weights); return their folders.

    Where a local and a committed one have one key but other numbers it is a DataError.
    """
    written = []
    for record in records:
        place = Path(record.content["spec"]["cohort"], record.key)
        local, target = local_records() / place, results_root() / place
        if local.is_dir() and target.is_dir():
            mine, known = (read_record(each).cases for each in (local, target))
            both = mine.columns.intersection(known.columns)  # of older records there are more
            if not mine[both].equals(known[both]):
                mend = "delete the wrong one, or make both anew by `run` with --fresh --keep"
                raise DataError(f"{local} and {target} are one run with other rows; {mend}")
        elif local.is_dir():
            partial = target.with_name(f".partial-{os.getpid()}-{target.name}")
            shutil.copytree(local, partial, dirs_exist_ok=True)
            partial.replace(target)
            written.append(target)
    return written
