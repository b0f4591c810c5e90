"""Every family of signals is related to the true probabilities in the expected direction."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from training.simulation.calendar import day_number
from training.simulation.history import SimulatedHistory, simulate_history
from training.simulation.random_streams import random_stream
from training.simulation.tables.billing import billing_table
from training.simulation.tables.company import company_table, interventions_table
from training.simulation.tables.contacts import relationship_table
from training.simulation.tables.engagement import engagement_table, support_table
from training.simulation.tables.outcomes import outcomes_table
from training.simulation.tables.usage import usage_table
from training.simulation.true_probabilities import true_probabilities

WEEKS = 30


@pytest.fixture(scope="module")
def past() -> SimulatedHistory:
    return simulate_history(1200, WEEKS, seed=5, end=day_number(date(2026, 6, 3)))


@pytest.fixture(scope="module")
def truth(past: SimulatedHistory) -> pd.DataFrame:
    probabilities = true_probabilities(past.traits, past.after[-1], past.end, random_stream(5, "truth"), futures=60)
    ids = [f"A{i + 1:05d}" for i in probabilities.account]
    hidden = past.after[-1].take(probabilities.account)
    return pd.DataFrame(
        {
            "churn": probabilities.churn,
            "expansion": probabilities.expansion,
            "segment": past.traits.segment[probabilities.account],
            "champion": hidden.champion,
            "rival": hidden.rival,
            "seats": hidden.seats,
        },
        index=ids,
    )


def _frame(table: pa.Table) -> pd.DataFrame:
    """The rows as read from a file: plain strings, and duplicate batches counted once."""
    return table.to_pandas().astype({"account_id": str}).drop_duplicates(ignore_index=True)


def _recent(rows: pd.DataFrame, days: int) -> pd.DataFrame:
    return rows[rows["occurred_at"] >= rows["occurred_at"].max() - pd.Timedelta(days=days)]


def _assert_goes_with(signal: pd.Series, truth: pd.DataFrame, what: str, sign: int) -> None:
    """Check that the signal ranks accounts like (or opposite to) the truth within segments, by three standard errors."""
    both = truth.assign(signal=signal.reindex(truth.index)).dropna(subset="signal")
    ranks = both.groupby("segment")[["signal", what]].rank(pct=True)
    correlation = ranks.corr().iloc[0, 1]
    assert sign * correlation > 3 / np.sqrt(len(both)), (correlation, len(both))


def _count(rows: pd.DataFrame, kinds: list[str], truth: pd.DataFrame) -> pd.Series:
    return rows["kind"].isin(kinds).groupby(rows["account_id"]).sum().reindex(truth.index, fill_value=0)


@pytest.mark.slow
def test_usage_of_seats_and_features(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _recent(pd.concat([piece.to_pandas() for piece in usage_table(past)]).astype({"account_id": str}), 28)
    by = rows.groupby("account_id")
    used = by["user_id"].nunique() / truth["seats"]
    _assert_goes_with(used, truth, "churn", -1)
    _assert_goes_with(used, truth, "expansion", +1)
    _assert_goes_with(by["feature"].nunique(), truth, "expansion", +1)


def test_response_rate_and_response_time(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _frame(engagement_table(past))
    emails = _recent(rows[rows["kind"] == "email"], 120)
    _assert_goes_with((emails["outcome"] == "replied").groupby(emails["account_id"]).mean(), truth, "churn", -1)
    _assert_goes_with(np.log(emails["response_hours"]).groupby(emails["account_id"]).mean(), truth, "churn", +1)


def test_sentiment_of_tickets_and_named_competitors(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _frame(support_table(past))
    _assert_goes_with(rows.groupby("account_id")["sentiment"].mean(), truth, "churn", -1)
    rival = _recent(rows[rows["topic"] == "competitor"], 60)
    named = truth.index.isin(rival["account_id"])
    assert truth.loc[named, "rival"].mean() > 4 * truth.loc[~named, "rival"].mean()
    assert truth.loc[truth["rival"], "churn"].mean() > 1.3 * truth.loc[~truth["rival"], "churn"].mean()


def test_surveys_and_goals(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _frame(outcomes_table(past))
    nps = rows[rows["kind"] == "nps"]
    _assert_goes_with(nps.groupby("account_id")["value"].mean(), truth, "churn", -1)
    goals = rows[rows["kind"].isin(["goal_met", "goal_missed"])]
    _assert_goes_with((goals["kind"] == "goal_met").groupby(goals["account_id"]).mean(), truth, "churn", -1)


def test_presence_of_a_champion(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _frame(relationship_table(past))
    rows = rows[rows["role"] == "champion"]
    change = rows["event"].astype(str).map({"joined": 1, "left": -1, "promoted": 0})
    present = change.groupby(rows["account_id"]).sum().reindex(truth.index, fill_value=0)
    # Only news that has not arrived by the end of the data is missing.
    assert (present == truth["champion"]).mean() > 0.98
    _assert_goes_with(present, truth, "churn", -1)


def test_payments_and_budgets(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _frame(billing_table(past))
    often = _count(_recent(rows, 28), ["payment_failed"], truth) >= 2
    assert truth.loc[often, "churn"].mean() > 3 * truth.loc[~often, "churn"].mean()
    contracts = truth[truth["segment"] > 0]
    _assert_goes_with(_count(rows, ["budget_review"], contracts), contracts, "churn", +1)


def test_news_of_growth(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    growth = _count(_frame(company_table(past)), ["funding", "hiring", "new_department"], truth)
    _assert_goes_with(growth, truth, "expansion", +1)


def test_plays_target_accounts_at_risk_and_some_are_held_out(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _frame(interventions_table(past))
    _assert_goes_with(rows.groupby("account_id").size().reindex(truth.index, fill_value=0), truth, "churn", +1)
    assert 0.1 < rows["held_out"].mean() < 0.4
    assert rows.loc[rows["held_out"], ["closed_at", "result"]].isna().all(axis=None)
    assert set(rows["result"].dropna()) == {"saved", "lost"}


def _gain(columns: list[pd.Series], truth: pd.DataFrame) -> float:
    """The share of the variance of the true log-odds of churn within segments that a linear model on some signals explains."""
    p = truth["churn"].clip(1e-4, 1 - 1e-4)
    y = np.log(p / (1 - p))
    y = y - y.groupby(truth["segment"]).transform("mean")
    values = pd.concat([column.reindex(truth.index) for column in columns], axis=1)
    matrix = np.column_stack([values.fillna(values.mean()), np.ones(len(y))])
    fitted = matrix @ np.linalg.lstsq(matrix, y, rcond=None)[0]
    return float(1 - ((y - fitted) ** 2).sum() / (y**2).sum())


def test_engagement_plays_and_news_show_a_part_of_the_churn(past: SimulatedHistory, truth: pd.DataFrame) -> None:
    rows = _frame(engagement_table(past))
    replied = _recent(rows, 120)
    replied = replied["outcome"].isin(["replied", "attended", "posted", "completed"]).groupby(replied["account_id"])
    assert 0.015 < _gain([replied.mean(), replied.sum()], truth) < 0.3
    plays = _frame(interventions_table(past))
    severity = plays["severity"].astype(str).map({"low": 1, "medium": 2, "high": 3})
    assert 0.015 < _gain([severity.groupby(plays["account_id"]).sum().reindex(truth.index, fill_value=0)], truth) < 0.2
    news = _frame(company_table(past))
    columns = [_count(news, [kind], truth) for kind in ("layoffs", "acquisition", "funding")]
    assert 0.01 < _gain(columns, truth) < 0.2
