"""Who answered when: the dates of each champion, read from the pointer's history.

History keeps the clock's time of each change; predictions are of dates in the signals, which lag behind the clock. A
champion's dates therefore begin at its change, less the days by which the signals lagged when it was trained. One that
was promoted by its own training so begins where its training ended, also where past signals are gone through anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from features.errors import BundleError
from features.utils.dates import midnight
from models.artifacts.bundle import Bundle
from models.artifacts.champion import ChampionEntry, ChampionPointer
from models.targets import Target

#: Older reigns say nothing of how the models of today are made.
LOOK_BACK = timedelta(days=730)


@dataclass(frozen=True)
class ChampionPeriod:
    """A champion and the dates that it answered for: those in [since, until), midnights in UTC.

    Parameters
    ----------
    champion : the entry in the history.
    bundle : None where it can no longer be read, or was made for other features.
    until : None for the present champion.
    """

    champion: ChampionEntry
    bundle: Bundle | None
    since: datetime
    until: datetime | None


def champion_periods(
    pointer: ChampionPointer, target: Target, last: datetime, load: Callable[[ChampionEntry], Bundle]
) -> tuple[ChampionPeriod, ...]:
    """The reigns of one target, oldest first; those that had ended two years before ``last`` are left out.

    Parameters
    ----------
    last : the newest date of the signals.
    load : gives a champion's bundle, or raises BundleError.
    """
    line = [(change.at, change.champion) for change in pointer.history if change.target == target]
    present = pointer.of(target)
    if present is None:
        return ()
    if not line or line[-1][1] != present:
        line.append((pointer.promoted_at, present))
    ended = [at for at, _ in line[1:]]
    line = [one for one, end in zip(line, [*ended, None], strict=True) if end is None or end > last - LOOK_BACK]
    bundles: dict[ChampionEntry, Bundle | None] = {}
    begun: list[datetime] = []
    for at, champion in line:
        if champion not in bundles:
            bundles[champion] = _loaded(champion, load)
        since = midnight(at - _lag(bundles[champion]))
        begun.append(max(since, begun[-1]) if begun else since)
    ends = [*begun[1:], None]
    return tuple(
        ChampionPeriod(champion, bundles[champion], since, until)
        for (_, champion), since, until in zip(line, begun, ends, strict=True)
    )


def periods_by_champion(found: Sequence[ChampionPeriod]) -> dict[ChampionEntry, tuple[ChampionPeriod, ...]]:
    """The reigns of each champion, in the order of the last of them."""
    champions = list(dict.fromkeys(reign.champion for reign in reversed(found)))
    return {one: tuple(reign for reign in found if reign.champion == one) for one in reversed(champions)}


def _loaded(champion: ChampionEntry, load: Callable[[ChampionEntry], Bundle]) -> Bundle | None:
    try:
        return load(champion)
    except BundleError:
        return None


def _lag(bundle: Bundle | None) -> timedelta:
    # Signals that were made up may be ahead of the clock; then so is the champion.
    return timedelta(0) if bundle is None else bundle.manifest.created_at - bundle.manifest.trained_through
