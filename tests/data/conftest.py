"""A small cohort, and the writers of this room for its test modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mammostudy.data.cohort import Cohort
from mammostudy.data.load import load_cohort

sys.path.insert(0, str(Path(__file__).parent))
import writers

DicomWriter = Callable[..., Path]


@pytest.fixture(scope="session")
def write_dicom() -> DicomWriter:
    """Return ``write(path, pixels, bits=12, syntax=ExplicitVRLittleEndian, **fields)``."""
    return writers.write_dicom


@pytest.fixture
def written(tmp_path: Path, write_dicom: DicomWriter) -> DicomWriter:
    """Return ``written(pixels, ...)``, which writes as ``write_dicom`` does, to one place."""
    return lambda *args, **fields: write_dicom(tmp_path / "a.dcm", *args, **fields)


@pytest.fixture
def tiny(tmp_path: Path, own_store: Path, write_cohort: Callable[..., Path]) -> Cohort:
    """The cohort of ``write_cohort``: 13 masses of 6 patients."""
    write_cohort(tmp_path)
    return load_cohort("tiny", tmp_path)
