"""Fetching without a network: a client that writes what an archive sends, or something else."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from writers import write_dicom

from mammostudy.data.descriptors import data_sheets
from mammostudy.data.fetch import LAYOUT, fetch, select
from mammostudy.errors import DataError, MissingDataError

PIXELS = np.arange(300 * 200, dtype=np.uint16).reshape(300, 200)
MEGABYTES = 0.1213  # of a file of them
CMMD = {"collection": "cmmd", "patient": r"D[12]-\d{4}"}
CBIS = {"collection": "cbis_ddsm", "starts": "Mass-", "patient": r"P_\d{5}"}
TABLE = "CMMD_clinicaldata_revision.xlsx"


def index():
    """An index as idc-index has it: two patients of CMMD and an analysis, three names of CBIS."""
    names = [("cmmd", name) for name in ("D1-0002", "D1-0001", "D1-0001")]
    films = "Mass-Test_P_00001_LEFT_CC", "Mass-Test_P_00002_LEFT_CC", "Calc-Test_P_00003"
    names += [("cbis_ddsm", name) for name in films]
    return pd.DataFrame([
        {"collection_id": collection, "PatientID": name, "StudyInstanceUID": f"1.{k}",
         "SeriesInstanceUID": f"1.{k}.9", "Modality": "MG", "instanceCount": 2,
         "series_size_MB": 2 * MEGABYTES, "analysis_result_id": "masks" if k == 2 else None}
        for k, (collection, name) in enumerate(names)
    ])  # fmt: skip


class Client:
    """Takes the place of ``IDCClient``; ``spoil`` changes what was written."""

    def __init__(self):
        self.index = index()
        self.asked = []
        self.spoil = lambda path: None

    def download_from_selection(self, folder, **said):
        assert said["dirTemplate"] == LAYOUT
        self.asked.append(said["seriesInstanceUID"])
        rows = self.index[self.index["SeriesInstanceUID"].isin(said["seriesInstanceUID"])]
        columns = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"]
        for patient, study, series in rows[columns].to_numpy():
            place = Path(folder, patient, study, f"MG_{series}")
            for path in (place / "0.dcm", place / "1.dcm"):
                if not path.exists():
                    write_dicom(path, PIXELS)
            self.spoil(place / "0.dcm")


@pytest.fixture
def client(monkeypatch, tmp_path):
    made = Client()
    pd.DataFrame({"ID1": ["D1-0001"]}).to_excel(tmp_path / "table.xlsx", index=False)
    made.tables = {TABLE: (tmp_path / "table.xlsx").read_bytes()}

    def retrieve(address, *, known_hash, fname, path):
        if fname not in made.tables:
            raise OSError(address)
        path.mkdir(parents=True, exist_ok=True)
        if not (path / fname).exists():
            (path / fname).write_bytes(made.tables[fname])

    monkeypatch.setitem(sys.modules, "idc_index", SimpleNamespace(IDCClient=lambda: made))
    monkeypatch.setitem(sys.modules, "pooch", SimpleNamespace(retrieve=retrieve))
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    return made


def test_a_set_is_fetched_verified_and_kept(client, tmp_path, capsys):
    fetch("cmmd", tmp_path / "data", yes=True)
    said = capsys.readouterr().out
    assert all(words in said for words in ("CC BY 4.0", "Cui et al.", "4 files", "2 series"))
    assert client.asked == [["1.0.9", "1.1.9"]]
    files = sorted((tmp_path / "data" / "cmmd").rglob("*.dcm"))
    assert len(files) == 4
    before = [path.stat().st_mtime_ns for path in files]
    fetch("cmmd", tmp_path / "data", patients=1, yes=True)
    assert client.asked[1] == ["1.1.9"]  # the first patient by name
    assert [path.stat().st_mtime_ns for path in files] == before


@pytest.mark.parametrize(("spoil", "words"), [
    (Path.unlink, "1 files, 0.12 MB; the index has 2"),
    (lambda path: path.write_bytes(path.read_bytes()[:-9000]), "2 files, 0.23 MB; the index has"),
    (lambda path: path.write_bytes(bytes(path.stat().st_size)), "0.dcm"),
])  # fmt: skip
def test_what_is_not_whole_is_named(client, tmp_path, spoil, words):
    client.spoil = spoil
    with pytest.raises(DataError, match=rf"2 series are not whole.*\n.*{words}"):
        fetch("cmmd", tmp_path, yes=True)
    client.spoil = lambda path: None
    for path in tmp_path.rglob("*.dcm"):
        path.unlink()
    fetch("cmmd", tmp_path, yes=True)  # control


def test_a_table_that_is_another_file_is_refused_and_not_kept(client, tmp_path):
    client.tables[TABLE] = b"<html>gone</html>"
    with pytest.raises(DataError, match=TABLE):
        fetch("cmmd", tmp_path, yes=True)
    assert not (tmp_path / "cmmd" / TABLE).exists()
    (tmp_path / "cmmd" / TABLE).write_bytes(b"mine")
    with pytest.raises(DataError, match=TABLE):
        fetch("cmmd", tmp_path, yes=True)
    assert (tmp_path / "cmmd" / TABLE).read_bytes() == b"mine"  # a user's own file is left alone


def test_series_are_those_of_the_collection_and_patients():
    assert select(index(), CBIS, None)["PatientID"].str[10:17].tolist() == ["P_00001", "P_00002"]
    assert select(index(), CMMD, 1)["PatientID"].tolist() == ["D1-0001"]
    for odd in (CMMD | {"collection": "other"}, CMMD | {"patient": "P_.*"}):
        with pytest.raises(DataError, match="not as expected in idc-index"):
            select(index(), odd, None)


def test_nothing_is_fetched_without_a_yes(client, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="--yes"):
        fetch("cmmd", tmp_path)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(DataError, match="--yes"):
        fetch("cmmd", tmp_path)
    assert not client.asked
    monkeypatch.setattr("builtins.input", lambda _: "y")
    fetch("cmmd", tmp_path)
    assert client.asked


def test_what_a_user_must_be_told(client, tmp_path, capsys, monkeypatch):
    client.tables["Radiology-manual-annotations.xlsx"] = client.tables[TABLE]
    client.tables["Radiology_hand_drawn_segmentations_v2.csv"] = b"#filename\nx\n"
    fetch("cdd-cesm", tmp_path, yes=True)  # in part
    assert len(list((tmp_path / "cdd-cesm-archive").iterdir())) == 2
    fetch("inbreast", tmp_path)  # given by hand: all that there is are steps
    assert f"data build inbreast --root {tmp_path}" in capsys.readouterr().out
    with pytest.raises(MissingDataError, match="--root"):
        fetch("cmmd")
    monkeypatch.setitem(sys.modules, "idc_index", None)
    with pytest.raises(DataError, match=r"idc_index; .*\[download\]"):
        fetch("cmmd", tmp_path, yes=True)


@pytest.mark.slow
def test_the_installed_client_has_the_collections_that_descriptors_name(tmp_path):
    idc_index = pytest.importorskip("idc_index")
    client = idc_index.IDCClient()
    for name, count in (("cmmd", 1775), ("cbis-ddsm", 2888)):
        images = (data_sheets()[name].model_extra or {})["fetch"]["images"]
        series = select(client.index, images, None)
        assert len(series) >= count
        some = {"seriesInstanceUID": series["SeriesInstanceUID"].tolist()[:3]}
        client.download_from_selection(str(tmp_path), **some, dirTemplate=LAYOUT, dry_run=True)
    assert not list(tmp_path.iterdir())
