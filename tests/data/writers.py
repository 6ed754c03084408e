"""What the tests of this room write: pictures, DICOM files, links, and changes of either."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import Tag

from mammostudy.data.manifest import validate
from mammostudy.errors import DataError

GDCM_NAMES = {"JPEGLosslessProcess14_1", "JPEGLosslessProcess14", "JPEGLSLossless"}


def noise(shape, seed):
    """A grey picture that passes every check and looks like that of no other seed."""
    drawn = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal(shape), (0, 0), 3)
    return np.clip(110 + 35 * drawn / drawn.std(), 0, 255).astype(np.uint8)


def item(**fields):
    """A sequence of one item."""
    made = Dataset()
    made.update(fields)
    return [made]


def breast():
    """Where a breast is in a view of 120 x 100 pixels: a half disc at the left edge."""
    y, x = np.mgrid[:120, :100]
    return np.hypot((y - 60) / 55, x / 70) < 1


def write_picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    return path


def write_dicom(path, pixels, bits=12, syntax=uid.ExplicitVRLittleEndian, change=None, **fields):
    """Write grey pixels ``(h, w)`` and fields, those given as bytes as they are; plain by default.

    ``syntax`` is a UID, or for JPEG Lossless and JPEG-LS the name that python-gdcm has for it;
    ``change`` takes the dataset as it was written.
    """
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    compressed = syntax in {uid.RLELossless, uid.JPEG2000Lossless} | GDCM_NAMES
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian if compressed else syntax
    ds.SOPClassUID = uid.DigitalMammographyXRayImageStorageForPresentation
    ds.SOPInstanceUID = uid.generate_uid(entropy_srcs=["t"])
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "MG", "MONOCHROME2", 1
    ds.Rows, ds.Columns = pixels.shape[-2:]
    ds.BitsAllocated, ds.BitsStored = 8 * pixels.dtype.itemsize, bits
    ds.HighBit, ds.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    ds.update({name: value for name, value in fields.items() if not isinstance(value, bytes)})
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds.PixelData = data + bytes(len(data) % 2)
    ds["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    if syntax == uid.JPEG2000Lossless:
        pytest.importorskip("openjpeg")
    if syntax in (uid.RLELossless, uid.JPEG2000Lossless):
        plugin = "pydicom" if syntax == uid.RLELossless else "pylibjpeg"
        ds.compress(syntax, generate_instance_uid=False, encoding_plugin=plugin)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    if syntax in GDCM_NAMES:
        recode(path, syntax)
    raw = {Tag(name): value for name, value in fields.items() if isinstance(value, bytes)}
    if change or raw:
        ds = dcmread(path)
        for tag, value in raw.items():
            element = tag, dictionary_VR(tag), len(value), value, 0, False, True
            ds._dict[tag] = RawDataElement(*element)
        if change:
            change(ds)
        ds.save_as(path)
    return path


def recode(path, name):
    """Compress a file in place, by python-gdcm."""
    gdcm = pytest.importorskip("gdcm")
    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    change = gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


def cut(path):
    path.write_bytes(path.read_bytes()[:-700])


def swap(place, old, new):
    """A change of the first file of that pattern in a folder: one text for another, once."""

    def change(folder):
        path = next(folder.rglob(place))
        content = path.read_bytes()
        assert old.encode() in content
        path.write_bytes(content.replace(old.encode(), new.encode(), 1))

    return change


def put(place, content):
    """A change of the first file of that pattern in a folder: this content for its own."""
    content = content.encode() if isinstance(content, str) else content
    return lambda folder: next(folder.rglob(place)).write_bytes(content)


def remove(place):
    return lambda folder: next(folder.rglob(place)).unlink()


def link(place):
    """A change of the first file of that pattern in a folder: a link to a place outside of it."""

    def change(folder):
        path = next(folder.rglob(place))
        outside = path.rename(folder.parent / f"outside-{path.name}")
        path.symlink_to(outside)

    return change


def with_cells(cohort, case, /, **cells):
    """A cohort of which the manifest says other things of a case."""
    rows = cohort.manifest.copy()
    for column, value in cells.items():
        rows.loc[rows["case"] == case, column] = value
    return replace(cohort, manifest=rows)


def cells(table, *columns):
    """The cells of some columns, row by row, the empty ones None."""
    chosen = table[list(columns)].astype(object)
    return chosen.where(chosen.notna(), None).to_numpy().tolist()


def refused(read, folder, change, words):
    """Check that a reader reads a folder, and after the change names what is wrong in one line."""
    read(folder)
    change(folder)
    with pytest.raises(DataError, match=words) as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def dropped(build, folder, change, reason):
    """Check that a change has a reader drop something for a reason, once; return what is left."""
    assert not [told for told in build(folder)[1] if reason in told]
    change(folder)
    table, counts = build(folder)
    assert [count for told, count in counts.items() if reason in told] == [1]
    return validate(table)
