"""One schema: a field added to it appears in the answer, the flat view and the files without further code."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from models.artifacts.champion import Champion
from models.predictions.assessment import Assessment, assess
from models.predictions.columns import (
    FieldValues,
    FlatField,
    ListedFields,
    NestedFields,
    TableField,
    flat_columns,
    flat_view,
    table_columns,
)
from models.predictions.payload import account_answer
from models.predictions.portfolio_table import portfolio_columns, portfolio_rows
from models.predictions.schema import (
    ChurnPrediction,
    HealthScore,
    Prediction,
    RecommendedPlay,
    ResponseModel,
    TargetPrediction,
)
from models.predictions.table_export import write_frame

NOW = datetime(2026, 1, 6, tzinfo=UTC)


class WiderHealth(HealthScore):
    """The health score with one more field."""

    arr: Annotated[
        float | None, FieldValues(lambda source: source.assessment.frame["contract.arr"]), FlatField(description="ARR."), TableField()
    ]


class WiderPlay(RecommendedPlay):
    """A play with one more field."""

    again: Annotated[bool, FlatField(description="Whether it was published before."), TableField(kind="as_is")]


class WiderPrediction(Prediction):
    """An answer with more fields at three depths."""

    plan: Annotated[
        str | None, FieldValues(lambda source: source.assessment.frame["contract.plan"]), FlatField(after="as_of", description="Plan."), TableField()
    ]
    health: WiderHealth


@pytest.fixture(scope="module")
def assessment(portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue) -> Assessment:
    return assess(portfolio, both, catalogue=catalogue)


def test_a_field_of_the_schema_is_in_every_output(assessment: Assessment, tmp_path: Path) -> None:
    row = assessment.frame.iloc[7]
    full = account_answer(assessment, str(row["account_id"]), scored_at=NOW, schema=WiderPrediction)
    assert (full["plan"], full["health"]["arr"]) == (row["contract.plan"], row["contract.arr"])
    assert list(full)[-1] == "plan"
    flat = flat_view(full, WiderPrediction)
    assert (flat["plan"], flat["health_arr"]) == (row["contract.plan"], row["contract.arr"])
    names = list(flat)
    assert names[names.index("as_of") + 1] == "plan"
    assert names[names.index("health_meant_churn") + 1] == "health_arr"
    table = portfolio_rows(assessment, WiderPrediction)
    assert table["health_arr"].tolist() == assessment.frame["contract.arr"].tolist()
    write_frame(table, tmp_path / "scores.csv")
    read = pd.read_csv(tmp_path / "scores.csv")
    assert read["plan"].tolist() == assessment.frame["contract.plan"].tolist()
    assert [name for name in read if name not in portfolio_rows(assessment)] == ["health_arr", "plan"]


def test_a_field_of_an_item_is_a_column_of_each_item() -> None:
    class Listed(ResponseModel):
        plays: Annotated[
            list[WiderPlay], ListedFields("play_{}", lambda assessment: [()] * len(assessment.frame), flat=2, table=1)
        ]

    flat = [column.name for column in flat_columns(Listed)]
    assert [name for name in flat if name.endswith("_again")] == ["play_1_again", "play_2_again"]
    assert table_columns(Listed)[-1].name == "play_1_again"


def test_the_answer_has_the_fields_of_the_schema_in_its_order(assessment: Assessment) -> None:
    full = account_answer(assessment, "a0007", scored_at=NOW)
    Prediction.model_validate(full)
    assert list(full) == list(Prediction.model_fields)
    assert list(full["expansion"]) == list(Prediction.model_fields["expansion"].annotation.model_fields)  # type: ignore[union-attr]
    assert list(full["health"]) == list(HealthScore.model_fields)
    # The one exception: an annotation places it before change_30d.
    assert set(full["churn"]) == set(ChurnPrediction.model_fields)
    assert list(full["churn"])[-3:] == ["involuntary", "change_30d", "explained"]
    assert list(TargetPrediction.model_fields)[-2:] == ["change_30d", "explained"]


def test_chosen_columns_equal_those_of_the_whole_table(assessment: Assessment) -> None:
    names = ["watch", "play", "play_due", "expansion_find_out"]
    whole = portfolio_rows(assessment)
    chosen = portfolio_columns(assessment, names)
    assert set(chosen) == set(names)
    pd.testing.assert_frame_equal(chosen, whole[list(chosen)])


def test_invalid_annotations_are_errors() -> None:
    class Twice(ResponseModel):
        first: Annotated[str, FlatField(description="One.")]
        other: Annotated[str, FlatField(name="first", description="Two.")]

    class Nowhere(ResponseModel):
        first: Annotated[str, FlatField(description="One.", after="missing")]

    class Silent(ResponseModel):
        first: Annotated[str, FlatField()]

    class Empty(ResponseModel):
        first: Annotated[str, TableField()]

    class Mixed(ResponseModel):
        first: Annotated[str | float, FlatField(description="One.")]

    class Nested(ResponseModel):
        part: Annotated[Twice, NestedFields()]

    for schema, message in (
        (Twice, "two columns of the same name"),
        (Nowhere, "no column is named missing"),
        (Silent, "has no description"),
        (Mixed, "need a kind"),
        (Nested, "two columns of the same name"),
    ):
        with pytest.raises(ValueError, match=message):
            flat_columns(schema)
    with pytest.raises(ValueError, match="does not say where its values are"):
        table_columns(Empty)
