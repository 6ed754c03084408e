"""The committed counts: those of the descriptors, and those of the data where they are."""

import importlib.util
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from mammostudy.data.descriptors import descriptor_names, read_descriptor
from mammostudy.errors import MissingDataError
from mammostudy.study import cohorts

TOOL = Path(__file__).parents[2] / "tools" / "count_cohorts.py"
_SPEC = importlib.util.spec_from_file_location("count_cohorts", TOOL)
module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(module)
REAL = [name for name, (place, _, _) in module.COUNTED.items() if place]
DRAWN = [name for name, (place, _, _) in module.COUNTED.items() if not place]


@pytest.mark.parametrize("name", descriptor_names())
def test_what_a_descriptor_calls_confirmed_is_on_record_and_agrees(name):
    descriptor = read_descriptor(name)
    found = cohorts.read_counts(name)["counts"]
    assert {key: descriptor.expected[key] for key in found} == found
    if (said := (descriptor.model_extra or {}).get("confirmed_here")) is not None:
        assert sorted(found) == sorted(said)


@pytest.mark.parametrize("name", REAL)
def test_committed_counts_are_those_of_the_data(name, real_data):
    if not (real_data / module.COUNTED[name][0]).is_dir():
        pytest.skip(f"no {module.COUNTED[name][0]} in MAMMOSTUDY_DATA")
    assert json.loads(json.dumps(module.count(name))) == cohorts.read_counts(name)


@pytest.mark.parametrize("name", DRAWN)
def test_committed_counts_are_those_of_the_seed(name):
    assert module.count(name) == cohorts.read_counts(name)


def test_counts_hold_no_row_of_the_data():
    for name in module.COUNTED:
        text = cohorts.counts_path(name).read_text(encoding="utf-8")
        assert not re.search(r"P_?\d{3,}|D[12]-\d{4}|_(CC|MLO)_", text)


def test_without_data_nothing_is_counted_and_nothing_overwritten(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    monkeypatch.setattr(cohorts, "results_root", lambda: tmp_path)
    module.write_counts()
    assert sorted(path.stem for path in tmp_path.glob("*/*.json")) == DRAWN
    assert "set MAMMOSTUDY_DATA" in capsys.readouterr().out


def test_a_missing_table_is_named(monkeypatch, tmp_path):
    (tmp_path / "cmmd-table").mkdir()
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"CMMD_clinicaldata_revision\.csv: missing"):
        module.count("cmmd")


def test_a_tally_names_what_is_not_known():
    counted = module.tally(pd.Series(["a", "b", None, "b", ""]))
    assert counted == {"b": 2, "unknown": 2, "a": 1}
