"""Results of interventions: how many accounts were saved, and the effect measured with randomly held-out accounts.

The plain save rate (saved, of those saved or lost) does not show what would have happened otherwise: many
accounts would have stayed anyway. Only randomly held-out accounts show that. For both arms, the outcome is whether the
account is still a customer `AFTER_DAYS` after the intervention was opened. Each account counts once, with its first
intervention, so that the accounts of the arms are independent. If the records name a trial, only its accounts count,
because accounts that a person chose differ from those that were held out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np

from features.utils.arrays import Floats
from models.uplift.average_effect import (
    InterventionEffect,
    RateEstimate,
    TrialOutcomes,
    estimate_effect,
    estimate_share,
)
from models.uplift.pooling import PooledRates, pool_rates

#: Days after which it is checked whether the account has stayed.
AFTER_DAYS = 90
#: Days for which an open intervention counts as under way, and for which held-out accounts receive no plays.
RUNNING_DAYS = 90
#: What is known of an account at its assignment, by which the arms are compared and adjusted.
COVARIATES = ("churn_probability", "log_arr")

InterventionResult = Literal["saved", "lost", "no_effect"]
#: The results that close an intervention, by their text in the signals. ``no_effect``: neither saved nor lost.
CLOSING_RESULTS: Mapping[str, InterventionResult] = {"saved": "saved", "lost": "lost", "no_effect": "no_effect"}
InterventionStatus = Literal["held_out", "under_way", "done", "snoozed"]
#: If an account has several interventions, the first of these statuses counts.
_STATUS_ORDER: tuple[InterventionStatus, ...] = ("held_out", "under_way", "done", "snoozed")


@dataclass(frozen=True)
class InterventionRecord:
    """An intervention, as known at some time.

    ``held_out`` accounts were chosen at random to receive nothing; ``closed_at`` and ``result`` are None while it is
    open; ``stayed`` is whether the account was a customer `AFTER_DAYS` after ``occurred_at``, None if not known yet.
    ``trial`` names the trial in which the account was assigned at random, with the probability ``held_out_share`` to be
    held out; ``churn_probability`` and ``arr`` are those at the assignment. ``alerts`` are the codes of the alerts that
    were active when it began.
    """

    account_id: str
    occurred_at: datetime
    held_out: bool
    closed_at: datetime | None = None
    result: InterventionResult | None = None
    stayed: bool | None = None
    id: str | None = None
    play: str | None = None
    trial: str | None = None
    held_out_share: float | None = None
    churn_probability: float | None = None
    arr: float | None = None
    alerts: tuple[str, ...] = ()


@dataclass(frozen=True)
class SnoozeRecord:
    """A snooze: the plays of an account are hidden until the day ``until`` (UTC)."""

    account_id: str
    recorded_at: datetime
    until: date


@dataclass(frozen=True)
class PlayEffect:
    """The effect of one play: accounts observed in both arms, and the effect, or the reason why there is none."""

    play: str
    accounts: int
    held_out_accounts: int
    effect: InterventionEffect | None
    why_no_effect: str | None


@dataclass(frozen=True)
class InterventionReport:
    """A summary of interventions.

    It has the counts of treated accounts by result, the share saved among closed interventions (None if none is
    closed), the number of held-out accounts, and the effect (None with a reason if there is none), of all plays and of
    each.
    ``rates`` are the save rates of the plays, if there is an effect. ``crossovers`` counts held-out accounts for which
    a play was opened before their outcome was known: they make the effect look smaller.
    """

    saved: int
    lost: int
    no_effect: int
    open: int
    save_rate: RateEstimate | None
    held_out_accounts: int
    effect: InterventionEffect | None
    why_no_effect: str | None
    by_play: tuple[PlayEffect, ...] = ()
    rates: PooledRates | None = None
    crossovers: int = 0


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
    saved, lost, unchanged = (sum(record.result == result for record in treated) for result in CLOSING_RESULTS)
    closed = saved + lost + unchanged
    compared = compared_records(ordered)
    first = first_of_accounts(compared)
    held_out = sum(record.held_out for record in first)
    effect, why = _effect(first)
    by_play = tuple(
        _effect_of_play(play, compared) for play in sorted({r.play for r in compared if r.play is not None})
    )
    known = {each.play: each.effect for each in by_play if each.effect is not None}
    return InterventionReport(
        saved,
        lost,
        unchanged,
        len(treated) - closed,
        estimate_share(saved, saved + lost) if saved + lost else None,
        held_out,
        effect if held_out else None,
        why if held_out else "no account was held out at random, so the outcome without interventions is unknown",
        tuple(each for each in by_play if each.held_out_accounts),
        None if effect is None else pool_rates(effect, known),
        _crossovers(first, treated),
    )


def compared_records(interventions: Iterable[InterventionRecord]) -> list[InterventionRecord]:
    """Return the records whose arms are compared: those of trials, if accounts were held out in one; else all."""
    records = list(interventions)
    in_trial = any(record.held_out and record.trial is not None for record in records)
    return [record for record in records if record.trial is not None] if in_trial else records


def compared_outcomes(interventions: Iterable[InterventionRecord]) -> TrialOutcomes:
    """Return the outcomes that `report_interventions` compares for the effect of all plays."""
    ordered = sorted(interventions, key=lambda record: (record.occurred_at, record.account_id))
    return trial_outcomes(first_of_accounts(compared_records(ordered)))


def trial_outcomes(interventions: Iterable[InterventionRecord]) -> TrialOutcomes:
    """Return the outcomes of the records whose outcome is known."""
    records = [record for record in interventions if record.stayed is not None]
    arr = _numbers([record.arr for record in records])
    return TrialOutcomes(
        np.array([bool(record.stayed) for record in records], dtype=bool),
        np.array([record.held_out for record in records], dtype=bool),
        _numbers([record.held_out_share for record in records]),
        np.column_stack([_numbers([record.churn_probability for record in records]), np.log1p(np.maximum(arr, 0.0))]),
        COVARIATES,
    )


def _numbers(values: Iterable[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def first_of_accounts(records: Iterable[InterventionRecord]) -> list[InterventionRecord]:
    """Return the first record of each account, in the order of the records."""
    first: dict[str, InterventionRecord] = {}
    for record in records:
        first.setdefault(record.account_id, record)
    return list(first.values())


def _effect(first: Iterable[InterventionRecord]) -> tuple[InterventionEffect | None, str | None]:
    return estimate_effect(trial_outcomes(first), AFTER_DAYS)


def _effect_of_play(play: str, compared: Iterable[InterventionRecord]) -> PlayEffect:
    first = first_of_accounts(record for record in compared if record.play == play)
    observed = [record for record in first if record.stayed is not None]
    effect, why = _effect(observed)
    return PlayEffect(play, len(observed), sum(record.held_out for record in observed), effect, why)


def _crossovers(first: Iterable[InterventionRecord], treated: Iterable[InterventionRecord]) -> int:
    """Count held-out accounts for which a play was opened within `AFTER_DAYS`."""
    begun: dict[str, list[datetime]] = {}
    for record in treated:
        begun.setdefault(record.account_id, []).append(record.occurred_at)
    days = timedelta(days=AFTER_DAYS)
    return sum(
        record.held_out
        and any(record.occurred_at <= at < record.occurred_at + days for at in begun.get(record.account_id, ()))
        for record in first
    )
