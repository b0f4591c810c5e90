"""Data of a snapshot that several pages show: account list, account details and weekly health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from features.errors import RenewcastError
from models.predictions.payload import format_instant
from models.rules.intervention_effects import InterventionStatus
from serving.common.json_logs import error_location, log_event
from serving.html import charts
from serving.portfolio.weekly_health import weekly_health
from serving.snapshots.account_attributes import AccountSelection, filtered_cache
from serving.snapshots.compute_once_cache import ComputeOnceCache
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar_or_none
from serving.snapshots.signal_history import SignalHistory, read_signal_history
from serving.store.database import Store
from serving.worklist.published_worklist import worklist_cache

#: The maximum number of dates to choose from: two years of weeks.
DATE_CHOICES = 104


def account_people(scored: ScoredSnapshot) -> Mapping[str, Mapping[str, Any]]:
    """Return the details of each account by its id (`features.revenue.arr.facts`): name, csm and more."""
    document = read_sidecar_or_none(scored.snapshots, scored.as_of, ACCOUNTS)
    return {} if document is None else document["accounts"]


def accounts_off_worklist(scored: ScoredSnapshot, store: Store) -> Mapping[str, InterventionStatus]:
    """Return the accounts whose plays are off the worklist, and why.

    Parameters
    ----------
    scored : the snapshot.
    store : the store, with the recorded actions.

    Returns
    -------
    mapping of str to InterventionStatus
        Empty if the store is unavailable or a sidecar is not valid, so that the page shows the published plays.
    """
    try:
        return worklist_cache(scored).standing(store)
    except RenewcastError as error:
        log_event("work_refused", **error_location(error))
        return {}


def snoozed_accounts(scored: ScoredSnapshot, store: Store) -> Mapping[str, date]:
    """Return the snoozed accounts with the end dates; empty if they are unknown, as in `accounts_off_worklist`."""
    try:
        return worklist_cache(scored).snoozed(store)
    except RenewcastError as error:
        log_event("work_refused", **error_location(error))
        return {}


@dataclass(frozen=True)
class SnapshotDates:
    """The snapshot dates of a page, as in its URL: ``all`` (latest first), the one ``shown``, and the ``latest``."""

    all: tuple[str, ...]
    shown: str
    latest: str


def snapshot_dates(state: LiveState, scored: ScoredSnapshot) -> SnapshotDates:
    """Return the dates to choose from: the latest snapshots and the one shown.

    Parameters
    ----------
    state : the state of the service.
    scored : the snapshot that is shown.

    Returns
    -------
    SnapshotDates
    """
    dates = [format_instant(each) for each in reversed(state.dates())]
    shown = format_instant(scored.as_of)
    latest = shown if state.latest is None else format_instant(state.latest.as_of)
    near = dates[:DATE_CHOICES]
    return SnapshotDates(tuple(near if shown in near else [*near, shown]), shown, latest)


def signal_history(scored: ScoredSnapshot) -> SignalHistory:
    """Return the weekly signals of the health score before a snapshot, cached."""
    return scored.cache.get("signal_weeks", lambda: read_signal_history(scored))


def health_trend_chart(scored: ScoredSnapshot, selection: AccountSelection | None = None) -> Markup | None:
    """`cached_weekly_health`, as a cached chart; None if the weeks before are unknown."""
    weeks = cached_weekly_health(scored, selection)
    cache = _cache_of(scored, selection)
    return cache.get("trend", lambda: charts.weekly_health_chart(weeks)) if len(weeks) > 1 else None


def cached_weekly_health(scored: ScoredSnapshot, selection: AccountSelection | None = None) -> list[dict[str, Any]]:
    """`weekly_health` of the selected accounts, by default all, cached."""
    rows = None if selection is None or selection.whole else selection.rows
    return _cache_of(scored, selection).get("weeks", lambda: weekly_health(scored.assessment, rows))


def _cache_of(scored: ScoredSnapshot, selection: AccountSelection | None) -> ComputeOnceCache:
    return scored.cache if selection is None else filtered_cache(scored, selection.account_filter)
