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
from serving.portfolio.account_list import Roster
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path
from serving.snapshots.signal_history import SignalHistory, read_signal_history
from serving.snapshots.snapshot_files import file_version
from serving.store.database import Store
from serving.worklist.published_worklist import lists_of

#: So many dates can be chosen: two years of weeks.
DATES = 104


def companion(scored: ScoredSnapshot, name: str) -> dict[str, Any] | None:
    """A document beside the snapshot; None where there is none that can be read, so that the page shows the rest."""
    try:
        return read_sidecar(scored.snapshots, scored.as_of, name)
    except RenewcastError as error:
        log_event("companion_refused", name=name, **error_location(error))
        return None


def people_of(scored: ScoredSnapshot) -> Mapping[str, Mapping[str, Any]]:
    """What the source says of each account by its id (`features.revenue.arr.facts`): name, csm and more."""
    document = companion(scored, ACCOUNTS)
    return {} if document is None else document["accounts"]


def roster_of(scored: ScoredSnapshot) -> Roster:
    """The roster of a snapshot, made once for each version of its people."""
    path = sidecar_path(scored.snapshots, scored.as_of, ACCOUNTS)
    return scored.cache.get(("roster", file_version(path)), lambda: Roster(scored.assessment, people_of(scored)))


def work_of(scored: ScoredSnapshot, store: Store) -> Mapping[str, str]:
    """The accounts whose plays are off the list, and why; empty where the store cannot be reached or what was kept is
    broken, so that the page shows the plays as they were published."""
    try:
        return lists_of(scored).standing(store)
    except RenewcastError as error:
        log_event("work_refused", **error_location(error))
        return {}


def snoozed_until(scored: ScoredSnapshot, store: Store, account_id: str) -> date | None:
    """Until when an account is snoozed; None where it is not, or that cannot be said, as `work_of`."""
    try:
        return lists_of(scored).snoozed(store).get(account_id)
    except RenewcastError as error:
        log_event("work_refused", **error_location(error))
        return None


@dataclass(frozen=True)
class Dates:
    """The dates of which a page can be shown: ``all`` of them, the latest first, in the words of addresses; ``shown``,
    and ``latest``."""

    all: tuple[str, ...]
    shown: str
    latest: str


def dates_of(state: LiveState, scored: ScoredSnapshot) -> Dates:
    """What can be chosen instead of ``scored``: the latest snapshots, and that one."""
    found = [instant_words(date) for date in reversed(state.dates())]
    shown = instant_words(scored.as_of)
    latest = shown if state.latest is None else instant_words(state.latest.as_of)
    near = found[:DATES]
    return Dates(tuple(near if shown in near else [*near, shown]), shown, latest)


def signal_weeks_of(scored: ScoredSnapshot) -> SignalHistory:
    """The signals of the health score over the weeks before a snapshot, read once."""
    return scored.cache.get("signal_weeks", lambda: read_signal_history(scored))


def trend_of(scored: ScoredSnapshot) -> Markup | None:
    """`weekly_of`, drawn once; None where the weeks before are not known."""
    weeks = weekly_of(scored)
    return scored.cache.get("trend", lambda: charts.weekly(weeks)) if len(weeks) > 1 else None


def weekly_of(scored: ScoredSnapshot) -> list[dict[str, Any]]:
    """`weeks_of`, counted once."""
    return scored.cache.get("weeks", lambda: weeks_of(scored))


def weeks_of(scored: ScoredSnapshot) -> list[dict[str, Any]]:
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
