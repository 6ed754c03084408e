"""The keys of the committed records: what is stored is what today's code computes."""

import pytest

from mammostudy.errors import SpecError
from mammostudy.paths import results_root
from mammostudy.runs.record import records
from mammostudy.runs.versions import versions_of

COHORTS = ("cbis-ddsm-800", "cdd-cesm", "cdd-cesm-cm", "cdd-cesm-contours", "cdd-cesm-views")


@pytest.mark.parametrize("cohort", COHORTS)
def test_stored_keys_are_those_of_today(cohort):
    found = list(records(cohort))
    assert found
    for record in found:
        spec, manifest = record.spec, record.content["manifest_hash"]
        assert record.content["recipe_versions"] == spec.recipe_versions(), record.folder
        assert record.content["recipe_key"] == spec.recipe_key(), record.folder
        assert record.content["training_key"] == spec.training_key(manifest), record.folder
        assert record.key == record.folder.name == spec.key(manifest), record.folder


def test_every_committed_record_is_of_a_cohort_above():
    folders = {path.parent.parent.name for path in results_root().glob("*/*/record.json")}
    assert folders <= set(COHORTS)


def test_a_component_without_a_version_is_an_error():
    assert versions_of(["mammostudy.data.dicom"]) == {"mammostudy.data.dicom": 1}
    with pytest.raises(SpecError, match="new_model"):
        versions_of(["mammostudy.models.new_model"])
