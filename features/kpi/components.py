"""Contributions of each account to the numerator and denominator of each KPI; those of health are in serving."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from features.definitions.windows import MONTH, QUARTER
from features.kpi.arr_bridge import AMOUNTS, bridge_parts
from features.kpi.contributions import kpi_part
from features.kpi.survey_answers import answers
from features.revenue.arr import ACTIVE_DAYS, DUE_DAYS, GRACE_DAYS, facts, movements
from features.signals.signals import OpenSignals
from features.utils.periods import Period, period_ending

FEATURES = (
    "contract.arr", "contract.seats", "contract.tenure_days", "usage.active_users_7d", "usage.stickiness_7d",
    "usage.active_users_28d", "usage.user_days_28d", "outcomes.days_to_first_value",
    "outcomes.days_without_first_value", "outcomes.nps_last", "outcomes.nps_age_days", "usage.features_used_28d",
    "usage.core_actions_28d", "support.tickets_28d", "support.tickets_91d", "engagement.qbrs_held_182d",
)  # fmt: skip
"""The snapshot features used by KPIs at an instant."""


def product_parts(signals: OpenSignals, period: Period, product: str, active_days: int = ACTIVE_DAYS) -> pd.DataFrame:
    """Return the contributions to the KPIs of ARR and renewals of one product, as known at the period's end.

    Parameters
    ----------
    signals : the open signals.
    period : the period of the KPIs.
    product : only subscriptions (or orders) of this product count. An account that gives it up is lost.
    active_days : without contracts, the days for which an order makes an account active.

    Returns
    -------
    pandas.DataFrame
        The columns of `features.kpi.contributions.COLUMNS`.
    """
    at = period.end
    moved = movements(signals, period.start, at, known_at=at, active_days=active_days, product=product)
    parts = [*_movement_parts(moved), *_due(facts(signals, at, active_days, product), at)]
    parts += [churn_parts(signals, at, span, at, active_days, product) for span in ("month", "year")]
    return pd.concat(parts, ignore_index=True)


def period_parts(
    signals: OpenSignals, period: Period, known_at: datetime, active_days: int = ACTIVE_DAYS
) -> pd.DataFrame:
    """Return the contributions to the KPIs of a period, as known before ``known_at``, and to its bridge of ARR.

    The KPIs are revenue and logo KPIs, survey answers, business reviews and interventions. An account whose last
    subscription ended in the period, and whose grace is not over at ``known_at``, is excluded from KPIs that depend on
    churn.

    Parameters
    ----------
    signals : the open signals.
    period : the period of the KPIs.
    known_at : the instant before which rows must be known.
    active_days : without contracts, the days for which an order makes an account active.

    Returns
    -------
    pandas.DataFrame
        The columns of `features.kpi.contributions.COLUMNS`.
    """
    moved = movements(signals, period.start, period.end, known_at=known_at, active_days=active_days)
    parts = [*_movement_parts(moved), *bridge_parts(moved, _segment_arr(moved))]
    responses = moved.assign(by=_segment_arr(moved))[["account_id", "by", "overwritten"]].merge(
        answers(signals, period, known_at), on="account_id"
    )
    ids, arr, gone = responses["account_id"], responses["by"], responses["overwritten"]

    def share(code: str, counted: str, others: str) -> pd.DataFrame:
        return kpi_part(code, ids, responses[counted], responses[counted] + responses[others], arr, overwritten=gone)

    parts += [
        kpi_part(
            "nps",
            ids,
            responses["promoters"] - responses["detractors"],
            responses["nps_answers"],
            arr,
            overwritten=gone,
        ),
        kpi_part("csat", ids, responses["csat_sum"], responses["csat_answers"], arr, overwritten=gone),
        kpi_part("ces", ids, responses["ces_sum"], responses["ces_answers"], arr, overwritten=gone),
        kpi_part("resolution_time", ids, responses["resolution_hours"], responses["resolved"], arr, overwritten=gone),
        share("qbr_completion", "qbr_held", "qbr_missed"),
        share("check_in_attendance", "check_ins_held", "check_ins_missed"),
        share("survey_response", "surveys_answered", "surveys_unanswered"),
        share("save_rate", "saved", "lost"),
    ]
    return pd.concat(parts, ignore_index=True)


def _segment_arr(moved: pd.DataFrame) -> pd.Series[float]:
    later = moved["arr_end"].where(moved["active_end"])
    return moved["arr_start"].where(moved["active_start"], later)


def _movement_parts(moved: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the contributions to KPIs of movements, and mark accounts whose terms were overwritten in ``moved``."""
    moved["overwritten"] = moved[list(AMOUNTS)].isna().any(axis=1)
    active = moved[moved["active_start"]]
    accounts, start, sure, gone = active["account_id"], active["arr_start"], ~active["pending"], active["overwritten"]
    lost = active["kind"].notna()
    net = active["net_start"]
    retained = (start - active["churned"] - active["contracted"]).where(sure)
    return [
        kpi_part("nrr", accounts, retained + active["expanded"], start, start, net, gone),
        kpi_part("grr", accounts, retained, start, start, net, gone),
        kpi_part("logo_retention", accounts, (~lost).astype(float).where(sure), 1.0, start, overwritten=gone),
        kpi_part("expansion_rate", accounts, active["expanded"].where(sure), start, start, net, gone),
        kpi_part(
            "expansion_revenue_share",
            moved["account_id"],
            moved["expanded"],
            moved["expanded"] + moved["new"] + moved["returned"],
            _segment_arr(moved),
            overwritten=moved["overwritten"],
        ),
    ]


def churn_parts(
    signals: OpenSignals,
    end: datetime,
    span: str,
    known_at: datetime,
    active_days: int = ACTIVE_DAYS,
    product: str | None = None,
) -> pd.DataFrame:
    """Return the contributions to the churn KPIs over ``span``: a year up to ``end``, or a month 30 days earlier.

    The year also has the KPIs of growth (`_growth_parts`). Whether ends of the last 30 days are churn is not yet known,
    and a month has few other ends. Without contracts there is no such grace.

    Parameters
    ----------
    signals : the open signals.
    end : the end of the period.
    span : ``year`` or ``month``.
    known_at : the instant before which rows must be known.
    active_days, product : as in `features.revenue.arr.movements`.

    Returns
    -------
    pandas.DataFrame
        The columns of `features.kpi.contributions.COLUMNS`.
    """
    grace = timedelta(days=GRACE_DAYS if span == "month" and signals.contractual else 0)
    period = period_ending(end - grace, span)
    moved = movements(signals, period.start, period.end, known_at=known_at, active_days=active_days, product=product)
    active = moved[moved["active_start"]]
    accounts, start, sure = active["account_id"], active["arr_start"], ~active["pending"]
    gone = active[list(AMOUNTS)].isna().any(axis=1)
    lost = active["kind"].notna().astype(float).where(sure)
    churned = active["churned"].where(sure)
    parts = [
        kpi_part(f"logo_churn_{span}", accounts, lost, 1.0, start, overwritten=gone),
        kpi_part(f"arr_churn_{span}", accounts, churned, start, start, active["net_start"], gone),
    ]
    if span == "year":
        unpaid = active["churned"].where(active["kind"] == "involuntary", 0.0)
        # If no churn has a reason, the source does not record reasons.
        without_reasons = bool(lost.eq(1.0).any()) and not bool(active["reason"].notna().any())
        unpaid = unpaid.where(sure & (not without_reasons))
        parts.append(kpi_part("involuntary_churn_year", accounts, unpaid, active["churned"], start, overwritten=gone))
        parts += _growth_parts(active, sure, gone)
    return pd.concat(parts, ignore_index=True)


def _growth_parts(active: pd.DataFrame, sure: pd.Series[bool], gone: pd.Series[bool]) -> list[pd.DataFrame]:
    """Return the contributions to the KPIs of growth over a year.

    Parameters
    ----------
    active : the movements of the accounts that were active at the start.
    sure : whether their state at the end is certain.
    gone : whether their terms were overwritten.
    """
    accounts, start = active["account_id"], active["arr_start"]
    expanded, kind = active["expanded"].where(sure), active["growth"].fillna("price")
    grew = (expanded > 0).astype(float).where(expanded.notna())
    parts = [kpi_part("expanding_accounts", accounts, grew, 1.0, start, overwritten=gone)]
    rates = (("upsell_rate", ("seats", "tier")), ("cross_sell_rate", ("cross_sell",)))
    parts += [kpi_part(code, accounts, grew * kind.isin(kinds), 1.0, start, overwritten=gone) for code, kinds in rates]
    shares = (
        ("seat_expansion_share", "seats"),
        ("plan_expansion_share", "tier"),
        ("cross_sell_share", "cross_sell"),
        ("price_expansion_share", "price"),
    )
    parts += [
        kpi_part(code, accounts, expanded.where(kind == own, expanded * 0.0), expanded, start, overwritten=gone)
        for code, own in shares
    ]
    both = active["active_end"] & active["kind"].isna()
    stayed = active[both]
    growth = stayed["arr_end"] - stayed["arr_start"]
    net, lost = stayed["net_start"], gone[both]
    parts.append(kpi_part("contract_growth", stayed["account_id"], growth, stayed["arr_start"], start[both], net, lost))
    return parts


def instant_parts(
    signals: OpenSignals, frame: pd.DataFrame, period: Period, active_days: int = ACTIVE_DAYS
) -> pd.DataFrame:
    """Return the contributions to the KPIs at the period's end, and to time to first value over the period.

    Parameters
    ----------
    signals : checked signals.
    frame : the snapshot at the period's end, with account_id and `FEATURES`.
    period : the period.
    active_days : as in `features.revenue.arr.facts`.
    """
    ids, arr = frame["account_id"], frame["contract.arr"]
    users, seats = frame["usage.active_users_28d"], frame["contract.seats"]
    week = frame["usage.active_users_7d"]
    daily = (frame["usage.stickiness_7d"] * week).where(week > 0, week)
    took, without = frame["outcomes.days_to_first_value"], frame["outcomes.days_without_first_value"]
    span = (period.end - period.start).total_seconds() / 86_400
    reached = (took.notna() & (frame["contract.tenure_days"] - took <= span)).astype(float)
    known = took.notna() | without.notna()
    tickets = frame["support.tickets_28d"]
    before = (frame["support.tickets_91d"] - tickets) * (MONTH / (QUARTER - MONTH))
    gone = arr.isna() & signals.contractual
    parts: pd.DataFrame = pd.concat(
        [
            kpi_part("adoption", ids, np.minimum(users, seats), seats, arr, overwritten=gone),
            kpi_part("dau_wau", ids, daily, week, arr, overwritten=gone),
            kpi_part("dau_mau", ids, frame["usage.user_days_28d"] / 28.0, users, arr, overwritten=gone),
            kpi_part("feature_breadth", ids, frame["usage.features_used_28d"], 1.0, arr, overwritten=gone),
            kpi_part("usage_depth", ids, frame["usage.core_actions_28d"], users, arr, overwritten=gone),
            kpi_part("ticket_trend", ids, tickets, before, arr, overwritten=gone),
            kpi_part(
                "time_to_first_value", ids, took.fillna(0.0) * reached, reached.where(known), arr, overwritten=gone
            ),
            *_due(facts(signals, period.end, active_days), period.end),
        ],
        ignore_index=True,
    )
    return parts


def _due(contracts: pd.DataFrame, at: datetime) -> list[pd.DataFrame]:
    days = (contracts["renewal_at"] - pd.Timestamp(at)) / pd.Timedelta(days=1)
    known, ids, arr = days.notna(), contracts["account_id"], contracts["arr"]
    due = ((days >= 0) & (days < DUE_DAYS)).astype(float).where(known)
    gone = arr.isna()
    return [
        kpi_part("renewals_due", ids, due, 1.0, arr, overwritten=gone),
        kpi_part("renewals_due_arr", ids, due * arr, 1.0, arr, overwritten=gone),
        kpi_part("renewals_overdue", ids, (days < 0).astype(float).where(known), 1.0, arr, overwritten=gone),
    ]
