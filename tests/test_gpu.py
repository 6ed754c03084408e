"""The script for a GPU, at tiny size on the processor: what it packs, runs and brings home."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mammostudy.errors import DataError
from mammostudy.runs.record import read_record

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def gpu():
    found = importlib.util.spec_from_file_location("gpu", ROOT / "tools" / "gpu.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_a_pack_is_small_and_keeps_the_keys(gpu, real_data, tmp_path):
    from mammostudy.data.load import load_cohort

    assert gpu.pack(real_data / "cdd-cesm", tmp_path / "cdd-cesm") <= gpu.LIMIT
    packed, whole = load_cohort("cdd-cesm", tmp_path), load_cohort("cdd-cesm", real_data)
    assert packed.manifest_hash == whole.manifest_hash


def test_a_run_is_begun_only_where_time_is_left_for_one_like_it(gpu, monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(gpu.time, "monotonic", lambda: clock.now)

    def run(spec):
        clock.now += 100
        return spec

    specs = [SimpleNamespace(model=SimpleNamespace(name="cgan"), label=n) for n in range(9)]
    assert gpu.part(specs, 420, run) == specs[:3]  # a fourth may need 125 s of the 120 left


def test_a_run_without_its_weights_is_passed_over_and_named(gpu, capsys):
    def run(spec):
        if spec.label == "b":
            raise DataError("weights = 'imagenet': no network")
        return spec.label

    specs = [SimpleNamespace(model=SimpleNamespace(name="cgan"), label=n) for n in "abc"]
    assert gpu.part(specs, 60, run) == ["a", "c"]
    assert "b: not run: weights = 'imagenet'" in capsys.readouterr().out


def test_records_of_a_part_come_home_whole_and_once(gpu, trained, tmp_path):
    trained = trained.record
    made = gpu.part([trained.spec], 600, lambda _: trained)
    gpu.bundle(made, tmp_path / "records-0.tar")
    assert gpu.add([tmp_path / "records-0.tar"], tmp_path / "home") == 1
    assert gpu.add([tmp_path / "records-0.tar"], tmp_path / "home") == 0
    home = read_record(tmp_path / "home" / trained.folder.parent.name / trained.key)
    assert home.cases.equals(trained.cases)
    assert home.predictions().keys() == trained.predictions().keys()


def test_what_the_claims_need_comes_first_and_all_runs_are_the_papers(gpu):
    specs = gpu.queue()
    assert specs[0].frame.strategy in ("full", "loose")
    assert len(specs) == len(set(specs))
    assert {(spec.frame.size, spec.split.fold) for spec in specs} == {(256, n) for n in range(3)}
    names = {spec.model.name for spec in specs if not spec.is_baseline}
    trained = [spec for spec in specs if spec.model.name == "slsdeep"]
    assert len(names) >= 10
    assert len(trained) == 27


def test_without_a_gpu_it_says_so(gpu, monkeypatch, tmp_path):
    import torch

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "run"])
    for name in ("MAMMOSTUDY_DATA", "MAMMOSTUDY_STORE"):
        monkeypatch.setenv(name, "")
    with pytest.raises(SystemExit, match="no GPU"):
        gpu.main()
