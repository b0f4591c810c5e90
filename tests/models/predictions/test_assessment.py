from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from features.errors import BadRequest
from models.artifacts.champion import Champion
from models.predictions.assessment import Assessment, assess
from models.predictions.payload import account_answer
from models.predictions.portfolio_table import portfolio_rows
from models.predictions.target_predictions import MINIMUM_TENURE_DAYS, SCORED, SILENT_AFTER_DAYS, STALE_INPUTS
from models.targets import TARGETS

COLUMNS = [
    "account_id", "name", "as_of",
    "churn_status", "churn_probability", "churn_low", "churn_high", "churn_risk_score", "churn_band", "churn_involuntary",
    "expansion_status", "expansion_probability", "expansion_low", "expansion_high", "expansion_risk_score",
    "expansion_band", "expansion_ready", "health_score", "health_band", "health_rubric",
    "health_meant_churn", "health_change_7d", "segment", "stage", "alerts_raised", "early_warnings", "watch",
    "play", "play_kind", "play_by", "play_due", "play_because", "onboarding_missed", "expansion_type",
    "expansion_withdrawn", "expansion_find_out", "expansion_points",
    *(name for k in range(1, 6) for name in (f"reason_{k}", f"reason_{k}_stability")), "churn_explained_note", "churn_model_version", "expansion_model_version",
]  # fmt: skip


@pytest.fixture(scope="module")
def assessment(portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue) -> Assessment:
    return assess(portfolio, both, catalogue=catalogue)


def test_one_flat_row_per_account(assessment: Assessment, portfolio: pd.DataFrame) -> None:
    rows = portfolio_rows(assessment)
    assert list(rows.columns) == COLUMNS
    assert rows["account_id"].tolist() == sorted(portfolio["account_id"])
    assert rows["as_of"].dtype == portfolio["as_of"].dtype
    assert rows["churn_status"].eq("scored").all()
    assert (rows["churn_low"] <= rows["churn_probability"]).all()
    assert (rows["churn_probability"] <= rows["churn_high"]).all()
    assert rows["churn_risk_score"].between(0, 100).all()
    assert set(rows["churn_band"]) <= {"low", "medium", "high"}
    assert set(rows["churn_model_version"]) == {"3"}
    assert set(rows["expansion_model_version"]) == {"5"}
    assert set(rows["health_rubric"]) == {"small"}
    assert rows["reason_1"].str.contains("; (?:raises|lowers) churn risk").all()


def test_shuffled_rows_give_the_same_table(
    assessment: Assessment, portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue
) -> None:
    shuffled = assess(portfolio.sample(frac=1.0, random_state=5), both, catalogue=catalogue)
    pd.testing.assert_frame_equal(portfolio_rows(assessment), portfolio_rows(shuffled), check_exact=True)


def test_probabilities_equal_those_of_the_scorer(assessment: Assessment, portfolio: pd.DataFrame, both: Champion) -> None:
    result = both.bundles["churn"].scorer.predict(portfolio).probability
    np.testing.assert_array_equal(assessment.target_scores["churn"].probability, result)


def test_a_target_without_a_bundle_has_no_prediction_and_health_is_reported(
    portfolio: pd.DataFrame, champion: Champion, catalogue: Catalogue
) -> None:
    rows = portfolio_rows(assess(portfolio, champion, catalogue=catalogue))
    assert rows["expansion_status"].eq("no_model").all()
    nothing = ["probability", "low", "high", "risk_score", "band", "model_version"]
    assert rows[[f"expansion_{name}" for name in nothing]].isna().all().all()
    assert not rows["expansion_ready"].any()
    assert rows["health_score"].notna().any()
    assert rows["churn_status"].eq("scored").all()


def test_without_any_model_only_the_health_score_is_reported(
    portfolio: pd.DataFrame, champion: Champion, catalogue: Catalogue
) -> None:
    assessed = assess(portfolio, Champion({}, champion.rubric), catalogue=catalogue)
    assert portfolio_rows(assessed)["churn_status"].eq("no_model").all()
    assert portfolio_rows(assessed)["reason_1"].isna().all()
    assert set(assessed.agreement) == {None}
    assert portfolio_rows(assessed)["health_score"].notna().any()


def test_a_new_customer_is_not_scored(portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue) -> None:
    tenure = [MINIMUM_TENURE_DAYS - 0.5, MINIMUM_TENURE_DAYS, np.nan]
    frame = portfolio.iloc[:3].assign(**{"contract.tenure_days": tenure})
    rows = portfolio_rows(assess(frame, both, catalogue=catalogue))
    assert rows["churn_status"].tolist() == ["insufficient_history", "scored", "scored"]
    numbers = ["churn_probability", "churn_risk_score", "churn_band", "reason_1", "expansion_probability"]
    assert rows.loc[0, numbers].isna().all()
    assert rows.loc[1:, numbers].notna().all().all()
    assert not rows.loc[0, "expansion_ready"]


def test_percentiles_are_within_the_portfolio(assessment: Assessment) -> None:
    scores = assessment.target_scores["churn"]
    assert scores.percentile[np.argmax(scores.probability)] > 99
    assert scores.percentile.mean() == pytest.approx(50.0)


def test_a_single_account_has_no_percentile_but_is_compared_with_peers(
    portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue, assessment: Assessment
) -> None:
    alone = assess(portfolio.iloc[[7]], both, both.peers, catalogue=catalogue)
    assert np.isnan(alone.target_scores["churn"].percentile[0])
    assert alone.target_scores["churn"].probability[0] == assessment.target_scores["churn"].probability[7]
    assert abs(alone.health.score[0] - assessment.health.score[7]) < 3.0
    assert portfolio_rows(alone)["reason_1"].equals(portfolio_rows(assessment)["reason_1"].iloc[[7]].reset_index(drop=True))


@pytest.mark.parametrize(
    ("risk", "health", "agreement"),
    [
        ("low", "green", "agree"),
        ("medium", "yellow", "agree"),
        ("high", "yellow", "model_worse"),
        ("medium", "green", "model_worse"),
        ("low", "red", "model_better"),
        ("high", "insufficient_data", None),
        (None, "green", None),
    ],
)
def test_agreement_compares_the_model_with_the_health_score(
    assessment: Assessment, risk: str | None, health: str, agreement: str | None
) -> None:
    class Scores:
        band = np.array([risk], dtype=object)

    class Health:
        band = pd.Series([health])

    class Rules:
        health = Health()

    other: Any = Assessment(
        assessment.champion, assessment.frame.iloc[:1], assessment.as_of, {"churn": Scores()},
        Rules(), {},
    )  # fmt: skip
    assert other.agreement[0] == agreement


def test_only_feeds_older_than_two_weeks_are_stale(
    portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue
) -> None:
    feeds = {
        "usage": datetime(2026, 1, 4, tzinfo=UTC),
        "support": datetime(2025, 12, 20, tzinfo=UTC),
        "billing": datetime(2025, 12, 22, tzinfo=UTC),
        "outcomes": None,
    }
    assert assess(portfolio, both, feeds=feeds, catalogue=catalogue).stale == {"support": 16}


def test_if_all_feeds_are_silent_no_number_is_reported(
    portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue
) -> None:
    """Otherwise, silent feeds would look like silent accounts."""
    ended = datetime(2026, 1, 5, tzinfo=UTC) - timedelta(days=SILENT_AFTER_DAYS + 1)
    silent = assess(portfolio, both, feeds={"usage": ended, "support": ended, "outcomes": None}, catalogue=catalogue)
    one = assess(portfolio, both, feeds={"usage": ended, "support": ended + timedelta(days=2)}, catalogue=catalogue)
    assert (silent.as_of, one.as_of) == (pd.Timestamp("2026-01-05", tz="UTC"),) * 2
    for target in TARGETS:
        scores, other = silent.target_scores[target], one.target_scores[target]
        assert set(scores.status) == set(other.status) - {SCORED} | {STALE_INPUTS}
        assert ((scores.status == STALE_INPUTS) == (other.status == SCORED)).all()
        assert np.isnan([scores.probability, scores.low, scores.high, scores.points, scores.percentile]).all()
        assert scores.explained(range(len(portfolio))) == [None] * len(portfolio)
    assert account_answer(silent, silent.account_ids[0], scored_at=ended)["churn"]["status"] == STALE_INPUTS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.iloc[:0], "no account is active"),
        (lambda f: f.drop(columns="as_of"), "lacks as_of"),
        (lambda f: pd.concat([f, f.iloc[:2]]), "2 rows have a duplicate account"),
        (lambda f: pd.concat([f, f.assign(as_of=f["as_of"] + pd.Timedelta(days=7))]), "several dates"),
        (lambda f: f.assign(as_of=pd.NaT), "several dates, or none"),
        (lambda f: f.assign(as_of=f["as_of"].dt.tz_localize(None)), "as_of is not a datetime column with a time zone"),
        (lambda f: f.assign(**{"contract.arr": "secret"}), "contract.arr"),
    ],
)
def test_a_table_that_is_not_a_snapshot_is_refused(
    portfolio: pd.DataFrame, both: Champion, catalogue: Catalogue, change: Any, message: str
) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        assess(change(portfolio), both, catalogue=catalogue)
    assert "secret" not in str(caught.value)
