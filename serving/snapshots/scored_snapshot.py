"""Published snapshots, assessed and kept at hand, so that an answer is a look-up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from cachetools import LRUCache

from features.catalogue.catalogue import Catalogue
from features.errors import RenewcastError
from models.artifacts.champion import Champion
from models.peer_groups.peers import Peers
from models.predictions.assessment import Assessment, assess
from models.predictions.payload import CHANGE_DAYS, CHANGE_TOLERANCE_DAYS, answer, answers, instant_words
from serving.common.json_logs import log_event
from serving.snapshots.compute_once_cache import ComputeOnceCache
from serving.snapshots.json_cache import JsonCache
from serving.snapshots.portfolio_summary import summarize_portfolio
from serving.snapshots.published_plays import read_due_dates, read_executive_plays
from serving.snapshots.snapshot_files import FileVersion, PublishedSnapshot, SnapshotFiles


@dataclass(frozen=True)
class ScoredSnapshot:
    """One snapshot, assessed by one champion; never changed.

    ``earlier`` is the assessment of about 30 days before, where that was scored; ``file_version`` that of the file;
    ``snapshots`` are those among which it lies. What is worked out from it to be answered again is ``cache``, and what
    is answered as text ``json_cache``.
    """

    assessment: Assessment
    as_of: datetime
    data_through: datetime
    scored_at: datetime
    earlier: Assessment | None
    file_version: FileVersion | None
    snapshots: SnapshotFiles
    json_cache: JsonCache = field(default_factory=JsonCache, compare=False)
    cache: ComputeOnceCache = field(default_factory=ComputeOnceCache, compare=False)

    @property
    def catalogue(self) -> Catalogue:
        """The features that it holds."""
        return self.snapshots.catalogue

    def answer(self, account_id: str) -> dict[str, Any]:
        """What is said of one account.

        Raises
        ------
        UnknownAccount : the snapshot does not hold it.
        """
        return answer(
            self.assessment,
            account_id,
            scored_at=self.scored_at,
            data_through=self.data_through,
            earlier=self.earlier,
        )

    def answers(self) -> Iterator[dict[str, Any]]:
        """What is said of every account, in their order; far quicker than one by one."""
        return answers(self.assessment, scored_at=self.scored_at, data_through=self.data_through, earlier=self.earlier)

    @cached_property
    def portfolio(self) -> dict[str, Any]:
        """The portfolio at a glance, as `serving.snapshots.portfolio_summary.Portfolio` has it."""
        told = (("as_of", self.as_of), ("data_through", self.data_through), ("scored_at", self.scored_at))
        return {name: instant_words(instant) for name, instant in told} | summarize_portfolio(self.assessment)

    @cached_property
    def peers(self) -> Peers:
        """The portfolio's spreads, for accounts that come with their own signals."""
        numbers = [name for name, feature in self.catalogue.items() if feature.kind == "number"]
        return Peers.of(self.assessment.frame, numbers)


def score_published(snapshots: SnapshotFiles, champion: Champion, as_of: datetime) -> ScoredSnapshot:
    """Assess the snapshot at ``as_of``, and that of about 30 days before where there is one.

    Raises
    ------
    UnknownSnapshot, HomeError : as `Snapshots.at`.
    """
    stamp = snapshots.version(as_of)
    published = snapshots.at(as_of)
    return ScoredSnapshot(
        _assessed(published, champion, snapshots),
        as_of,
        published.metadata.data_through,
        datetime.now(UTC),
        assess_earlier(snapshots, champion, as_of),
        stamp,
        snapshots,
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
        called=read_due_dates(snapshots, metadata.as_of),
        handed=read_executive_plays(snapshots, metadata.as_of),
    )


def assess_earlier(snapshots: SnapshotFiles, champion: Champion, as_of: datetime) -> Assessment | None:
    """The assessment of about 30 days before ``as_of``; None where there is none that can be read."""
    wanted = as_of - timedelta(days=CHANGE_DAYS)
    near = [date for date in snapshots.dates() if abs(date - wanted) <= timedelta(days=CHANGE_TOLERANCE_DAYS)]
    if not near:
        return None
    try:
        nearest = snapshots.at(min(near, key=lambda date: abs(date - wanted)))
        return _assessed(nearest, champion, snapshots)
    except RenewcastError as error:
        # Only the change since then is unknown without it.
        log_event("earlier_snapshot_refused", error=type(error).__name__)
        return None


class SnapshotCache:
    """The snapshots of other dates than the latest that were asked for last, assessed by one champion."""

    def __init__(self, snapshots: SnapshotFiles, champion: Champion, places: int) -> None:
        self.snapshots, self._champion = snapshots, champion
        self._kept = LRUCache[datetime, ScoredSnapshot](places)
        self._looking, self._assessing = threading.Lock(), threading.Lock()

    def get(self, as_of: datetime) -> ScoredSnapshot:
        """The snapshot at ``as_of``, assessed now if it was not, or was replaced since.

        Raises
        ------
        UnknownSnapshot, HomeError : as `Snapshots.at`.
        """
        if (kept := self._look(as_of)) is not None:
            return kept
        # One at a time, so that callers cannot make the process hold any number of portfolios.
        with self._assessing:
            if (kept := self._look(as_of)) is not None:
                return kept
            made = score_published(self.snapshots, self._champion, as_of)
            with self._looking:
                self._kept[as_of] = made
            return made

    def _look(self, as_of: datetime) -> ScoredSnapshot | None:
        stamp = self.snapshots.version(as_of)
        with self._looking:
            kept = self._kept.get(as_of)
            if kept is None or kept.file_version != stamp:
                return None
            return kept
