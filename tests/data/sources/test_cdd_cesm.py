"""CDD-CESM: the rule on a layout that the test writes, and the counts on the real tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from mammostudy.data import manifest
from mammostudy.data.load import load_cohort
from mammostudy.data.sources.cdd_cesm import build_manifest, build_views
from mammostudy.errors import DataError
from mammostudy.imaging.contours import fill_outline


def square(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


CORNER = [[200, 300], [205, 300], [205, 395], [300, 395], [300, 400], [200, 400]]  # a tenth


class Layout:
    """Writes the published format: images.csv, regions.csv, outlines.jsonl, images/*.jpg."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: list[dict[str, object]] = []
        self.regions: list[dict[str, object]] = []
        self.outlines: list[dict[str, object]] = []
        (folder / "images").mkdir(parents=True)

    def image(self, patient: int, modality: str = "DM", kind: str = "instances") -> str:
        name = f"P{patient}_L_{modality}_CC"
        pixels = np.random.default_rng(len(self.images)).integers(0, 255, (512, 512), np.uint8)
        cv2.imwrite(str(self.folder / "images" / f"{name}.jpg"), pixels)
        self.images.append(
            {"image": name, "patient_id": patient, "side": "L", "modality": modality,
             "view": "CC", "age": 50, "birads": "5", "findings": "mass", "mask_kind": kind,
             "pathology": "malignant"}
        )  # fmt: skip
        return name

    def region(self, image: str, points: list[list[float]], **fields: object) -> None:
        number = sum(row["image"] == image for row in self.regions)
        (x0, y0), (x1, y1) = np.min(points, axis=0), np.max(points, axis=0)
        area = int(fill_outline(points, (512, 512)).sum())
        self.regions.append(
            {"image": image, "region_id": number, "label_value": number + 1, "x_min": x0,
             "y_min": y0, "x_max": x1 + 1, "y_max": y1 + 1, "area_px": area,
             "mass_image": True, "mass_shape": "irregular", "only_mass_findings": True} | fields
        )  # fmt: skip
        self.outlines.append({"image": image, "region_id": number, "points": points})

    def write(self) -> Path:
        pd.DataFrame(self.images).to_csv(self.folder / "images.csv", index=False)
        pd.DataFrame(self.regions).to_csv(self.folder / "regions.csv", index=False)
        lines = [json.dumps(row) for row in self.outlines]
        (self.folder / "outlines.jsonl").write_text("\n".join(lines) + "\n")
        return self.folder


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "cdd-cesm")
    one = made.image(1)
    made.region(one, square(100, 100, 60, 40))
    made.region(one, square(300, 200, 50, 50), mass_shape="oval")
    made.region(one, square(110, 110, 20, 20))  # lies within the first
    made.region(one, square(10, 10, 8, 8))  # 81 px
    made.region(one, square(20, 400, 200, 12))  # a strand
    made.region(one, CORNER)
    made.region(one, square(400, 400, 40, 40), mass_image=False)
    two = made.image(2)
    made.region(two, square(60, 60, 40, 40), mass_shape="round", only_mass_findings=False)
    made.image(3, kind="binary")
    contrast = made.image(1, "CM")
    made.region(contrast, square(100, 100, 60, 40))
    return made


def test_the_rule_keeps_masses_and_counts_what_it_drops(layout: Layout) -> None:
    table, dropped = build_manifest(layout.write(), "DM")
    checked = manifest.validate(table)
    assert checked["case"].tolist() == ["P1_L_DM_CC_0", "P1_L_DM_CC_1", "P2_L_DM_CC_0"]
    assert dropped == {
        "inside another mass": 1,
        "smaller than 100 px": 1,
        "box aspect above 3": 1,
        "fills less than 35% of its box": 1,
        "image without a mass": 1,
        "regions not told apart (counted in images)": 1,
    }
    first = checked.iloc[0]
    assert first[list(manifest.BOX)].tolist() == [100, 100, 161, 141]
    assert json.loads(first["outline"]) == square(100, 100, 60, 40)
    assert (first["patient"], first["view"], first["side"]) == ("P1", "CC", "L")
    shapes = [None if pd.isna(shape) else shape for shape in checked["shape"]]
    assert shapes == ["irregular", "oval", None]  # findings other than masses: shape unknown


def test_low_energy_and_subtracted_images_never_meet(
    layout: Layout, own_store: Path, tmp_path: Path
) -> None:
    layout.write()
    low, subtracted = load_cohort("cdd-cesm", tmp_path), load_cohort("cdd-cesm-cm", tmp_path)
    assert (len(low), len(subtracted)) == (3, 1)
    assert set(low.manifest["modality"]) == {"DM"}
    assert set(subtracted.manifest["modality"]) == {"CM"}
    assert not set(low.manifest["image"]) & set(subtracted.manifest["image"])
    assert low.manifest_hash != subtracted.manifest_hash
    sample = low.sample("P1_L_DM_CC_0")
    assert sample.mask.sum() == 61 * 41
    assert sample.truth_all.sum() == 61 * 41 + 51 * 51


def test_views_without_a_mass_stand_beside_the_masses(layout: Layout) -> None:
    free = layout.image(4)
    layout.region(free, square(50, 50, 60, 40), mass_image=False)
    lost = layout.image(5)
    layout.region(lost, square(50, 50, 8, 8))  # its only mass is too small to count
    unmarked = layout.image(6)
    layout.write()
    masses, dropped = build_manifest(layout.folder, "DM")
    table, told = build_views(layout.folder, "DM")
    checked = manifest.validate(table)
    with_box = checked[checked["x_min"].notna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(with_box, manifest.validate(masses))
    empty = checked[checked["x_min"].isna()]
    assert empty["case"].tolist() == [f"{free}_view", f"{unmarked}_view"]
    assert empty[[*manifest.BOX, "mask", "outline", "shape"]].isna().all(axis=None)
    assert empty["image"].tolist() == [f"images/{free}.jpg", f"images/{unmarked}.jpg"]
    assert empty["patient"].tolist() == ["P4", "P6"]
    kept = {name: n for name, n in dropped.items() if name != "image without a mass"}
    assert told == kept | {"images whose masses were all dropped": 1}
    assert not checked["image"].str.contains("P3_").any()  # its regions are not told apart


def spoil(name: str, text: str | None) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink() if text is None else (
        (folder / name).write_text(text)
    )  # fmt: skip


@pytest.mark.parametrize(("fault", "words"), [
    (spoil("regions.csv", ""), "regions.csv.*area_px.*missing"),
    (spoil("outlines.jsonl", '{"image": "a"}\n'), "outlines.jsonl.*region_id"),
    (spoil("outlines.jsonl", ""), r"outlines.jsonl: no outline of .*'P1_L_DM_CC', '0'"),
    (spoil("images/P2_L_DM_CC.jpg", None), "P2_L_DM_CC.jpg"),
    (lambda folder: cv2.imwrite(str(folder / "images/P1_L_DM_CC.jpg"), np.zeros((9, 9))),
     "P1_L_DM_CC.jpg.*512x512"),
])  # fmt: skip
def test_faults_of_the_folder(layout: Layout, fault: Callable[[Path], object], words: str) -> None:
    build_manifest(layout.write(), "DM")  # control
    fault(layout.folder)
    with pytest.raises(DataError, match=words):
        build_manifest(layout.folder, "DM")


def test_real_masses_by_the_rule(real_data: Path) -> None:
    table, dropped = build_manifest(real_data / "cdd-cesm", "DM")
    assert len(table) == 285
    assert table["patient"].nunique() == 71
    assert dropped == {
        "image without a mass": 240,
        "fills less than 35% of its box": 56,
        "smaller than 100 px": 10,
        "box aspect above 3": 5,
        "inside another mass": 14,
        "regions not told apart (counted in images)": 45,
    }
    regions = pd.read_csv(real_data / "cdd-cesm" / "regions.csv")
    ours = int((regions["modality"] == "DM").sum())
    told_apart = sum(dropped.values()) - dropped["regions not told apart (counted in images)"]
    assert ours == len(table) + told_apart  # every region is a mass or dropped for one reason


def test_real_cohorts_are_two_and_lie_within_their_images(real_data: Path, own_store: Path) -> None:
    low, subtracted = (load_cohort(name, real_data) for name in ("cdd-cesm", "cdd-cesm-cm"))
    assert (len(low), len(subtracted)) == (285, 447)
    assert not set(low.manifest["image_sha256"]) & set(subtracted.manifest["image_sha256"])
    for cohort_ in (low, subtracted):
        rows = cohort_.masses
        assert (rows[["x_min", "y_min"]] >= 0).all(axis=None)
        assert (rows[["x_max", "y_max"]] <= 512).all(axis=None)
    for case in low.masses.index[::40]:
        sample = low.sample(case)
        x_min, y_min, x_max, y_max = sample.box
        assert sample.mask[y_min:y_max, x_min:x_max].sum() == sample.mask.sum() > 0


def test_real_views_without_a_mass(real_data: Path) -> None:
    table, dropped = build_views(real_data / "cdd-cesm", "DM")
    free = table[table["x_min"].isna()]
    assert (len(table), len(free), free["image"].nunique()) == (384, 99, 99)
    assert not set(free["image"]) & set(table.loc[table["x_min"].notna(), "image"])
    regions = pd.read_csv(real_data / "cdd-cesm" / "regions.csv")
    holds = regions.groupby("image")["mass_image"].any()
    names = free["image"].str.removeprefix("images/").str.removesuffix(".jpg")
    assert not holds.reindex(names).fillna(False).any()
    images = pd.read_csv(real_data / "cdd-cesm" / "images.csv").query("modality == 'DM'")
    told_apart = (images["mask_kind"] == "instances").sum()
    assert told_apart == table["image"].nunique() + dropped["images whose masses were all dropped"]
