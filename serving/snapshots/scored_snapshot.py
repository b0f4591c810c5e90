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
from serving.common.json_logs import tell
from serving.snapshots.compute_once_cache import Made
from serving.snapshots.json_cache import Written
from serving.snapshots.portfolio_summary import portfolio_of
from serving.snapshots.published_plays import handed_published, plays_published
from serving.snapshots.snapshot_files import Published, Snapshots, Stamp


@dataclass(frozen=True)
class Scored:
    """One snapshot, assessed by one champion; never changed.

    ``earlier`` is the assessment of about 30 days before, where that was scored; ``stamp`` the version of the file;
    ``snapshots`` are those among which it lies. What is worked out from it to be answered again is ``made``, and what
    is answered as text ``written``.
    """

    assessment: Assessment
    as_of: datetime
    data_through: datetime
    scored_at: datetime
    earlier: Assessment | None
    stamp: Stamp | None
    snapshots: Snapshots
    written: Written = field(default_factory=Written, compare=False)
    made: Made = field(default_factory=Made, compare=False)

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
        return {name: instant_words(instant) for name, instant in told} | portfolio_of(self.assessment)

    @cached_property
    def peers(self) -> Peers:
        """The portfolio's spreads, for accounts that come with their own signals."""
        numbers = [name for name, feature in self.catalogue.items() if feature.kind == "number"]
        return Peers.of(self.assessment.frame, numbers)


def score_published(snapshots: Snapshots, champion: Champion, as_of: datetime) -> Scored:
    """Assess the snapshot at ``as_of``, and that of about 30 days before where there is one.

    Raises
    ------
    UnknownSnapshot, HomeError : as `Snapshots.at`.
    """
    stamp = snapshots.stamp(as_of)
    published = snapshots.at(as_of)
    return Scored(
        _assessed(published, champion, snapshots),
        as_of,
        published.facts.data_through,
        datetime.now(UTC),
        earlier_of(snapshots, champion, as_of),
        stamp,
        snapshots,
    )


def _assessed(published: Published, champion: Champion, snapshots: Snapshots) -> Assessment:
    facts = published.facts
    return assess(
        published.frame,
        champion,
        past=published.past,
        feeds=facts.feeds,
        jumped=facts.jumped,
        catalogue=snapshots.catalogue,
        called=plays_published(snapshots, facts.as_of),
        handed=handed_published(snapshots, facts.as_of),
    )


def earlier_of(snapshots: Snapshots, champion: Champion, as_of: datetime) -> Assessment | None:
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
        tell("earlier_snapshot_refused", error=type(error).__name__)
        return None


class Shelf:
    """The snapshots of other dates than the latest that were asked for last, assessed by one champion."""

    def __init__(self, snapshots: Snapshots, champion: Champion, places: int) -> None:
        self.snapshots, self._champion = snapshots, champion
        self._kept = LRUCache[datetime, Scored](places)
        self._looking, self._assessing = threading.Lock(), threading.Lock()

    def get(self, as_of: datetime) -> Scored:
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

    def _look(self, as_of: datetime) -> Scored | None:
        stamp = self.snapshots.stamp(as_of)
        with self._looking:
            kept = self._kept.get(as_of)
            if kept is None or kept.stamp != stamp:
                return None
            return kept
