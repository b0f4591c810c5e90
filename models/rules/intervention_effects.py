"""What interventions have come to: how many were saved, and, where accounts were held out at random, what they did.

The save rate (saved of those closed) says nothing of what would have happened without: many would have stayed anyway.
Only accounts held out at random tell that. For both arms the same is looked at: whether the account is still a customer
`AFTER_DAYS` after the intervention was opened. Each account counts once, with its first intervention, so that the arms
hold independent accounts. Intervals are Wilson's (1927) for a share and Newcombe's (1998, method 10) for a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

#: After so many days it is seen whether the account has stayed.
AFTER_DAYS = 90
#: An intervention without an end counts as under way for so many days; so long a held-out account is left alone.
RUNNING_DAYS = 90
#: Accounts of each arm, and accounts lost among those held out, below which no effect is told.
LEAST_ACCOUNTS, LEAST_LOST = 20, 5
CONFIDENCE = 0.95

Result = Literal["saved", "lost"]
Standing = Literal["held_out", "under_way", "done", "snoozed"]
#: Of several interventions of one account the first of these counts.
_STANDINGS: tuple[Standing, ...] = ("held_out", "under_way", "done", "snoozed")


@dataclass(frozen=True)
class Intervention:
    """One intervention, as it is known at some instant.

    ``held_out`` accounts were chosen at random to receive nothing; ``closed_at`` and ``result`` are None while it is
    open; ``stayed`` tells whether the account was a customer `AFTER_DAYS` after ``occurred_at``, None where that is not
    known yet.
    """

    account_id: str
    occurred_at: datetime
    held_out: bool
    closed_at: datetime | None = None
    result: Result | None = None
    stayed: bool | None = None
    id: str | None = None


@dataclass(frozen=True)
class Snooze:
    """That the plays of an account wait ``until`` a day (UTC), on which they are back; recorded at an instant."""

    account_id: str
    recorded_at: datetime
    until: date


@dataclass(frozen=True)
class Rate:
    """A share of ``of``, with its 95% interval."""

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True)
class Effect:
    """What interventions did, by the accounts held out at random.

    ``treated`` and ``held_out`` are the shares that stayed; ``uplift`` their difference, and ``save_rate`` the share of
    the accounts that would have left which stayed because of it: uplift over the share of the held-out that left, 0 to
    1. ``low`` and ``high`` are of the uplift, 95%.
    """

    treated: Rate
    held_out: Rate
    uplift: float
    low: float
    high: float
    save_rate: float


@dataclass(frozen=True)
class Report:
    """What interventions have come to: counts of those treated, the share saved of those closed (None: none is closed),
    the accounts held out, and the effect (None with a reason where too few were held out)."""

    saved: int
    lost: int
    open: int
    save_rate: Rate | None
    held_out_accounts: int
    effect: Effect | None
    why_no_effect: str | None


def with_outcomes(
    given: Iterable[Intervention], outcomes: Iterable[tuple[str, datetime, Result, str | None]]
) -> list[Intervention]:
    """Close interventions by outcomes that were recorded on their own.

    Parameters
    ----------
    outcomes : account, when, result, and the intervention meant by its id. Without one, an outcome closes the latest
        intervention of its account that was open then; one that finds none changes nothing.
    """
    found = sorted(given, key=lambda one: (one.account_id, one.occurred_at))
    places = {one.id: place for place, one in enumerate(found) if one.id is not None}
    by_account: dict[str, list[int]] = {}
    for place, one in enumerate(found):
        by_account.setdefault(one.account_id, []).append(place)
    for account, at, result, named in sorted(outcomes, key=lambda outcome: outcome[1]):
        if named is not None:
            meant = places.get(named)
        else:
            open_ = [
                p for p in by_account.get(account, []) if found[p].closed_at is None and found[p].occurred_at <= at
            ]
            meant = next((p for p in reversed(open_) if not found[p].held_out), None)
        if meant is not None and found[meant].closed_at is None and not found[meant].held_out:
            found[meant] = replace(found[meant], closed_at=at, result=result)
    return found


def snoozed_on(snoozes: Iterable[Snooze], day: date) -> Mapping[str, date]:
    """The accounts that are snoozed on a day, and until when. Of several snoozes of an account the last one counts."""
    last = {one.account_id: one.until for one in sorted(snoozes, key=lambda one: one.recorded_at)}
    return {account: until for account, until in last.items() if until > day}


def standing_at(
    given: Iterable[Intervention], as_of: datetime, snoozed: Collection[str] = ()
) -> Mapping[str, Standing]:
    """How accounts stand whose plays, published at ``as_of``, are off the list.

    ``held_out``: left alone on purpose; ``under_way``: in an intervention that has not ended; ``done``: in one that has
    ended since. All that is ``given`` counts, what began after ``as_of`` as well: what was recorded a minute ago takes
    a play off the list at once. Without an end an intervention is under way for `RUNNING_DAYS`. ``snoozed``: put off
    by somebody, and none of these.
    """
    found: dict[str, Standing] = dict.fromkeys(snoozed, "snoozed")
    for one in given:
        if one.occurred_at + timedelta(days=RUNNING_DAYS) < as_of or (one.closed_at and one.closed_at < as_of):
            continue
        how: Standing = "held_out" if one.held_out else "under_way" if one.closed_at is None else "done"
        found[one.account_id] = min(how, found.get(one.account_id, how), key=_STANDINGS.index)
    return found


def report(given: Iterable[Intervention]) -> Report:
    """Count them, and compare the arms."""
    every = sorted(given, key=lambda one: (one.occurred_at, one.account_id))
    treated = [one for one in every if not one.held_out]
    saved, lost = (sum(one.result == result for one in treated) for result in ("saved", "lost"))
    first: dict[str, Intervention] = {}
    for one in every:
        first.setdefault(one.account_id, one)
    held_out = sum(one.held_out for one in first.values())
    effect, why = _effect([one for one in first.values() if one.stayed is not None])
    return Report(
        saved,
        lost,
        len(treated) - saved - lost,
        share(saved, saved + lost) if saved + lost else None,
        held_out,
        effect,
        why if held_out else "no account was held out at random, so nobody knows what would have happened without",
    )


def share(part: int, of: int) -> Rate:
    """A share with Wilson's interval."""
    # Not at import: it takes longer than all else that a process needs before it answers.
    from scipy.stats import binomtest

    interval = binomtest(part, of).proportion_ci(CONFIDENCE, method="wilson")
    return Rate(part / of, float(interval.low), float(interval.high), of)


def _effect(first: list[Intervention]) -> tuple[Effect | None, str | None]:
    arms = {held: [one.stayed for one in first if one.held_out is held] for held in (False, True)}
    left = arms[True].count(False)
    if min(map(len, arms.values())) < LEAST_ACCOUNTS or left < LEAST_LOST:
        return None, (
            f"{len(arms[True])} accounts held out and {len(arms[False])} treated have been seen for {AFTER_DAYS} days, "
            f"of the held-out {left} have left; it takes {LEAST_ACCOUNTS} of each and {LEAST_LOST} that left"
        )
    treated, held = (share(arms[which].count(True), len(arms[which])) for which in (False, True))
    uplift = treated.value - held.value
    low = uplift - ((treated.value - treated.low) ** 2 + (held.high - held.value) ** 2) ** 0.5
    high = uplift + ((treated.high - treated.value) ** 2 + (held.value - held.low) ** 2) ** 0.5
    return Effect(treated, held, uplift, low, high, min(max(uplift / (1 - held.value), 0.0), 1.0)), None
