"""The committed counts: those of the descriptors, and those of the data where they are."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from mammostudy.data.descriptors import data_sheets
from mammostudy.study import cohorts

TOOL = Path(__file__).parents[2] / "tools" / "count_cohorts.py"
_SPEC = importlib.util.spec_from_file_location("count_cohorts", TOOL)
module = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(module)


@pytest.mark.parametrize("name", list(data_sheets()))
def test_what_a_descriptor_calls_confirmed_is_on_record_and_agrees(name):
    descriptor = data_sheets()[name]
    found = cohorts.read_counts(name)["counts"]
    assert {key: descriptor.expected[key] for key in found} == found
    if (said := (descriptor.model_extra or {}).get("confirmed_here")) is not None:
        assert sorted(found) == sorted(said)


@pytest.mark.parametrize("name", module.COUNTED)
def test_committed_counts_are_those_of_the_data_or_the_seed(name, real_data):
    place = module.COUNTED[name][0]
    if place and not (real_data / place).is_dir():
        pytest.skip(f"no {place} in MAMMOSTUDY_DATA")
    assert json.loads(json.dumps(module.count(name))) == cohorts.read_counts(name)


def test_counts_hold_no_row_of_the_data():
    for name in module.COUNTED:
        text = cohorts.counts_path(name).read_text(encoding="utf-8")
        assert not re.search(r"P_?\d{3,}|D[12]-\d{4}|_(CC|MLO)_", text)
