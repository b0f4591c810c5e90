"""The shape in which the portfolio's measures are told, and where a request for them finds them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from features.errors import UnknownSnapshot
from models.predictions.schema import Answer, Points
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import MEASURES, read_sidecar

Count = Annotated[int, Field(ge=0)]
PeriodName = Literal["quarter", "year"]
PUBLISHED_PERIODS: tuple[PeriodName, ...] = ("quarter", "year")
"""The periods of which every scoring keeps the measures."""
DEFAULT_PERIOD: PeriodName = "year"
"""Retention is that of the trailing twelve months unless another period is asked for; the quarter stands next to it."""


class KpiPeriod(Answer):
    """A period ``[start, end)``."""

    name: str
    start: str
    end: str


class KpiValue(Answer):
    """A value and what it is made of."""

    value: float | None = Field(description="Null: not known, and `unknown` says why.")
    numerator: float | None
    denominator: float | None = Field(description="Null also where the measure is a sum.")
    left_out: Count = Field(description="Accounts that are left out because it is not known of them.")
    unknown: str | None


class KpiTarget(Answer):
    """What the rules aim at, for a period of this length."""

    bound: Literal["above", "at_least", "below"]
    value: float
    better: float | None = Field(description="What is aimed at beyond it.")
    per: Literal["year"] | None = Field(description="year: a year's target, taken to the power of the period's part.")


class Kpi(KpiValue):
    """One measure. docs/reference/generated/kpis.md says exactly what each is."""

    measure: str = Field(examples=["nrr"])
    title: str
    unit: Literal["share", "points", "days", "of 5", "accounts", "currency"]
    better: Literal["higher", "lower"] | None
    over: Literal["period", "month", "year", "instant"]
    last: KpiValue = Field(description="Of the period before.")
    quarter: KpiValue | None = Field(
        description="Of the last three months, where the period is a year and the measure is over the period."
    )
    target: KpiTarget | None
    met: bool | None


class KpiOfGroup(KpiValue):
    """One measure of a group."""

    measure: str
    last: float | None


class KpiGroup(Answer):
    """The measures of some accounts."""

    group: str | None = Field(description="Null: it is not known of them.")
    measures: list[KpiOfGroup]


class Advocate(Answer):
    """An account in green whose latest NPS answer is 9 or 10."""

    account_id: str
    name: str | None
    csm: str | None
    segment: str | None
    arr: float | None
    nps: float
    nps_age_days: float | None
    health: Points


class KpiBreakdown(Answer):
    """The groups, by what divides the accounts."""

    segment: list[KpiGroup]
    csm: list[KpiGroup]
    region: list[KpiGroup]


class PortfolioKpis(Answer):
    """The portfolio's measures of a period, as known at its end, beside those of the period before."""

    as_of: str
    period: KpiPeriod
    last_period: KpiPeriod
    contractual: bool = Field(description="False: ARR is read from the orders of a year.")
    rubric: str
    rubric_version: str
    targets_version: str
    measures: list[Kpi]
    by: KpiBreakdown
    advocates: list[Advocate]


def published_kpis(scored: ScoredSnapshot, period: PeriodName) -> dict[str, Any]:
    """The measures that were kept when the snapshot was scored.

    Raises
    ------
    UnknownSnapshot : none were, for the snapshot was made before there were any.
    HomeError : they are broken.
    """
    kept = read_sidecar(scored.snapshots, scored.as_of, MEASURES)
    if kept is None or period not in kept:
        again = f"{SCORE_AGAIN} --publish"
        raise UnknownSnapshot("no measures were kept with this snapshot", "a snapshot that has some", again)
    told: dict[str, Any] = kept[period]
    return told
