"""Prediction: every format gives one mask, outputs are whole, and nothing in them names anyone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

import mammostudy
from mammostudy import inference
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.imaging import framing
from mammostudy.inference import (
    OUTPUTS,
    Prediction,
    chosen_steps,
    newest_study_record,
    parse_box,
    predict,
    save_prediction,
    study_records,
)

if TYPE_CHECKING:
    from tests.conftest import Trained

BOX = (16, 14, 29, 25)
SECRET = "Doe^Jane"
NAME = "doe_jane_19500101"


@pytest.fixture
def pixels() -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(5).standard_normal((48, 64)), (0, 0), 3)
    image = 90 + 300 * noise
    cv2.ellipse(image, (22, 19), (6, 5), 0, 0, 360, 200, -1)
    return np.clip(image, 0, 255).astype(np.uint8)


def write_dicom(path: Path, pixels: np.ndarray, **fields: object) -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    ds.SOPInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = SECRET, "ID-4711", "19500101"
    ds.InstitutionName, ds.AccessionNumber = "Hospital-of-Secrets", "ACC-0815"
    ds.Modality, ds.PhotometricInterpretation, ds.SamplesPerPixel = "MG", "MONOCHROME2", 1
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.WindowCenter, ds.WindowWidth = 128, 256
    for name, value in fields.items():
        setattr(ds, name, value)
    ds.PixelData = pixels.tobytes()
    ds["PixelData"].VR = "OB"
    ds.save_as(path, enforce_file_format=True)
    return path


def write(path: Path, pixels: np.ndarray) -> Path:
    if path.suffix == ".dcm":
        return write_dicom(path, pixels, ImagerPixelSpacing=[0.5, 0.5])
    quality = [cv2.IMWRITE_JPEG_QUALITY, 100] if path.suffix == ".jpg" else []
    assert cv2.imwrite(str(path), pixels, quality)
    return path


def test_an_array_is_segmented_in_its_own_grid(trained: Trained, pixels: np.ndarray) -> None:
    found = mammostudy.predict(pixels / 255, BOX)
    assert (found.mask.shape, found.mask.dtype) == ((48, 64), np.bool_)
    assert found.box == BOX
    assert found.record.key == trained.record.key
    assert found.area_px == found.mask.sum()
    assert found.area_mm2 is None
    frame = framing.frame_box(BOX, (48, 64))
    outside = np.ones((48, 64), bool)
    outside[max(frame[1], 0) : frame[3], max(frame[0], 0) : frame[2]] = False
    assert not found.mask[outside].any()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".dcm", ".jpg"])
def test_every_format_gives_the_mask_of_the_array(
    trained: Trained, pixels: np.ndarray, suffix: str, tmp_path: Path
) -> None:
    expected = predict(pixels / 255, BOX)
    found = predict(write(tmp_path / f"image{suffix}", pixels), BOX)
    if suffix == ".jpg":  # lossy
        assert (found.mask == expected.mask).mean() > 0.9
    else:
        np.testing.assert_array_equal(found.mask, expected.mask)
    if suffix == ".dcm":
        assert found.spacing_mm == 0.5
        assert found.area_mm2 == pytest.approx(found.area_px * 0.25)


def test_the_mask_is_the_one_the_record_was_measured_on(trained: Trained) -> None:
    cohort = load_cohort("tiny")
    stored = trained.record.predictions()
    assert stored
    for case, framed in stored.items():
        sample = cohort.sample(case)
        found = predict(sample.image, sample.box, record=trained.record)
        frame = framing.frame_box(sample.box, sample.image.shape)
        steps = chosen_steps(trained.record)
        expected = framing.paste_back(inference.postprocess(framed, steps), frame, (48, 64))
        np.testing.assert_array_equal(found.mask, expected, err_msg=case)


def test_prediction_leaves_the_random_state_alone(trained: Trained, pixels: np.ndarray) -> None:
    import torch

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = predict(pixels / 255, BOX)
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(predict(pixels / 255, BOX).mask, first.mask)


def test_outputs(trained: Trained, pixels: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", pixels)
    found = predict(path, BOX)
    paths = save_prediction(found, tmp_path / "new" / "out", path)
    assert [p.name for p in paths] == list(OUTPUTS)
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == sorted(OUTPUTS)
    mask = cv2.imread(str(paths[0]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, found.mask * np.uint8(255))
    assert cv2.imread(str(paths[1])).shape == (48, 64, 3)
    content = json.loads(paths[2].read_text())
    assert content["box"] == list(BOX)
    assert content["area_px"] == found.area_px
    assert content["area_mm2"] == found.area_mm2
    assert content["model"] == trained.record.key
    assert content["trained_on"] == "tiny"
    assert content["variant"] == "study"
    assert (content["image_height"], content["image_width"]) == (48, 64)
    assert "not a medical device" in content["note"]


@pytest.mark.parametrize("suffix", [".png", ".dcm"])
def test_outputs_name_no_person_and_no_file(
    trained: Trained, pixels: np.ndarray, suffix: str, tmp_path: Path
) -> None:
    path = write(tmp_path / f"{NAME}{suffix}", pixels)
    paths = save_prediction(predict(path, BOX), tmp_path / "out", path)
    planted = [NAME, "Doe", "Jane", "doe", "19500101", "ID-4711", "Hospital-of", "ACC-0815"]
    planted.append(str(tmp_path))
    for output in paths:
        content = output.read_bytes()
        for word in planted:
            assert word.encode() not in content, (output.name, word)
            assert word not in output.name
    if suffix == ".dcm":  # control: they were there to be copied
        assert all(word.encode() in path.read_bytes() for word in ("Doe^Jane", "ID-4711"))


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (None, ("no box given", "--box")),
        ((16, 14, 65, 25), ("not inside the image", "64 x 48")),
        ((-1, 14, 29, 25), ("not inside the image",)),
        ((16, 14, 16, 25), ("empty",)),
        ((29, 14, 16, 25), ("empty",)),
        ((16, 14, 29), ("four whole numbers",)),
        ((16.5, 14, 29, 25), ("four whole numbers",)),
        (("a", "b", "c", "d"), ("four whole numbers",)),
        (7, ("four whole numbers",)),
        ((float("nan"), 14, 29, 25), ("four whole numbers",)),
    ],
)
def test_boxes_that_cannot_be(
    trained: Trained, pixels: np.ndarray, box: object, words: tuple[str, ...]
) -> None:
    with pytest.raises(DataError) as caught:
        predict(pixels / 255, box)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_control_of_the_box_outside_the_image(
    trained: Trained, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (inference, framing):
        monkeypatch.setattr(module, "check_box", lambda box, shape: box)
    assert isinstance(predict(pixels / 255, (16, 14, 70, 25)), Prediction)


def test_whole_floats_and_numpy_numbers_are_boxes(trained: Trained, pixels: np.ndarray) -> None:
    assert predict(pixels / 255, tuple(np.array(BOX, float))).box == BOX
    assert predict(pixels / 255, tuple(np.array(BOX))).box == BOX


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3)), np.zeros((0, 4)), np.full((4, 4), 2.0), np.full((4, 4), -0.1),
     np.full((4, 4), np.nan), [["a"]], [[1], [1, 2]]],
)  # fmt: skip
def test_arrays_that_are_no_images(array: object) -> None:
    with pytest.raises(DataError, match=r"\(h, w\) with finite values in \[0, 1\]"):
        predict(array, (0, 0, 2, 2))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [None, b"", b"text"])
def test_files_that_are_no_images(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png"):
        predict(path, BOX)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4", "", "1 2 3 4"])
def test_box_texts_that_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="four whole numbers"):
        parse_box(text)


def test_box_text() -> None:
    assert parse_box("1, 2,30,40") == (1, 2, 30, 40)


def test_without_a_model_the_message_says_how_to_make_one(
    own_store: Path, pixels: np.ndarray
) -> None:
    with pytest.raises(DataError, match="mammostudy run losses --preset quick"):
        predict(pixels / 255, BOX)
    assert not own_store.exists()


def copied(trained: Trained, store: Path, key: str, **changes: object) -> Path:
    import shutil

    folder = store / "records" / "tiny" / key
    shutil.copytree(trained.record.folder, folder)
    content = json.loads((folder / "record.json").read_text())
    content["provenance"]["finished"] = changes.pop("finished", "2030-01-01T00:00:00Z")
    if "unit" in changes:
        content["spec"]["split"]["unit"] = changes.pop("unit")
    if "variant" in changes:
        content["spec"]["variant"] = changes.pop("variant")
    content |= changes | {"key": key}
    (folder / "record.json").write_text(json.dumps(content))
    source = trained.store / "weights" / f"{trained.record.content['training_key']}.safetensors"
    target = store / "weights" / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    return folder


def test_the_newest_completed_study_record_is_used(
    trained: Trained, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(own_store))
    copied(trained, own_store, "old", finished="2020-01-01T00:00:00Z")
    copied(trained, own_store, "new", finished="2025-01-01T00:00:00Z")
    copied(trained, own_store, "diverged", status="diverged")
    copied(trained, own_store, "paper", variant="paper")
    copied(trained, own_store, "leaky", unit="image")
    copied(trained, own_store, "untrained", training_key="nothing")
    broken = copied(trained, own_store, "broken") / "record.json"
    broken.write_text("{")
    other = copied(trained, own_store, "otherformat") / "record.json"
    other.write_text('{"format": 99}')
    assert [record.key for record in study_records()] == ["new", "old"]
    assert newest_study_record().key == "new"


def test_damaged_weights(
    trained: Trained, own_store: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(own_store))
    copied(trained, own_store, "one")
    (weights,) = (own_store / "weights").iterdir()
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match=r"safetensors: the weights .* damaged; delete the file"):
        predict(pixels / 255, BOX)


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        ({"none": 0.8, "close3+erode2+dilate3": 0.9}, ("close3", "erode2", "dilate3")),
        ({"none": 0.9, "close3": 0.8}, ()),
        ({"none": 0.8, "close3": 0.8}, ()),
    ],
)
def test_postprocessing_is_chosen_on_validation(
    dice: dict[str, float], expected: tuple[str, ...]
) -> None:
    rows = [
        {"part": part, "box": box, "postprocessing": steps, "dice": value if ours else 1 - value}
        for part, box, ours in (("validation", "oracle", True), ("test", "oracle", False),
                                ("validation", "jittered", False))
        for steps, value in dice.items()
    ]  # fmt: skip

    class Measured:
        cases = pd.DataFrame(rows)

    assert chosen_steps(Measured()) == expected  # type: ignore[arg-type]


@pytest.fixture
def prediction(trained: Trained, pixels: np.ndarray) -> Prediction:
    return predict(pixels / 255, BOX)


def fails_on(name: str) -> Callable[[Path, bytes], int]:
    original = Path.write_bytes

    def write_bytes(self: Path, content: bytes) -> int:
        if self.name.endswith(name):
            original(self, content[:3])
            raise OSError(28, "No space left on device")
        return original(self, content)

    return write_bytes


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_failed_write_leaves_nothing(
    prediction: Prediction, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_bytes", fails_on(name))
    with pytest.raises(DataError, match=r"No space left on device.*--out"):
        save_prediction(prediction, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)
    with pytest.raises(DataError):
        save_prediction(prediction, tmp_path / "out")
    assert list((tmp_path / "out").iterdir())  # control: without the clearing up, halves stay


def test_a_failed_write_keeps_what_was_there(
    prediction: Prediction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = save_prediction(prediction, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in paths}
    monkeypatch.setattr(Path, "write_bytes", fails_on("prediction.json"))
    with pytest.raises(DataError):
        save_prediction(prediction, tmp_path)
    assert {path: path.read_bytes() for path in paths} == before
    assert len(list(tmp_path.iterdir())) == 4


def test_an_output_folder_that_is_a_file(prediction: Prediction, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match=r"cannot be written.*--out"):
        save_prediction(prediction, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"
