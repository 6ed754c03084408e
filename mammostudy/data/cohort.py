"""A cohort: a validated manifest, and the arrays behind its rows, read when asked for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from filelock import FileLock
from numpy.typing import NDArray

from mammostudy.data import dicom, manifest
from mammostudy.data.cache import cached_arrays
from mammostudy.errors import DataError, MissingDataError
from mammostudy.imaging.contours import fill_outline
from mammostudy.imaging.framing import Box
from mammostudy.paths import data_root, store_root


@dataclass(frozen=True)
class Sample:
    """One mass with its mammogram.

    Attributes:
        case: the row's name.
        patient: pseudonym.
        image: float32 ``(h, w)`` in [0, 1].
        mask: bool ``(h, w)``, this mass.
        truth_all: bool ``(h, w)``, every mass of the image.
        box: half-open pixels ``(x_min, y_min, x_max, y_max)``.
        row: the manifest's row.
    """

    case: str
    patient: str
    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    truth_all: NDArray[np.bool_]
    box: Box
    row: pd.Series


@dataclass(frozen=True)
class Cohort:
    """A manifest and the folder its paths start from; arrays are read lazily.

    Attributes:
        name: the cohort's name.
        root: folder of the images and masks.
        manifest: validated table (see :mod:`mammostudy.data.manifest`).
        dropped: regions or rows left out when the manifest was made, by reason.
    """

    name: str
    root: Path
    manifest: pd.DataFrame
    dropped: dict[str, int] = field(default_factory=dict)

    @cached_property
    def manifest_hash(self) -> str:
        """Hash of the manifest's content, of the images' hashes in it, and of the mask files."""
        content = manifest.content_hash(self.manifest)
        if self.truth_hash is None:
            return content
        return hashlib.sha256(f"{content}{self.truth_hash}".encode()).hexdigest()[:16]

    @cached_property
    def truth_hash(self) -> str | None:
        """Hash of the mask files' content; None where every truth is an outline of the manifest.

        The manifest names masks by path alone, so arrays made of them are kept under both hashes.
        """
        names = sorted(set(self.masses["mask"].dropna()))
        total = hashlib.sha256()
        for path in (self.root / str(name) for name in names):
            total.update(path.read_bytes() if path.is_file() else b"missing")
        return total.hexdigest()[:16] if names else None

    @cached_property
    def masses(self) -> pd.DataFrame:
        """The rows with a box, indexed by case."""
        rows = self.manifest[self.manifest["x_min"].notna()]
        return rows.set_index("case", drop=False)

    @cached_property
    def _rows_of_image(self) -> dict[str, list[str]]:
        grouped = self.masses.groupby("image")["case"].apply(list)
        return {str(image): list(cases) for image, cases in grouped.items()}

    def __len__(self) -> int:
        return len(self.masses)

    def __iter__(self) -> Iterator[Sample]:
        return (self.sample(case) for case in self.masses.index)

    def row(self, case: str) -> pd.Series:
        """Return the manifest's row of a mass."""
        return self.masses.loc[[case]].iloc[0]

    def image(self, row: pd.Series) -> NDArray[np.float32]:
        """Read a row's mammogram, float32 ``(h, w)`` in [0, 1], from the cache where possible.

        Raises:
            DataError: the file is missing, unreadable, changed since the manifest was written,
                or of another size than the manifest says.
        """
        path = self.root / str(row["image"])
        content = {"sha256": row["image_sha256"], "reader": dicom.VERSION}
        stored = cached_arrays("images", content, lambda: {"image": _decode(path, row)})
        pixels = stored["image"]
        _check_size(path, row, pixels.shape)
        return (pixels / np.float32(65535)).astype(np.float32)

    def mask(self, case: str) -> NDArray[np.bool_]:
        """Return the mask of one mass, bool ``(h, w)``.

        Raises:
            DataError: the mask file is missing or of another size, or the mask is empty.
        """
        row = self.row(case)
        shape = (int(row["height"]), int(row["width"]))
        mask = _outlined(row, shape) if pd.isna(row["mask"]) else _drawn(self.root, row)
        _check_filled(self.root, row, mask)
        return mask

    def truth(self, image: str) -> NDArray[np.bool_]:
        """Return the union of all masses of an image, bool ``(h, w)``."""
        masks = [self.mask(case) for case in self._rows_of_image[image]]
        union: NDArray[np.bool_] = np.logical_or.reduce(masks)
        return union

    def sample(self, case: str) -> Sample:
        """Read one mass with its mammogram.

        Raises:
            DataError: the case is unknown, or a file behind it cannot be used.
        """
        if case not in self.masses.index:
            msg = f"{self.name}: no case {case!r}; the manifest's column `case` lists them"
            raise DataError(msg)
        row = self.row(case)
        mask = self.mask(case)
        alone = len(self._rows_of_image[str(row["image"])]) == 1
        return Sample(
            case=case,
            patient=str(row["patient"]),
            image=self.image(row),
            mask=mask,
            truth_all=mask if alone else self.truth(str(row["image"])),
            box=box_of_row(row),
            row=row,
        )


def box_of_row(row: pd.Series) -> Box:
    """Return a manifest row's box as four ints."""
    x_min, y_min, x_max, y_max = (int(row[name]) for name in manifest.BOX)
    return x_min, y_min, x_max, y_max


def _decode(path: Path, row: pd.Series) -> NDArray[np.uint16]:
    if not path.is_file():
        msg = f"{path}: image of case {row['case']} is missing; restore it or drop the row"
        raise DataError(msg)
    if hashlib.sha256(path.read_bytes()).hexdigest() != row["image_sha256"]:
        msg = f"{path}: the file changed since the manifest was written; build the manifest again"
        raise DataError(msg)
    return np.round(dicom.read_image(path) * 65535).astype(np.uint16)


def _outlined(row: pd.Series, shape: tuple[int, int]) -> NDArray[np.bool_]:
    points = json.loads(row["outline"])
    return fill_outline(np.asarray(points, np.float64), shape)


def _check_size(path: Path, row: pd.Series, shape: tuple[int, ...]) -> None:
    if shape != (row["height"], row["width"]):
        msg = (
            f"{path}: is {shape[1]}x{shape[0]} pixels, but the manifest's width and height of "
            f"case {row['case']} say {row['width']}x{row['height']}; image and mask need one grid"
        )
        raise DataError(msg)


def _check_filled(root: Path, row: pd.Series, mask: NDArray[np.bool_]) -> None:
    if not mask.any():
        place = "outline" if pd.isna(row["mask"]) else f"mask {root / str(row['mask'])}"
        label = "" if pd.isna(row["mask_label"]) else f", mask_label {row['mask_label']}"
        msg = (
            f"{root}: case {row['case']}: {place}{label} is empty; give its pixels or drop the row"
        )
        raise DataError(msg)


def _drawn(root: Path, row: pd.Series) -> NDArray[np.bool_]:
    path = root / str(row["mask"])
    try:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        msg = (
            f"{path}: the mask of case {row['case']} is missing or unreadable; restore it or drop "
            f"the row"
        )
        raise DataError(msg)
    if pixels.ndim == 3:
        pixels = pixels[..., :3].max(axis=2)  # an opaque alpha channel is no mask
    _check_size(path, row, pixels.shape)
    label = row["mask_label"]
    return np.asarray(pixels > 0 if pd.isna(label) else pixels == int(label), dtype=np.bool_)


def cohort_names() -> list[str]:
    """Names of the cohorts with a reader of their own."""
    return ["phantom", "phantom-null", "cdd-cesm", "cdd-cesm-cm"]


def load_cohort(name: str, root: str | Path | None = None) -> Cohort:
    """Load a cohort by name.

    ``phantom`` and ``phantom-null`` are made on first use; ``cdd-cesm`` (low-energy images) and
    ``cdd-cesm-cm`` (subtracted images) read the folder ``cdd-cesm``; any other name is a folder
    of that name with a ``manifest.csv``.

    Args:
        name: the cohort.
        root: the folder that holds the cohort's folder; default ``MAMMOSTUDY_DATA``.

    Raises:
        MissingDataError: no data folder is set, or it holds no folder of the cohort.
        DataError: the cohort is unknown, its folder is missing, or its manifest has faults.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        msg = (
            f"cohort {name!r}: not a name of a folder; give a known cohort "
            f"({', '.join(cohort_names())}) or the name of a folder of yours"
        )
        raise DataError(msg)
    if name in {"phantom", "phantom-null"}:
        return _phantom(name)
    base = Path(root).expanduser() if root is not None else data_root()
    folder_name = "cdd-cesm" if name == "cdd-cesm-cm" else name
    if base is None:
        msg = (
            f"cohort {name!r}: no data folder is set; name the folder that holds "
            f"`{folder_name}/` with --root or MAMMOSTUDY_DATA (known cohorts: "
            f"{', '.join(cohort_names())})"
        )
        raise MissingDataError(msg)
    folder = base / folder_name
    if not folder.is_dir():
        msg = (
            f"{folder}: no such folder for cohort {name!r}; set --root or MAMMOSTUDY_DATA to the "
            f"folder that holds it (known cohorts: {', '.join(cohort_names())})"
        )
        raise MissingDataError(msg)
    if name in {"cdd-cesm", "cdd-cesm-cm"}:
        from mammostudy.data.sources import cdd_cesm

        table, dropped = cdd_cesm.build_manifest(folder, "CM" if name.endswith("-cm") else "DM")
        return Cohort(name, folder, manifest.validate(table, f"{folder} ({name})"), dropped)
    return Cohort(name, folder, manifest.read_manifest(folder / manifest.FILENAME))


def _phantom(name: str) -> Cohort:
    from mammostudy.data.sources import phantom

    folder = store_root() / "data" / f"{name}-{phantom.VERSION}"
    lock = store_root() / "locks" / f"{folder.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):  # notebooks and workers may ask for it at once
        if not (folder / manifest.FILENAME).is_file():
            phantom.write_phantom(folder, association=name == "phantom")
    return Cohort(name, folder, manifest.read_manifest(folder / manifest.FILENAME))
