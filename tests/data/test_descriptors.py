"""The descriptions of the cohorts: complete, and their expected counts are what is found."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mammostudy.data import descriptors
from mammostudy.data.descriptors import TASKS, cohort_names, describe
from mammostudy.data.manifest import SHAPES
from mammostudy.errors import DataError

FOLDER = Path(__file__).parents[2] / "data_manifests"


def described(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return content


def counted(values: Iterable[object]) -> dict[object, int]:
    return dict(Counter(values))


@pytest.mark.parametrize("text", ["title: [", "[1, 2]", "title: x", "cohorts: {a: }"])
def test_a_faulty_descriptor_is_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "folder", lambda: tmp_path)
    (tmp_path / "moon.yaml").write_text(text)
    with pytest.raises(DataError, match=r"moon\.yaml: not a descriptor"):
        describe("moon")


PHANTOM_SPLIT = {"folds": 5, "train_site": "north"}
FACTS = {  # title, truth, split, views, shapes: those that committed records stand on
    "cdd-cesm": ("CDD-CESM", "target", {"folds": 3}, "cdd-cesm-views", "cdd-cesm-contours"),
    "cdd-cesm-cm": (
        "CDD-CESM, subtracted images", "target", {"folds": 3}, "cdd-cesm-cm",
        "cdd-cesm-contours-cm",
    ),
    "cbis-ddsm": ("CBIS-DDSM", "all", {"rule": "official"}, "cbis-ddsm", "cbis-ddsm"),
    "phantom": ("Phantom", "all", PHANTOM_SPLIT, "phantom", "phantom-shapes"),
    "phantom-null": (
        "Phantom (no association)", "all", PHANTOM_SPLIT, "phantom-null", "phantom-shapes",
    ),
    "mine": ("mine", "all", {"folds": 3}, "mine", "mine"),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_facts_of_a_cohort(name: str) -> None:
    facts = describe(name)
    assert (facts.title, facts.truth, facts.split, facts.views, facts.shapes) == FACTS[name]
    assert facts.phantom == name.startswith("phantom")
    assert (facts.descriptor is None) == (name == "mine")


def test_companions_are_cohorts_and_names_stand_once() -> None:
    names = cohort_names()
    assert len(set(names)) == len(names)
    for name in names:
        facts = describe(name)
        named = (facts.views, facts.shapes, facts.pixels, facts.segmenter)
        assert {other for other in named if other} <= set(names)
        assert set(facts.tasks) <= set(TASKS)
        assert set(facts.classes) <= set(SHAPES)


def test_facts_need_neither_arrays_nor_tables() -> None:
    code = (
        "import sys; from mammostudy.data.descriptors import describe; describe('phantom');"
        "print([m for m in ('torch', 'numpy', 'pandas', 'cv2', 'pydicom') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in cohort_names() if describe(name).built])
def test_a_published_set_says_what_was_confirmed_here(name: str) -> None:
    content = described(name)
    listed = [*content["confirmed_here"], *content["not_confirmed_here"]]
    assert sorted(listed) == sorted(content["expected"])
    assert "dropped" in content["label_mapping"]
    assert all(isinstance(fault, str) for fault in content["known_faults"])


def test_expected_counts_of_cbis_ddsm(real_data: Path) -> None:
    expected = described("cbis-ddsm")["expected"]
    tables = {
        (kind, part): pd.read_csv(
            real_data / "cbis-ddsm-tables" / f"{kind}_case_description_{part}_set.csv"
        )
        for kind in ("mass", "calc")
        for part in ("train", "test")
    }
    words = {"IRREGULAR": "irregular", "LOBULATED": "lobular", "OVAL": "oval", "ROUND": "round"}
    pure = 0
    for part in ("train", "test"):
        masses = tables["mass", part]
        assert len(masses) == expected[f"mass_rows_{part}"]
        assert masses["patient_id"].nunique() == expected[f"mass_patients_{part}"]
        assert masses["image file path"].nunique() == expected[f"images_{part}"]
        found = counted(masses["mass shape"].map(words).dropna())
        assert found == expected[f"pure_shapes_{part}"]
        pure += sum(found.values())
    assert pure == expected["rows_of_pure_shape"]
    assert 1318 + 378 - pure == expected["rows_without_pure_shape"] == 272
    patients = {f"{k}_{p}": set(t["patient_id"]) for (k, p), t in tables.items()}
    assert len(set.union(*patients.values())) == expected["patients_of_all_tables"]
    for pair, count in expected["patients_in_train_and_test"].items():
        one, other = pair.split("_and_")
        assert len(patients[one] & patients[other]) == count


def test_expected_counts_of_cmmd(real_data: Path) -> None:
    expected = described("cmmd")["expected"]
    table = pd.read_csv(real_data / "cmmd-table" / "CMMD_clinicaldata_revision.csv")
    words = {"Luminal A": "Luminal-A", "Luminal B": "Luminal-B", "HER2-enriched": "HER-2",
             "triple negative": "Basal-like"}  # fmt: skip
    assert len(table) == expected["breasts"]
    assert table["ID1"].nunique() == expected["patients"]
    assert table["number"].sum() == expected["images_of_the_table"]
    assert counted(table["subtype"].dropna().map(words)) == expected["subtypes"]
    assert counted(table["classification"].str.lower()) == expected["pathology"]
    assert counted(table["abnormality"]) == expected["abnormality"]
