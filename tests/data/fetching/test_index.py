"""The archive's index: what is chosen from it, and that the real one has what the study reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mammostudy.data.fetching.index import list_series
from mammostudy.data.fetching.recipe import Images, read_recipe
from mammostudy.data.sources.cbis_tables import read_tables
from mammostudy.errors import DataError

UUID = "620b14e7-eeb0-4570-869a-3109f5b1b54e"
IMAGES = Images(
    collection="films", starts="Mass-", patient=r"P_\d+", endpoint="http://localhost/{bucket}"
)
GOOD = {
    "collection_id": "films", "PatientID": "Mass-Test_P_1_LEFT_CC", "StudyInstanceUID": "1.2",
    "SeriesInstanceUID": "1.3", "Modality": "MG", "aws_bucket": "open-data",
    "crdc_series_uuid": UUID, "instanceCount": 2, "series_size_MB": 14.79124,
    "analysis_result_id": None,
}  # fmt: skip


@pytest.mark.parametrize("patients", [None, 1, 2, 9])
def test_series_are_chosen(write_index: Callable[..., Path], patients: int | None) -> None:
    rows = [
        GOOD | {"PatientID": "Mass-Test_P_2_LEFT_CC", "SeriesInstanceUID": "1.4"},
        GOOD,
        GOOD | {"PatientID": "Mass-Train_P_1_LEFT_CC_1", "SeriesInstanceUID": "1.5"},
        GOOD | {"PatientID": "Calc-Test_P_1_LEFT_CC"},
        GOOD | {"collection_id": "others"},
        GOOD | {"analysis_result_id": "someone's outlines"},
    ]
    found = list_series(IMAGES, patients, write_index(rows))
    places = [f"{one.patient} {one.folder}" for one in found]
    wanted = [
        "P_1 Mass-Test_P_1_LEFT_CC/1.2/MG_1.3", "P_2 Mass-Test_P_2_LEFT_CC/1.2/MG_1.4",
        "P_1 Mass-Train_P_1_LEFT_CC_1/1.2/MG_1.5",
    ]  # fmt: skip
    assert places == [one for one in wanted if patients != 1 or one.startswith("P_1")]
    assert {(one.bucket, one.key, one.files) for one in found} == {("open-data", UUID, 2)}
    assert {one.size for one in found} == {14_791_240}


@pytest.mark.parametrize(
    "change",
    [
        {"PatientID": "Mass-../../x_P_1"}, {"PatientID": "Mass-no number"},
        {"StudyInstanceUID": ".."}, {"SeriesInstanceUID": "1/2"}, {"Modality": None},
        {"aws_bucket": "evil.example/x"}, {"aws_bucket": "a"}, {"crdc_series_uuid": "../other"},
        {"instanceCount": 0}, {"instanceCount": 10**6}, {"series_size_MB": -1.0},
        {"series_size_MB": float("nan")},
    ],
    ids=str,
)  # fmt: skip
def test_what_leads_elsewhere_or_cannot_be_is_refused(
    write_index: Callable[..., Path], change: dict[str, object]
) -> None:
    path = write_index([GOOD, GOOD | {"SeriesInstanceUID": "1.4"} | change])
    with pytest.raises(DataError, match=r"ill-formed|no plain name"):
        list_series(IMAGES, None, path)


def test_an_index_without_the_set_or_none_at_all(
    write_index: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_index([GOOD | {"collection_id": "others"}])
    with pytest.raises(DataError, match="collection 'films': not in the archive's index"):
        list_series(IMAGES, None, path)
    for content in (b"", b"PAR1 and no more"):
        (tmp_path / "x.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.parquet: cannot be read as the archive's index"):
            list_series(IMAGES, None, tmp_path / "x.parquet")


def images_of(name: str) -> Images:
    recipe = read_recipe(name)
    assert recipe is not None
    assert recipe.images is not None
    return recipe.images


def test_the_real_index_has_the_series_of_the_mass_tables(real_data: Path) -> None:
    """Every film, crop and mask that the published tables name, and nothing else."""
    pytest.importorskip("idc_index_data", reason="the extra `download` is not installed")
    masses = read_tables(real_data / "cbis-ddsm-tables").masses
    named = {path.split("/")[2] for column in ("image", "crop", "mask") for path in masses[column]}
    found = list_series(images_of("cbis-ddsm"))
    assert {one.folder.rsplit("MG_", 1)[1] for one in found} == named
    assert len(found) == len(named)
    assert sum(one.files for one in found) == masses["image"].nunique() + 2 * len(masses)
    assert len({one.patient for one in found}) == masses["patient"].nunique()


def test_the_real_index_has_the_patients_of_cmmd(real_data: Path) -> None:
    pytest.importorskip("idc_index_data", reason="the extra `download` is not installed")
    import pandas as pd

    table = pd.read_csv(real_data / "cmmd-table" / "CMMD_clinicaldata_revision.csv")
    found = list_series(images_of("cmmd"))
    assert {one.patient for one in found} == set(table["ID1"])
    assert sum(one.files for one in found) == 5202  # expected.images_of_the_archive
