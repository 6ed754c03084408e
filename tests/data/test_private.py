"""A private cohort: pseudonyms and their key, every fault of its table, no name that gets out."""

import hashlib
import os
import pickle
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from writers import cells, noise, write_dicom, write_picture

from mammostudy.data import manifest, private
from mammostudy.data.load import build, load_cohort, read_rows
from mammostudy.data.private import KEY_NAME, hidden_name, hiding, named, pseudonym
from mammostudy.data.row_files import FileError
from mammostudy.data.sources.folder import COLUMNS, build_manifest, write_template
from mammostudy.errors import DataError

pytestmark = pytest.mark.usefixtures("own_store")
NAME = "Doe^Jane"
FILE, MASK = (f"{place}/Doe_Jane 1967-04-12.png" for place in ("images", "masks"))


def test_a_pseudonym_is_stable_keyed_and_well_formed(own_store):
    with ThreadPoolExecutor(8) as pool:  # several at once share one key
        (found,) = set(pool.map(lambda _: pseudonym(NAME), range(64)))
    assert re.fullmatch(r"p[0-9a-f]{12}", found)
    assert found == pseudonym(f" {NAME} \0") != pseudonym("Doe^John")
    assert pseudonym("Zoe\u0308") == pseudonym("Zo\u00eb")
    assert pseudonym("a1") != pseudonym("A1")
    key = (own_store / KEY_NAME).read_bytes()
    expected = hashlib.blake2b(NAME.encode(), key=key, person=b"mammostudy").hexdigest()
    assert found == "p" + expected[:12]
    plain = hashlib.blake2b(NAME.encode(), person=b"mammostudy").hexdigest()
    assert found != "p" + plain[:12]  # control: without the key anybody could try names
    with pytest.raises(DataError, match="empty"):
        pseudonym(" \0")


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_the_key_is_its_owners_alone_and_a_damaged_one_is_never_replaced(own_store):
    pseudonym(NAME)
    key = own_store / KEY_NAME
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_bytes()) == 32
    assert [path.name for path in own_store.iterdir() if path.is_file()] == [KEY_NAME]
    key.chmod(0o644)
    with pytest.raises(DataError, match="chmod 600"):
        pseudonym(NAME)
    key.write_bytes(key.read_bytes()[:20])
    with pytest.raises(DataError, match="damaged") as caught:
        pseudonym(NAME)
    assert NAME not in str(caught.value)
    assert len(key.read_bytes()) == 20


def test_a_store_that_cannot_be_written(own_store):
    own_store.write_text("")
    with pytest.raises(DataError, match="MAMMOSTUDY_STORE"):
        pseudonym(NAME)


SIZE = (48, 64)
BASE = {"image": FILE, "mask": MASK, "mask_label": "1", "patient": "Doe, Jane", "site": "A",
        "view": "CC", "side": "L", "modality": "DM", "spacing_mm": "0.1", "shape": "oval",
        "pathology": "malignant", "subtype": "HER-2"}  # fmt: skip
MLO = {"image": "images/Doe_Jane_2.png", "mask": "masks/Doe_Jane_2.png", "mask_label": "",
       "view": "mlo", "side": "", "shape": "", "pathology": "", "subtype": ""}  # fmt: skip
FREE = {"image": "images/Roe_3.png", "mask": "", "mask_label": "", "patient": "Roe", "shape": "",
        "pathology": "", "subtype": ""}  # fmt: skip


def faults_of(folder, *rows):
    if rows:
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(folder / "cohort.csv", index=False)
    try:
        build_manifest(folder)
    except DataError as error:
        return [line.strip() for line in str(error).splitlines()[1:]]
    return []


@pytest.fixture
def clinic(tmp_path):
    """Two masses in two views of one patient and a view of another one without."""
    folder = tmp_path / "clinic"
    for seed, name in enumerate((Path(FILE).stem, "Doe_Jane_2", "Roe_3")):
        write_picture(folder / "images" / f"{name}.png", noise(SIZE, seed))
        mask = np.zeros(SIZE, np.uint8)
        mask[10 + seed : 20, 30:45] = 1
        mask[30:40, 5:15] = 2
        drawn = mask if seed == 0 else (mask == 1) * np.uint8(255)
        write_picture(folder / "masks" / f"{name}.png", drawn)
    second = BASE | {"mask_label": "2", "shape": "round"}
    assert faults_of(folder, BASE, second, BASE | MLO, BASE | FREE) == []
    return folder


def test_the_owners_table_tells_which_file_a_hidden_name_is(clinic):
    assert re.fullmatch(r"file-p[0-9a-f]{12}\.png", hidden_name(FILE))
    assert "." not in hidden_name("1.2.Jane")
    assert len({hidden_name(name) for name in ("a.png", "b.png", "x/a.png")}) == 3
    assert named(clinic, hidden_name(FILE))[0] == FILE
    for plain in ("images/a.png", hidden_name("not listed.png")):
        assert named(clinic, plain)[0] == plain
    table = clinic / "cohort.csv"
    table.write_text(table.read_text().replace(FILE, "away.png"))
    assert named(clinic, hidden_name(FILE))[0] == hidden_name(FILE)  # read anew


def test_an_error_keeps_its_type_and_names_the_row(clinic):
    with pytest.raises(FileError) as caught, hiding(clinic, hidden_name(FILE)):
        raise FileError(f"{clinic / FILE}: cut", "size") from OSError(FILE)
    assert str(caught.value) == f"{clinic}/cohort.csv (image of row 2): cut"
    assert caught.value.check == pickle.loads(pickle.dumps(caught.value)).check == "size"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    with pytest.raises(FileError, match="Jane"), hiding(clinic, "Jane.png"):
        raise FileError("Jane.png: cut")  # no hidden name: of another cohort


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"\x89PNG cut")])
@pytest.mark.parametrize("kind", ["image", "mask"])
def test_no_error_of_a_file_says_its_name(kind, damage, clinic, monkeypatch):
    cohort = load_cohort("clinic", clinic.parent)
    row = cohort.masses.iloc[0]
    damage(clinic / named(clinic, str(row[kind]))[0])
    with pytest.raises(DataError, match=rf"cohort\.csv \({kind} of row 2\)") as caught:
        cohort.sample(str(row["case"]))
    assert "Jane" not in str(caught.value)
    monkeypatch.setattr(private, "without", lambda text, *_: text)  # control
    with pytest.raises(DataError, match="Jane"):
        load_cohort("clinic", clinic.parent).sample(str(row["case"]))


def test_the_quarantine_names_the_row(clinic):
    path = write_picture(clinic / FILE, np.full((48, 64, 3), (0, 90, 255), np.uint8))
    build("clinic", clinic, "folder")
    quarantine = read_rows("clinic", "quarantine")
    assert set(quarantine["check"]) == {"not a mammogram"}
    assert "Jane" not in quarantine.to_csv()
    assert hashlib.sha256(path.read_bytes()).hexdigest() not in quarantine.to_csv()


def test_the_manifest_of_a_clinic_has_no_name_of_a_patient_or_file(clinic):
    cohort, again = (load_cohort("clinic", clinic.parent) for _ in range(2))
    table, named = cohort.manifest, cohort.manifest.to_csv()
    assert again.manifest["patient"].equals(table["patient"])
    assert named.count("file-p") == 7  # four images and three masks
    assert not any(word in named for word in ("Doe", "Jane", "Roe"))
    assert table["case"].str.startswith("p").all()
    assert cohort.dropped == {}
    assert table[list(manifest.BOX)].iloc[:3].to_numpy().tolist() == [
        [30, 10, 45, 20], [5, 30, 15, 40], [30, 11, 45, 20],
    ]  # fmt: skip
    assert table["x_min"].isna().tolist() == [False, False, False, True]
    assert cells(table, "view", "side", "pathology") == [
        ["CC", "L", "malignant"], ["CC", "L", "malignant"],
        ["MLO", "unknown", "unknown"], ["CC", "L", "unknown"],
    ]  # fmt: skip
    assert table["patient"].nunique() == 2


def test_the_header_of_a_dicom_file_fills_what_is_empty(clinic):
    pixels = np.random.default_rng(0).integers(0, 4095, SIZE, dtype=np.uint16)
    said = {"ViewPosition": "MLO", "ImageLaterality": "R", "ImagerPixelSpacing": [0.07, 0.07]}
    write_dicom(clinic / "images" / "a.dcm", pixels, **said)
    row = BASE | dict.fromkeys(("view", "side", "spacing_mm"), "") | {"image": "images/a.dcm"}
    assert faults_of(clinic, row) == []
    built = build_manifest(clinic)[0].iloc[0]
    assert (built["view"], built["side"], built["spacing_mm"]) == ("MLO", "R", 0.07)
    (fault,) = faults_of(clinic, row | {"side": "L"})
    assert fault.startswith("row 2, side: L")
    assert "file-p" not in fault


@pytest.mark.parametrize(("cells", "fault"), [
    ({"patient": ""}, "patient: "), ({"image": "../secret.png"}, "image: "),
    ({"image": "cohort.csv"}, "image: "), ({"mask": "masks/away.png"}, "mask: "),
    ({"mask_label": "9"}, "mask: "), ({"mask_label": "-1"}, "mask_label: '-1'"),
    ({"shape": "blob"}, "shape: 'blob'"), ({"spacing_mm": "nan"}, "spacing_mm: 'nan'"),
    ({"mask": "", "mask_label": "", "subtype": ""}, "shape: "),
    ({"image": "images\\a.png"}, "image: "), ({"mask": "masks\\a.png"}, "mask: "),
])  # fmt: skip
def test_each_fault_is_one_line(cells, fault, clinic):
    (clinic.parent / "secret.png").write_bytes((clinic / "masks/Roe_3.png").read_bytes())
    (told,) = faults_of(clinic, BASE | cells)
    assert told.startswith(f"row 2, {fault}")
    assert not any(word in told for word in ("Doe", "Jane", "secret", "away"))
    assert faults_of(clinic, BASE) == []  # control


BOXED = BASE | {"mask": "", "mask_label": "", "part": "Train", "density": "2"}
BOXED |= {"x_min": "30", "y_min": "10", "x_max": "45.0", "y_max": "20"}


@pytest.mark.parametrize(("cells", "fault"), [
    ({"x_max": "30"}, "x_max: "), ({"y_max": "49"}, "x_max: .*outside"), ({"x_min": ""}, "x_min: "),
    ({"x_min": "left"}, "x_min: 'left'"), ({"y_min": "1.5"}, "y_min: '1.5'"),
    ({"mask_label": "1"}, "mask_label: "), ({"part": "valid"}, "part: 'valid'"),
    ({"shape": "blob"}, "shape: 'blob'"), ({"density": "b"}, "density: 'b'"),
])  # fmt: skip
def test_a_box_stands_for_a_mass_without_a_mask(cells, fault, clinic):
    (told,) = faults_of(clinic, BASE | FREE, BOXED | cells)
    assert re.match(f"row 3, {fault}", told)
    second = BOXED | {"x_min": "2", "x_max": "9", "shape": "", "mask": "none"}
    assert faults_of(clinic, BASE | FREE, BOXED, second) == []
    built = build_manifest(clinic)[0]
    assert built[list(manifest.BOX)].iloc[1:].to_numpy().tolist() == [
        [30, 10, 45, 20], [2, 10, 9, 20],
    ]  # fmt: skip
    assert built[["part", "density"]].iloc[1].tolist() == ["train", "2"]
    assert faults_of(clinic, BOXED, BOXED)[0].startswith("row 3, image: ")
    moved = BOXED | MLO | {"mask": "", "part": "test"}
    (told,) = faults_of(clinic, BOXED, moved)
    assert told.startswith("row 3, part: test ")
    assert "Doe" not in told


def test_a_box_beside_a_mask_must_be_that_of_the_mask(clinic):
    box = {name: BOXED[name] for name in manifest.BOX}
    assert faults_of(clinic, BASE | box) == []
    assert build("clinic", clinic, "folder").masses["x_max"].tolist() == [45]
    assert faults_of(clinic, BASE | box | {"x_max": "40"}) == []
    with pytest.raises(DataError, match=r"1 box"):
        build("clinic", clinic, "folder")


@pytest.mark.parametrize(("one", "other", "note"), [
    ("0017", "17", private.ALIKE), ("P1", "p1", private.ALIKE), ("17", "17.0", private.ALIKE),
    ("a 007", "A-7", private.ALIKE), ("1.23457E+15", "2", private.SPOILT),
    ("1,23457e+15", "2", private.SPOILT), ("1-23", "12-3", None), ("12e4", "P10", None),
    ("170", "17", None), ("P-1", "P11", None),
])  # fmt: skip
def test_patients_that_may_be_one(clinic, one, other, note):
    """Noted from the owner's table, and from a manifest that names them."""
    pd.DataFrame([BASE | {"patient": one}, BASE | FREE | {"patient": other}]).to_csv(
        clinic / "cohort.csv", index=False
    )
    cohort = load_cohort("clinic", clinic.parent)
    named = cohort.manifest.assign(patient=[one, other], image=["a.png", "b.png"])
    for rows in (cohort.manifest, named):
        found = private.doubted_patients(clinic, rows)
        assert [name for name, _ in found] == list(rows["image"])[
            : {private.ALIKE: 2, None: 0}.get(note, 1)
        ]
        assert {said for _, said in found} == ({note} if note else set())
    assert set(read_rows("clinic", "notes").get("note", ())) == ({note} if note else set())


def test_a_template_lists_the_images_and_pairs_the_masks(clinic):
    (clinic / "cohort.csv").unlink()
    (clinic / "masks" / "Roe_3.png").unlink()
    path, images, alone = write_template(clinic)
    assert (images, alone) == (3, 0)
    table = pd.read_csv(path, keep_default_na=False)
    assert list(table) == list(COLUMNS)
    pairs = [[FILE, MASK], [MLO["image"], MLO["mask"]], [FREE["image"], ""]]
    assert cells(table, "image", "mask") == pairs
    guide = (clinic / "cohort-guide.md").read_text()
    assert ", ".join(manifest.SHAPES) in guide
    (told,) = faults_of(clinic)  # all that is left to do is to name the patients
    assert told.startswith("row 2, row 3, row 4, patient: ")
    with pytest.raises(DataError, match=r"cohort\.csv: exists"):
        write_template(clinic)


@pytest.mark.parametrize(("mask", "image"), [
    ("X_mask.png", "X.png"), ("X-mask.png", "X.png"), ("mask_X.png", "X.png"),
    ("X_seg.png", "X.png"), ("masks/X.png", "X.png"), ("Masks/X.tif", "images/X.dcm"),
    ("x.MASK.PNG", "X.png"), ("X_mask_2.png", "X.png"), ("X (mask).png", "X.png"),
    ("p1/mask.png", "p1/view.dcm"), ("masks/p1/X.png", "images/p1/X.png"),
    ("X_segmentation.png", "X.png"), ("X_gt.png", "X.png"), ("Y_mask.png", None),
])  # fmt: skip
def test_spellings_of_masks(mask, image, tmp_path):
    """None: no image has its name, and it is listed nowhere; what systems leave is passed over."""
    there = {mask, image or "X.png", "images/p2/X.png", "gt_9.png"}
    for name in (*there, "._X.png", "__MACOSX/X.png", ".DS_Store/a.png", "Thumbs.db"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    path, images, alone = write_template(tmp_path)
    listed = pd.read_csv(path, keep_default_na=False).set_index("image")["mask"].to_dict()
    assert listed == dict.fromkeys(there - {mask}, "") | ({image: mask} if image else {})
    assert (images, alone) == (3, int(image is None))
