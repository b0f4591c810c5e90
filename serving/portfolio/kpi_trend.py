"""The KPIs of the portfolio, or of some of its accounts, at each date that was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from features.errors import UnknownSnapshot
from features.kpi.definitions import KPIS as DEFINITIONS
from features.kpi.definitions import Direction, Unit
from models.predictions.payload import format_instant
from models.predictions.schema import ResponseModel
from serving.portfolio.contribution_rows import KpiSum
from serving.portfolio.filtered_kpis import kpi_filter
from serving.portfolio.kpi_file import contributions_path, read_contributions
from serving.portfolio.kpi_schemas import KpiTargetResponse, PeriodName
from serving.portfolio.kpi_values import kpi_value
from serving.schemas.account_filter import EVERYONE, AccountFilter, AppliedFilter
from serving.snapshots.account_attributes import attribute_versions, filtered_cache
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import KPIS, read_sidecar_or_none, sidecar_path
from serving.snapshots.snapshot_files import file_version
from serving.snapshots.stored_tables import SCORE_AGAIN

#: The number of dates by default: half a year of weeks.
KPI_DATES = 26


class KpiTrendLine(ResponseModel):
    """One KPI at every date."""

    measure: str = Field(examples=["nrr"])
    title: str
    unit: Unit
    better: Direction | None
    values: list[float | None] = Field(description="In the order of the dates; null: unknown.")
    target: KpiTargetResponse | None = Field(description="The target at the latest date.")


class KpiTrend(ResponseModel):
    """The KPIs as they were published, oldest first. A later correction of the data does not change them."""

    as_of: str
    period: PeriodName = Field(description="The period that ends at each date.")
    dates: list[str]
    measures: list[KpiTrendLine]
    filter: AppliedFilter | None = Field(
        description="The accounts that the KPIs are of; null: all. CSM, region and parent company are those of "
        "`as_of`, the segment is that of each date. Product, health, risk and stage are known only at `as_of`, so that "
        "earlier values are null."
    )


def kpi_trend(
    scored: ScoredSnapshot,
    dates: Sequence[datetime],
    period: PeriodName,
    limit: int = KPI_DATES,
    account_filter: AccountFilter = EVERYONE,
) -> dict[str, Any]:
    """Return the KPIs that were stored with the snapshots up to a date (`KpiTrend`).

    Parameters
    ----------
    scored : the snapshot of the latest date that counts.
    dates : the scored dates, in order.
    period : the period of the KPIs.
    limit : the maximum number of dates, the latest ones.
    account_filter : the filter; by default all accounts. Values of dates that an earlier release published are unknown
        with a filter.

    Raises
    ------
    UnknownSnapshot : none of the dates has KPIs.
    HomeError : a stored file is not valid.
    """
    files = {
        date: version for date in dates if date <= scored.as_of and (version := _version(scored, date)) is not None
    }
    latest = dict(list(files.items())[-limit:])
    if not latest:
        raise UnknownSnapshot(
            "no snapshot up to this date has stored KPIs", "a snapshot with KPIs", f"{SCORE_AGAIN} --publish"
        )
    if not account_filter.chosen:
        return scored.cache.get(
            ("kpi_trend", period, *latest.items()),
            lambda: _trend(scored, period, _stored(scored, list(latest), period)),
        )
    files = {date: file_version(contributions_path(scored.snapshots, date)) for date in latest}
    return filtered_cache(scored, account_filter).get(
        ("kpi_trend", period, *files.items(), *attribute_versions(scored)),
        lambda: {
            **_trend(scored, period, _filtered(scored, list(latest), period, account_filter)),
            "filter": account_filter.applied,
        },
    )


def _version(scored: ScoredSnapshot, date: datetime) -> Any:
    return file_version(sidecar_path(scored.snapshots, date, KPIS))


Values = Mapping[datetime, Mapping[str, Mapping[str, Any]]]
"""The measures by date and code."""


def _stored(scored: ScoredSnapshot, dates: Sequence[datetime], period: PeriodName) -> Values:
    reports = {date: (read_sidecar_or_none(scored.snapshots, date, KPIS) or {}).get(period) for date in dates}
    return {
        date: {each["measure"]: each for each in (report or {"measures": []})["measures"]}
        for date, report in reports.items()
    }


def _filtered(
    scored: ScoredSnapshot, dates: Sequence[datetime], period: PeriodName, account_filter: AccountFilter
) -> Values:
    only = kpi_filter(scored, account_filter)
    # The trend shows only the latest targets.
    latest = _stored(scored, dates[-1:], period)[dates[-1]]
    values: dict[datetime, dict[str, dict[str, Any]]] = {}
    for date in dates:
        found = None
        if only.lacking is None or date == scored.as_of:
            found = read_contributions(scored.snapshots, date, period)
        if found is None:
            values[date] = {}
            continue
        chosen = found.of(only, past=False)
        sums = chosen.rows.sums()
        values[date] = {
            kpi.code: {
                "value": kpi_value(kpi, sums.get(kpi.code, KpiSum()), chosen.missing)["value"],
                "target": (latest.get(kpi.code) or {}).get("target"),
            }
            for kpi in DEFINITIONS
        }
    return values


def _trend(scored: ScoredSnapshot, period: PeriodName, values: Values) -> dict[str, Any]:
    measures = []
    for kpi in DEFINITIONS:
        own = [each.get(kpi.code) for each in values.values()]
        measures.append(
            {
                "measure": kpi.code,
                "title": kpi.title,
                "unit": kpi.unit,
                "better": kpi.better,
                "values": [None if each is None else each["value"] for each in own],
                "target": None if own[-1] is None else own[-1]["target"],
            }
        )
    return {
        "as_of": format_instant(scored.as_of),
        "period": period,
        "dates": [format_instant(date) for date in values],
        "measures": measures,
        "filter": None,
    }
