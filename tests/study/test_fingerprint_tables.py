"""Fingerprints side by side, and the measures that the manifest alone does not give."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mammostudy.errors import DataError
from mammostudy.study import fingerprint, fingerprint_measures, fingerprint_tables, new_cohort


@pytest.fixture(scope="module")
def contents():
    return [fingerprint_tables.committed(name) for name in fingerprint_tables.STUDIED]


def test_committed_fingerprints_stand_side_by_side(contents):
    table = fingerprint_tables.side_by_side(contents).set_index("what")
    assert table.columns.tolist() == ["Phantom", "CDD-CESM", "CDD-CESM, subtracted images"]
    assert table.loc["masses", "CDD-CESM"] == "285"
    assert table.loc["masses a patient", "CDD-CESM"] == f"{285 / 71:.1f}"
    assert table.loc["diameter, mm", "CDD-CESM"] == fingerprint_tables.UNKNOWN
    assert table.loc["breast density: images (patients)", "Phantom"] == fingerprint_tables.UNKNOWN
    assert "irregular 97 (24)" in table.loc["shape: masses (patients)", "CDD-CESM"]


def test_sizes_are_shares_and_greys_rise(contents):
    sizes = fingerprint_tables.sizes(contents)
    assert sizes.groupby("cohort")["share"].sum().tolist() == pytest.approx([100] * 3)
    greys = fingerprint_tables.greys(contents)
    for _, part in greys.groupby("cohort"):
        assert part["percentile"].tolist() == list(fingerprint_measures.PERCENTILES)
        assert part["value"].is_monotonic_increasing


@pytest.mark.parametrize(("text", "named"), [("{", "damaged"), ('{"version": 0}', "version 0")])
def test_an_old_or_damaged_fingerprint_is_refused(text, named, monkeypatch, tmp_path):
    monkeypatch.setattr(fingerprint, "results_root", lambda: tmp_path)
    with pytest.raises(DataError, match="missing or damaged"):
        fingerprint_tables.committed("phantom")
    (tmp_path / "phantom").mkdir()
    (tmp_path / "phantom" / "fingerprint.json").write_text(text)
    with pytest.raises(DataError, match=named):
        fingerprint_tables.committed("phantom")


def cohort_of(images, name="mine"):
    manifest = pd.DataFrame({"image": [f"images/{k}.jpg" for k in range(len(images))]})
    read = {f"images/{k}.jpg": image for k, image in enumerate(images)}
    return SimpleNamespace(
        name=name, root="there", manifest=manifest, image=lambda row: read[row["image"]]
    )


def test_grey_values_leave_the_air_out():
    image = np.zeros((10, 10), np.float32)
    image[:5] = np.linspace(0.5, 1.0, 50).reshape(5, 10)
    found = fingerprint_measures.intensity(cohort_of([image, image]))
    assert (found["images"], found["air"]) == (2, 0.5)
    assert found["percentiles"]["50"] == pytest.approx(0.75, abs=1e-3)
    dark = fingerprint_measures.intensity(cohort_of([np.zeros((4, 4), np.float32)]))
    assert (dark["air"], set(dark["percentiles"].values())) == (1.0, {0.0})


def test_density_is_counted_where_the_owners_give_it(monkeypatch):
    images = pd.DataFrame(
        {"image": ["0", "1", "2"], "patient": ["P1", "P1", "P2"], "density": ["b", None, "b"]}
    )
    monkeypatch.setattr("mammostudy.data.sources.cdd_cesm.read_images", lambda folder: images)
    pictures = [np.zeros((2, 2), np.float32)] * 2
    found = fingerprint_measures.densities(cohort_of(pictures, "cdd-cesm"))
    one = {"images": 1, "patients": 1}
    assert found == {"b": one, "unknown": one}  # image 2 is not of the cohort
    assert fingerprint_measures.densities(cohort_of(pictures)) is None


def test_density_and_grey_values_are_in_the_committed_fingerprints(contents):
    for content in contents:
        total = sum(row["images"] for row in (content["density"] or {}).values())
        assert total in (0, content["images"])
        assert 0 < content["intensity"]["air"] < 1


def test_remarks_say_what_a_cohort_lacks(contents):
    phantom, low, _ = contents
    assert "No mass is said to be lobular" in new_cohort.remarks(low, [phantom])
    changed = json.loads(json.dumps(phantom))
    changed["diameter_share"]["median"] = 0.5
    said = new_cohort.remarks(changed, [low])
    assert "Its masses are larger" in said
    assert "No subtype" not in said
    assert "(50.0 % of the longer side" in said
    same = new_cohort.remarks(phantom, [phantom])
    assert same == ""


def test_the_new_cohort_stands_first_and_once(monkeypatch, contents):
    monkeypatch.setattr(new_cohort.prints, "fingerprint", lambda name: {"cohort": name})
    found = new_cohort.contents("cdd-cesm")
    assert [c["cohort"] for c in found] == ["cdd-cesm", "phantom", "cdd-cesm-cm"]
    assert len(new_cohort.contents("mine")) == 4
    assert new_cohort.patients_of(contents[1]) == 71
    tested = new_cohort.tested_table(contents[1])
    assert tested["masses tested"].sum() == 285


def test_inputs_follow_the_claims(monkeypatch):
    before = new_cohort.page_inputs()
    monkeypatch.setattr(new_cohort.claims, "read_claims", dict)
    assert new_cohort.page_inputs() != before
