"""Write the phantom cohorts: 12-bit DICOM mammograms or crops, label masks and the manifest.

Everything follows from the seed, unique identifiers too: the same call writes the same bytes
(with the same versions of numpy, OpenCV and pydicom).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

from mammostudy.data.manifest import BOX, COLUMNS, FILENAME, write_manifest
from mammostudy.data.phantoms.mammogram import draw_view
from mammostudy.data.phantoms.patients import Patient, draw_patients
from mammostudy.errors import SpecError

VERSION = 2  # raised by hand whenever the same seed gives other pixels or rows
SHAPES_VERSION = 2  # the same for phantom-shapes, of which VERSION is a part too
CROP = 320  # px, side of a crop of phantom-shapes
SPACING_MM = 0.3125
BLACK, WHITE = 300, 3700
_FULL = 4095
Rows = list[dict[str, object]]


def write_phantom(
    folder: Path, *, patients: int = 64, seed: int = 2020, association: bool = True
) -> None:
    """Write the phantom cohort, replacing what stands in its folder.

    It is made in a temporary folder beside the final one and moved there when complete, so that
    nothing half-written is ever found.

    Args:
        folder: where ``images/``, ``masks/`` and ``manifest.csv`` go.
        patients: number of patients, at least 4 (one in four is of site south).
        seed: of the whole cohort.
        association: whether shape depends on subtype; without it, the cohort phantom-null.

    Raises:
        SpecError: fewer than 4 patients.
    """
    _check_count(patients)
    drawn = draw_patients(patients, seed, association=association)
    _write_cohort(folder, drawn, lambda part, patient: _write_patient(part, patient, seed))


def write_shapes(
    folder: Path, *, patients: int = 375, seed: int = 2021, association: bool = True
) -> None:
    """Write the cohort phantom-shapes, replacing what stands in its folder.

    One crop a patient: the CC view of the diseased side, cut to 320 x 320 px round its first mass
    (zeros where the cut leaves the view). A second mass stays in the picture, and in the mask as
    label 2, but has no row: the crop is of one mass. The same seed gives :func:`write_phantom`
    the same patients and views; the default is another one, so that no patient is shared. Of 375
    patients about 300 are malignant: as many as in the paper's table of subtypes.

    Args:
        folder: where ``images/``, ``masks/`` and ``manifest.csv`` go.
        patients: number of patients, at least 4 (one in four is of site south).
        seed: of the whole cohort.
        association: whether shape depends on subtype.

    Raises:
        SpecError: fewer than 4 patients.

    Source:
        Shapes and subtypes in the published proportions, masses cut out by radiologists: Singh
        et al. 2020, sections 4 and 6.
    """
    _check_count(patients)
    drawn = draw_patients(patients, seed, association=association)
    named = [replace(patient, cohort="phantom-shapes") for patient in drawn]
    _write_cohort(folder, named, lambda part, patient: _write_crop(part, patient, seed))


def _check_count(patients: int) -> None:
    if patients < 4:
        msg = f"phantom: patients is {patients}; 4 or more are needed to have both sites"
        raise SpecError(msg)


def _write_cohort(
    folder: Path, patients: list[Patient], write: Callable[[Path, Patient], Rows]
) -> None:
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name in ("images", "masks"):
            (partial / name).mkdir()
        rows = [row for patient in patients for row in write(partial, patient)]
        write_manifest(pd.DataFrame(rows, columns=list(COLUMNS)), partial / FILENAME)
        partial.chmod(0o777 & ~_umask())
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _views(patient: Patient) -> Iterator[tuple[str, str, bool]]:
    """Yield side, view and whether the mass is in it."""
    other = "R" if patient.side == "L" else "L"
    for view in ("CC", "MLO"):
        yield patient.side, view, True
    for view in patient.free_views:
        yield other, view, False


def _write_patient(folder: Path, patient: Patient, seed: int) -> Rows:
    rows: Rows = []
    for number, (side, view, ill) in enumerate(_views(patient)):
        rng = np.random.default_rng([seed, 2, patient.number, number])
        masses = patient.masses if ill else ()
        image, labels = draw_view(view, side, patient.site, patient.density, masses, rng)
        name = f"{patient.name}_{side}_{view}"
        file = folder / "images" / f"{name}.dcm"
        _write_dicom(file, image, patient, side, view, seed)
        shared = _shared_columns(file, image, patient, side, view)
        if not ill:
            rows.append({**shared, "case": name, "pathology": "unknown"})
            continue
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), labels)
        rows += [
            {**shared, **_of_mass(patient, name, labels, label)}
            for label in range(1, len(masses) + 1)
        ]
    return rows


def _write_crop(folder: Path, patient: Patient, seed: int) -> Rows:
    """Write the crop of the patient's first view, drawn as :func:`_write_patient` draws it."""
    side, view = patient.side, "CC"
    rng = np.random.default_rng([seed, 2, patient.number, 0])
    whole, truth = draw_view(view, side, patient.site, patient.density, patient.masses, rng)
    x_min, y_min, x_max, y_max = _box_of_label(truth, 1)
    x, y = (x_min + x_max + CROP) // 2, (y_min + y_max + CROP) // 2  # with the padding
    inside = slice(y, y + CROP), slice(x, x + CROP)
    image, labels = np.pad(whole, CROP)[inside], np.pad(truth, CROP)[inside]
    name = f"{patient.name}_{side}_{view}"
    file = folder / "images" / f"{name}.dcm"
    _write_dicom(file, image, patient, side, view, seed)
    cv2.imwrite(str(folder / "masks" / f"{name}.png"), labels)
    shared = _shared_columns(file, image, patient, side, view)
    return [{**shared, **_of_mass(patient, name, labels, 1)}]


def _of_mass(
    patient: Patient, name: str, labels: NDArray[np.uint8], label: int
) -> dict[str, object]:
    """Return the columns of a mass, whose mask is ``masks/<name>.png``."""
    return {
        "case": f"{name}_{label}",
        **dict(zip(BOX, _box_of_label(labels, label), strict=True)),
        "mask": f"masks/{name}.png",
        "mask_label": label,
        "shape": patient.masses[label - 1].shape,
        "pathology": patient.pathology,
        "subtype": patient.subtype,
    }


def _shared_columns(
    file: Path, image: NDArray[np.float32], patient: Patient, side: str, view: str
) -> dict[str, object]:
    return {
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


def _box_of_label(labels: NDArray[np.uint8], label: int) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(labels == label)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def _inverted(patient: Patient) -> bool:
    """Whether the patient's files are MONOCHROME1: every second one of site south."""
    return patient.site == "south" and patient.number % 8 == 0


def _write_dicom(
    path: Path, image: NDArray[np.float32], patient: Patient, side: str, view: str, seed: int
) -> None:
    """Write one mammogram as uncompressed 12-bit DICOM of the mammography class."""
    stored = np.round(BLACK + (WHITE - BLACK) * image.astype(np.float64)).astype(np.uint16)
    window = ((BLACK + WHITE + 1) / 2, WHITE - BLACK + 1)
    photometric = "MONOCHROME2"
    if _inverted(patient):
        stored, photometric = (_FULL - stored).astype(np.uint16), "MONOCHROME1"
        window = ((2 * _FULL - BLACK - WHITE + 1) / 2, window[1])
    inverse = photometric == "MONOCHROME1"
    fields: dict[str, Any] = {
        **_identity(patient, f"{side}-{view}", seed),
        "ImageLaterality": side,
        "ViewPosition": view,
        "ImagerPixelSpacing": [SPACING_MM, SPACING_MM],
        "Rows": stored.shape[0],
        "Columns": stored.shape[1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": photometric,
        "PresentationLUTShape": "INVERSE" if inverse else "IDENTITY",
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "WindowCenter": window[0],
        "WindowWidth": window[1],
        "PixelData": stored.astype("<u2").tobytes(),
    }
    dataset = Dataset()
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.file_meta = _file_meta(str(fields["SOPInstanceUID"]))
    dcmwrite(path, dataset, enforce_file_format=True)


def _identity(patient: Patient, image: str, seed: int) -> dict[str, Any]:
    """Return the pseudonymous identity of a file: who, which study, which object."""
    person = f"mammostudy-phantom-{seed}-{patient.number}"
    return {
        "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation,
        "SOPInstanceUID": generate_uid(entropy_srcs=[person, image]),
        "StudyInstanceUID": generate_uid(entropy_srcs=[person, "study"]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=[person, "series", image]),
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "Manufacturer": "mammostudy",
        "InstitutionName": patient.site,
        "PatientName": patient.name,
        "PatientID": patient.name,
        "PatientBirthDate": "",
        "PatientSex": "F",
        "PatientIdentityRemoved": "YES",
        "StudyDate": "",
        "StudyTime": "",
        "StudyID": "1",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "BodyPartExamined": "BREAST",
        "ImageType": ["DERIVED", "PRIMARY"],
        "BurnedInAnnotation": "NO",
    }


def _file_meta(instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.ImplementationClassUID = generate_uid(entropy_srcs=["mammostudy phantom writer"])
    meta.ImplementationVersionName = "MAMMOSTUDY"
    return meta
