"""The phantom cohorts: their patients, and their files.

12-bit DICOM mammograms or crops, label masks and the manifest. Everything follows from the seed,
unique identifiers too: the same call writes the same bytes (with the same versions of numpy, OpenCV
and pydicom).
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from mammostudy.data.manifest import BOX, COLUMNS, FILENAME, SHAPES, SUBTYPES, write_manifest
from mammostudy.data.sources.phantom_images import Mass, draw_view
from mammostudy.errors import SpecError
from mammostudy.imaging.contours import box_of

# Rows Luminal-A, Luminal-B, HER-2, Basal-like; columns irregular, lobular, oval, round.
SUBTYPE_BY_SHAPE: Final = np.array(
    [[67, 29, 10, 17], [58, 24, 14, 11], [6, 4, 8, 15], [5, 10, 9, 13]]
)
BENIGN_BY_SHAPE: Final = np.array([0.06, 0.30, 0.38, 0.26])
MALIGNANT_SHARE: Final = 0.8
MEDIAN_DIAMETER: Final = 62.0
DIAMETERS: Final = (34.0, 110.0)
CROP: Final = 320  # px, side of a crop of phantom-shapes
SPACING_MM: Final = 0.3125
BLACK, WHITE = 300, 3700
_FULL: Final = 4095
_OF_EVERY_FILE: Final[dict[str, Any]] = {
    "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation, "Modality": "MG",
    "PresentationIntentType": "FOR PRESENTATION", "ImageType": ["DERIVED", "PRIMARY"],
    "Manufacturer": "mammostudy", "PatientBirthDate": "", "PatientSex": "F",
    "PatientIdentityRemoved": "YES", "StudyDate": "", "StudyTime": "", "StudyID": "1",
    "SeriesNumber": 1, "InstanceNumber": 1, "AccessionNumber": "", "ReferringPhysicianName": "",
    "BodyPartExamined": "BREAST", "BurnedInAnnotation": "NO", "SamplesPerPixel": 1,
    "ImagerPixelSpacing": [SPACING_MM, SPACING_MM], "BitsAllocated": 16, "BitsStored": 12,
    "HighBit": 11, "PixelRepresentation": 0, "WindowWidth": WHITE - BLACK + 1,
}  # fmt: skip
Row = dict[str, object]


@dataclass(frozen=True)
class Patient:
    """One patient of the phantom."""

    number: int  # 1, 2, ...; the pseudonym is made of it
    site: str  # north or south
    side: str  # L or R, the side of the mass
    density: float  # 0 fatty to 1 extremely dense
    pathology: str  # benign or malignant
    subtype: str | None  # molecular; None for benign
    masses: tuple[Mass, ...]  # the mass of the study, and in some patients a second one near it
    free_views: tuple[str, ...]  # views of the other, mass-free side
    cohort: str = "phantom"  # what the pseudonym starts with

    @property
    def name(self) -> str:
        """The pseudonym, such as ``phantom-007``."""
        return f"{self.cohort}-{self.number:03d}"


def draw_patients(count: int, seed: int, *, association: bool = True) -> list[Patient]:
    """Draw the cohort. One patient in four is of site south, one in eight has a second mass.

    Patient ``k`` has its own stream of the seed. With ``association`` the shape is drawn given the
    subtype, by the published table; else given nothing, with the same margins (phantom-null).

    Source:
        Subtype by shape: Singh et al. 2020, cross-table of 300 malignant masses.
    """
    if count < 4:
        msg = f"phantom: patients is {count}; 4 or more are needed to have both sites"
        raise SpecError(msg)
    order = np.random.default_rng([seed, 0]).permutation(count)
    seconds = {int(k) for k in order[: round(count / 8)]}
    return [
        _draw_patient(k + 1, seed, second=k in seconds, association=association)
        for k in range(count)
    ]


def _draw_patient(number: int, seed: int, *, second: bool, association: bool) -> Patient:
    rng = np.random.default_rng([seed, 1, number])
    malignant = bool(rng.random() < MALIGNANT_SHARE)
    table = SUBTYPE_BY_SHAPE / SUBTYPE_BY_SHAPE.sum()
    row = int(rng.choice(len(SUBTYPES), p=table.sum(axis=1)))
    chances = BENIGN_BY_SHAPE
    if malignant:
        chances = table[row] if association else table.sum(axis=0)
    side = "L" if rng.random() < 0.5 else "R"
    density = float(rng.beta(2.2, 2.2))
    views = ("CC", "MLO")
    free = views if rng.random() < 0.25 else (views[int(rng.integers(2))],)
    first = _draw_mass(rng, chances, malignant)
    masses: tuple[Mass, ...] = (first,)
    if second:
        near = _draw_mass(rng, chances, malignant)
        size = first.diameter * float(rng.uniform(0.6, 0.85))
        masses = (first, replace(near, diameter=max(size, 24.0)))
    return Patient(
        number=number,
        site="south" if number % 4 == 0 else "north",
        side=side,
        density=density,
        pathology="malignant" if malignant else "benign",
        subtype=SUBTYPES[row] if malignant else None,
        masses=masses,
        free_views=free,
    )


def _draw_mass(rng: np.random.Generator, chances: NDArray[np.float64], malignant: bool) -> Mass:
    shape = SHAPES[int(rng.choice(len(SHAPES), p=chances / np.sum(chances)))]
    diameter = float(np.clip(MEDIAN_DIAMETER * np.exp(0.28 * rng.standard_normal()), *DIAMETERS))
    ill_defined = rng.random() < (0.6 if malignant else 0.25)
    margin = float(rng.uniform(0.10, 0.24) if ill_defined else rng.uniform(0.03, 0.08))
    return Mass(shape, diameter, margin, contrast=float(rng.uniform(0.40, 0.68)))


def write(name: str, folder: Path) -> None:
    """Write the phantom cohort of a name, as the study uses it."""
    if name == "phantom-shapes":
        write_shapes(folder)
    else:
        write_phantom(folder, association=name != "phantom-null")


def write_phantom(
    folder: Path, *, patients: int = 64, seed: int = 2020, association: bool = True
) -> None:
    """Write the phantom cohort, replacing what stands in its folder.

    It is made in a temporary folder beside the final one and moved there when complete, so that
    nothing half-written is ever found.
    """
    _write_cohort(folder, draw_patients(patients, seed, association=association), seed)


def write_shapes(folder: Path, *, patients: int = 375, seed: int = 2021) -> None:
    """Write the cohort phantom-shapes, as :func:`write_phantom` writes its own.

    One crop a patient: the CC view of the diseased side, cut to 320 x 320 px round its first mass
    (zeros where the cut leaves the view). A second mass stays in the picture, and in the mask as
    label 2, but has no row: the crop is of one mass. The same seed gives :func:`write_phantom`
    the same patients and views; the default is another one, so that no patient is shared. Of 375
    patients about 300 are malignant: as many as in the paper's table of subtypes (section 6).
    """
    named = [replace(one, cohort="phantom-shapes") for one in draw_patients(patients, seed)]
    _write_cohort(folder, named, seed, crops=True)


def _write_cohort(folder: Path, patients: list[Patient], seed: int, *, crops: bool = False) -> None:
    partial = folder.with_name(f".{folder.name}-{secrets.token_hex(8)}")
    try:
        for name in ("images", "masks"):
            (partial / name).mkdir(parents=True)
        rows = [row for one in patients for row in _write_patient(partial, one, seed, crops)]
        write_manifest(pd.DataFrame(rows, columns=list(COLUMNS)), partial / FILENAME)
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _views(patient: Patient) -> Iterator[tuple[str, str, tuple[Mass, ...]]]:
    """Yield side, view and the masses in it."""
    other = "R" if patient.side == "L" else "L"
    for view in ("CC", "MLO"):
        yield patient.side, view, patient.masses
    for view in patient.free_views:
        yield other, view, ()


def _write_patient(folder: Path, patient: Patient, seed: int, crops: bool) -> Iterator[Row]:
    """Write a patient's views, or the crop of the first one, and yield their rows."""
    for number, (side, view, masses) in enumerate(_views(patient)):
        rng = np.random.default_rng([seed, 2, patient.number, number])
        image, labels = draw_view(view, side, patient.site, patient.density, masses, rng)
        if crops:
            image, labels = _cropped(image, labels)
        shared = _write_view(folder, image, patient, side, view, seed)
        if not masses:
            yield {**shared, "pathology": "unknown"}
            continue
        cv2.imwrite(str(folder / "masks" / f"{shared['case']}.png"), labels)
        for label, mass in enumerate(masses[:1] if crops else masses, start=1):
            yield {
                **shared,
                "case": f"{shared['case']}_{label}",
                **dict(zip(BOX, box_of(labels == label), strict=True)),
                "mask": f"masks/{shared['case']}.png",
                "mask_label": label,
                "shape": mass.shape,
                "pathology": patient.pathology,
                "subtype": patient.subtype,
            }
        if crops:
            return


def _cropped(
    image: NDArray[np.float32], labels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    x_min, y_min, x_max, y_max = box_of(labels == 1)
    x, y = (x_min + x_max + CROP) // 2, (y_min + y_max + CROP) // 2  # with the padding
    inside = slice(y, y + CROP), slice(x, x + CROP)
    return np.pad(image, CROP)[inside], np.pad(labels, CROP)[inside]


def _write_view(
    folder: Path, image: NDArray[np.float32], patient: Patient, side: str, view: str, seed: int
) -> Row:
    """Write a view's file; return the columns that its rows share, as a row without a mass."""
    name = f"{patient.name}_{side}_{view}"
    file = folder / "images" / f"{name}.dcm"
    _write_dicom(file, image, patient, side, view, seed)
    return {
        "case": name,
        "patient": patient.name,
        "site": patient.site,
        "image": f"images/{file.name}",
        "height": image.shape[0],
        "width": image.shape[1],
        "view": view,
        "side": side,
        "modality": "DM",
        "spacing_mm": SPACING_MM,
        "image_sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }


def _write_dicom(
    path: Path, image: NDArray[np.float32], patient: Patient, side: str, view: str, seed: int
) -> None:
    """Write one mammogram; every second patient of site south has MONOCHROME1."""
    stored = np.round(BLACK + (WHITE - BLACK) * image.astype(np.float64)).astype(np.uint16)
    inverse = patient.site == "south" and patient.number % 8 == 0
    middle = (BLACK + WHITE + 1) / 2
    if inverse:
        stored, middle = (_FULL - stored).astype(np.uint16), (2 * _FULL - BLACK - WHITE + 1) / 2
    person, place = f"mammostudy-phantom-{seed}-{patient.number}", f"{side}-{view}"
    fields: dict[str, Any] = {
        **_OF_EVERY_FILE,
        "SOPInstanceUID": generate_uid(entropy_srcs=[person, place]),
        "StudyInstanceUID": generate_uid(entropy_srcs=[person, "study"]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=[person, "series", place]),
        "InstitutionName": patient.site,
        "PatientName": patient.name,
        "PatientID": patient.name,
        "ImageLaterality": side,
        "ViewPosition": view,
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "PhotometricInterpretation": "MONOCHROME1" if inverse else "MONOCHROME2",
        "PresentationLUTShape": "INVERSE" if inverse else "IDENTITY",
        "WindowCenter": middle,
        "PixelData": stored.astype("<u2").tobytes(),
    }
    dataset = Dataset()
    for name, value in fields.items():
        setattr(dataset, name, value)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.ImplementationClassUID = generate_uid(entropy_srcs=["mammostudy phantom writer"])
    meta.ImplementationVersionName = "MAMMOSTUDY"
    dataset.file_meta = meta
    dcmwrite(path, dataset, enforce_file_format=True)
