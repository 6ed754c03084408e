import numpy as np
import pandas as pd
import pytest

from mammostudy.runs.store import write_record
from mammostudy.study import failures
from mammostudy.study import failures_reading as reading

SIDE = 10


def case(name: str, dice: float, predicted: int, company: int = 0, **more: object) -> dict:
    fixed = {"part": "test", "site": "s", "box": "oracle", "postprocessing": "none"}
    sizes = {"truth_pixels": 20, "predicted_pixels": predicted, "company_pixels": company}
    scores = {"dice": dice, "recall": dice, "precision": dice, "diagonal": SIDE * np.sqrt(2)}
    return {"case": name, "patient": name[0], **fixed, **sizes, **scores, **more}


CASES = [
    case("a1", 0.95, 20),
    case("a2", 0.10, 0),
    case("b1", 0.30, 5, company=4),
    case("b2", 0.40, 40, company=9),
    case("c1", 0.50, 21),
    case("c2", 0.99, 2, part="validation"),
    case("d1", 0.01, 2, box="jittered"),
]


@pytest.fixture
def found(tmp_path):
    spec = failures.specs("cdd-cesm", "reference")[0]
    content = {
        "spec": spec.model_dump(mode="json"),
        "key": "k",
        "status": "completed",
        "converged": True,
        **dict.fromkeys(("recipe_key", "manifest_hash", "curves", "provenance")),
    }
    masks = {row["case"]: np.zeros((SIDE, SIDE), bool) for row in CASES}
    return [write_record(content, pd.DataFrame(CASES), masks, root=tmp_path)]


@pytest.mark.parametrize(
    ("dice", "predicted", "kind"),
    [
        (0.7, 0, "no failure"),
        (0.69, 0, "missed"),
        (0.5, 13, "too small"),
        (0.5, 14, "misplaced"),
        (0.5, 30, "misplaced"),
        (0.5, 31, "too large"),
    ],
)
def test_kinds(dice, predicted, kind):
    row = pd.Series({"dice": dice, "predicted_pixels": predicted, "truth_pixels": 20})
    assert failures.kind_of(row) == kind


def test_rows_are_oracle_test_rows_worst_first(found):
    stacked = failures.rows(found)
    assert stacked["case"].tolist() == ["a2", "b1", "b2", "c1", "a1"]
    assert stacked["mass_share"].tolist() == pytest.approx([0.2] * 5, abs=1e-4)
    assert stacked["kind"].tolist() == [
        "missed",
        "too small",
        "too large",
        "misplaced",
        "no failure",
    ]
    assert stacked["company"].tolist() == [False, True, True, False, False]


def test_predictions_of_validation_cases_are_not_shown(found):
    assert failures._tested(found[0]) == {"a1", "a2", "b1", "b2", "c1", "d1"}


def test_cases_by_rule(found):
    picked = failures.by_rule(failures.rows(found)).set_index("rule")["case"]
    assert picked[["worst", "median", "best"]].tolist() == ["a2", "b2", "a1"]
    assert failures.by_rule(failures.rows(found))["case"].tolist() == picked.tolist()


def test_second_masses_one_a_patient_largest_first(found):
    assert failures.cut_masses(failures.rows(found))["case"].tolist() == ["b2"]


def test_kinds_and_company_tables(found):
    stacked = failures.rows(found)
    kinds = failures.kinds_table(stacked).set_index("kind")
    assert kinds.loc["missed", "masses"] == 1
    assert kinds["% of masses"].sum() == pytest.approx(100)
    company = failures.company_table(stacked)
    dice = company[company["metric"] == "dice"].set_index("row")["mean"]
    assert dice["second mass"] == pytest.approx(0.35)
    assert dice["alone"] == pytest.approx((0.95 + 0.10 + 0.50) / 3)


def test_sizes_by_thirds():
    stacked = pd.DataFrame(
        {
            "patient": list("abcdef"),
            "dice": [0.1, 0.3, 0.5, 0.7, 0.8, 1.0],
            "box_share": [1.0, 2, 3, 4, 5, 6],
            "replicate": 0,
            "fold": 0,
            "seed": 0,
            "converged": True,
        }
    )
    table = failures.size_table(stacked)
    assert table["mean"].tolist() == pytest.approx([0.2, 0.6, 0.9])
    assert table["from"].tolist() == [1, 3, 5]
    assert failures.size_column(stacked) == "box_share"
    assert failures.size_column(stacked.assign(box_share=np.nan)) == "mass_share"


def test_without_the_data_there_are_no_pictures_and_no_sizes(found, monkeypatch):
    monkeypatch.delenv("MAMMOSTUDY_DATA", raising=False)
    stacked = failures.with_sizes(failures.rows(found), "cdd-cesm")
    assert stacked["box_share"].isna().all()
    assert failures.overlays("cdd-cesm", found, failures.worst(stacked)) == {}
    assert failures.second_masses("cdd-cesm", found, failures.cut_masses(stacked)).empty


def test_meaning(found):
    stacked = failures.with_sizes(failures.rows(found), "no-such-cohort")
    sizes = failures.size_table(stacked)
    text = reading.meaning(stacked, failures.company_table(stacked), sizes, "target")
    assert "4 masses of 5 (80 %) score below a Dice of 0.7." in text
    assert "the mass in the middle alone" in text
    assert "(second mass) against" in text


def test_without_records_the_page_says_so():
    stacked = failures.with_sizes(failures.rows([]), "no-such-cohort")
    assert failures.worst(stacked).empty
    assert failures.cut_masses(stacked).empty
    company, sizes = failures.company_table(stacked), failures.size_table(stacked)
    assert "No run" in reading.meaning(stacked, company, sizes, "all")
    assert reading.cases_page(failures.worst(stacked)).empty
    assert failures.absent("cdd-cesm", "reference", []) == ["fold 0", "fold 1", "fold 2"]


def test_published_outliers_are_those_of_the_figure():
    table = reading.published_outliers()
    assert table["model"].tolist() == ["proposed cGAN"]
    assert table["outliers"].iloc[0].split(", ") == [
        "0.109",
        "0.128",
        "0.517",
        "0.77",
        "0.783",
        "0.784",
    ]
