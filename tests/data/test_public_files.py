"""Public DICOM files (the package pydicom-data, and pydicom's own) are read as pydicom does."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from mammostudy.data.dicom import read_dicom, read_stored_values

OWN = Path(pydicom.__file__).parent / "data" / "test_files"


def grey_frames(folder):
    """Yield path, dataset and stored values of the files of one grey frame that pydicom decodes."""
    for path in sorted(folder.glob("*.dcm")):
        try:
            ds = pydicom.dcmread(path)
            pixels = ds.pixel_array
        except Exception:
            continue
        whole = ds.BitsAllocated in (8, 16) and 8 <= ds.BitsStored <= ds.BitsAllocated
        if whole and pixels.ndim == 2 and "MONOCHROME" in ds.PhotometricInterpretation:
            yield path, ds, pixels


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("source", ["pydicom", "pydicom-data"])
def test_public_single_frames_are_read_as_pydicom_reads_them(source):
    folder = OWN
    if source == "pydicom-data":
        store = pytest.importorskip("data_store", reason="pip install pydicom-data")
        folder = Path(store.DataStore().data_path)
    names, differ = [], []
    for path, ds, pixels in grey_frames(folder):
        names.append(path.name)
        stored, shown = read_stored_values(path), read_dicom(path)
        expected = apply_voi_lut(apply_modality_lut(pixels, ds), ds).astype(float)
        negative = ds.PhotometricInterpretation == "MONOCHROME1"
        seen = 1 - shown.image if negative else shown.image
        inner = (seen > 0) & (seen < 1)  # what is not cut off lies on one line with pydicom's
        line = inner.sum() < 9 or np.corrcoef(seen[inner], expected[inner])[0, 1] > 1 - 1e-6
        ranks = np.argsort(expected, axis=None, kind="stable")
        order = (np.diff(seen.ravel()[ranks]) >= -1e-6).all()
        if not (np.array_equal(stored, pixels) and line and order):
            differ.append((path.name, line, order, shown.step, shown.notes))
    assert len(names) > 10
    assert differ == []
