"""The trend on the page of an account: what was published at each date, and what changed between two dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from features.errors import RenewcastError, UnknownAccount
from models.predictions.assessment import Assessment
from models.predictions.payload import format_instant
from models.targets import TARGETS
from serving.common.errors import StoreDown
from serving.common.json_logs import error_location, log_event
from serving.html.sparklines import axis_maximum, interval_areas, polylines, time_positions
from serving.pages.snapshot_context import DATE_CHOICES
from serving.portfolio.account_changes import account_changes, earlier_assessment
from serving.portfolio.account_trend import account_trend
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.store.database import Store

#: Width and height of the chart.
FIELD = (600, 170)
#: The maximum number of dates named below the chart.
DATE_LABELS = 6


def trend_section(
    state: LiveState, scored: ScoredSnapshot, store: Store, account_id: str, since: datetime | None
) -> dict[str, Any]:
    """Return the data of the template ``account_trend.html``.

    Parameters
    ----------
    state : the state of the service.
    scored : the snapshot of the page.
    store : the store, with the published predictions.
    account_id : an account of the snapshot.
    since : the earlier date to compare with; None for the default of `earlier_assessment`.

    Returns
    -------
    dict
        ``points`` of `serving.portfolio.account_trend.AccountTrend`, None if the store is unavailable; ``chart``, None
        with fewer than two points; ``changes`` (`AccountChanges`), None without an earlier date; ``published``, the
        published probabilities of the earlier date by target, where they differ from those in ``changes``; and
        ``dates`` to choose from, the latest first.

    Raises
    ------
    BadRequest, UnknownSnapshot, HomeError : the requested date cannot be compared with.
    """
    points = _points(store, account_id, scored.as_of)
    changes = _changes(state, scored, account_id, since)
    return {
        "points": points,
        "chart": trend_chart(points) if points is not None and len(points) > 1 else None,
        "changes": changes,
        "published": _published(points or [], changes),
        "dates": earlier_dates(state, scored),
    }


def _points(store: Store, account_id: str, until: datetime) -> list[dict[str, Any]] | None:
    try:
        points: list[dict[str, Any]] = account_trend(store, account_id, until)["points"]
    except UnknownAccount:
        return []
    except StoreDown:
        return None
    return points


def _changes(
    state: LiveState, scored: ScoredSnapshot, account_id: str, since: datetime | None
) -> dict[str, Any] | None:
    before = requested_or_default_earlier(state, scored, since)
    return None if before is None else account_changes(before, scored.assessment, account_id)


def requested_or_default_earlier(state: LiveState, scored: ScoredSnapshot, since: datetime | None) -> Assessment | None:
    """Return `earlier_assessment`, and None if the default date cannot be read, so that a page shows the rest.

    Raises
    ------
    BadRequest, UnknownSnapshot, HomeError : the requested date cannot be compared with.
    """
    try:
        return earlier_assessment(state, scored, since)
    except RenewcastError as error:
        if since is not None:
            raise
        log_event("earlier_snapshot_refused", **error_location(error))
        return None


def earlier_dates(state: LiveState, scored: ScoredSnapshot) -> list[str]:
    """Return the dates that a snapshot can be compared with, the latest ones first."""
    return [format_instant(date) for date in state.dates() if date < scored.as_of][-DATE_CHOICES:][::-1]


def _published(points: Sequence[dict[str, Any]], changes: dict[str, Any] | None) -> dict[str, Any]:
    """Return the published predictions of the earlier date that differ from those of the models in use."""
    if changes is None:
        return {}
    point = next((each for each in points if each["as_of"] == changes["since"]), None)
    if point is None:
        return {}
    return {
        target: point[target]
        for target in TARGETS
        if point[target]["probability"] is not None
        and point[target]["probability"] != changes[target]["before"]["probability"]
    }


def trend_chart(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the coordinates of the chart: lines of both targets with their intervals, dots and changes of models.

    Parameters
    ----------
    points : at least two points of `serving.portfolio.account_trend.AccountTrend`.
    """
    width, height = FIELD
    at = time_positions([datetime.fromisoformat(point["as_of"]) for point in points])
    series = {target: [point[target]["probability"] for point in points] for target in TARGETS}
    lows, highs = (
        {
            target: [None if (interval := point[target]["interval"]) is None else interval[end] for point in points]
            for target in TARGETS
        }
        for end in (0, 1)
    )
    drawn = [value for target in TARGETS for value in (*series[target], *highs[target]) if value is not None]
    top = axis_maximum(max(drawn, default=1.0))

    def dots(values: Sequence[float | None]) -> list[dict[str, Any]]:
        return [
            {"x": round(width * x, 1), "y": round(height - height * min(value / top, 1.0), 1), "value": value, **point}
            for x, value, point in zip(at, values, points, strict=True)
            if value is not None
        ]

    return {
        "width": width,
        "height": height,
        "top": top,
        "areas": {target: interval_areas(lows[target], highs[target], width, height, top, at) for target in TARGETS},
        "lines": {target: polylines(series[target], width, height, top, at) for target in TARGETS},
        "dots": {target: dots(series[target]) for target in TARGETS},
        "replaced": [
            {"x": round(width * x, 1), "as_of": point["as_of"]}
            for x, point in zip(at, points, strict=True)
            if {"churn_model", "expansion_model"} & set(point["replaced"])
        ],
        "labels": _labels(points, at, width),
    }


def _labels(points: Sequence[dict[str, Any]], at: Sequence[float], width: int) -> list[dict[str, Any]]:
    """Return the dates named below the chart: the first, the last, and others with enough room between them."""
    room = 1.0 / DATE_LABELS
    labels: list[dict[str, Any]] = []
    for x, point in zip(at, points, strict=True):
        far = not labels or x - labels[-1]["at"] >= room
        if far and (x == 1.0 or x == 0.0 or 1.0 - x >= room):
            labels.append({"at": x, "x": round(width * x, 1), "as_of": point["as_of"]})
    return labels
