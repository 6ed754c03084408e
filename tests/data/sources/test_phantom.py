"""The phantoms: outlines by formula, tissue by spectrum; patients by the table, files, levels."""

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest
from scipy.stats import chi2_contingency, chisquare
from skimage.draw import polygon
from skimage.measure import label, regionprops

from mammostudy.data import dicom
from mammostudy.data.cohort import Cohort, box_of_row
from mammostudy.data.frames import Frame, Preprocessing, frame_cohort
from mammostudy.data.manifest import SHAPES, SUBTYPES, read_manifest
from mammostudy.data.sources import phantom
from mammostudy.data.sources import phantom_images as drawing
from mammostudy.data.sources.phantom import CROP, SUBTYPE_BY_SHAPE, draw_patients
from mammostudy.evaluation.overlap import dice
from mammostudy.imaging.contours import box_of, chan_vese_mask, inscribed_ellipse, otsu_mask
from mammostudy.imaging.framing import frame_box

OVAL = drawing.Mass("oval", 60.0, 0.05, 0.6)
SMALL = drawing.Mass("round", 40.0, 0.05, 0.6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohorts") / "phantom"
    phantom.write("phantom", folder, patients=8, seed=7)
    return folder


def digests(folder):
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def labels_of(folder, row):
    return cv2.imread(str(folder / row["mask"]), cv2.IMREAD_UNCHANGED)


def test_the_manifest_matches_the_files_which_are_mammograms(folder):
    table = read_manifest(folder / "manifest.csv")
    masses = table[table["x_min"].notna()]
    assert table["patient"].nunique() == 8
    assert len(masses) == 2 * 8 + 2  # CC and MLO, one patient with a second mass
    assert table["image"].nunique() >= 3 * 8
    assert (table["x_min"].isna()).sum() >= 8  # mass-free views
    for _, row in masses.iterrows():
        labels = labels_of(folder, row)
        assert labels.shape == (row["height"], row["width"])
        assert box_of(labels == row["mask_label"]) == box_of_row(row)
    files = digests(folder)
    assert dict(zip(table["image"], table["image_sha256"], strict=True)).items() <= files.items()
    photometrics, uids = set(), set()
    for _, row in table.drop_duplicates("image").iterrows():
        ds = pydicom.dcmread(folder / row["image"])
        assert (ds.BitsStored, ds.PatientID) == (12, row["patient"])
        photometrics.add((row["site"], ds.PhotometricInterpretation))
        uids.add(ds.SOPInstanceUID)
        read = dicom.read_dicom(folder / row["image"])
        said = row[["view", "side", "spacing_mm"]].tolist()
        assert [read.view, read.side, read.spacing_mm] == said
        assert read.image.shape == (row["height"], row["width"])
        dark = read.image[:, -20:] if row["side"] == "L" else read.image[:, :20]
        assert dark.mean() < 0.1  # air is dark, MONOCHROME1 or 2
    grey, negative = "MONOCHROME2", "MONOCHROME1"
    assert photometrics == {("north", grey), ("south", grey), ("south", negative)}
    assert len(uids) == table["image"].nunique()


def test_same_call_same_bytes_and_nothing_half_written(folder, tmp_path, monkeypatch):
    phantom.write("phantom", tmp_path / "again", patients=4, seed=8)
    phantom.write("phantom", tmp_path / "again", patients=8, seed=7)  # replaces what stood there
    assert digests(tmp_path / "again") == digests(folder)

    def fails(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(phantom, "write_manifest", fails)
    with pytest.raises(KeyboardInterrupt):
        phantom.write("phantom", tmp_path / "phantom", patients=4)
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def around(array, x, y):
    """Cut a crop out by OpenCV: an oracle without padding or slices of padded arrays."""
    shift = np.float32([[1, 0, -x], [0, 1, -y]])
    return cv2.warpAffine(array, shift, (CROP, CROP), flags=cv2.INTER_NEAREST)


def test_crops_are_cut_from_the_views_of_the_same_seed(folder, tmp_path):
    crops = tmp_path / "phantom-shapes"
    phantom.write("phantom-shapes", crops, patients=8, seed=7)
    views = read_manifest(folder / "manifest.csv").set_index("case")
    table = read_manifest(crops / "manifest.csv")
    assert table["patient"].tolist() == [f"phantom-shapes-{k:03d}" for k in range(1, 9)]
    assert table["case"].tolist() == [f"{Path(p).stem}_1" for p in table["image"]]
    assert (table[["height", "width"]] == CROP).all(axis=None)
    seconds = 0
    for _, row in table.iterrows():
        whole = views.loc[row["case"].replace("phantom-shapes", "phantom")]
        same = ["site", "view", "side", "shape", "pathology", "subtype", "spacing_mm"]
        pd.testing.assert_series_equal(row[same], whole[same], check_names=False)
        x = (whole["x_min"] + whole["x_max"]) // 2 - CROP // 2
        y = (whole["y_min"] + whole["y_max"]) // 2 - CROP // 2
        assert (row["x_min"], row["y_max"]) == (whole["x_min"] - x, whole["y_max"] - y)
        image = around(dicom.read_dicom(folder / whole["image"]).image, x, y)
        np.testing.assert_allclose(dicom.read_dicom(crops / row["image"]).image, image, atol=1e-6)
        labels = labels_of(crops, row)
        np.testing.assert_array_equal(labels, around(labels_of(folder, whole), x, y))
        seconds += 2 in labels
    assert seconds == 1  # in the picture, without a row


@pytest.mark.slow
@pytest.mark.parametrize("name", ["phantom", "phantom-null"])
def test_calibration_before_models_are_compared(tmp_path, name, monkeypatch):
    """On the masses of the site that trains; what is not looked at is not drawn."""
    draw = phantom.draw_patients

    def of_one_site(*words, **fields):
        return [replace(p, free_views=()) for p in draw(*words, **fields) if p.site == "north"]

    monkeypatch.setattr(phantom, "draw_patients", of_one_site)
    folder = tmp_path / "phantom"
    phantom.write(name, folder)
    cohort = Cohort("phantom", folder, read_manifest(folder / "manifest.csv"))
    framed = frame_cohort(cohort, Frame(size=128), Preprocessing())
    assert len(framed.cases) > 60
    inscribed = [inscribed_ellipse((32, 32, 96, 96), (128, 128))] * len(framed.cases)
    ellipse = dice(np.stack(inscribed), framed.masks).mean()
    otsu, chan = (
        dice(np.stack([segment(image) for image in framed.images]), framed.masks)
        for segment in (otsu_mask, chan_vese_mask)
    )
    assert 0.75 <= ellipse <= 0.85
    assert np.maximum(otsu, chan).mean() < ellipse  # even where the better one is known
    diameters = [np.sqrt(4 / np.pi * cohort.mask(case).sum()) for case in framed.cases]
    assert np.median(diameters) / np.sqrt(768 * 640) == pytest.approx(0.09, abs=0.012)


@pytest.mark.parametrize("association", [True, False])
def test_shape_given_subtype(association):
    drawn = np.zeros((4, 4))
    for patient in draw_patients(4000, 2, association=association):
        if patient.subtype:
            shape = SHAPES.index(patient.masses[0].shape)
            drawn[SUBTYPES.index(patient.subtype), shape] += 1
    share = SUBTYPE_BY_SHAPE / 300
    if not association:
        share = np.outer(share.sum(axis=1), share.sum(axis=0))
    assert chisquare(drawn.ravel(), (share * drawn.sum()).ravel()).pvalue > 0.01
    other = chi2_contingency(drawn).pvalue  # control: are the two variants told apart?
    assert (other < 1e-6) == association


def test_the_patients_of_the_study_of_whom_no_two_cohorts_share_one():
    patients, null = draw_patients(64, 2020), draw_patients(64, 2020, association=False)
    crops = {one.masses for one in draw_patients(375, 2021)}  # a segmenter of them reads the others
    assert not crops & {one.masses for one in patients}
    assert sum(p.site == "south" for p in patients) == 16
    assert sum(len(p.masses) == 2 for p in patients) == 8
    assert all(set(p.free_views) <= {"CC", "MLO"} and p.free_views for p in patients)
    assert {p.side for p in patients} == {"L", "R"}
    assert all((p.subtype is None) == (p.pathology == "benign") for p in patients)
    for one, other in zip(patients, null, strict=True):  # they differ in the shape draw alone
        assert (one.side, one.site, one.subtype) == (other.side, other.site, other.subtype)
        assert one.masses[0].diameter == other.masses[0].diameter


def test_classes_differ_in_solidity_and_aspect_and_share_their_area():
    solidity, aspect = {}, {}
    for shape in SHAPES:
        found = []
        for seed in range(12):
            points = drawing.draw_outline(shape, 120, np.random.default_rng(seed))
            assert points.shape == (360, 2)
            area = cv2.contourArea(points.astype(np.float32))
            assert area == pytest.approx(np.pi * 60**2, rel=1e-5)  # that of the disc
            mask = np.zeros((400, 400), int)
            mask[polygon(*(points.T[::-1] + 200))] = 1
            assert label(mask).max() == 1
            found += regionprops(mask)
        solidity[shape] = np.median([one.solidity for one in found])
        ratio = [one.axis_minor_length / one.axis_major_length for one in found]
        aspect[shape] = np.median(ratio)
    assert solidity["irregular"] < 0.88 < solidity["lobular"] < 0.965
    assert min(solidity["oval"], solidity["round"]) > 0.97
    assert aspect["oval"] < 0.75 < 0.88 < aspect["round"]


def test_gaussian_radius_has_the_asked_spread_and_spectrum():
    logs = np.log([drawing.gaussian_radius(np.random.default_rng(s), 0.2, 0.5) for s in range(400)])
    assert logs.std() == pytest.approx(0.2, rel=0.05)
    power = (np.abs(np.fft.rfft(logs, axis=1)) ** 2).mean(axis=0)[2:41]
    slope = np.polyfit(np.log(np.arange(2, 41)), np.log(power), 1)[0]
    assert slope == pytest.approx(-2.0, abs=0.1)  # amplitude n^-(H + 1/2), H = 1/2


@pytest.mark.parametrize("beta", [2.0, 3.0])
def test_power_law_exponent(beta):
    frequency = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, (256, 256))))
    edges = np.geomspace(0.02, 0.4, 12)
    middle = np.sqrt(edges[1:] * edges[:-1])
    for field in drawing.power_law_fields((256, 256), np.random.default_rng(0), beta):
        assert field.mean() == pytest.approx(0, abs=1e-3)
        assert field.std() == pytest.approx(1, abs=1e-3)
        power = np.abs(np.fft.fft2(field)) ** 2
        level = [power[(frequency >= a) & (frequency < b)].mean() for a, b in pairwise(edges)]
        slope = np.polyfit(np.log(middle), np.log(level), 1)[0]
        assert -slope == pytest.approx(beta, abs=0.2)


def view(name="CC", side="L", site="north", masses=(OVAL,), seed=0):
    return drawing.draw_view(name, side, site, 0.4, masses, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ["CC", "MLO"])
@pytest.mark.parametrize("site", ["north", "south"])
def test_a_view_and_its_mirror(name, site):
    image, labels = view(name, site=site)
    assert image.shape == labels.shape == drawing.SIZE
    assert 0 <= image.min() < image.max() <= 1
    assert (labels == 1).sum() == pytest.approx(np.pi * 30**2, rel=0.08)
    assert set(np.unique(labels)) == {0, 1}
    right = view(name, side="R", site=site)
    np.testing.assert_array_equal(image, right[0][:, ::-1])
    np.testing.assert_array_equal(labels, right[1][:, ::-1])
    assert image[:, :100].mean() > 2 * image[:, -100:].mean()  # lies on the chest wall


@pytest.mark.parametrize("seed", range(6))
def test_the_loose_frame_cuts_the_second_mass(seed):
    _, labels = view("MLO", masses=(OVAL, SMALL), seed=seed)
    x_min, y_min, x_max, y_max = frame_box(box_of(labels == 1), drawing.SIZE)
    second = labels == 2
    inside = second[max(y_min, 0) : y_max, max(x_min, 0) : x_max].sum()
    assert 0.1 * second.sum() < inside < second.sum()
