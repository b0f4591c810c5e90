"""What several pages show of a snapshot: its roster, the people that the source names, and its weeks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from markupsafe import Markup

from features.errors import RenewcastError
from models.predictions.columns import number_or_null
from models.predictions.payload import instant_words
from serving.common.json_logs import error_location, log_event
from serving.html import charts
from serving.portfolio.account_list import AccountList
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path
from serving.snapshots.signal_history import SignalHistory, read_signal_history
from serving.snapshots.snapshot_files import file_version
from serving.store.database import Store
from serving.worklist.published_worklist import worklist_cache

#: So many dates can be chosen: two years of weeks.
DATE_CHOICES = 104


def sidecar_or_none(scored: ScoredSnapshot, name: str) -> dict[str, Any] | None:
    """A document beside the snapshot; None where there is none that can be read, so that the page shows the rest."""
    try:
        return read_sidecar(scored.snapshots, scored.as_of, name)
    except RenewcastError as error:
        log_event("companion_refused", name=name, **error_location(error))
        return None


def account_people(scored: ScoredSnapshot) -> Mapping[str, Mapping[str, Any]]:
    """What the source says of each account by its id (`features.revenue.arr.facts`): name, csm and more."""
    document = sidecar_or_none(scored, ACCOUNTS)
    return {} if document is None else document["accounts"]


def account_list(scored: ScoredSnapshot) -> AccountList:
    """The roster of a snapshot, made once for each version of its people."""
    path = sidecar_path(scored.snapshots, scored.as_of, ACCOUNTS)
    return scored.cache.get(
        ("roster", file_version(path)), lambda: AccountList(scored.assessment, account_people(scored))
    )


def accounts_off_worklist(scored: ScoredSnapshot, store: Store) -> Mapping[str, str]:
    """The accounts whose plays are off the list, and why; empty where the store cannot be reached or what was kept is
    broken, so that the page shows the plays as they were published."""
    try:
        return worklist_cache(scored).standing(store)
    except RenewcastError as error:
        log_event("work_refused", **error_location(error))
        return {}


def snoozed_until(scored: ScoredSnapshot, store: Store, account_id: str) -> date | None:
    """Until when an account is snoozed; None where it is not, or that cannot be said, as `accounts_off_worklist`."""
    try:
        return worklist_cache(scored).snoozed(store).get(account_id)
    except RenewcastError as error:
        log_event("work_refused", **error_location(error))
        return None


@dataclass(frozen=True)
class SnapshotDates:
    """The dates of which a page can be shown: ``all`` of them, the latest first, in the words of addresses; ``shown``,
    and ``latest``."""

    all: tuple[str, ...]
    shown: str
    latest: str


def snapshot_dates(state: LiveState, scored: ScoredSnapshot) -> SnapshotDates:
    """What can be chosen instead of ``scored``: the latest snapshots, and that one."""
    found = [instant_words(date) for date in reversed(state.dates())]
    shown = instant_words(scored.as_of)
    latest = shown if state.latest is None else instant_words(state.latest.as_of)
    near = found[:DATE_CHOICES]
    return SnapshotDates(tuple(near if shown in near else [*near, shown]), shown, latest)


def signal_history(scored: ScoredSnapshot) -> SignalHistory:
    """The signals of the health score over the weeks before a snapshot, read once."""
    return scored.cache.get("signal_weeks", lambda: read_signal_history(scored))


def health_trend_chart(scored: ScoredSnapshot) -> Markup | None:
    """`cached_weekly_health`, drawn once; None where the weeks before are not known."""
    weeks = cached_weekly_health(scored)
    return scored.cache.get("trend", lambda: charts.weekly_health_chart(weeks)) if len(weeks) > 1 else None


def cached_weekly_health(scored: ScoredSnapshot) -> list[dict[str, Any]]:
    """`weekly_health`, counted once."""
    return scored.cache.get("weeks", lambda: weekly_health(scored))


def weekly_health(scored: ScoredSnapshot) -> list[dict[str, Any]]:
    """Health week by week, of the accounts that are active at the snapshot's date: ``date`` (ISO), ``mean`` (points,
    None without any score), and how many were green, yellow and red."""
    judged = scored.assessment.judged
    found = []
    for place, week in enumerate(judged.dates):
        scores, bands = judged.score[:, place], judged.band[:, place]
        known = scores[~np.isnan(scores)]
        mean = float(known.mean()) if len(known) else float("nan")
        counts = {band: int((bands == band).sum()) for band in ("green", "yellow", "red")}
        found.append({"date": instant_words(week.to_pydatetime()), "mean": number_or_null(mean), **counts})
    return found
