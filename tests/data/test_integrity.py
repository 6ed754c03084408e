"""Every check finds its fault, and nothing on a cohort without one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammostudy.data import integrity
from mammostudy.data.cohort import Cohort
from mammostudy.data.dicom import read_mammogram
from mammostudy.data.integrity import alike, clean_table, examine, look, why_no_mammogram
from mammostudy.data.load import load_cohort
from mammostudy.errors import DataError


def changed(tiny: Cohort, case: str, **cells: object) -> Cohort:
    rows = tiny.manifest.copy()
    for column, value in cells.items():
        rows.loc[rows["case"] == case, column] = value
    return Cohort(tiny.name, tiny.root, rows)


def with_image(tiny: Cohort, case: str, content: bytes) -> Cohort:
    (tiny.root / tiny.row(case)["image"]).write_bytes(content)
    return changed(tiny, case, image_sha256=hashlib.sha256(content).hexdigest())


def found(cohort: Cohort) -> list[tuple[str, str]]:
    faults = examine(cohort)[0]
    return list(zip(faults["case"], faults["check"], strict=True))


def outlined(points: list[list[int]]) -> dict[str, object]:
    (x, y) = np.array(points).T
    box = {"x_min": x.min(), "y_min": y.min(), "x_max": x.max() + 1, "y_max": y.max() + 1}
    return box | {"outline": json.dumps(points)}


def masked(tiny: Cohort, *ellipses: tuple[int, int, int]) -> Cohort:
    """The mask of P1_CC_1 drawn anew: discs of centre and radius, with the box round them all."""
    labels = np.zeros((48, 64), np.uint8)
    for x, y, radius in ellipses:
        cv2.circle(labels, (x, y), radius, 1, -1)
    cv2.imwrite(str(tiny.root / "masks" / "P1_CC.png"), labels)
    y, x = np.nonzero(labels)
    box = {"x_min": x.min(), "y_min": y.min(), "x_max": x.max() + 1, "y_max": y.max() + 1}
    return changed(tiny, "P1_CC_1", **box)


def test_a_cohort_without_a_fault(tiny: Cohort) -> None:
    assert [len(table) for table in examine(tiny)] == [0, 0]


def test_path(tiny: Cohort, tmp_path: Path) -> None:
    assert found(changed(tiny, "P1_CC_1", image="../x.png")) == [("P1_CC_1", "path")]
    assert found(changed(tiny, "P1_CC_1", mask="../x.png")) == [("P1_CC_1", "path")]
    mask = tiny.root / "masks" / "P1_CC.png"
    mask.rename(tmp_path / "secret.png")
    mask.symlink_to(tmp_path / "secret.png")
    assert found(tiny) == [("P1_CC_1", "path")]


@pytest.mark.parametrize("what", ["image", "mask"])
def test_unreadable(what: str, tiny: Cohort) -> None:
    (tiny.root / str(tiny.row("P1_CC_1")[what])).write_bytes(b"no picture")
    assert found(tiny) == [("P1_CC_1", "unreadable")]


def test_size_of_image_and_mask(tiny: Cohort) -> None:
    assert ("P1_MLO_1", "size") in found(changed(tiny, "P1_MLO_1", height=50))
    cv2.imwrite(str(tiny.root / "masks" / "P1_CC.png"), np.ones((48, 48), np.uint8))
    assert found(tiny) == [("P1_CC_1", "size")]


def test_components(tiny: Cohort) -> None:
    assert found(masked(tiny, (20, 20, 8), (45, 30, 4))) == [("P1_CC_1", "components")]
    speck = masked(tiny, (20, 20, 12), (45, 30, 0))  # one pixel of some 440
    assert found(speck) == []
    touching = masked(tiny, (20, 20, 8), (30, 20, 4))
    assert found(touching) == []


@pytest.mark.parametrize(("points", "touches"), [
    ([[0, 10], [9, 10], [9, 20], [0, 20]], True), ([[1, 10], [9, 10], [9, 20], [1, 20]], False),
    ([[50, 10], [63, 10], [63, 20]], True), ([[50, 10], [62, 10], [62, 20]], False),
    ([[20, 40], [30, 40], [30, 47]], True), ([[20, 0], [30, 0], [30, 9]], True),
])  # fmt: skip
def test_border(points: list[list[int]], touches: bool, tiny: Cohort) -> None:
    expected = [("P1_MLO_1", "border")] if touches else []
    assert found(changed(tiny, "P1_MLO_1", **outlined(points))) == expected


def test_box(tiny: Cohort) -> None:
    x_max = int(tiny.row("P1_CC_1")["x_max"])
    assert found(changed(tiny, "P1_CC_1", x_max=x_max + 1)) == []
    assert found(changed(tiny, "P1_CC_1", x_max=x_max + 2)) == [("P1_CC_1", "box")]


def test_duplicates_within_and_across_patients(
    tiny: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = {
        name: (tiny.root / tiny.row(name)["image"]).read_bytes() for name in tiny.masses.index
    }
    again = with_image(tiny, "P2_CC_1", images["P1_CC_1"])  # another patient's file
    again = with_image(again, "P3_MLO_1", images["P3_CC_1"])  # the patient's other view
    pixels = cv2.imdecode(np.frombuffer(images["P4_CC_1"], np.uint8), cv2.IMREAD_UNCHANGED)
    saved = cv2.imencode(".png", np.clip(pixels.astype(int) + 1, 0, 255).astype(np.uint8))[1]
    again = with_image(again, "P5_CC_1", saved.tobytes())  # other bytes, the same picture
    expected = [
        ("P2_CC_1", "duplicate"), ("P3_MLO_1", "duplicate"), ("P5_CC_1", "near-duplicate"),
    ]  # fmt: skip
    assert found(again) == expected
    reasons = examine(again)[0]["reason"]
    whose = ("across patients P1 and P2", "both of patient P3", "across patients P4 and P5")
    assert all(who in reason for who, reason in zip(whose, reasons, strict=True))
    monkeypatch.setattr(integrity, "CORRELATION", 2.0)
    assert found(again) == []  # control


def test_rows_out_of_vocabulary_are_taken_out(tiny: Cohort) -> None:
    table = tiny.manifest.astype(object)
    table.loc[table["case"] == "P1_CC_1", "shape"] = "blob"
    table.loc[table["case"] == "P2_CC_1", "image"] = "../out.png"
    table.loc[table["case"] == "P3_CC_1", "x_max"] = 999
    table.loc[table["case"] == "P4_CC_1", "height"] = "tall"
    table.loc[table["case"] == "P5_CC_1", "case"] = "P5_MLO_1"  # then twice there
    clean, faults = clean_table(table, "tiny")
    assert len(clean) == len(table) - 5
    assert set(faults["check"]) == {"vocabulary"}
    assert sorted(faults["case"]) == ["P1_CC_1", "P2_CC_1", "P3_CC_1", "P4_CC_1", "P5_MLO_1"]
    with pytest.raises(DataError, match="column shape: missing"):
        clean_table(tiny.manifest.drop(columns="shape"), "tiny")
    with pytest.raises(DataError, match="no row of the manifest can be used"):
        clean_table(tiny.manifest.assign(shape="blob"), "tiny")


def test_the_real_cohorts_pass(real_data: Path, own_store: Path) -> None:
    for name in ("cdd-cesm", "cdd-cesm-views"):
        assert examine(load_cohort(name, real_data))[0].empty


def test_the_hash_is_the_sign_of_horizontal_steps() -> None:
    image = np.random.default_rng(0).integers(0, 255, (16, 17)).astype(np.uint8)  # no resizing
    bits = look(image).bits.reshape(16, 16)
    for row in range(16):
        for column in range(16):
            assert bits[row, column] == (image[row, column + 1] > image[row, column])


def breast(seed: int) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((96, 80)), (0, 0), 5)
    return (1000 + 300 * noise / noise.std()).clip(0, 4000).astype(np.uint16)


def test_copies_are_found_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    one = breast(1)
    larger = cv2.resize(one, (240, 288), interpolation=cv2.INTER_CUBIC)
    noisy = (one + np.random.default_rng(9).normal(0, 5, one.shape)).clip(0, 4000).astype(np.uint16)
    looks = [look(image) for image in (one, breast(2), larger, breast(3), noisy)]
    for block in (1024, 2):
        monkeypatch.setattr(integrity, "_BLOCK", block)
        assert [pair[:2] for pair in alike(looks)] == [(0, 2), (0, 4), (2, 4)]
    monkeypatch.setattr(integrity, "CORRELATION", 2.0)
    assert list(alike(looks)) == []  # control
    assert list(alike([])) == []


@pytest.mark.parametrize(("picture", "said"), [
    (np.kron(np.arange(15), np.ones((30, 3))), "15 grey level(s)"),
    (np.kron(np.arange(16), np.ones((30, 3))), None),
    (np.dstack([breast(0) // 16] * 3), None),
    (np.dstack([breast(0) // 16, breast(0) // 32, breast(0) // 16]), "in colour"),
])  # fmt: skip
def test_a_picture_that_is_no_mammogram(
    picture: np.ndarray, said: str | None, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture.astype(np.uint8))
    why = why_not(tmp_path / "a.png")
    assert why is None if said is None else said in str(why)


def why_not(path: Path) -> str | None:
    read = read_mammogram(path)
    return why_no_mammogram(path, np.round(read.image * 65535).astype(np.uint16), read.modality)


@pytest.mark.parametrize(("modality", "kept"), [
    ("MG", True), ("", True), ("CT", False), ("QQ", False),
])  # fmt: skip
def test_the_modality_of_a_dicom_file(
    modality: str, kept: bool, tmp_path: Path, write_dicom: Callable[..., Path]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 4095, (40, 30)).astype(np.uint16)
    why = why_not(write_dicom(tmp_path / "a.dcm", pixels, Modality=modality))
    assert why is None if kept else "field Modality is" in str(why)
