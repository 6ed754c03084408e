"""A small cohort, and the writers of this room for its test modules."""

import sys
from pathlib import Path

import pytest

from mammostudy.data.load import load_cohort

sys.path.insert(0, str(Path(__file__).parent))
import writers


@pytest.fixture
def written(tmp_path):
    """Return ``written(pixels, ...)``, which writes as ``writers.write_dicom``, to one place."""
    return lambda *args, **fields: writers.write_dicom(tmp_path / "a.dcm", *args, **fields)


@pytest.fixture
def tiny(tmp_path, own_store, write_cohort):
    """The cohort of ``write_cohort``: 13 masses of 6 patients."""
    write_cohort(tmp_path)
    return load_cohort("tiny", tmp_path)
