"""CDD-CESM's contours: the rule on lines that the test writes, and the counts on the real file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammostudy.data.load import load_cohort
from mammostudy.data.outline_cohort import COLUMNS, OutlineCohort
from mammostudy.data.sources import cdd_cesm_contours as module
from mammostudy.data.sources.cdd_cesm_contours import read_contours
from mammostudy.errors import DataError, MissingDataError

ELLIPSE = {"name": "ellipse", "cx": 388, "cy": 907, "rx": 103, "ry": 107}
CIRCLE = {"name": "circle", "cx": 767, "cy": 1286, "r": 83}


def polygon(*points: tuple[float, float]) -> dict[str, Any]:
    x, y = zip(*points, strict=True)
    return {"name": "polygon", "all_points_x": list(x), "all_points_y": list(y)}


SQUARE = polygon((100, 200), (160, 200), (160, 240), (100, 240), (100, 200))


def line(patient: int, region: int, drawn: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A line of contours.jsonl as published."""
    modality = fields.get("type", "DM")
    return {
        "image": f"P{patient}_R_{modality}_CC", "patient": patient, "type": modality,
        "view": "CC", "region": region, "n_regions": 3, "mass_shape_raw": "Round",
        "mass_shape": "round", "mass_margin": "Circumscribed", "single_multiple": "Single",
        "pathology": "Malignant", "birads": "5", "only_mass_findings": True,
        "has_pixels": False, "geometry": drawn,
    } | fields  # fmt: skip


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    return [
        line(2, 0, ELLIPSE),
        line(2, 1, CIRCLE, mass_shape="oval", pathology="Benign"),
        line(2, 2, SQUARE, mass_shape="irregular"),
        line(3, 0, SQUARE, mass_shape=None),
        line(3, 1, SQUARE, mass_shape=None, only_mass_findings=False),
        line(4, 0, SQUARE, only_mass_findings=False),
        line(5, 0, polygon((1, 1), (9, 9), (5, 5))),
        line(5, 1, polygon((1, 1), (9, 1))),
        line(5, 2, CIRCLE | {"r": 0}),
        line(2, 0, SQUARE, type="CM"),
    ]


def write(folder: Path, lines: list[dict[str, Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "contours.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


def test_the_rule_keeps_single_shapes_and_counts_the_rest(
    tmp_path: Path, lines: list[dict[str, Any]]
) -> None:
    cohort = read_contours("c", write(tmp_path, lines), "DM")
    assert cohort.dropped == {
        module.NO_SHAPE: 2, module.OTHER_FINDINGS: 1, module.DEGENERATE: 3
    }  # fmt: skip
    masses = cohort.masses
    assert tuple(masses.columns) == COLUMNS
    assert masses.index.tolist() == [f"P2_R_DM_CC_{k}" for k in range(3)]
    assert masses["tool"].tolist() == ["ellipse", "circle", "polygon"]
    assert masses["shape"].tolist() == ["round", "oval", "irregular"]
    assert masses["pathology"].tolist() == ["malignant", "benign", "malignant"]
    assert masses["subtype"].isna().all()
    first = masses.iloc[0]
    assert first[["patient", "site", "image", "view", "side", "modality"]].tolist() == [
        "P2", "cdd-cesm", "P2_R_DM_CC", "CC", "R", "DM"
    ]  # fmt: skip
    boxes = masses[["x_min", "y_min", "x_max", "y_max"]]
    assert boxes.iloc[0].tolist() == [285, 800, 492, 1015]
    assert boxes.iloc[2].tolist() == [100, 200, 161, 241]
    assert (boxes.dtypes == "int64").all()


def test_modalities_never_meet(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    write(tmp_path / "cdd-cesm", lines)
    low = load_cohort("cdd-cesm-contours", tmp_path)
    subtracted = load_cohort("cdd-cesm-contours-cm", tmp_path)
    assert isinstance(low, OutlineCohort)
    assert (len(low), len(subtracted), subtracted.dropped) == (3, 1, {})
    assert subtracted.masses["modality"].tolist() == ["CM"]
    assert low.manifest_hash != subtracted.manifest_hash


def test_a_missing_folder_is_told_from_a_faulty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    for root in (None, tmp_path):
        with pytest.raises(MissingDataError, match="cdd-cesm"):
            load_cohort("cdd-cesm-contours", root)
    (tmp_path / "cdd-cesm").mkdir()
    with pytest.raises(DataError, match=r"contours\.jsonl: missing") as caught:
        load_cohort("cdd-cesm-contours", tmp_path)
    assert not isinstance(caught.value, MissingDataError)


FAULTS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("no image", {"image": None}, ("image", "None")),
    ("name", {"image": "scan 7"}, ("image", "'scan 7'")),
    ("patient", {"patient": 3}, ("patient", "3", "P2_R_DM_CC")),
    ("type", {"type": "XX", "image": "P2_R_DM_CC"}, ("type", "'XX'")),
    ("view", {"view": "MLO"}, ("view", "'MLO'")),
    ("region", {"region": "one"}, ("region", "'one'")),
    ("region bool", {"region": True}, ("region", "True")),
    ("twice", {"region": 1}, ("region", "P2_R_DM_CC_1", "twice")),
    ("shape", {"mass_shape": "lobular"}, ("mass_shape", "'lobular'", "irregular, oval, round")),
    ("shape kind", {"mass_shape": 4}, ("mass_shape", "4")),
    ("pathology", {"pathology": "odd"}, ("pathology", "'odd'")),
    ("findings", {"only_mass_findings": "yes"}, ("only_mass_findings", "'yes'")),
    ("geometry", {"geometry": []}, ("geometry", "[]")),
    ("tool", {"geometry": {"name": "rect"}}, ("geometry", "'rect'")),
    ("radius", {"geometry": CIRCLE | {"r": None}}, ("geometry", "r None")),
    ("centre", {"geometry": {"name": "ellipse", "cx": 1}}, ("geometry", "cy None")),
    ("infinite", {"geometry": CIRCLE | {"cx": float("inf")}}, ("geometry", "cx inf")),
    ("far", {"geometry": CIRCLE | {"cx": 10**6}}, ("geometry", "cx 1000000", "beyond")),
    ("list", {"geometry": SQUARE | {"all_points_x": 3}}, ("geometry", "all_points_x")),
    ("lengths", {"geometry": SQUARE | {"all_points_x": [3]}}, ("geometry", "1 all_points_x")),
    ("empty", {"geometry": polygon((0, 0)) | {"all_points_x": [], "all_points_y": []}},
     ("geometry", "0 all_points_x")),
    ("point", {"geometry": polygon((0, 0), (1, "a"), (2, 2))}, ("geometry", "'a'")),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_bad_line_is_named_with_its_field(
    tmp_path: Path, fields: dict[str, Any], words: tuple[str, ...]
) -> None:
    good = line(2, 0, SQUARE)
    read_contours("c", write(tmp_path, [line(2, 1, SQUARE), good]), "DM")  # control
    with pytest.raises(DataError) as caught:
        read_contours("c", write(tmp_path, [line(2, 1, SQUARE), good | fields]), "DM")
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(tmp_path / "contours.jsonl"), f"line 2, {words[0]}: ", *words[1:]):
        assert word in message, message


@pytest.mark.parametrize("field", ["image", "patient", "region", "pathology", "geometry"])
def test_a_missing_field(tmp_path: Path, field: str) -> None:
    bad = line(2, 0, SQUARE)
    del bad[field]
    with pytest.raises(DataError, match=f"line 1, {field}: missing"):
        read_contours("c", write(tmp_path, [bad]), "DM")


def spoil(folder: Path, content: bytes) -> None:
    (folder / "contours.jsonl").write_bytes(content)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda f: spoil(f, b"oops\n"), "line 1, no field: not a JSON object"),
        (lambda f: spoil(f, b"[1]\n"), "line 1, no field: not a JSON object"),
        (lambda f: spoil(f, b"\xff\xfe\n"), "not readable"),
        (lambda f: spoil(f, b""), "no contour of type DM"),
    ],
)
def test_faults_of_the_file(tmp_path: Path, fault: Callable[[Path], None], words: str) -> None:
    fault(tmp_path)
    with pytest.raises(DataError, match=words):
        read_contours("c", tmp_path, "DM")


def counts(masses: pd.DataFrame) -> dict[str, int]:
    return {str(k): int(v) for k, v in masses["shape"].value_counts().items()}


def test_real_contours_by_the_rule(real_data: Path) -> None:
    low = load_cohort("cdd-cesm-contours", real_data)
    masses = low.masses
    assert (len(masses), masses["patient"].nunique()) == (258, 72)
    assert counts(masses) == {"irregular": 128, "oval": 65, "round": 65}
    by_polygon = masses[masses["tool"] == "polygon"]
    assert counts(by_polygon) == {"irregular": 124, "oval": 22, "round": 15}
    patients = masses.groupby("shape")["patient"].nunique().to_dict()
    assert patients == {"irregular": 29, "oval": 25, "round": 25}
    assert low.dropped == {module.NO_SHAPE: 116, module.OTHER_FINDINGS: 458}
    subtracted = load_cohort("cdd-cesm-contours-cm", real_data)
    assert (len(subtracted), subtracted.masses["patient"].nunique()) == (512, 121)
    total = sum(len(c) + sum(c.dropped.values()) for c in (low, subtracted))
    assert total == 1517
    assert not set(low.masses.index) & set(subtracted.masses.index)


def test_real_contours_are_those_of_the_imaged_cohort(real_data: Path, own_store: Path) -> None:
    outlined = load_cohort("cdd-cesm-contours", real_data).masses
    regions = pd.read_csv(real_data / "cdd-cesm" / "regions.csv")
    regions["case"] = regions["image"] + "_" + regions["region_id"].astype(str)
    shared = regions[regions["case"].isin(outlined.index)].set_index("case")
    assert len(shared) == 113
    ours = outlined.loc[shared.index]
    pd.testing.assert_series_equal(ours["tool"], shared["drawing_tool"], check_names=False)
    pd.testing.assert_series_equal(ours["shape"], shared["mass_shape"], check_names=False)
    assert (ours["patient"] == "P" + shared["patient_id"].astype(str)).all()
    images = pd.read_csv(real_data / "cdd-cesm" / "images.csv").set_index("image")
    mapped = images.loc[ours["image"]]
    for side, offset in (("x_min", "offset_x"), ("y_max", "offset_y")):
        there = ours[side].to_numpy() * mapped["px_per_original_px"] + mapped[offset]
        apart = abs(there.to_numpy() - shared[side].to_numpy())
        assert apart.mean() < 0.5  # the same outline, resampled
        assert apart.max() < 3
    imaged = load_cohort("cdd-cesm", real_data).masses
    both = imaged.index.intersection(outlined.index)
    assert len(both) > 80
    assert (imaged.loc[both, "patient"] == outlined.loc[both, "patient"]).all()
    assert (imaged.loc[both, "shape"] == outlined.loc[both, "shape"]).all()
