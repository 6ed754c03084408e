"""The descriptions of the cohorts: complete, and their expected counts are what is found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mammostudy.data.cohort import cohort_names, load_cohort
from mammostudy.data.phantoms.patients import draw_patients

FOLDER = Path(__file__).parents[2] / "data_manifests"
NEEDED = {"title", "source", "licence", "citation", "layout", "label_mapping", "split_rule",
          "expected"}  # fmt: skip


def described(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return content


def counted(values: Iterable[object]) -> dict[object, int]:
    return dict(Counter(values))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_descriptor_is_complete(path: Path) -> None:
    content = described(path.stem)
    assert set(content) >= NEEDED
    assert all(source["text"] for source in content["citation"])


def test_every_cohort_is_described_once() -> None:
    names: list[str] = []
    for path in FOLDER.glob("*.yaml"):
        names += described(path.stem).get("cohorts", {path.stem: ""})
    null = "phantom-null"  # a variant that the phantom's descriptor tells of
    assert null in str(described("phantom"))
    assert sorted([*names, null]) == sorted(cohort_names())


def test_expected_counts_of_the_phantom_crops() -> None:
    expected = described("phantom-shapes")["expected"]
    patients = draw_patients(375, 2021)
    assert len(patients) == expected["patients"] == expected["masses"]
    for site in ("north", "south"):
        assert sum(p.site == site for p in patients) == expected[f"patients_{site}"]
    assert counted(p.masses[0].shape for p in patients) == expected["shapes"]
    assert counted(p.subtype for p in patients if p.subtype) == expected["subtypes"]
    assert sum(p.pathology == "benign" for p in patients) == expected["benign"]


def test_expected_counts_of_the_outlines(real_data: Path) -> None:
    expected = described("cdd-cesm-contours")["expected"]
    total = 0
    for name, modality in (("cdd-cesm-contours", "dm"), ("cdd-cesm-contours-cm", "cm")):
        cohort = load_cohort(name, real_data)
        masses = cohort.masses
        total += len(cohort) + sum(cohort.dropped.values())
        assert len(masses) == expected[f"kept_{modality}"]
        assert masses["patient"].nunique() == expected[f"patients_{modality}"]
        assert counted(masses["shape"]) == expected[f"shapes_{modality}"]
        assert counted(masses["tool"]) == expected[f"tools_{modality}"]
        if modality == "dm":
            drawn = masses["shape"][masses["tool"] == "polygon"]
            assert counted(drawn) == expected["polygons_dm"]
    assert total == expected["contours"]
