"""Results of interventions: how many accounts were saved, and the effect measured with randomly held-out accounts.

The save rate (saved accounts among closed interventions) does not show what would have happened otherwise: many
accounts would have stayed anyway. Only randomly held-out accounts show that. For both arms, the outcome is whether the
account is still a customer `AFTER_DAYS` after the intervention was opened. Each account counts once, with its first
intervention, so that the accounts of the arms are independent. Intervals are Wilson's (1927) for a share and
Newcombe's (1998, method 10) for a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

#: Days after which it is checked whether the account has stayed.
AFTER_DAYS = 90
#: Days for which an open intervention counts as under way, and for which held-out accounts receive no plays.
RUNNING_DAYS = 90
#: Minimum accounts per arm, and minimum lost accounts among those held out, for an effect.
MIN_ACCOUNTS = 20
MIN_LOST = 5
CONFIDENCE = 0.95

InterventionResult = Literal["saved", "lost"]
InterventionStatus = Literal["held_out", "under_way", "done", "snoozed"]
#: If an account has several interventions, the first of these statuses counts.
_STATUS_ORDER: tuple[InterventionStatus, ...] = ("held_out", "under_way", "done", "snoozed")


@dataclass(frozen=True)
class InterventionRecord:
    """An intervention, as known at some time.

    ``held_out`` accounts were chosen at random to receive nothing; ``closed_at`` and ``result`` are None while it is
    open; ``stayed`` is whether the account was a customer `AFTER_DAYS` after ``occurred_at``, None if not known yet.
    """

    account_id: str
    occurred_at: datetime
    held_out: bool
    closed_at: datetime | None = None
    result: InterventionResult | None = None
    stayed: bool | None = None
    id: str | None = None


@dataclass(frozen=True)
class SnoozeRecord:
    """A snooze: the plays of an account are hidden until the day ``until`` (UTC)."""

    account_id: str
    recorded_at: datetime
    until: date


@dataclass(frozen=True)
class RateEstimate:
    """A share of ``of`` accounts, with its 95% interval."""

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True)
class InterventionEffect:
    """The effect of interventions, measured with randomly held-out accounts.

    ``treated`` and ``held_out`` are the shares that stayed; ``uplift`` is their difference, with the 95% interval
    ``low`` to ``high``. ``save_rate`` is the share of the accounts that would have left but stayed because of the
    intervention: uplift divided by the share of held-out accounts that left, 0 to 1.
    """

    treated: RateEstimate
    held_out: RateEstimate
    uplift: float
    low: float
    high: float
    save_rate: float


@dataclass(frozen=True)
class InterventionReport:
    """A summary of interventions.

    It has the counts of treated accounts, the share saved among closed interventions (None if none is closed), the
    number of held-out accounts, and the effect (None with a reason if too few were held out).
    """

    saved: int
    lost: int
    open: int
    save_rate: RateEstimate | None
    held_out_accounts: int
    effect: InterventionEffect | None
    why_no_effect: str | None


def close_by_outcomes(
    interventions: Iterable[InterventionRecord],
    outcomes: Iterable[tuple[str, datetime, InterventionResult, str | None]],
) -> list[InterventionRecord]:
    """Close interventions with outcomes that were recorded separately.

    Parameters
    ----------
    outcomes : account, time, result, and the id of the intervention. Without an id, an outcome closes the latest
        intervention of its account that was open at that time; if there is none, it has no effect.
    """
    records = sorted(interventions, key=lambda record: (record.account_id, record.occurred_at))
    positions = {record.id: position for position, record in enumerate(records) if record.id is not None}
    by_account: dict[str, list[int]] = {}
    for position, record in enumerate(records):
        by_account.setdefault(record.account_id, []).append(position)
    for account, at, result, intervention_id in sorted(outcomes, key=lambda outcome: outcome[1]):
        if intervention_id is not None:
            match = positions.get(intervention_id)
        else:
            open_ = [
                p for p in by_account.get(account, []) if records[p].closed_at is None and records[p].occurred_at <= at
            ]
            match = next((p for p in reversed(open_) if not records[p].held_out), None)
        if match is not None and records[match].closed_at is None and not records[match].held_out:
            records[match] = replace(records[match], closed_at=at, result=result)
    return records


def active_snoozes(snoozes: Iterable[SnoozeRecord], day: date) -> Mapping[str, date]:
    """Return the accounts that are snoozed on a day, and until when. The last snooze of an account counts."""
    last = {record.account_id: record.until for record in sorted(snoozes, key=lambda record: record.recorded_at)}
    return {account: until for account, until in last.items() if until > day}


def intervention_status(
    interventions: Iterable[InterventionRecord], as_of: datetime, snoozed: Collection[str] = ()
) -> Mapping[str, InterventionStatus]:
    """Return the status of accounts whose plays, published at ``as_of``, are off the list.

    ``held_out``: left alone on purpose; ``under_way``: in an open intervention; ``done``: the intervention has ended
    since; ``snoozed``: hidden by a person, and none of these. Interventions after ``as_of`` count as well, so that a
    new one takes a play off the list immediately. An open intervention is under way for `RUNNING_DAYS`.

    Parameters
    ----------
    interventions : the interventions of all accounts.
    as_of : the instant of the publication.
    snoozed : the accounts whose plays are snoozed.

    Returns
    -------
    mapping of str to InterventionStatus
        The status by account id.
    """
    statuses: dict[str, InterventionStatus] = dict.fromkeys(snoozed, "snoozed")
    for record in interventions:
        if record.occurred_at + timedelta(days=RUNNING_DAYS) < as_of or (record.closed_at and record.closed_at < as_of):
            continue
        status: InterventionStatus = (
            "held_out" if record.held_out else "under_way" if record.closed_at is None else "done"
        )
        statuses[record.account_id] = min(status, statuses.get(record.account_id, status), key=_STATUS_ORDER.index)
    return statuses


def report_interventions(interventions: Iterable[InterventionRecord]) -> InterventionReport:
    """Summarize interventions and compare the arms."""
    ordered = sorted(interventions, key=lambda record: (record.occurred_at, record.account_id))
    treated = [record for record in ordered if not record.held_out]
    saved, lost = (sum(record.result == result for record in treated) for result in ("saved", "lost"))
    first: dict[str, InterventionRecord] = {}
    for record in ordered:
        first.setdefault(record.account_id, record)
    held_out = sum(record.held_out for record in first.values())
    effect, why = _effect([record for record in first.values() if record.stayed is not None])
    return InterventionReport(
        saved,
        lost,
        len(treated) - saved - lost,
        estimate_share(saved, saved + lost) if saved + lost else None,
        held_out,
        effect,
        why if held_out else "no account was held out at random, so the outcome without interventions is unknown",
    )


def estimate_share(part: int, of: int) -> RateEstimate:
    """Return a share with Wilson's interval."""
    # Imported here because it takes longer to import than everything else.
    from scipy.stats import binomtest

    interval = binomtest(part, of).proportion_ci(CONFIDENCE, method="wilson")
    return RateEstimate(part / of, float(interval.low), float(interval.high), of)


def _effect(first: list[InterventionRecord]) -> tuple[InterventionEffect | None, str | None]:
    arms = {held: [record.stayed for record in first if record.held_out is held] for held in (False, True)}
    left = arms[True].count(False)
    if min(map(len, arms.values())) < MIN_ACCOUNTS or left < MIN_LOST:
        return None, (
            f"{len(arms[True])} held-out and {len(arms[False])} treated accounts were observed for {AFTER_DAYS} days, "
            f"{left} of the held-out accounts have left; {MIN_ACCOUNTS} of each and {MIN_LOST} that left are needed"
        )
    treated, held = (estimate_share(arms[which].count(True), len(arms[which])) for which in (False, True))
    uplift = treated.value - held.value
    low = uplift - ((treated.value - treated.low) ** 2 + (held.high - held.value) ** 2) ** 0.5
    high = uplift + ((treated.high - treated.value) ** 2 + (held.value - held.low) ** 2) ** 0.5
    return InterventionEffect(treated, held, uplift, low, high, min(max(uplift / (1 - held.value), 0.0), 1.0)), None
