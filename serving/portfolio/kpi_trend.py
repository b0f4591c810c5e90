"""The KPIs of the portfolio at each date that was published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from features.errors import UnknownSnapshot
from features.kpi.definitions import KPIS as DEFINITIONS
from features.kpi.definitions import Direction, Unit
from models.predictions.payload import format_instant
from models.predictions.schema import ResponseModel
from serving.portfolio.kpi_schemas import KpiTargetResponse, PeriodName
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import KPIS, read_sidecar_or_none, sidecar_path
from serving.snapshots.snapshot_files import file_version

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


def kpi_trend(
    scored: ScoredSnapshot, dates: Sequence[datetime], period: PeriodName, limit: int = KPI_DATES
) -> dict[str, Any]:
    """Return the KPIs that were stored with the snapshots up to a date (`KpiTrend`).

    Parameters
    ----------
    scored : the snapshot of the latest date that counts.
    dates : the scored dates, in order.
    period : the period of the KPIs.
    limit : the maximum number of dates, the latest ones.

    Raises
    ------
    UnknownSnapshot : none of the dates has KPIs.
    """
    files = {
        date: version for date in dates if date <= scored.as_of and (version := _version(scored, date)) is not None
    }
    latest = dict(list(files.items())[-limit:])
    if not latest:
        raise UnknownSnapshot(
            "no snapshot up to this date has stored KPIs", "a snapshot with KPIs", f"{SCORE_AGAIN} --publish"
        )
    key = ("kpi_trend", period, *latest.items())
    return scored.cache.get(key, lambda: _trend(scored, list(latest), period))


def _version(scored: ScoredSnapshot, date: datetime) -> Any:
    return file_version(sidecar_path(scored.snapshots, date, KPIS))


def _trend(scored: ScoredSnapshot, dates: Sequence[datetime], period: PeriodName) -> dict[str, Any]:
    reports = [(read_sidecar_or_none(scored.snapshots, date, KPIS) or {}).get(period) for date in dates]
    published = [{each["measure"]: each for each in (report or {"measures": []})["measures"]} for report in reports]
    measures = []
    for kpi in DEFINITIONS:
        own = [each.get(kpi.code) for each in published]
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
        "dates": [format_instant(date) for date in dates],
        "measures": measures,
    }
