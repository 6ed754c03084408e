"""The committed counts: those of the descriptors, and those of the data where they are."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from mammostudy.data.descriptors import descriptor_names, read_descriptor
from mammostudy.errors import DataError, MissingDataError
from mammostudy.study import cohort_counts as module

REAL = [name for name, (place, _, _) in module.COUNTED.items() if place]
DRAWN = [name for name, (place, _, _) in module.COUNTED.items() if not place]


@pytest.mark.parametrize("name", descriptor_names())
def test_what_a_descriptor_calls_confirmed_is_on_record_and_agrees(name):
    descriptor = read_descriptor(name)
    content = module.read_counts(name)
    found = content["counts"] if content else {}
    assert {key: descriptor.expected[key] for key in found} == found
    if (said := (descriptor.model_extra or {}).get("confirmed_here")) is not None:
        assert sorted(found) == sorted(said)


@pytest.mark.parametrize("name", REAL)
def test_committed_counts_are_those_of_the_data(name, real_data):
    if not (real_data / module.COUNTED[name][0]).is_dir():
        pytest.skip(f"no {module.COUNTED[name][0]} in MAMMOSTUDY_DATA")
    assert json.loads(json.dumps(module.count(name))) == module.read_counts(name)


@pytest.mark.parametrize("name", DRAWN)
def test_committed_counts_are_those_of_the_seed(name):
    assert module.count(name) == module.read_counts(name)


def test_counts_hold_no_row_of_the_data():
    for name in module.COUNTED:
        text = module.committed(name).read_text()
        assert not re.search(r"P_?\d{3,}|D[12]-\d{4}|_(CC|MLO)_", text)
        content = module.read_counts(name)
        assert set(content) == {"version", "descriptor", "made_of", "counts", "further"}


def test_without_data_nothing_is_counted_and_nothing_overwritten(monkeypatch, tmp_path):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    monkeypatch.setattr(module, "results_root", lambda: tmp_path)
    with pytest.raises(MissingDataError, match="cbis-ddsm-tables/"):
        module.count("cbis-ddsm")
    said = module.write_counts()
    assert sorted(path.stem for path in (tmp_path / module.PLACE).glob("*.json")) == DRAWN
    assert "MAMMOSTUDY_DATA" in said["cmmd"]
    assert module.read_counts("cmmd") is None


def test_a_missing_table_is_named(monkeypatch, tmp_path):
    (tmp_path / "cmmd-table").mkdir()
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"CMMD_clinicaldata_revision\.csv: missing"):
        module.count("cmmd")


@pytest.mark.parametrize("text", ["{", "[]", '{"counts": 3}', '{"counts": {}, "descriptor": "x"}'])
def test_damaged_counts_are_refused(text, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "results_root", lambda: tmp_path)
    module.committed("cmmd").parent.mkdir()
    module.committed("cmmd").write_text(text)
    with pytest.raises(DataError, match=r"cmmd\.json: damaged"):
        module.read_counts("cmmd")


def test_a_tally_names_what_is_not_known():
    counted = module.tally(pd.Series(["a", "b", None, "b", ""]))
    assert counted == {"b": 2, "unknown": 2, "a": 1}
