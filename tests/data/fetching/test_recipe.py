"""The descriptors say how each public set is got, and a damaged one is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mammostudy.data.descriptors import cohort_names, describe
from mammostudy.data.fetching import recipe as module
from mammostudy.data.fetching.recipe import cohort_of, fetchable, read_recipe
from mammostudy.errors import DataError

FOLDER = Path(__file__).parents[3] / "data_manifests"


SOURCES = [name for name in cohort_names() if describe(name).built]


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_published_set_is_fetched_or_has_steps(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe is not None
    described = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    assert (recipe.title, recipe.licence) == (described["title"], described["licence"])
    assert recipe.steps or not recipe.by_hand
    assert len(recipe.citations) == len(described["citation"])
    for table in recipe.tables:
        assert table.wanted().path == table.file
        assert all(address.startswith("https://") for address in table.addresses)
    if recipe.images is not None:
        re.compile(recipe.images.patient)
        assert recipe.images.endpoint.startswith("https://{bucket}.")


def test_which_sets_a_program_can_fetch() -> None:
    recipes = {name: read_recipe(name) for name in SOURCES}
    assert {name for name, one in recipes.items() if one and one.by_hand} == {"inbreast", "ddsm"}
    assert {name for name, one in recipes.items() if one and one.images} == {"cbis-ddsm", "cmmd"}
    assert set(fetchable()) == {"inbreast", "ddsm", "cbis-ddsm", "cmmd", "cdd-cesm"}
    assert read_recipe("cdd-cesm") == read_recipe("cdd-cesm-archive")
    assert cohort_of("cmmd") == "cmmd"
    others = set(cohort_names()) - set(SOURCES) - {"cdd-cesm"}
    assert all(read_recipe(name) is None for name in [*others, "my-hospital", "../../x"])


def test_rows_of_the_tables_are_the_expected_ones() -> None:
    recipe = read_recipe("cbis-ddsm")
    assert recipe is not None
    expected = yaml.safe_load((FOLDER / "cbis-ddsm.yaml").read_text())["expected"]
    masses = [table.rows for table in recipe.tables if table.file.startswith("mass")]
    assert masses == [expected["mass_rows_train"], expected["mass_rows_test"]]
    assert len({table.file for table in recipe.tables}) == 4


GOOD: dict[str, Any] = yaml.safe_load((FOLDER / "cmmd.yaml").read_text())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fetch": {"tables": [{"file": "a.csv"}]}}, r"fetch\.tables\.0\.addresses"),
        ({"fetch": {"tables": [{"file": "a.csv", "addresses": []}]}}, r"fetch\.tables\.0"),
        ({"fetch": {"images": GOOD["fetch"]["images"] | {"endpoint": "x"}}}, "endpoint"),
        ({"fetch": {"images": GOOD["fetch"]["images"] | {"endpoint": "http://{x}"}}}, "endpoint"),
        ({"fetch": {"more": 1}}, r"fetch\.more"),
        ({"fetch": [1]}, "ill-formed"),
        ({"citation": [{"doi": "x"}]}, "ill-formed"),
        ({"licence": 7}, "licence"),
    ],
)
def test_a_damaged_descriptor_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    path = tmp_path / "data_manifests" / "cmmd.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(GOOD))
    assert read_recipe("cmmd") is not None
    path.write_text(yaml.safe_dump(GOOD | change))
    with pytest.raises(DataError, match=words):
        read_recipe("cmmd")
    for content in (b"[", b"\xff", b"- 1", b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cmmd\.yaml"):
            read_recipe("cmmd")
    path.unlink()
    with pytest.raises(DataError, match=r"cmmd\.yaml: missing or damaged"):
        read_recipe("cmmd")
