"""What each account brings to the numerator and the denominator of each measure; those of health are worked out in
serving."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.kpi.definitions import DUE_DAYS
from features.kpi.survey_answers import answers
from features.revenue.arr import ACTIVE_DAYS, GRACE_DAYS, facts, movements
from features.signals.signals import Signals
from features.utils.periods import Period, period_ending

FEATURES = (
    "contract.arr", "contract.seats", "contract.tenure_days", "usage.active_users_7d", "usage.stickiness_7d",
    "usage.active_users_28d", "usage.user_days_28d", "outcomes.days_to_first_value",
    "outcomes.days_without_first_value", "outcomes.nps_last", "outcomes.nps_age_days",
)  # fmt: skip
"""The features of a snapshot that measures at an instant rest on."""

COLUMNS = ("measure", "account_id", "numerator", "denominator", "net", "arr", "overwritten")
"""Of every frame of parts. ``arr`` decides the account's segment: that at the period's start (of accounts that came
later, at its end), or at the instant. NaN in numerator or denominator: the account is left out, for it is not known.
``net`` is the denominator, but below zero where an account returned more than it ordered: where it does not add up to
more than zero, there is nothing that the value could be a share of. ``overwritten``: the account's terms are unknown,
for the source has written later ones over them (see `features.signals.contract_terms`); that they are known tells who
left."""

_AMOUNTS = ["arr_start", "arr_end", "churned", "contracted", "expanded", "in_grace", "new", "returned", "renewed_late"]


def part(
    measure: str,
    accounts: Any,
    numerator: Any,
    denominator: Any,
    arr: Any,
    net: Any | None = None,
    overwritten: Any = False,
) -> pd.DataFrame:
    """The parts of one measure, a row for each account; where one of the two is unknown both are."""
    above, below = np.asarray(numerator, dtype=np.float64), np.broadcast_to(denominator, np.shape(numerator))
    unknown = np.isnan(above) | np.isnan(below)
    return pd.DataFrame(
        {
            "measure": measure,
            "account_id": np.asarray(accounts, dtype=object),
            "numerator": np.where(unknown, np.nan, above),
            "denominator": np.where(unknown, np.nan, below),
            "net": np.where(unknown, np.nan, below if net is None else np.asarray(net, dtype=np.float64)),
            "arr": np.asarray(arr, dtype=np.float64),
            "overwritten": np.broadcast_to(np.asarray(overwritten, dtype=np.bool_), np.shape(numerator)),
        }
    )


def period_parts(signals: Signals, period: Period, known_at: datetime, active_days: int = ACTIVE_DAYS) -> pd.DataFrame:
    """The parts of the measures of a period, as known before ``known_at``: money and logos, what was answered, reviews
    and interventions. Columns as `COLUMNS`.

    An account whose last subscription ended in the period, and whose grace is not over at ``known_at``, is left out of
    whatever rests on its having churned or not.
    """
    moved = movements(signals, period.start, period.end, known_at=known_at, active_days=active_days)
    moved["overwritten"] = moved[_AMOUNTS].isna().any(axis=1)
    there = moved[moved["active_start"]]
    accounts, start, sure, gone = there["account_id"], there["arr_start"], ~there["pending"], there["overwritten"]
    lost = there["kind"].notna()
    net = there["net_start"]
    kept = (start - there["churned"] - there["contracted"]).where(sure)
    later = moved["arr_end"].where(moved["active_end"])
    by = moved["arr_start"].where(moved["active_start"], later)
    found = [
        part("nrr", accounts, kept + there["expanded"], start, start, net, gone),
        part("grr", accounts, kept, start, start, net, gone),
        part("logo_retention", accounts, (~lost).astype(float).where(sure), 1.0, start, overwritten=gone),
        part("expansion_rate", accounts, there["expanded"].where(sure), start, start, net, gone),
        part(
            "expansion_revenue_share",
            moved["account_id"],
            moved["expanded"],
            moved["expanded"] + moved["new"] + moved["returned"],
            by,
            overwritten=moved["overwritten"],
        ),
    ]
    told = moved.assign(by=by)[["account_id", "by", "overwritten"]].merge(
        answers(signals, period, known_at), on="account_id"
    )
    ids, arr, gone = told["account_id"], told["by"], told["overwritten"]
    rated, closed = told["qbr_held"] + told["qbr_missed"], told["saved"] + told["lost"]
    found += [
        part("nps", ids, told["promoters"] - told["detractors"], told["nps_answers"], arr, overwritten=gone),
        part("csat", ids, told["csat_sum"], told["csat_answers"], arr, overwritten=gone),
        part("qbr_completion", ids, told["qbr_held"], rated, arr, overwritten=gone),
        part("save_rate", ids, told["saved"], closed, arr, overwritten=gone),
    ]
    return pd.concat(found, ignore_index=True)


def churn_parts(
    signals: Signals, end: datetime, span: str, known_at: datetime, active_days: int = ACTIVE_DAYS
) -> pd.DataFrame:
    """The parts of the measures of churn over the ``span``: the year that ends at ``end``, or the month that ends 30
    days before it. Of the ends of the last 30 days nobody knows yet whether they are churn, and a month has few others;
    without contracts there is no such grace.
    """
    grace = timedelta(days=GRACE_DAYS if span == "month" and signals.contractual else 0)
    period = period_ending(end - grace, span)
    moved = movements(signals, period.start, period.end, known_at=known_at, active_days=active_days)
    there = moved[moved["active_start"]]
    accounts, start, sure = there["account_id"], there["arr_start"], ~there["pending"]
    gone = there[_AMOUNTS].isna().any(axis=1)
    lost = there["kind"].notna().astype(float).where(sure)
    churned = there["churned"].where(sure)
    found = [
        part(f"logo_churn_{span}", accounts, lost, 1.0, start, overwritten=gone),
        part(f"arr_churn_{span}", accounts, churned, start, start, there["net_start"], gone),
    ]
    if span == "year":
        unpaid = there["churned"].where(there["kind"] == "involuntary", 0.0)
        unpaid = unpaid.where(sure)
        found.append(part("involuntary_churn_year", accounts, unpaid, there["churned"], start, overwritten=gone))
    return pd.concat(found, ignore_index=True)


def instant_parts(
    signals: Signals, frame: pd.DataFrame, period: Period, active_days: int = ACTIVE_DAYS
) -> pd.DataFrame:
    """The parts of the measures at the period's end (and of time to first value, over the period).

    Parameters
    ----------
    frame : the snapshot at the period's end, with account_id and `FEATURES`.
    """
    ids, arr = frame["account_id"], frame["contract.arr"]
    users, seats = frame["usage.active_users_28d"], frame["contract.seats"]
    week = frame["usage.active_users_7d"]
    daily = (frame["usage.stickiness_7d"] * week).where(week > 0, week)
    took, without = frame["outcomes.days_to_first_value"], frame["outcomes.days_without_first_value"]
    span = (period.end - period.start).total_seconds() / 86_400
    reached = (took.notna() & (frame["contract.tenure_days"] - took <= span)).astype(float)
    known = took.notna() | without.notna()
    gone = arr.isna() & signals.contractual
    found: pd.DataFrame = pd.concat(
        [
            part("adoption", ids, np.minimum(users, seats), seats, arr, overwritten=gone),
            part("dau_wau", ids, daily, week, arr, overwritten=gone),
            part("dau_mau", ids, frame["usage.user_days_28d"] / 28.0, users, arr, overwritten=gone),
            part("time_to_first_value", ids, took.fillna(0.0) * reached, reached.where(known), arr, overwritten=gone),
            *_due(facts(signals, period.end, active_days), period.end),
        ],
        ignore_index=True,
    )
    return found


def _due(told: pd.DataFrame, at: datetime) -> list[pd.DataFrame]:
    days = (told["renewal_at"] - pd.Timestamp(at)) / pd.Timedelta(days=1)
    known, ids, arr = days.notna(), told["account_id"], told["arr"]
    due = ((days >= 0) & (days < DUE_DAYS)).astype(float).where(known)
    gone = arr.isna()
    return [
        part("renewals_due", ids, due, 1.0, arr, overwritten=gone),
        part("renewals_due_arr", ids, due * arr, 1.0, arr, overwritten=gone),
        part("renewals_overdue", ids, (days < 0).astype(float).where(known), 1.0, arr, overwritten=gone),
    ]
