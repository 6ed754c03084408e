"""A record by the kind of its run: what was run, how it ended, its rows and arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammostudy.errors import DataError
from mammostudy.runs.chain_spec import ChainSpec
from mammostudy.runs.detect_spec import DetectSpec
from mammostudy.runs.shape_spec import ShapeSpec
from mammostudy.runs.spec import RunSpec, parse_spec

Status = Literal["completed", "diverged"]
Spec = RunSpec | ShapeSpec | DetectSpec | ChainSpec


@dataclass(frozen=True)
class _Record:
    """What the records of all kinds of run share.

    Attributes:
        folder: where it lies.
        content: the parsed ``record.json``.
    """

    folder: Path
    content: dict[str, Any]

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
        """Whether the validation metric had stopped rising (see :func:`has_converged`).

        None for a baseline.
        """
        converged: bool | None = self.content["converged"]
        return converged

    @property
    def provenance(self) -> dict[str, Any]:
        """Commit, versions, machine, seconds."""
        content: dict[str, Any] = self.content["provenance"]
        return content

    @property
    def leaky(self) -> bool:
        """Whether the run was split by image, so that patients stand in training and test."""
        split = self.content["spec"].get("split", {})
        return bool(split.get("unit", "patient") != "patient")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Losses and the validation metric by iteration."""
        return pd.DataFrame(self.content["curves"])

    @cached_property
    def cases(self) -> pd.DataFrame:
        """The rows: what they tell of is said by the kind of run.

        See :mod:`mammostudy.runs.evaluate`, :mod:`~mammostudy.runs.shapes`,
        :mod:`~mammostudy.runs.detection_rows` and :mod:`~mammostudy.runs.chain_rows`.

        Raises:
            DataError: ``cases.csv`` is missing or damaged.
        """
        path = self.folder / "cases.csv"
        text = {"case": str, "patient": str, "site": str, "view": str, "side": str}
        try:
            return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
        except (OSError, ValueError) as error:
            raise damaged(path, error) from None

    def _arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Read an archive of the record.

        Raises:
            DataError: it is missing or damaged.
        """
        path = self.folder / name
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise damaged(path, error) from None


@dataclass(frozen=True)
class Record(_Record):
    """One finished segmentation run, read from its folder.

    Attributes:
        folder: where it lies.
        content: the parsed ``record.json``.
    """

    @cached_property
    def spec(self) -> RunSpec:
        """What was run."""
        return parse_spec(self.content["spec"])

    def predictions(self) -> dict[str, NDArray[np.bool_]]:
        """Return the predicted masks in oracle frames before post-processing, by case.

        Returns:
            bool ``(s, s)`` by case.

        Raises:
            DataError: ``predictions.npz`` is missing or damaged.
        """
        return _unpacked(self._arrays("predictions.npz"), self.folder / "predictions.npz")


@dataclass(frozen=True)
class ShapeRecord(_Record):
    """One finished shape run, read from its folder.

    Attributes:
        folder: where it lies.
        content: the parsed ``record.json``.
    """

    @cached_property
    def spec(self) -> ShapeSpec:
        """What was run."""
        return ShapeSpec.parse(self.content["spec"])

    @property
    def temperature(self) -> float:
        """What logits are divided by before the softmax, fitted on validation masks."""
        return float(self.content["temperature"])

    def logits(self, rows: pd.DataFrame | None = None) -> NDArray[np.float64]:
        """Return the logits of rows of :attr:`cases` (default all), ``(n, classes)``."""
        table = self.cases if rows is None else rows
        return table[[f"logit_{name}" for name in self.spec.classes]].to_numpy(dtype=np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what an explaining run kept (see :mod:`mammostudy.runs.shapes`).

        Raises:
            DataError: ``arrays.npz`` is damaged, or the run was not asked to explain.
        """
        return self._arrays("arrays.npz")


@dataclass(frozen=True)
class DetectionRecord(_Record):
    """One finished detection run, read from its folder.

    Attributes:
        folder: where it lies.
        content: the parsed ``record.json``.
    """

    @cached_property
    def spec(self) -> DetectSpec:
        """What was run."""
        return DetectSpec.parse(self.content["spec"])

    @property
    def box_sides(self) -> tuple[float, ...]:
        """Quantiles of the training masses' sides that the anchors were made from."""
        return tuple(self.content.get("box_sides", ()))

    def part(self, name: str) -> pd.DataFrame:
        """Return the rows of ``validation`` or ``test`` (:mod:`mammostudy.runs.detection_rows`)."""
        return self.cases[self.cases["part"] == name]


@dataclass(frozen=True)
class ChainRecord(_Record):
    """One finished chain, read from its folder.

    Attributes:
        folder: where it lies.
        content: the parsed ``record.json``.
    """

    @cached_property
    def spec(self) -> ChainSpec:
        """What was run."""
        return ChainSpec.parse(self.content["spec"])

    @property
    def threshold(self) -> float:
        """The score from which a detected box counts; infinity where none does."""
        found = self.content["threshold"]
        return float("inf") if found is None else float(found)

    @property
    def stages(self) -> dict[str, list[dict[str, Any]]]:
        """Key, status and convergence of the runs of ``detector``, ``segmenter``, ``shapes``."""
        found: dict[str, list[dict[str, Any]]] = self.content["stages"]
        return found

    def rows(self, kind: str) -> pd.DataFrame:
        """Return the rows of ``view``, ``mass`` or ``box`` (:mod:`mammostudy.runs.chain_rows`)."""
        return self.cases[self.cases["row"] == kind]

    def predictions(self) -> dict[str, tuple[NDArray[np.bool_], NDArray[np.int64]]]:
        """Return the masks of found masses in the frames of their detected boxes, by case.

        Returns:
            bool ``(s, s)``, post-processed, and the frame in the image, int64 ``(4,)``.

        Raises:
            DataError: ``predictions.npz`` is missing or damaged.
        """
        stored = self._arrays("predictions.npz")
        masks = _unpacked(stored, self.folder / "predictions.npz")
        return {case: (mask, stored["frames"][at]) for at, (case, mask) in enumerate(masks.items())}


def _unpacked(stored: dict[str, NDArray[Any]], path: Path) -> dict[str, NDArray[np.bool_]]:
    """Unpack the masks of an archive, bool ``(s, s)`` by case.

    Raises:
        DataError: an array is missing.
    """
    try:
        bits, cases, side = stored["bits"], stored["cases"], int(stored["side"])
    except KeyError as error:
        raise damaged(path, error) from None
    masks = np.unpackbits(bits, axis=1)[:, : side * side].reshape(-1, side, side)
    return dict(zip(cases.tolist(), masks.astype(bool), strict=True))


AnyRecord = Record | ShapeRecord | DetectionRecord | ChainRecord
SEGMENTATION: Final = "segmentation"
KINDS: Final[
    dict[str, type[Record] | type[ShapeRecord] | type[DetectionRecord] | type[ChainRecord]]
] = {
    SEGMENTATION: Record,
    "shape": ShapeRecord,
    "detection": DetectionRecord,
    "chain": ChainRecord,
}


def damaged(path: Path, error: Exception) -> DataError:
    """Return the error of a record that cannot be read."""
    return DataError(f"{path}: not a readable record ({error}); delete the folder and run it again")
