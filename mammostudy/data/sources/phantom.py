"""The phantom cohorts: their patients, and their files (DICOM, label masks, the manifest).

The same call writes the same bytes with the same versions of numpy, OpenCV and pydicom.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite

from mammostudy.data.manifest import BOX, COLUMNS, FILENAME, SHAPES, SUBTYPES, write_manifest
from mammostudy.data.sources.phantom_images import Field, Mass, draw_view
from mammostudy.imaging.contours import box_of
from mammostudy.paths import write_atomically
from mammostudy.settings import workers

# Singh et al. 2020; rows are SUBTYPES, columns SHAPES
SUBTYPE_BY_SHAPE: Final = np.array(
    [[67, 29, 10, 17], [58, 24, 14, 11], [6, 4, 8, 15], [5, 10, 9, 13]]
)
BENIGN_BY_SHAPE: Final = np.array([0.06, 0.30, 0.38, 0.26])
MALIGNANT_SHARE: Final = 0.8
MEDIAN_DIAMETER: Final = 62.0
DIAMETERS: Final = (34.0, 110.0)
CROP: Final = 320  # px, side of a crop of phantom-shapes
SPACING_MM: Final = 0.3125
BLACK, WHITE, FULL = 300, 3700, 4095
_OF_EVERY_FILE: Final[dict[str, Any]] = {
    "SOPClassUID": uid.DigitalMammographyXRayImageStorageForPresentation, "Modality": "MG",
    "PresentationIntentType": "FOR PRESENTATION", "ImageType": ["DERIVED", "PRIMARY"],
    "Manufacturer": "mammostudy", "PatientBirthDate": "", "PatientSex": "F",
    "PatientIdentityRemoved": "YES", "StudyDate": "", "StudyTime": "", "StudyID": "1",
    "SeriesNumber": 1, "InstanceNumber": 1, "AccessionNumber": "", "ReferringPhysicianName": "",
    "BodyPartExamined": "BREAST", "BurnedInAnnotation": "NO", "SamplesPerPixel": 1,
    "ImagerPixelSpacing": [SPACING_MM, SPACING_MM], "BitsAllocated": 16, "BitsStored": 12,
    "HighBit": 11, "PixelRepresentation": 0, "WindowWidth": WHITE - BLACK + 1,
}  # fmt: skip


@dataclass(frozen=True)
class Patient:
    """One patient."""

    number: int  # 1, 2, ...; the pseudonym is made of it
    site: str  # north or south
    side: str  # L or R, the side of the mass
    density: float  # 0 fatty to 1 extremely dense
    pathology: str  # benign or malignant
    subtype: str | None  # molecular; None for benign
    masses: tuple[Mass, ...]  # the mass of the study, and in some patients a second one near it
    free_views: tuple[str, ...]  # views of the other, mass-free side


def draw_patients(count: int, seed: int, *, association: bool = True) -> list[Patient]:
    """Draw the cohort; patient ``k`` has its own stream of the seed, one in eight a second mass.

    With ``association`` the shape is drawn given the subtype, by the published table; else given
    nothing, with the same margins (phantom-null).
    """
    order = np.random.default_rng([seed, 0]).permutation(count)
    seconds = {int(k) + 1 for k in order[: round(count / 8)]}
    return [_draw_patient(k, seed, k in seconds, association) for k in range(1, count + 1)]


def _draw_patient(number: int, seed: int, second: bool, association: bool) -> Patient:
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
    masses = [_draw_mass(rng, chances, malignant)]
    if second:
        near = _draw_mass(rng, chances, malignant)
        size = masses[0].diameter * float(rng.uniform(0.6, 0.85))
        masses.append(replace(near, diameter=max(size, 24.0)))
    site = "south" if number % 4 == 0 else "north"
    pathology = "malignant" if malignant else "benign"
    subtype = SUBTYPES[row] if malignant else None
    return Patient(number, site, side, density, pathology, subtype, tuple(masses), free)


def _draw_mass(rng: np.random.Generator, chances: NDArray[np.float64], malignant: bool) -> Mass:
    shape = SHAPES[int(rng.choice(len(SHAPES), p=chances / np.sum(chances)))]
    diameter = float(np.clip(MEDIAN_DIAMETER * np.exp(0.28 * rng.standard_normal()), *DIAMETERS))
    ill_defined = rng.random() < (0.6 if malignant else 0.25)
    margin = float(rng.uniform(0.10, 0.24) if ill_defined else rng.uniform(0.03, 0.08))
    return Mass(shape, diameter, margin, contrast=float(rng.uniform(0.40, 0.68)))


def write(name: str, folder: Path, *, patients: int | None = None, seed: int | None = None) -> None:
    """Write a phantom cohort as the study uses it, or a smaller one, whole or not at all.

    ``phantom-shapes`` has one crop a patient: the CC view of the diseased side, cut to 320 x 320 px
    round its first mass (zeros where the cut leaves the view); a second mass is label 2 of the mask
    and has no row. Its seed is its own, so that no patient is shared. Of 375 patients about 300 are
    malignant, as in the paper's table of subtypes (section 6).
    """
    usual = (375, 2021) if name == "phantom-shapes" else (64, 2020)
    count, seed = patients or usual[0], usual[1] if seed is None else seed
    drawn = draw_patients(count, seed, association=name != "phantom-null")

    def fill(partial: Path) -> None:
        writer = _Writer(name.removesuffix("-null"), partial, seed)
        for part in ("images", "masks"):
            (partial / part).mkdir(parents=True)
        with ThreadPoolExecutor(workers()) as pool:  # each patient has random streams of its own
            rows = [row for of in pool.map(lambda p: [*writer.rows(p)], drawn) for row in of]
        write_manifest(pd.DataFrame(rows, columns=list(COLUMNS)), partial / FILENAME)

    write_atomically(folder, fill)


@dataclass(frozen=True)
class _Writer:
    """What the files of a cohort have in common."""

    cohort: str  # what pseudonyms begin with
    folder: Path
    seed: int

    def rows(self, patient: Patient) -> Iterator[dict[str, object]]:
        """Write a patient's views, or the crop of the first one, and yield their rows."""
        crops, other = self.cohort == "phantom-shapes", "R" if patient.side == "L" else "L"
        views = [(patient.side, view, patient.masses) for view in ("CC", "MLO")]
        views += [(other, view, ()) for view in patient.free_views]
        for number, (side, view, masses) in enumerate(views[:1] if crops else views):
            rng = np.random.default_rng([self.seed, 2, patient.number, number])
            image, labels = draw_view(view, side, patient.site, patient.density, masses, rng)
            if crops:
                x_min, y_min, x_max, y_max = box_of(labels == 1)
                x, y = (x_min + x_max + CROP) // 2, (y_min + y_max + CROP) // 2  # when padded
                inside = slice(y, y + CROP), slice(x, x + CROP)
                image, labels = np.pad(image, CROP)[inside], np.pad(labels, CROP)[inside]
            shared = self.image(image, patient, side, view)
            if not masses:
                yield shared
                continue
            mask = f"masks/{shared['case']}.png"
            (self.folder / mask).write_bytes(cv2.imencode(".png", labels)[1].tobytes())
            for label, mass in enumerate(masses[:1] if crops else masses, start=1):
                own = {
                    "case": f"{shared['case']}_{label}", "mask": mask, "mask_label": label,
                    "shape": mass.shape, "pathology": patient.pathology, "subtype": patient.subtype,
                }  # fmt: skip
                yield shared | own | dict(zip(BOX, box_of(labels == label), strict=True))

    def image(self, image: Field, patient: Patient, side: str, view: str) -> dict[str, object]:
        """Write a view's file; return the columns that its rows share, as a row without a mass."""
        stored = np.round(BLACK + (WHITE - BLACK) * image.astype(np.float64)).astype(np.uint16)
        middle, kind = (BLACK + WHITE + 1) / 2, ("MONOCHROME2", "IDENTITY")
        if patient.number % 8 == 0:  # every second one of site south
            stored, middle = (FULL - stored).astype(np.uint16), FULL + 1 - middle
            kind = ("MONOCHROME1", "INVERSE")
        person, place = f"mammostudy-phantom-{self.seed}-{patient.number}", f"{side}-{view}"
        pseudonym = f"{self.cohort}-{patient.number:03d}"
        fields = _OF_EVERY_FILE | {
            "SOPInstanceUID": uid.generate_uid(entropy_srcs=[person, place]),
            "StudyInstanceUID": uid.generate_uid(entropy_srcs=[person, "study"]),
            "SeriesInstanceUID": uid.generate_uid(entropy_srcs=[person, "series", place]),
            "InstitutionName": patient.site, "PatientName": pseudonym, "PatientID": pseudonym,
            "ImageLaterality": side, "ViewPosition": view, "WindowCenter": middle,
            "Rows": stored.shape[0], "Columns": stored.shape[1],
            "PhotometricInterpretation": kind[0], "PresentationLUTShape": kind[1],
            "PixelData": stored.astype("<u2").tobytes(),
        }  # fmt: skip
        dataset = Dataset()
        meta = dataset.file_meta = FileMetaDataset()
        dataset.update(fields)  # type: ignore[arg-type]  # keywords serve as well as tags
        meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        meta.ImplementationClassUID = uid.generate_uid(entropy_srcs=["mammostudy phantom writer"])
        meta.ImplementationVersionName = "MAMMOSTUDY"
        name = f"images/{pseudonym}_{side}_{view}.dcm"
        dcmwrite(self.folder / name, dataset, enforce_file_format=True)
        return {
            "case": f"{pseudonym}_{side}_{view}", "patient": pseudonym, "site": patient.site,
            "image": name, "height": stored.shape[0], "width": stored.shape[1], "view": view,
            "side": side, "modality": "DM", "spacing_mm": SPACING_MM, "pathology": "unknown",
            "image_sha256": hashlib.sha256((self.folder / name).read_bytes()).hexdigest(),
        }  # fmt: skip
