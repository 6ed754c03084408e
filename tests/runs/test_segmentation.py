"""What a spec becomes: baselines, trainer, predictions, rows by hand; whom a run is tested on."""

import runpy
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mammostudy.data import manifest
from mammostudy.data.frames import FramedSet, frame_cohort
from mammostudy.data.load import load_cohort
from mammostudy.data.manifest import write_manifest
from mammostudy.errors import DataError, MissingDataError
from mammostudy.evaluation import boundary_iou, overlap
from mammostudy.evaluation.splits import checked_split
from mammostudy.models.baselines import Shown, baseline_masks
from mammostudy.runs import segmentation as module
from mammostudy.runs.record import read_record
from mammostudy.runs.spec import COLUMNS, FITTED, RunSpec
from mammostudy.runs.trained import trained_model
from mammostudy.training.segmentation import Adversarial, Supervised

SIDE = 32
STEPS = "close3+erode2+dilate3"


def small(**changes):
    fields = {"cohort": "c", "frame": {"size": SIDE}, "model": {"width": 2, "levels": 5}}
    return RunSpec.parse(fields).changed(**changes)


@pytest.fixture
def framed():
    """Two frames with a bright ellipse in the middle, on a slope, with a ripple in one of them."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    axes = ((8, 8), (6, 9))
    masks = np.stack([((x - 15.5) / a) ** 2 + ((y - 15.5) / b) ** 2 < 1 for a, b in axes])
    ripple = np.stack([0 * x, 0.2 * np.sin(1.7 * x + 0.9 * y)])
    images = (0.3 + 0.1 * y / SIDE + 0.3 * masks + ripple).astype(np.float32)
    given = np.array([[8, 8, 24, 24], [10, 7, 22, 25]], np.float32)
    boxes = np.array([[0, 0, SIDE, SIDE]] * 2)
    return FramedSet(("a", "b"), images, masks, boxes, given, np.zeros(2, np.int64))


@pytest.mark.parametrize(
    ("name", "golden"),
    [
        ("all-mass", [1024, 1024, 1047552]), ("ellipse", [208, 172, 194370]),
        ("otsu", [208, 353, 292369]), ("chan-vese", [208, 168, 192766]),
    ],
)  # fmt: skip
def test_baselines(name, golden, framed):
    spec = small(model={"name": name}, optimiser={"iterations": 0})
    masks, _ = module.predict_framed(None, framed, spec)
    place = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    found = [*masks.sum(axis=(1, 2)).tolist(), int((masks * place).sum())]
    assert found == golden, "a baseline moved: raise runs.segmenters in runs/versions.py"
    if name == "ellipse":
        area = np.pi / 4 * np.array([16 * 16, 12 * 18])
        assert masks.sum(axis=(1, 2)) == pytest.approx(area, rel=0.04)
    framed.given[0] = (10.2, 10.2, 10.4, 10.4)  # thinner than a pixel
    assert module.predict_framed(None, framed, spec)[0][0].any()


def test_fitted_baselines_find_the_scale_of_training_masses_and_no_other(framed):
    """Training masses that fill 0.8 of both sides of their boxes."""
    y, x = np.mgrid[:SIDE, :SIDE]
    axes = 0.8 * (framed.given[:, 2:] - framed.given[:, :2]) / 2
    small = np.stack([((x - 15.5) / a) ** 2 + ((y - 15.5) / b) ** 2 < 1 for a, b in axes])
    given = 0 * framed.images, framed.given
    assert overlap.dice(baseline_masks("ellipse", *given), small).max() < 0.9
    for name in FITTED:
        assert (
            overlap.dice(baseline_masks(name, *given, Shown(small, given[1])), small).min() > 0.93
        )
        with pytest.raises(ValueError, match=name):
            baseline_masks(name, *given)


def test_the_trainer_follows_the_spec():
    cgan = module.build_trainer(small())
    assert isinstance(cgan, Adversarial)
    assert (cgan.overlap_weight, cgan.adversarial_weight, cgan.signed_masks) == (150, 1, False)
    for optimiser in (cgan.generator_optimiser, cgan.discriminator_optimiser):
        (group,) = optimiser.param_groups
        assert isinstance(optimiser, torch.optim.Adam)
        assert (group["lr"], group["betas"], group["weight_decay"]) == (2e-4, (0.5, 0.999), 0)
    assert type(module.build_trainer(small(loss__adversarial_weight=0.0))) is Supervised
    assert module.build_trainer(small(loss__signed_masks=True)).signed_masks
    model = module.network(small(model__channels=3, model__dropout_at_prediction=False))
    assert (model.in_channels, model.dropout_at_prediction) == (3, False)


class LeftHalf(nn.Module):
    """Marks what is bright in the left half: not symmetric, so that flips show."""

    def forward(self, images):
        half = torch.zeros_like(images)
        half[..., : images.shape[-1] // 2] = 1
        return 2 * images * half - 1


def test_mirror_images_are_turned_back_before_their_mean(framed):
    model = LeftHalf()
    assert not module.one_draw(model, framed, small())[..., -1].any()  # the control
    found = module.flip_averaged(model, framed, small())
    np.testing.assert_allclose(found, framed.images / 2, atol=1e-6)
    flipped, _ = module.predict_framed(model, framed, small(evaluation__flips=True))
    assert np.array_equal(flipped, found >= 0.5)
    plain, scores = module.predict_framed(model, framed, small())
    assert np.array_equal(plain, module.one_draw(model, framed, small()) >= 0.5)
    assert scores == {}


@pytest.mark.parametrize(
    ("dice", "chosen"),
    [
        ({"none": 0.8, STEPS: 0.81}, ("close3", "erode2", "dilate3")),
        ({"none": 0.81, STEPS: 0.8}, ()),
        ({STEPS: 0.8, "none": 0.8}, ()),  # the simpler of equals, whatever their order
        ({"none": 0.7, "close3": 0.9, STEPS: 0.8}, ("close3",)),
    ],
)
def test_postprocessing_is_that_of_the_best_validation_dice(dice, chosen):
    table = pd.DataFrame(
        [
            {"part": part, "box": box, "postprocessing": name, "dice": score}
            for name, value in dice.items()
            for part, box, score in (
                ("validation", "oracle", value - 0.1), ("validation", "oracle", value + 0.1),
                ("validation", "jittered", 1 - value), ("test", "oracle", 1 - value),  # decoys
            )
        ]
    )  # fmt: skip
    assert module.chosen_steps(SimpleNamespace(cases=table)) == chosen


PAIR = {"p": {"a1": (20, 20, 40, 40), "a2": (42, 42, 50, 50)}}


def test_a_frames_mask_is_pasted_back_into_the_window(tmp_path, write_squares):
    cohort = write_squares(tmp_path / "pair", PAIR)
    known, box = (cohort.mask("a1"), cohort.truth(cohort.row("a1")["image"])), (20, 20, 40, 40)
    alone, both = (overlap.judge_in_image(each, box) for each in known)
    whole, tight = np.ones((20, 20), bool), (20, 20, 40, 40)
    left = whole.copy()
    left[:, 10:] = False
    assert alone(whole, tight) == (1.0, 1.0)
    assert alone(left, tight) == pytest.approx((2 / 3, 1 / 2))
    # The tight frame cannot reach the second mass: it costs in the window.
    assert both(whole, tight) == pytest.approx((800 / 864, 400 / 464))
    assert alone(whole, (40, 20, 60, 40)) == (0.0, 0.0)
    middle = np.zeros((80, 80), bool)
    middle[20:60, 20:60] = True  # the loose frame at twice its size
    assert alone(middle, (10, 10, 50, 50)) == (1.0, 1.0)


def test_rows_and_masks_of_an_evaluation(tmp_path, write_squares):
    cohort = write_squares(tmp_path / "pair", PAIR)

    def ones(frames, frame):
        return np.ones(frames.masks.shape, bool), {"spread": np.array([0.1, 0.2])}

    spec = small(evaluation__boundary=True)
    table, kept = module.evaluate(spec, cohort, ("a2", "a1"), ones)
    assert set(table) == {*COLUMNS, "boundary_iou", "spread"} - {"part"}
    assert len(table) == 2 * 2 * 2
    assert not table.duplicated(["case", "box", "postprocessing"]).any()
    assert (set(table["postprocessing"]), set(table["patient"])) == ({"none", STEPS}, {"p"})
    assert {case: mask.all() for case, mask in kept.items()} == {"a2": True, "a1": True}
    finished = table["postprocessing"] != "none"
    assert table.loc[finished, ["boundary_iou", "spread"]].isna().all(axis=None)
    assert table.loc[~finished, "spread"].tolist() == [0.1, 0.2] * 2
    sizes = table.loc[~finished & (table["case"] == "a1")].set_index("box")["truth_pixels"]
    assert sizes["oracle"] != sizes["jittered"]
    every = spec.changed(evaluation__postprocessing="every", evaluation__boxes=("oracle",))
    assert len(module.evaluate(every, cohort, ("a2", "a1"), ones)[0]) == 2 * 16


def write_other(folder, patients):
    """Write the masses of some patients of the cohort ``tiny`` again, as the cohort ``other``."""
    other = shutil.copytree(folder / "data" / "tiny", folder / "data" / "other")
    table = pd.read_csv(other / "manifest.csv")
    names = dict(zip(table["patient"].unique(), patients, strict=False))
    table["patient"] = table["patient"].map(names)
    write_manifest(table.dropna(subset=["patient"]), other / "manifest.csv")
    return load_cohort("other")


def test_another_cohort_lends_only_patients_that_are_new(own_folders, tiny, tiny_spec, one):
    split = checked_split(tiny, tiny.masses, **tiny_spec.split.model_dump())
    assert module.held_out(tiny_spec, tiny, split) == (tiny, split.test)
    patients = tiny.masses["patient"]
    met, new = patients[split.train[0]], patients[split.test[0]]
    other = write_other(own_folders, [met, new, "stranger"])
    spec = tiny_spec.changed(evaluation__test_cohort="other")
    _, cases = module.held_out(spec, tiny, split)
    assert set(other.masses.loc[list(cases), "patient"]) == {new, "stranger"}
    record = one(spec)
    for part, tested in (("test", cases), ("validation", split.validation)):
        assert set(record.part(part)["case"]) == set(tested)
    assert record.content["split"]["test"] == list(cases)
    assert record.content["test_manifest_hash"] == other.manifest_hash
    assert record.content["training_key"] == tiny_spec.training_key(tiny.manifest_hash)


def test_inbreast_as_published_is_a_test_set(own_folders, tiny, tiny_spec, one, monkeypatch):
    folder = Path(__file__).resolve().parents[1] / "data"
    monkeypatch.syspath_prepend(str(folder))  # of its writers
    published = runpy.run_path(str(folder / "sources" / "test_inbreast.py"))
    published["write_release"](own_folders / "data" / "inbreast")
    record = one(tiny_spec.changed(evaluation__test_cohort="inbreast"))
    tested = record.part("test")
    assert set(tested["case"]) == {"20586908_1", "20586908_2", "20586934_1"}
    assert set(tested["patient"]) == {published["PATIENTS"][0]}
    assert tested["dice_image"].between(0, 1).all()
    assert record.content["test_manifest_hash"] == load_cohort("inbreast").manifest_hash
    assert record.content["training_key"] == tiny_spec.training_key(tiny.manifest_hash)


def test_a_cohort_that_cannot_be_tested_on_is_refused(
    own_folders, tiny, tiny_spec, one, refuse, monkeypatch
):
    monkeypatch.setattr(module, "_trained", refuse)
    split = checked_split(tiny, tiny.masses, **tiny_spec.split.model_dump())
    write_other(own_folders, [tiny.masses["patient"][split.train[0]]])
    with pytest.raises(DataError, match="test_cohort other: no patient"):
        one(tiny_spec.changed(evaluation__test_cohort="other"))
    with pytest.raises(MissingDataError, match="nowhere"):
        one(tiny_spec.changed(evaluation__test_cohort="nowhere"))
    gone = dict.fromkeys((*manifest.BOX, "mask", "mask_label", "outline"))
    lacking = replace(tiny, name="other", manifest=tiny.manifest.assign(**gone))
    monkeypatch.setattr(module, "load_cohort", lambda _: lacking)
    with pytest.raises(DataError, match="other: cannot be used for segmentation: it lacks"):
        one(tiny_spec.changed(evaluation__test_cohort="other"))


def test_what_is_measured_beside_the_rows_is_of_the_kept_masks(tiny, tiny_spec, one):
    spec = tiny_spec.changed(evaluation__boundary=True, evaluation__samples=2)
    record = one(spec)
    raw = record.cases.query("box == 'oracle' and postprocessing == 'none'").set_index("case")
    kept = record.predictions()
    frames = frame_cohort(tiny, spec.frame, spec.preprocessing).take(list(kept))
    expected = boundary_iou(np.stack(list(kept.values())), frames.masks)
    assert raw["boundary_iou"][list(kept)].to_numpy() == pytest.approx(expected, abs=1e-4)
    assert (raw[["spread", "information", "disagreement"]] >= 0).all(axis=None)
    found = module.predict_framed(trained_model(record), frames, spec)[0]
    assert np.array_equal(found, np.stack(list(kept.values())))  # the kept weights give them


def test_weights_kept_beside_a_record_are_found_without_a_store(trained, own_store, tmp_path):
    keeper = runpy.run_path(str(Path(__file__).resolve().parents[2] / "tools/keep_weights.py"))
    folder = shutil.copytree(trained.record.folder, tmp_path / "cohort" / trained.record.key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOSTUDY_STORE", str(trained.store))
        whole = trained_model(trained.record).state_dict()
        keeper["keep"](folder)
    with pytest.raises(DataError, match="cannot be read"):  # the control
        trained_model(trained.record)
    kept = trained_model(read_record(folder)).state_dict()
    assert kept.keys() == whole.keys()
    for name, weights in whole.items():
        torch.testing.assert_close(kept[name], weights, rtol=1e-3, atol=1e-5)
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(DataError, match=r"weights.safetensors is not the file"):
        read_record(folder)
