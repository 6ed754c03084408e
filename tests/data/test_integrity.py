"""Every check finds its fault, and nothing on a cohort without one."""

import hashlib
import json

import cv2
import numpy as np
import pytest
from writers import link, noise, put, with_cells, write_dicom, write_picture

from mammostudy.data import integrity, row_files
from mammostudy.data.cohort import Cohort
from mammostudy.data.dicom import read_mammogram
from mammostudy.data.integrity import CUT, clean_table, examine, why_no_mammogram
from mammostudy.data.manifest import BOX
from mammostudy.errors import DataError
from mammostudy.imaging.contours import box_of
from mammostudy.runs.workers import side_by_side

SQUARE = np.ones((48, 48), np.uint8)


def with_image(tiny, case, content):
    (tiny.root / tiny.row(case)["image"]).write_bytes(content)
    return with_cells(tiny, case, image_sha256=hashlib.sha256(content).hexdigest())


def with_mask(tiny, *discs):
    """The mask of P1_CC_1 drawn anew: discs of centre and radius, with the box round them all."""
    labels = np.zeros((48, 64), np.uint8)
    for x, y, radius in discs:
        cv2.circle(labels, (x, y), radius, 1, -1)
    write_picture(tiny.root / "masks" / "P1_CC.png", labels)
    return with_cells(tiny, "P1_CC_1", **dict(zip(BOX, box_of(labels > 0), strict=True)))


def with_outline(tiny, *points):
    low, high = np.min(points, axis=0), np.max(points, axis=0) + 1
    box = dict(zip(BOX, (*low, *high), strict=True))
    return with_cells(tiny, "P1_MLO_1", **box, outline=json.dumps(points))


def shifted(tiny, by):
    return with_cells(tiny, "P1_CC_1", x_max=int(tiny.row("P1_CC_1")["x_max"]) + by)


def after(change):
    return lambda tiny: (change(tiny.root), tiny)[1]


@pytest.mark.parametrize(("case", "check", "change"), [
    (None, None, lambda tiny: tiny),
    ("P1_CC_1", "path", lambda tiny: with_cells(tiny, "P1_CC_1", image="../x.png")),
    ("P1_CC_1", "path", lambda tiny: with_cells(tiny, "P1_CC_1", mask="../x.png")),
    ("P1_CC_1", "path", after(link("masks/P1_CC.png"))),
    ("P1_CC_1", "unreadable", after(put("images/P1_CC.png", b"no picture"))),
    ("P1_CC_1", "unreadable", after(put("masks/P1_CC.png", b"no picture"))),
    ("P1_MLO_1", "size", lambda tiny: with_cells(tiny, "P1_MLO_1", height=50)),
    ("P1_CC_1", "size", after(lambda root: write_picture(root / "masks/P1_CC.png", SQUARE))),
    ("P1_CC_1", "components", lambda tiny: with_mask(tiny, (20, 20, 8), (45, 30, 4))),
    (None, "speck", lambda tiny: with_mask(tiny, (20, 20, 12), (45, 30, 0))),
    (None, "touching", lambda tiny: with_mask(tiny, (20, 20, 8), (30, 20, 4))),
    (None, CUT, lambda tiny: with_outline(tiny, (0, 10), (9, 10), (9, 20), (0, 20))),
    (None, "near it", lambda tiny: with_outline(tiny, (1, 10), (9, 10), (9, 20), (1, 20))),
    (None, CUT, lambda tiny: with_outline(tiny, (50, 10), (63, 10), (63, 20))),
    (None, "near it", lambda tiny: with_outline(tiny, (50, 10), (62, 10), (62, 20))),
    (None, CUT, lambda tiny: with_outline(tiny, (20, 40), (30, 40), (30, 47))),
    (None, CUT, lambda tiny: with_outline(tiny, (0, 0), (30, 0), (30, 9), (0, 9))),  # a corner
    ("P1_MLO_1", "border", lambda tiny: with_outline(tiny, (0, 9), (63, 9), (63, 20), (0, 20))),
    ("P1_MLO_1", "border", lambda tiny: with_outline(tiny, (9, 0), (20, 0), (20, 47), (9, 47))),
    (None, "one pixel", lambda tiny: shifted(tiny, 1)),
    ("P1_CC_1", "box", lambda tiny: shifted(tiny, 2)),
])  # fmt: skip
def test_each_check(case, check, change, tiny):
    faults, notes = examine(change(tiny))
    found = set(zip(faults["case"], faults["check"], strict=True))
    assert found == ({(case, check)} if case else set())
    assert notes.to_numpy().tolist() == ([["images/P1_MLO.png", CUT]] if check == CUT else [])


def test_duplicates_within_and_across_patients(tiny, monkeypatch):
    images = {name: (tiny.root / row["image"]).read_bytes() for name, row in tiny.masses.iterrows()}
    again = with_image(tiny, "P2_CC_1", images["P1_CC_1"])  # another patient's file
    again = with_image(again, "P3_MLO_1", images["P3_CC_1"])  # the patient's other view
    pixels = cv2.imdecode(np.frombuffer(images["P4_CC_1"], np.uint8), cv2.IMREAD_UNCHANGED)
    saved = cv2.imencode(".png", np.clip(pixels.astype(int) + 1, 0, 255).astype(np.uint8))[1]
    again = with_image(again, "P5_CC_1", saved.tobytes())  # other bytes, the same picture
    faults = examine(again)[0]
    assert faults[["case", "check"]].to_numpy().tolist() == [
        ["P2_CC_1", "duplicate"], ["P3_MLO_1", "duplicate"], ["P5_CC_1", "near-duplicate"],
    ]  # fmt: skip
    for patients, reason in zip(("P1 and P2", "P3", "P4 and P5"), faults["reason"], strict=True):
        assert patients in reason
    monkeypatch.setattr(integrity, "_BLOCK", 2)  # compared two by two they are the same ones
    assert examine(again)[0].equals(faults)
    monkeypatch.setattr(integrity, "CORRELATION", 2.0)
    assert examine(again)[0].empty  # control


def test_rows_out_of_vocabulary_are_taken_out(tiny):
    bad = Cohort(tiny.name, tiny.root, tiny.manifest.astype(object))
    for case, column, value in (
        ("P1_CC_1", "shape", "blob"), ("P2_CC_1", "image", "../out.png"), ("P3_CC_1", "x_max", 999),
        ("P4_CC_1", "height", "tall"), ("P5_CC_1", "case", "P5_MLO_1"),  # then twice there
    ):  # fmt: skip
        bad = with_cells(bad, case, **{column: value})
    clean, faults = clean_table(bad.manifest, "tiny")
    assert len(clean) == len(bad.manifest) - 5
    assert set(faults["check"]) == {"vocabulary"}
    assert sorted(faults["case"]) == ["P1_CC_1", "P2_CC_1", "P3_CC_1", "P4_CC_1", "P5_MLO_1"]
    with pytest.raises(DataError, match="column shape"):
        clean_table(tiny.manifest.drop(columns="shape"), "tiny")
    assert clean_table(tiny.manifest.assign(shape="blob"), "tiny")[0].empty


@pytest.mark.parametrize(("picture", "modality", "said"), [
    (np.kron(np.arange(15), np.ones((30, 3))), None, "15 grey level(s)"),
    (np.kron(np.arange(16), np.ones((30, 3))), None, None),
    (np.dstack([noise((96, 80), 0)] * 3), None, None),
    (np.dstack([noise((96, 80), 0) // k for k in (1, 2, 1)]), None, "in colour"),
    (noise((40, 30), 0), "MG", None), (noise((40, 30), 0), "", None),
    (noise((40, 30), 0), "SC", None), (noise((40, 30), 0), "CT", "Modality"),
    (noise((40, 30), 0), "QQ", "Modality"),
])  # fmt: skip
def test_what_is_no_mammogram(picture, modality, said, tmp_path):
    if modality is None:
        path = write_picture(tmp_path / "a.png", picture.astype(np.uint8))
    else:
        path = write_dicom(tmp_path / "a.dcm", picture, 8, Modality=modality)
    read = read_mammogram(path)
    why = why_no_mammogram(np.round(read.image * 65535).astype(np.uint16), read)
    assert why is None if said is None else said in str(why)


def test_a_cohort_without_a_readable_image_has_faults_alone(tiny):
    for path in (tiny.root / "images").iterdir():
        path.unlink()
    faults, _ = examine(tiny)
    assert set(faults["check"]) == {"unreadable"}
    assert set(faults["case"]) == set(tiny.manifest["case"])


def test_a_mask_of_several_masses_is_decoded_once(tiny, monkeypatch):
    decoded, decode = [], row_files.decode_whole
    monkeypatch.setattr(row_files, "decode_whole", lambda *a: (decoded.append(a[0]), decode(*a))[1])
    rows = tiny.manifest[tiny.manifest["mask"].notna()]
    assert examine(tiny)[0].empty
    assert len(decoded) <= rows["mask"].nunique() < len(rows)


def every_pair(pictures):
    """What `alike` finds, without the sums of squares that leave pairs out."""
    products = np.tril(np.reshape(pictures, (len(pictures), -1)) @ np.transpose(pictures), -1)
    near = [np.flatnonzero(row > integrity.CORRELATION) for row in products]
    return {k: earlier.tolist() for k, earlier in enumerate(near) if earlier.size}


@pytest.mark.parametrize("spread", [0.02, 0.1, 3.0])
def test_no_pair_is_lost_for_the_sake_of_time(spread, monkeypatch):
    rng = np.random.default_rng(0)
    base = cv2.GaussianBlur(rng.standard_normal((64, 64)), (0, 0), 4)
    drawn = [base + spread * base.std() * rng.standard_normal((64, 64)) for _ in range(120)]
    pictures = [integrity.thumbnail(each) for each in [*drawn, np.ones((64, 64)), *drawn[:9]]]
    monkeypatch.setattr(integrity, "_BLOCK", 50)
    found = {later: earlier for later, earlier, _ in integrity.alike(pictures)}
    assert found == every_pair(pictures)
    assert len(found) > 100 if spread < 0.1 else len(found) >= 9
    monkeypatch.setattr(integrity, "_ROUNDING", -1.0)
    assert list(integrity.alike(pictures)) == []  # control: it is by them that pairs are left out


def spoilt(tiny):
    """The small cohort with a fault of every kind that is found in files."""
    files = {case: (tiny.root / row["image"]).read_bytes() for case, row in tiny.masses.iterrows()}
    pixels = cv2.imdecode(np.frombuffer(files["P3_MLO_1"], np.uint8), cv2.IMREAD_UNCHANGED)
    near = cv2.imencode(".png", np.clip(pixels, 0, 254) + np.uint8(1))[1].tobytes()
    flat = cv2.imencode(".png", pixels // 99)[1].tobytes()
    made = with_mask(tiny, (20, 20, 8), (45, 30, 4))
    made = with_outline(made, (0, 9), (63, 9), (63, 20), (0, 20))
    for case, content in {"P2_CC_1": flat, "P2_MLO_1": files["P3_CC_1"], "P4_MLO_1": near}.items():
        made = with_image(made, case, content)
    made = with_cells(made, "P4_CC_1", x_max=int(made.row("P4_CC_1")["x_max"]) + 5)
    made = with_cells(made, "P5_CC_1", image="../x.png")
    write_picture(made.root / "masks" / "P0_CC.png", np.zeros((48, 64), np.uint8))
    put("images/P0_MLO.png", b"no picture")(made.root)
    return with_cells(made, "P5_MLO_1", height=50)


def test_processes_find_what_is_found_alone(tiny, monkeypatch):
    made, shared = spoilt(tiny), []

    def share(work, parts, count):
        shared.extend(parts)
        return side_by_side(work, parts, count)

    alone = examine(made)
    assert set(alone[0]["check"]) == set(integrity.CHECKS) - {"dropped", "vocabulary"}
    monkeypatch.setenv("MAMMOSTUDY_WORKERS", "2")
    assert examine(made, share)[0].equals(alone[0])
    assert not shared  # so few are read sooner than processes begin
    monkeypatch.setattr(integrity, "_ALONE", 0)
    for found, expected in zip(examine(made, share), alone, strict=True):
        assert found.equals(expected)
    assert len(shared) == made.manifest["image"].nunique()
