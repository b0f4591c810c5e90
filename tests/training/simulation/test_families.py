"""Every family of signals carries some of the truth, in the direction in which a person would read it."""

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
def told(past: SimulatedHistory) -> pd.DataFrame:
    found = true_probabilities(past.traits, past.after[-1], past.end, random_stream(5, "truth"), futures=60)
    ids = [f"A{i + 1:05d}" for i in found.account]
    hidden = past.after[-1].take(found.account)
    return pd.DataFrame(
        {
            "churn": found.churn,
            "expansion": found.expansion,
            "segment": past.traits.segment[found.account],
            "champion": hidden.champion,
            "rival": hidden.rival,
            "seats": hidden.seats,
        },
        index=ids,
    )


def _frame(table: pa.Table) -> pd.DataFrame:
    """The rows as a reader has them: plain strings, a batch that was sent twice counted once."""
    return table.to_pandas().astype({"account_id": str}).drop_duplicates(ignore_index=True)


def _recent(rows: pd.DataFrame, days: int) -> pd.DataFrame:
    return rows[rows["occurred_at"] >= rows["occurred_at"].max() - pd.Timedelta(days=days)]


def _assert_goes_with(signal: pd.Series, told: pd.DataFrame, what: str, sign: int) -> None:
    """Within segments, the signal ranks accounts as the truth does (or against it), beyond three standard errors."""
    both = told.assign(signal=signal.reindex(told.index)).dropna(subset="signal")
    ranks = both.groupby("segment")[["signal", what]].rank(pct=True)
    found = ranks.corr().iloc[0, 1]
    assert sign * found > 3 / np.sqrt(len(both)), (found, len(both))


def _count(rows: pd.DataFrame, kinds: list[str], told: pd.DataFrame) -> pd.Series:
    return rows["kind"].isin(kinds).groupby(rows["account_id"]).sum().reindex(told.index, fill_value=0)


def test_use_of_seats_and_features(past: SimulatedHistory, told: pd.DataFrame) -> None:
    rows = _recent(pd.concat([piece.to_pandas() for piece in usage_table(past)]).astype({"account_id": str}), 28)
    by = rows.groupby("account_id")
    used = by["user_id"].nunique() / told["seats"]
    _assert_goes_with(used, told, "churn", -1)
    _assert_goes_with(used, told, "expansion", +1)
    _assert_goes_with(by["feature"].nunique(), told, "expansion", +1)


def test_answers_and_their_speed(past: SimulatedHistory, told: pd.DataFrame) -> None:
    rows = _frame(engagement_table(past))
    emails = rows[rows["kind"] == "email"]
    _assert_goes_with((emails["outcome"] == "replied").groupby(emails["account_id"]).mean(), told, "churn", -1)
    _assert_goes_with(emails.groupby("account_id")["response_hours"].mean(), told, "churn", +1)


def test_sentiment_of_tickets_and_named_competitors(past: SimulatedHistory, told: pd.DataFrame) -> None:
    rows = _frame(support_table(past))
    _assert_goes_with(rows.groupby("account_id")["sentiment"].mean(), told, "churn", -1)
    rival = _recent(rows[rows["topic"] == "competitor"], 60)
    named = told.index.isin(rival["account_id"])
    assert told.loc[named, "rival"].mean() > 4 * told.loc[~named, "rival"].mean()
    assert told.loc[told["rival"], "churn"].mean() > 1.3 * told.loc[~told["rival"], "churn"].mean()


def test_surveys_and_goals(past: SimulatedHistory, told: pd.DataFrame) -> None:
    rows = _frame(outcomes_table(past))
    nps = rows[rows["kind"] == "nps"]
    _assert_goes_with(nps.groupby("account_id")["value"].mean(), told, "churn", -1)
    goals = rows[rows["kind"].isin(["goal_met", "goal_missed"])]
    _assert_goes_with((goals["kind"] == "goal_met").groupby(goals["account_id"]).mean(), told, "churn", -1)


def test_a_champion_who_is_there(past: SimulatedHistory, told: pd.DataFrame) -> None:
    rows = _frame(relationship_table(past))
    rows = rows[rows["role"] == "champion"]
    change = rows["event"].astype(str).map({"joined": 1, "left": -1, "promoted": 0})
    present = change.groupby(rows["account_id"]).sum().reindex(told.index, fill_value=0)
    # News that has not arrived by the end of the data is missing, nothing else.
    assert (present == told["champion"]).mean() > 0.98
    _assert_goes_with(present, told, "churn", -1)


def test_payments_and_budgets(past: SimulatedHistory, told: pd.DataFrame) -> None:
    rows = _frame(billing_table(past))
    often = _count(_recent(rows, 28), ["payment_failed"], told) >= 2
    assert told.loc[often, "churn"].mean() > 3 * told.loc[~often, "churn"].mean()
    contracts = told[told["segment"] > 0]
    _assert_goes_with(_count(rows, ["budget_review"], contracts), contracts, "churn", +1)


def test_news_of_growth(past: SimulatedHistory, told: pd.DataFrame) -> None:
    growth = _count(_frame(company_table(past)), ["funding", "hiring", "new_department"], told)
    _assert_goes_with(growth, told, "expansion", +1)


def test_plays_go_to_accounts_in_danger_and_some_are_held_out(past: SimulatedHistory, told: pd.DataFrame) -> None:
    rows = _frame(interventions_table(past))
    _assert_goes_with(rows.groupby("account_id").size().reindex(told.index, fill_value=0), told, "churn", +1)
    assert 0.1 < rows["held_out"].mean() < 0.4
    assert rows.loc[rows["held_out"], ["closed_at", "result"]].isna().all(axis=None)
    assert set(rows["result"].dropna()) == {"saved", "lost"}
