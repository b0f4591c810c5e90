"""Schema of the portfolio's KPIs, and how to read them from a published snapshot."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from features.errors import UnknownSnapshot
from features.kpi.definitions import Direction, Over, Unit
from models.predictions.schema import ResponseModel, ScorePoints
from models.rules.kpi_targets import Bound
from serving.schemas.account_filter import AppliedFilter
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import KPIS, read_sidecar
from serving.snapshots.stored_tables import SCORE_AGAIN

Count = Annotated[int, Field(ge=0)]
PeriodName = Literal["quarter", "year"]
PUBLISHED_PERIODS: tuple[PeriodName, ...] = ("quarter", "year")
"""The periods whose KPIs are stored with every published snapshot."""
DEFAULT_PERIOD: PeriodName = "year"
"""By default, KPIs cover the trailing twelve months, with the last quarter next to them."""


class KpiPeriod(ResponseModel):
    """A period ``[start, end)``."""

    name: str
    start: str
    end: str


class KpiValue(ResponseModel):
    """A value with its numerator and denominator."""

    value: float | None = Field(description="Null: unknown; `unknown` gives the reason.")
    numerator: float | None
    denominator: float | None = Field(description="Also null if the KPI is a sum.")
    left_out: Count = Field(description="Accounts that are left out because their data is unknown.")
    unknown: str | None


class KpiTargetResponse(ResponseModel):
    """The target for a period of this length."""

    bound: Bound
    value: float
    better: float | None = Field(description="A more ambitious target.")
    per: Literal["year"] | None = Field(
        description="year: an annual target, raised to the power of the period in years."
    )


class KpiResponse(KpiValue):
    """One KPI. docs/reference/generated/kpis.md defines each KPI."""

    measure: str = Field(examples=["nrr"])
    title: str
    unit: Unit
    better: Direction | None
    over: Over
    last: KpiValue = Field(description="Value of the previous period.")
    quarter: KpiValue | None = Field(
        description="Value of the last three months, if the period is a year and the KPI is over the period."
    )
    target: KpiTargetResponse | None
    met: bool | None


class KpiOfGroup(KpiValue):
    """One KPI of a group."""

    measure: str
    last: float | None


class KpiGroup(ResponseModel):
    """The KPIs of a group of accounts."""

    group: str | None = Field(description="Null: accounts whose group is unknown, or without parent and child.")
    accounts: Count = Field(description="Active accounts at the end of the period.")
    arr: float | None = Field(description="Their ARR; null if it is unknown for one of them.")
    measures: list[KpiOfGroup]


class Advocate(ResponseModel):
    """An account with green health whose latest NPS answer is 9 or 10."""

    account_id: str
    name: str | None
    csm: str | None
    segment: str | None
    arr: float | None
    nps: float
    nps_age_days: float | None
    health: ScorePoints


class KpiBreakdown(ResponseModel):
    """The groups of each breakdown."""

    segment: list[KpiGroup]
    csm: list[KpiGroup]
    region: list[KpiGroup]
    parent: list[KpiGroup] = Field(description="By the top account of each company with several accounts.")
    product: list[KpiGroup] = Field(
        description="By product, largest ARR first. An account that gives up the product is lost to it. Null: the "
        "unknown product, of subscriptions or orders that name none."
    )


class PortfolioKpis(ResponseModel):
    """The portfolio's KPIs of a period, as known at its end, with those of the previous period."""

    as_of: str
    period: KpiPeriod
    last_period: KpiPeriod
    contractual: bool = Field(description="False: ARR comes from the orders of one year.")
    rubric: str
    rubric_version: str
    targets_version: str
    measures: list[KpiResponse]
    by: KpiBreakdown
    advocates: list[Advocate]
    filter: AppliedFilter | None = Field(
        description="The accounts that the KPIs are of; null: all. With a filter, `by` has no products, and KPIs that "
        "need accounts that have left are unknown if the filter is unknown for these."
    )


def published_kpis(scored: ScoredSnapshot, period: PeriodName) -> dict[str, Any]:
    """Return the KPIs that were stored when the snapshot was published.

    Parameters
    ----------
    scored : the snapshot.
    period : the period that ends at the snapshot.

    Returns
    -------
    dict for JSON
        A `PortfolioKpis`.

    Raises
    ------
    UnknownSnapshot : no KPIs were stored with the snapshot.
    HomeError : the sidecar is not valid.
    """
    stored = read_sidecar(scored.snapshots, scored.as_of, KPIS)
    if stored is None or period not in stored:
        again = f"{SCORE_AGAIN} --publish"
        raise UnknownSnapshot("this snapshot has no stored KPIs", "a snapshot with KPIs", again)
    return {**stored[period], "filter": None}
