"""Who is in the phantom: patients, sites, masses, subtypes; no pixels here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mammostudy.data.manifest import SHAPES, SUBTYPES

# Rows Luminal-A, Luminal-B, HER-2, Basal-like; columns irregular, lobular, oval, round.
SUBTYPE_BY_SHAPE = np.array([[67, 29, 10, 17], [58, 24, 14, 11], [6, 4, 8, 15], [5, 10, 9, 13]])
BENIGN_BY_SHAPE = np.array([0.06, 0.30, 0.38, 0.26])
MALIGNANT_SHARE = 0.8
MEDIAN_DIAMETER = 62.0
DIAMETERS = (34.0, 110.0)


@dataclass(frozen=True)
class Mass:
    """What CC and MLO of one mass share; each view draws its own outline of this shape.

    Attributes:
        shape: irregular, lobular, oval or round.
        diameter: of the disc of the same area, pixels.
        margin: blur of the border as a share of the radius: 0.02 sharp to 0.3 ill-defined.
        contrast: attenuation of the mass at its thickest (parenchyma has about 0.5).
    """

    shape: str
    diameter: float
    margin: float
    contrast: float


@dataclass(frozen=True)
class Patient:
    """One patient of the phantom.

    Attributes:
        number: 1, 2, ...; the pseudonym is made of it.
        site: north or south.
        side: L or R, the side of the mass.
        density: 0 fatty to 1 extremely dense.
        pathology: benign or malignant.
        subtype: molecular subtype; None for benign.
        masses: the mass of the study, and in some patients a second one near it.
        free_views: views of the other, mass-free side.
        cohort: what the pseudonym starts with.
    """

    number: int
    site: str
    side: str
    density: float
    pathology: str
    subtype: str | None
    masses: tuple[Mass, ...]
    free_views: tuple[str, ...]
    cohort: str = "phantom"

    @property
    def name(self) -> str:
        """The pseudonym, such as ``phantom-007``."""
        return f"{self.cohort}-{self.number:03d}"


def draw_patients(count: int, seed: int, *, association: bool = True) -> list[Patient]:
    """Draw the cohort. One patient in four is of site south, one in eight has a second mass.

    Args:
        count: number of patients.
        seed: of the whole cohort; patient ``k`` has its own stream of it.
        association: draw the shape given the subtype, by the published table; otherwise given
            nothing, with the same margins of shape and subtype (cohort phantom-null).

    Source:
        Subtype by shape: Singh et al. 2020, cross-table of 300 malignant masses.
    """
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
    both = rng.random() < 0.25
    free = views if both else (views[int(rng.integers(2))],)
    first = _draw_mass(rng, chances, malignant)
    masses: tuple[Mass, ...] = (first,)
    if second:
        near = _draw_mass(rng, chances, malignant)
        size = first.diameter * float(rng.uniform(0.6, 0.85))
        masses = (first, Mass(near.shape, max(size, 24.0), near.margin, near.contrast))
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


def _draw_mass(rng: np.random.Generator, chances: np.ndarray, malignant: bool) -> Mass:
    shape = SHAPES[int(rng.choice(len(SHAPES), p=np.asarray(chances) / np.sum(chances)))]
    diameter = float(np.clip(MEDIAN_DIAMETER * np.exp(0.28 * rng.standard_normal()), *DIAMETERS))
    ill_defined = rng.random() < (0.6 if malignant else 0.25)
    margin = float(rng.uniform(0.10, 0.24) if ill_defined else rng.uniform(0.03, 0.08))
    return Mass(shape, diameter, margin, contrast=float(rng.uniform(0.40, 0.68)))
