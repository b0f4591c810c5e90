"""Assessed snapshots in memory, so that answering a request is a look-up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from cachetools import LRUCache

from features.catalogue.catalogue import Catalogue
from features.errors import RenewcastError
from features.utils.arrays import Bools
from models.artifacts.champion import Champion
from models.artifacts.portfolio_identity import RecordedValues
from models.peer_groups.peers import Peers
from models.predictions.assessment import Assessment, assess
from models.predictions.payload import (
    CHANGE_DAYS,
    CHANGE_TOLERANCE_DAYS,
    account_answer,
    format_instant,
    portfolio_answers,
)
from serving.common.json_logs import log_event
from serving.snapshots.compute_once_cache import ComputeOnceCache
from serving.snapshots.json_cache import JsonCache
from serving.snapshots.portfolio_summary import summarize_portfolio
from serving.snapshots.published_plays import read_due_dates, read_executive_plays
from serving.snapshots.sidecars import published_names
from serving.snapshots.snapshot_files import FileVersion, PublishedSnapshot, SnapshotFiles

#: How many accounts are explained together in the background. More would be faster, and take more memory meanwhile.
PREPARED_AT_ONCE = 512


@dataclass(frozen=True)
class ScoredSnapshot:
    """One snapshot, assessed by one champion. Immutable, apart from its caches.

    Parameters
    ----------
    assessment : of the snapshot.
    as_of, data_through, scored_at : UTC.
    earlier : the assessment of about 30 days before, if that date was scored.
    file_version : version of the snapshot's file.
    snapshots : the snapshot files that it belongs to.
    records : by table and column, the only values that the source of its signals can record.
    json_cache, cache : responses as text, and values computed from the snapshot.
    """

    assessment: Assessment
    as_of: datetime
    data_through: datetime
    scored_at: datetime
    earlier: Assessment | None
    file_version: FileVersion | None
    snapshots: SnapshotFiles
    records: RecordedValues = field(default_factory=dict)
    json_cache: JsonCache = field(default_factory=JsonCache, compare=False)
    cache: ComputeOnceCache = field(default_factory=ComputeOnceCache, compare=False)

    @property
    def catalogue(self) -> Catalogue:
        """The features of the snapshot."""
        return self.snapshots.catalogue

    def answer(self, account_id: str) -> dict[str, Any]:
        """Return the prediction of one account.

        Raises
        ------
        UnknownAccount : the snapshot does not hold it.
        """
        return account_answer(
            self.assessment,
            account_id,
            scored_at=self.scored_at,
            data_through=self.data_through,
            earlier=self.earlier,
        )

    def has_prepared(self, account_id: str) -> bool:
        """Return whether `answer` of an account only has to read and format what was prepared. Unknown ones count."""
        row = self.assessment.places.get(account_id)
        every = (scores.explanation for scores in self.assessment.target_scores.values())
        return row is None or all(each is None or bool(each.prepared[row]) for each in every)

    def prepare_answers(self) -> bool:
        """Explain the next accounts together, so that their first answers take less than a millisecond.

        Returns
        -------
        bool
            Whether there are more accounts.
        """
        explainers = [each.explanation for each in self.assessment.target_scores.values() if each.explanation]
        for each in explainers:
            remaining = np.flatnonzero(~each.prepared)
            each.prepare(remaining[:PREPARED_AT_ONCE])
        return any(not each.prepared.all() for each in explainers)

    def answers(self) -> Iterator[dict[str, Any]]:
        """Yield the predictions of all accounts in order. Much faster than calling `account_answer` for each."""
        return portfolio_answers(
            self.assessment, scored_at=self.scored_at, data_through=self.data_through, earlier=self.earlier
        )

    @cached_property
    def portfolio(self) -> dict[str, Any]:
        """The summary of the portfolio, see `serving.snapshots.portfolio_summary.Portfolio`."""
        return self._about | summarize_portfolio(self.assessment) | {"filter": None}

    def filtered_portfolio(self, selected: Bools, applied: dict[str, Any] | None) -> dict[str, Any]:
        """Return `portfolio` for some of the accounts.

        Parameters
        ----------
        selected : True for the accounts that count. Shape (n,).
        applied : the filter that selects them (`serving.schemas.account_filter.AppliedFilter`).
        """
        return self._about | summarize_portfolio(self.assessment, selected) | {"filter": applied}

    @property
    def _about(self) -> dict[str, Any]:
        instants = (("as_of", self.as_of), ("data_through", self.data_through), ("scored_at", self.scored_at))
        about = {name: format_instant(instant) for name, instant in instants}
        return {**about, "open_questions": list(self.assessment.open_questions)}

    @cached_property
    def peers(self) -> Peers:
        """The distributions of the portfolio's features, to compare accounts in a request body with."""
        numbers = [name for name, feature in self.catalogue.items() if feature.kind == "number"]
        return Peers.of(self.assessment.frame, numbers)


def score_published(snapshots: SnapshotFiles, champion: Champion, as_of: datetime) -> ScoredSnapshot:
    """Assess a snapshot, and that of about 30 days before if there is one.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    champion : the bundles and the rubric in use.
    as_of : the date of the snapshot.

    Returns
    -------
    ScoredSnapshot

    Raises
    ------
    UnknownSnapshot, HomeError : as `Snapshots.at`.
    """
    version = snapshots.version(as_of)
    published = snapshots.at(as_of)
    return ScoredSnapshot(
        _assessed(published, champion, snapshots),
        as_of,
        published.metadata.data_through,
        datetime.now(UTC),
        assess_earlier(snapshots, champion, as_of),
        version,
        snapshots,
        published.metadata.records,
    )


def _assessed(published: PublishedSnapshot, champion: Champion, snapshots: SnapshotFiles) -> Assessment:
    metadata = published.metadata
    return assess(
        published.frame,
        champion,
        past=published.past,
        feeds=metadata.feeds,
        jumped=metadata.jumped,
        catalogue=snapshots.catalogue,
        open_plays=read_due_dates(snapshots, metadata.as_of),
        assignments=read_executive_plays(snapshots, metadata.as_of),
        names=published_names(snapshots, metadata.as_of),
        open_questions=metadata.open_questions,
    )


def assess_earlier(snapshots: SnapshotFiles, champion: Champion, as_of: datetime) -> Assessment | None:
    """Assess the snapshot of about 30 days before.

    Parameters
    ----------
    snapshots : the snapshot files of the home.
    champion : the bundles and the rubric in use.
    as_of : the date of the snapshot.

    Returns
    -------
    Assessment or None
        None if there is none that can be read.
    """
    wanted = as_of - timedelta(days=CHANGE_DAYS)
    near = [date for date in snapshots.dates() if abs(date - wanted) <= timedelta(days=CHANGE_TOLERANCE_DAYS)]
    if not near:
        return None
    try:
        nearest = snapshots.at(min(near, key=lambda date: abs(date - wanted)))
        return _assessed(nearest, champion, snapshots)
    except RenewcastError as error:
        # Without it, only the change since then is unknown.
        log_event("earlier_snapshot_refused", error=type(error).__name__)
        return None


class SnapshotCache:
    """Assessed snapshots of dates other than the latest, the most recently used ones. Thread-safe.

    Parameters
    ----------
    snapshots : the files.
    champion : assesses them.
    max_entries : how many are cached.
    """

    def __init__(self, snapshots: SnapshotFiles, champion: Champion, max_entries: int) -> None:
        self.snapshots, self._champion = snapshots, champion
        self._cache = LRUCache[datetime, ScoredSnapshot](max_entries)
        self._lock, self._assessing = threading.Lock(), threading.Lock()

    def get(self, as_of: datetime) -> ScoredSnapshot:
        """Return the snapshot at ``as_of``, assessed now if it is not cached or its file was replaced.

        Raises
        ------
        UnknownSnapshot, HomeError : as `Snapshots.at`.
        """
        if (scored := self._cached(as_of)) is not None:
            return scored
        # One at a time, so that callers cannot make the process hold any number of portfolios in memory.
        with self._assessing:
            if (scored := self._cached(as_of)) is not None:
                return scored
            scored = score_published(self.snapshots, self._champion, as_of)
            with self._lock:
                self._cache[as_of] = scored
            return scored

    def _cached(self, as_of: datetime) -> ScoredSnapshot | None:
        version = self.snapshots.version(as_of)
        with self._lock:
            scored = self._cache.get(as_of)
            if scored is None or scored.file_version != version:
                return None
            return scored
