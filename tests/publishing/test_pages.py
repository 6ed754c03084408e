from __future__ import annotations

import pytest

from mammostudy.errors import BookError
from mammostudy.publishing.pages import read_pages

DECLARED = "cohort: str = 'phantom'\npreset: str = 'quick'"
PHANTOM = {"cohort": "phantom", "preset": "quick"}
REAL = {"cohort": "cdd-cesm", "preset": "reference"}


@pytest.fixture
def pages(book):
    book.notebook("data", "1", parameters=DECLARED)
    book.page("study-data", "data", parameters=PHANTOM)
    book.page("real-data", "data", parameters=REAL, fixed=True)
    book.page("audit", "data")
    return book


def _effective(book, environ):
    return {page.name: dict(page.parameters) for page in read_pages(book.root, environ)}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, PHANTOM),
        ({"MAMMOSTUDY_PRESET": "smoke"}, {"cohort": "phantom", "preset": "smoke"}),
        ({"MAMMOSTUDY_COHORT": "cdd-cesm"}, {"cohort": "cdd-cesm", "preset": "quick"}),
        ({"MAMMOSTUDY_COHORT": ""}, PHANTOM),
    ],
)
def test_environment_overrides_pages_that_are_not_fixed(pages, environ, expected):
    assert _effective(pages, environ) == {"study-data": expected, "real-data": REAL, "audit": {}}


def test_the_real_environment_is_read(pages, monkeypatch):
    monkeypatch.setenv("MAMMOSTUDY_PRESET", "paper")
    assert read_pages(pages.root)[0].preset == "paper"


def test_unknown_preset_names_the_known_ones(pages):
    with pytest.raises(BookError, match=r"MAMMOSTUDY_PRESET.*'fast'.*smoke, quick, reference"):
        read_pages(pages.root, {"MAMMOSTUDY_PRESET": "fast"})
    pages.page("study-data", "data", parameters={"preset": "slow"})
    with pytest.raises(BookError, match=r"pages\.study-data\.parameters\.preset.*'slow'"):
        read_pages(pages.root, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("pages: {a: {notebok: data}}", r"pages\.a\.notebok: unknown key; known: notebook, param"),
        ("pages: {a: {}}", r"pages\.a\.notebook: field required"),
        ("page: {}", r"page: unknown key; known: pages, claims"),
        ("pages: {a: {notebook: data, fixed: 1}}", r"pages\.a\.fixed: .*boolean"),
        ("pages: {a: {notebook: data, parameters: {x: [1]}}}", r"pages\.a\.parameters\.x"),
        ("pages: {a: {notebook: nothing}}", r"pages\.a\.notebook: no file .*there are: data"),
        ("pages: {A b: {notebook: data}}", r"A b"),
        ("pages: [", r"not readable as YAML"),
        ("", r"study\.yaml: content"),
    ],
)
def test_faults_of_study_yaml_name_the_key(pages, content, message):
    (pages.root / "study.yaml").write_text(content)
    with pytest.raises(BookError, match=message):
        read_pages(pages.root, {})


def test_claims_are_left_to_their_own_reader(pages):
    (pages.root / "study.yaml").write_text("pages: {}\nclaims: [{id: anything}]")
    assert read_pages(pages.root, {}) == []


def test_a_folder_without_study_yaml_is_said(book):
    with pytest.raises(BookError, match="run the command in the project's folder"):
        read_pages(book.root, {})
