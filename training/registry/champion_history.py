"""The dates when each champion was in use, read from the pointer's history.

The history stores the clock time of each change, but predictions are for dates in the signals, which lag behind the
clock. A champion's dates therefore begin at its change, minus the lag of the signals when it was trained. A champion
promoted by its own training thus begins where its training data ends, even if past signals are replayed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from features.errors import BundleError
from features.utils.dates import midnight
from models.artifacts.bundle import Bundle
from models.artifacts.champion_pointer import ChampionEntry, ChampionPointer
from models.targets import Target

#: Older champions are ignored: they say little about current models.
LOOK_BACK = timedelta(days=730)


@dataclass(frozen=True)
class ChampionPeriod:
    """A champion and the dates when it was in use: [since, until), midnights in UTC.

    Parameters
    ----------
    champion : the entry in the history.
    bundle : None if it cannot be read or was built for other features.
    until : None for the current champion.
    """

    champion: ChampionEntry
    bundle: Bundle | None
    since: datetime
    until: datetime | None


def champion_periods(
    pointer: ChampionPointer, target: Target, last: datetime, load: Callable[[ChampionEntry], Bundle]
) -> tuple[ChampionPeriod, ...]:
    """Return the periods of the champions of one target, oldest first.

    Periods that ended more than two years before ``last`` are left out.

    Parameters
    ----------
    last : the newest date of the signals.
    load : loads a champion's bundle, or raises BundleError.
    """
    changes = [(change.at, change.champion) for change in pointer.history if change.target == target]
    present = pointer.of(target)
    if present is None:
        return ()
    if not changes or changes[-1][1] != present:
        changes.append((pointer.promoted_at, present))
    ended = [at for at, _ in changes[1:]]
    changes = [one for one, end in zip(changes, [*ended, None], strict=True) if end is None or end > last - LOOK_BACK]
    bundles: dict[ChampionEntry, Bundle | None] = {}
    starts: list[datetime] = []
    for at, champion in changes:
        if champion not in bundles:
            bundles[champion] = _loaded(champion, load)
        since = midnight(at - _lag(bundles[champion]))
        starts.append(max(since, starts[-1]) if starts else since)
    ends = [*starts[1:], None]
    return tuple(
        ChampionPeriod(champion, bundles[champion], since, until)
        for (_, champion), since, until in zip(changes, starts, ends, strict=True)
    )


def periods_by_champion(periods: Sequence[ChampionPeriod]) -> dict[ChampionEntry, tuple[ChampionPeriod, ...]]:
    """Group periods by champion, ordered by the last period of each."""
    champions = list(dict.fromkeys(period.champion for period in reversed(periods)))
    return {one: tuple(period for period in periods if period.champion == one) for one in reversed(champions)}


def _loaded(champion: ChampionEntry, load: Callable[[ChampionEntry], Bundle]) -> Bundle | None:
    try:
        return load(champion)
    except BundleError:
        return None


def _lag(bundle: Bundle | None) -> timedelta:
    # Synthetic signals may be ahead of the clock; then so is the champion.
    return timedelta(0) if bundle is None else bundle.manifest.created_at - bundle.manifest.trained_through
