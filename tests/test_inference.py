"""Prediction: one mask whatever the format, each mass once, the best model, and nobody named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import mammostudy
from mammostudy import inference
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError
from mammostudy.evaluation.classification import apply_temperature
from mammostudy.figures.predictions import OUTPUTS, Findings, OperatingPoint, save_prediction
from mammostudy.imaging import framing
from mammostudy.imaging.postprocessing import postprocess
from mammostudy.inference import NO_MASK, boxes_in, found_boxes, operating_point, predict, shapes_of
from mammostudy.runs import choice
from mammostudy.runs.choice import model_for, models
from mammostudy.runs.execute import execute
from mammostudy.runs.kinds import ShapeSpec
from mammostudy.runs.segmentation import chosen_steps
from mammostudy.runs.trained import trained_model
from mammostudy.study.recipes import detect_recipe
from tests.data.writers import write_dicom

BOX = (16, 14, 29, 25)
SHAPE = (48, 64)
CLASSES = ("irregular", "round")
NAME = "doe_jane_19500101"
PLANTED = (NAME, "Doe", "Jane", "doe", "19500101", "ID-4711")


@pytest.fixture(scope="module")
def _models(tmp_path_factory, write_cohort):
    data = tmp_path_factory.mktemp("data")
    write_cohort(data, patients=9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(data / "store"))
        patch.setenv("MAMMOSTUDY_DATA", str(data))
        execute(detect_recipe("tiny", "smoke"), progress=False)
        shape = {
            "cohort": "tiny", "variant": "study", "classes": CLASSES,
            "split": {"folds": 3, "validation_folds": 3}, "input": {"placement": "square"},
            "training": {"epochs": 2, "batch": 8},
        }  # fmt: skip
        execute(ShapeSpec.parse(shape), progress=False)
    return data


@pytest.fixture
def all_models(_models, trained, own_store, monkeypatch):
    """A store with a segmenter, a detector and a shape model of a few steps; records by kind."""
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(trained.store))
    for store in (_models / "store", trained.store):
        for room in ("records", "weights"):
            if (store / room).is_dir():
                shutil.copytree(store / room, own_store / room, dirs_exist_ok=True)
    monkeypatch.setenv("MAMMOSTUDY_STORE", str(own_store))
    monkeypatch.setenv("MAMMOSTUDY_DATA", str(_models))
    return {kind: model_for(kind) for kind in ("segmentation", "detection", "shape")}


@pytest.fixture
def image():
    noise = cv2.GaussianBlur(np.random.default_rng(5).standard_normal(SHAPE), (0, 0), 3)
    pixels = 0.35 + 1.2 * noise
    cv2.ellipse(pixels, (22, 19), (6, 5), 0, 0, 360, 0.8, -1)
    return (np.clip(pixels, 0, 1) * 255).round().astype(np.uint8)


def works_at(monkeypatch, threshold):
    """Let the detector work at a threshold: one of a few steps has none of its own to speak of."""
    point = OperatingPoint(threshold, 1.0, 0.5)
    monkeypatch.setattr(inference, "operating_point", lambda _: point)


def write(path, pixels):
    if path.suffix != ".dcm":
        assert cv2.imwrite(str(path), pixels)
        return path
    shown = {"WindowCenter": 128, "WindowWidth": 256, "ImagerPixelSpacing": [0.5, 0.5]}
    person = {"PatientName": "Doe^Jane", "PatientID": "ID-4711", "PatientBirthDate": "19500101"}
    return write_dicom(path, pixels, 8, **shown, **person)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".dcm"])
def test_every_format_gives_the_mask_of_the_array(trained, image, suffix, tmp_path):
    expected = mammostudy.predict(image / 255, BOX)
    assert (expected.mask.shape, expected.mask.dtype, expected.area_mm2) == (SHAPE, np.bool_, None)
    assert (expected.box, expected.record.key) == (BOX, trained.record.key)
    found = predict(write(tmp_path / f"image{suffix}", image), BOX)
    np.testing.assert_array_equal(found.mask, expected.mask)
    if suffix == ".dcm":
        assert found.area_mm2 == pytest.approx(found.area_px * 0.25)


@pytest.mark.parametrize(("convert", "notes"), [
    (lambda image: image, 0), (lambda image: image.astype(">u2") * 16, 1),
    (lambda image: image.astype(np.int32) * 4, 1), (lambda image: image / 255, 0),
    (lambda image: (image / 255).astype(np.float16), 0),
    (lambda image: np.where(np.eye(*SHAPE, 52), 65535, image.astype(np.uint16) * 16), 2),
])  # fmt: skip
def test_arrays_of_every_kind(trained, image, convert, notes):
    found = predict(convert(image), BOX)
    np.testing.assert_allclose(np.median(found.image), np.median(image / 255), rtol=0.01)
    assert (found.image.dtype, len(found.notes)) == (np.float32, notes)


@pytest.mark.parametrize("value", [0, 37, 128, 255])
def test_an_area_of_one_grey_value_has_an_answer(trained, value):
    found = predict(np.full((200, 150), value, np.uint8), (20, 30, 90, 120))
    assert found.mask.shape == (200, 150)


def test_the_mask_is_the_one_the_record_was_measured_on(trained):
    cohort, stored = load_cohort("tiny"), trained.record.predictions()
    assert stored
    for case, framed in stored.items():
        sample = cohort.sample(case)
        found = predict(sample.image, sample.box, record=trained.record)
        frame = framing.frame_box(sample.box, sample.image.shape)
        processed = postprocess(framed, chosen_steps(trained.record))
        expected = framing.paste_back(processed, frame, SHAPE)
        np.testing.assert_array_equal(found.mask, expected, err_msg=case)


def test_the_boxes_are_those_of_the_records_rows(all_models):
    """A test view searched again gives the boxes that its rows of the record hold."""
    cohort, record = load_cohort("tiny"), all_models["detection"]
    rows = record.part("test").query("row == 'box'")
    model = trained_model(record)
    names = [name for name in cohort.views.index if name in set(rows["view"])]
    assert len(names) > 1
    for name in names:
        of = rows[rows["view"] == name]
        pixels = cohort.image(cohort.manifest.set_index("case", drop=False).loc[name])
        boxes, scores = boxes_in(pixels, model, record.spec)
        np.testing.assert_allclose(scores, of["score"], rtol=2e-4)
        edges = of[["x_min", "y_min", "x_max", "y_max"]].to_numpy(float)
        np.testing.assert_allclose(boxes, edges, atol=0.11)


def test_the_probabilities_of_shapes_are_those_of_the_records_rows(all_models):
    cohort, record = load_cohort("tiny"), all_models["shape"]
    test = record.cases.query("part == 'test'")
    expected = apply_temperature(record.logits(test), record.temperature)
    masks = [cohort.mask(case) for case in test["case"]]
    masks[0] = np.pad(masks[0], ((30, 0), (0, 50)))
    masks[0][:2, :2] = True  # a crumb: the largest part counts
    found = shapes_of(masks, record)
    shares = [list(each.probabilities.values()) for each in found]
    np.testing.assert_allclose(shares, expected, atol=2e-3)
    assert tuple(found[0].probabilities) == CLASSES
    cold = replace(record, content={**record.content, "temperature": record.temperature / 2})
    assert max(shapes_of(masks[:1], cold)[0].probabilities.values()) > max(shares[0])


def test_the_operating_point_is_the_validation_views(all_models):
    point = operating_point(all_models["detection"])
    rows = all_models["detection"].part("validation")
    counted = rows[(rows["row"] == "box") & (rows["score"] >= point.threshold)]
    assert (counted["iou25"] == -1).sum() <= (rows["row"] == "view").sum()
    masses = (rows["row"] == "mass").sum()
    assert point.sensitivity == pytest.approx((counted["iou25"] >= 0).sum() / masses)
    assert (point.false_positives, point.summary()["rule"]) == (1.0, "iou25")


@pytest.mark.parametrize(
    ("boxes", "scores", "expected"),
    [
        ([], [], []),
        ([(10, 10, 20, 20)], [0.5], [((10, 10, 20, 20), 0.5)]),
        # IoU 1/3 of the best: the same mass, whatever the order in which they come
        ([(15, 10, 25, 20), (10, 10, 20, 20)], [0.6, 0.9], [((10, 10, 20, 20), 0.9)]),
        # IoU 1/4 exactly is another mass
        ([(10, 10, 20, 20), (16, 10, 26, 20)], [0.9, 0.6],
         [((10, 10, 20, 20), 0.9), ((16, 10, 26, 20), 0.6)]),
        # the third overlaps only the second, which is dropped itself: it stays
        ([(10, 10, 20, 20), (14, 10, 24, 20), (18, 10, 28, 20)], [0.9, 0.8, 0.7],
         [((10, 10, 20, 20), 0.9), ((18, 10, 28, 20), 0.7)]),
        # edges are rounded, and stay inside
        ([(9.6, 10.4, 63.9, 48.0)], [0.9], [((10, 10, 64, 48), 0.9)]),
        ([(62.8, 47.6, 64.0, 48.0)], [0.9], [((63, 47, 64, 48), 0.9)]),
    ],
)  # fmt: skip
def test_each_mass_once(boxes, scores, expected):
    array = np.array(boxes, float).reshape(-1, 4)
    assert found_boxes(array, np.array(scores), 0.5, SHAPE) == expected
    assert found_boxes(array, np.array(scores), np.inf, SHAPE) == []


def test_every_mass_is_outlined_as_in_a_box_given_by_hand(all_models, image, monkeypatch):
    works_at(monkeypatch, 0.0)
    found = mammostudy.predict(image / 255)
    assert isinstance(found, Findings)
    assert len(found.masses) >= 2
    scores = [one.score for one in found.masses]
    assert scores == sorted(scores, reverse=True)
    assert (found.detector.key, found.best_score) == (all_models["detection"].key, scores[0])
    for one in found.masses:
        by_hand = predict(image / 255, one.box)
        np.testing.assert_array_equal(one.mask, by_hand.mask)
        assert by_hand.summary() == one.summary() | {"box_from": "user"}


def test_none_found_is_no_error(all_models, image, tmp_path, monkeypatch):
    works_at(monkeypatch, np.inf)
    found = predict(image / 255)
    assert (found.masses, found.mask.any()) == ((), False)
    content = json.loads(save_prediction(found, tmp_path / "out")[2].read_text())
    assert (content["masses"], content["threshold"]) == ([], None)


def written(found, folder, source):
    """Save a prediction, which names nobody; return the mask and what the JSON holds."""
    paths = save_prediction(found, folder, source)
    assert sorted(path.name for path in folder.iterdir()) == sorted(OUTPUTS)
    for path in paths:
        for word in (*PLANTED, str(folder.parent)):
            assert word.encode() not in path.read_bytes(), (path.name, word)
    assert cv2.imread(str(paths[1])).shape == (*SHAPE, 3)
    return cv2.imread(str(paths[0]), cv2.IMREAD_UNCHANGED), json.loads(paths[2].read_text())


def test_outputs_of_a_box(all_models, image, tmp_path):
    path = write(tmp_path / f"{NAME}.dcm", image)
    assert all(word.encode() in path.read_bytes() for word in PLANTED[1:3])  # control of the leaks
    found = predict(path, BOX)
    assert found.mask.any(), "the segmenter of the fixture finds nothing: give another image"
    mask, content = written(found, tmp_path / "out", path)
    np.testing.assert_array_equal(mask, found.mask * np.uint8(255))
    expected = {"box": list(BOX), "area_px": found.area_px, "trained_on": "tiny"}
    assert content | expected == content
    assert content["shape"]["model"] == all_models["shape"].key
    assert sum(content["shape"]["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_outputs_of_several_masses(all_models, image, tmp_path, monkeypatch):
    works_at(monkeypatch, 0.0)
    path = write(tmp_path / f"{NAME}.png", image)
    found = predict(path)
    mask, content = written(found, tmp_path / "out", path)
    np.testing.assert_array_equal(mask > 0, found.mask)
    seen = np.zeros(SHAPE, bool)
    for one, said in zip(found.masses, content["masses"], strict=True):
        np.testing.assert_array_equal(mask == said["mask_value"], one.mask & ~seen)
        seen |= one.mask
        assert (said["box"], said["score"]) == (list(one.box), one.score)
        assert said["shape_note"] == ("" if said["shape"] else NO_MASK)
    assert content["detector"]["model"] == all_models["detection"].key
    assert content["segmenter"]["model"] == found.record.key


def test_what_cannot_be_predicted(trained):
    for value, box, told in (
        (1.0, (29, 14, 16, 25), "empty"),
        (1.0, (float("nan"), 14, 29, 25), "four whole numbers"),
        (np.nan, BOX, "image"), (255.0, BOX, "image"), (-3, BOX, "image"), (70_000, BOX, "image"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=told):
            predict(np.full(SHAPE, value), box)


def copied(record, key, spec=None, **changes):
    """Copy a record under another key; ``spec`` fields and others changed."""
    folder = record.folder.with_name(key)
    shutil.copytree(record.folder, folder)
    content = json.loads((folder / "record.json").read_text())
    for field, usual in (("finished", "2019"), ("sequence", 1)):
        content["provenance"][field] = changes.pop(field, usual)
    for name, value in (spec or {}).items():
        part = content["spec"].get(name)
        content["spec"][name] = part | value if isinstance(part, dict) else value
    (folder / "record.json").write_text(json.dumps(content | changes | {"key": key}))


@pytest.mark.parametrize(
    ("kind", "part", "field"),
    [("segmentation", "optimiser", "iterations"), ("detection", "training", "iterations"),
     ("shape", "training", "epochs")],
)  # fmt: skip
def test_the_best_trained_study_model_is_used(all_models, kind, part, field, monkeypatch):
    record = all_models[kind]
    spent = choice.spent(record)
    copied(record, "old", finished="2018", converged=False)
    copied(record, "new", finished="2030", converged=False)
    copied(record, "last", finished="2001", converged=False, sequence=7)  # the clock was set back
    copied(record, "long", spec={part: {field: spent + 1}}, converged=False)
    copied(record, "settled", finished="2020", converged=True)
    copied(record, "elsewhere", spec={"cohort": "other"}, converged=True)
    copied(record, "diverged", status="diverged")
    copied(record, "untrained", training_key="nothing")
    for other in ({"variant": "paper"}, {"split": {"unit": "image"}}, {"kind": "odd"}):
        copied(record, "-".join(other), spec=other)
    if kind == "shape":
        copied(record, "forest", spec={"classifier": "random-forest"})
        copied(record, "tool", spec={"target": "tool", "classes": ["circle", "polygon"]})
    copied(record, "broken")
    (record.folder.with_name("broken") / "record.json").write_text("{")
    shutil.rmtree(record.folder)
    keys = [each.key for each in models(kind)]
    assert keys == ["settled", "elsewhere", "long", "last", "new", "old"]
    assert model_for(kind, ("other",)).key == "elsewhere"
    monkeypatch.setitem(choice.LEAST, kind, spent + 1)  # now but one is of a smoke run
    assert [each.key for each in models(kind)] == ["long"]
    shutil.rmtree(record.folder.with_name("long"))
    with pytest.raises(DataError, match=r"5 of smoke runs are too little trained.*mammostudy run"):
        model_for(kind)


def test_a_failed_write_leaves_what_was_there(trained, image, tmp_path, monkeypatch):
    prediction = predict(image / 255, BOX)
    before = {path: path.read_bytes() for path in save_prediction(prediction, tmp_path / "kept")}
    original = Path.write_bytes

    def fails(self, content):
        if self.name == OUTPUTS[-1]:
            original(self, content[:3])
            raise OSError(28, "No space left on device")
        return original(self, content)

    monkeypatch.setattr(Path, "write_bytes", fails)
    for folder in ("new", "kept"):
        with pytest.raises(DataError, match=r"No space left on device.*--out"):
            save_prediction(prediction, tmp_path / folder, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert {path: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == before
