"""Survey answers, reviews, check-ins, resolved tickets and results of interventions per account within a period."""

from __future__ import annotations

from datetime import datetime

import ibis
import pandas as pd
import pyarrow as pa

from features.aggregation.bucket_arithmetic import fixed
from features.aggregation.passes import known_before_us
from features.definitions.aggregations import FIXED_POINT
from features.families.engagement import MISSED
from features.families.outcomes import DETRACTOR_UP_TO, PROMOTER_FROM
from features.kpi.definitions import ANSWERED, CHECK_INS, HELD, UNANSWERED
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table
from features.sources.sql_functions import epoch_us
from features.utils.dates import epoch_micros
from features.utils.periods import Period

PERIOD = ibis.table({"start": "int64", "end": "int64", "known": "int64"}, name="kpi_period")
"""One row: the period [start, end) and the instant before which rows must be known (microseconds)."""

HOUR = 3_600 * 1_000_000
"""Microseconds."""

COLUMNS = (
    "nps_answers",
    "promoters",
    "detractors",
    "csat_sum",
    "csat_answers",
    "ces_sum",
    "ces_answers",
    "resolved",
    "resolution_hours",
    "qbr_held",
    "qbr_missed",
    "check_ins_held",
    "check_ins_missed",
    "surveys_answered",
    "surveys_unanswered",
    "saved",
    "lost",
)


def answers(signals: OpenSignals, period: Period, known_at: datetime) -> pd.DataFrame:
    """Count what happened in the period and was known before ``known_at``, per account.

    Returns
    -------
    DataFrame
        One row per account with any of it, sorted by account_id: account_id and `COLUMNS` (float64; 0 for none, NaN if
        the source lacks the table). ``csat_sum`` and ``csat_answers`` combine surveys and tickets whose rating became
        known in the period.
    """
    row = {"start": [epoch_micros(period.start)], "end": [epoch_micros(period.end)], "known": [epoch_micros(known_at)]}
    create_table(signals.connection, "kpi_period", pa.table(row))
    counts = pd.DataFrame({"account_id": pd.Series(dtype="str")})
    for name, build in _TABLES.items():
        if signals.has(name):
            counts = counts.merge(collect(signals.connection, build).to_pandas(), on="account_id", how="outer")
    counts = counts.set_index("account_id")
    result = pd.DataFrame(index=counts.index)
    for name, columns in _COLUMNS_BY_TABLE.items():
        for column in columns:
            values = counts[f"{name}_{column}"].astype(float).fillna(0.0) if signals.has(name) else float("nan")
            result[f"{name}_{column}"] = values
    rated = [result[f"{t}_csat_answers"] for t in ("outcomes", "support") if signals.has(t)]
    points = [result[f"{t}_csat_sum"] for t in ("outcomes", "support") if signals.has(t)]
    result["csat_answers"] = sum(rated) if rated else float("nan")
    result["csat_sum"] = sum(points) / FIXED_POINT if points else float("nan")
    result["outcomes_ces_sum"] /= FIXED_POINT
    result["support_resolution_hours"] /= HOUR
    renamed = {f"{t}_{c}": c for t, columns in _COLUMNS_BY_TABLE.items() for c in columns if not c.startswith("csat")}
    return result.rename(columns=renamed)[list(COLUMNS)].reset_index().sort_values("account_id", ignore_index=True)


def _within(name: str, at: str = "occurred_at", known: str = "known_at") -> ibis.Table:
    rows = contract_table(name).cross_join(PERIOD)
    happened = epoch_us(rows[at])
    rows = rows.filter((happened >= rows.start) & (happened < rows.end) & (epoch_us(rows[known]) < rows.known))
    return rows.filter(known_before_us(rows, rows.known))


def _outcomes() -> ibis.Table:
    rows = _within("outcomes").filter(lambda t: t.value.notnull())
    nps, csat, ces = (rows.kind == kind for kind in ("nps", "csat", "ces"))
    return rows.group_by("account_id").aggregate(
        outcomes_nps_answers=_count(nps),
        outcomes_promoters=_count(nps & (rows.value >= PROMOTER_FROM)),
        outcomes_detractors=_count(nps & (rows.value <= DETRACTOR_UP_TO)),
        outcomes_csat_sum=ibis.ifelse(csat, fixed(rows.value), 0).sum().cast("int64"),
        outcomes_csat_answers=_count(csat),
        outcomes_ces_sum=ibis.ifelse(ces, fixed(rows.value), 0).sum().cast("int64"),
        outcomes_ces_answers=_count(ces),
    )


def _support() -> ibis.Table:
    rows = _within("support", "resolved_at", "resolved_known_at")
    rated = rows.csat.notnull() & (epoch_us(rows.csat_known_at) < rows.known)
    # Whole numbers, so that the sum does not depend on the order of the rows.
    took = epoch_us(rows.resolved_at) - epoch_us(rows.occurred_at)
    return rows.group_by("account_id").aggregate(
        support_csat_sum=ibis.ifelse(rated, fixed(rows.csat), 0).sum().cast("int64"),
        support_csat_answers=_count(rated),
        support_resolved=rows.count(),
        support_resolution_hours=took.sum().cast("int64"),
    )


def _engagement() -> ibis.Table:
    rows = _within("engagement").filter(lambda t: t.kind.isin(("qbr", "survey", *CHECK_INS)))
    review, check_in, survey = rows.kind == "qbr", rows.kind.isin(CHECK_INS), rows.kind == "survey"
    held, missed, answered, unanswered = (
        rows.outcome.isin(outcomes).fill_null(False) for outcomes in (HELD, MISSED, ANSWERED, UNANSWERED)
    )
    return rows.group_by("account_id").aggregate(
        engagement_qbr_held=_count(review & held),
        engagement_qbr_missed=_count(review & missed),
        engagement_check_ins_held=_count(check_in & held),
        engagement_check_ins_missed=_count(check_in & missed),
        engagement_surveys_answered=_count(survey & answered),
        engagement_surveys_unanswered=_count(survey & unanswered),
    )


def _interventions() -> ibis.Table:
    rows = _within("interventions", "closed_at", "closed_at").filter(lambda t: ~t.held_out.fill_null(False))
    return rows.group_by("account_id").aggregate(
        interventions_saved=_count((rows.result == "saved").fill_null(False)),
        interventions_lost=_count((rows.result == "lost").fill_null(False)),
    )


def _count(condition: ibis.Value) -> ibis.Value:
    return condition.cast("int64").sum().cast("int64")


_TABLES = {"outcomes": _outcomes, "support": _support, "engagement": _engagement, "interventions": _interventions}
_COLUMNS_BY_TABLE = {
    "outcomes": ("nps_answers", "promoters", "detractors", "csat_sum", "csat_answers", "ces_sum", "ces_answers"),
    "support": ("csat_sum", "csat_answers", "resolved", "resolution_hours"),
    "engagement": (
        "qbr_held",
        "qbr_missed",
        "check_ins_held",
        "check_ins_missed",
        "surveys_answered",
        "surveys_unanswered",
    ),
    "interventions": ("saved", "lost"),
}
