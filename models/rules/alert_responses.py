"""The time from an alert to the first response: the first intervention on the account that begins after it.

Alerts without a response yet count for as long as they have waited, by the estimate of Kaplan and Meier, so that recent
alerts neither lower nor raise the figures. Alerts that were raised while an intervention ran, or while the account was
held out, need no response and are left out. An account that is held out later waits until then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from models.rules.alerts import ALERT_CODES
from models.rules.intervention_effects import RUNNING_DAYS, InterventionRecord
from models.rules.intervention_results import MIN_CLOSED

#: The share of alerts that are answered within so many days is reported: a CSM has as many for a play (`plays.toml`).
RESPONSE_DAYS = 7
#: With fewer alerts, the figures are unknown.
MIN_ALERTS = MIN_CLOSED


@dataclass(frozen=True)
class RaisedAlert:
    """An alert that was raised, and whether it was suppressed because a play was running."""

    account_id: str
    code: str
    raised_at: datetime
    suppressed: bool = False


@dataclass(frozen=True)
class ResponseTimes:
    """The responses to the alerts of one rule.

    Parameters
    ----------
    code : the rule; None for all rules together.
    alerts, answered : the number of alerts that needed a response, and of those that got one.
    median_days : days until half of the alerts are answered; None if unknown.
    share_in_time : the share that is answered within `RESPONSE_DAYS`; None if unknown.
    why_unknown : why a figure is unknown; None if both are known.
    """

    code: str | None
    alerts: int
    answered: int
    median_days: float | None
    share_in_time: float | None
    why_unknown: str | None


def responses_by_alert(
    alerts: Iterable[RaisedAlert], interventions: Iterable[InterventionRecord], until: datetime
) -> list[ResponseTimes]:
    """Return the responses to all alerts, and to those of each rule in the order of `models.rules.alerts.ALERT_CODES`.

    Parameters
    ----------
    alerts : the alerts that were raised.
    interventions : all interventions that are known.
    until : the instant up to which responses are known; later alerts and interventions do not count.
    """
    by_account: dict[str, list[InterventionRecord]] = {}
    for record in interventions:
        by_account.setdefault(record.account_id, []).append(record)
    waits: list[tuple[str, float, bool]] = []
    for alert in alerts:
        records = by_account.get(alert.account_id, [])
        if alert.raised_at >= until or any(_runs(record, alert.raised_at) for record in records):
            continue
        after = [record for record in records if alert.raised_at <= record.occurred_at < until]
        first = min(after, key=lambda record: record.occurred_at, default=None)
        end = until if first is None else first.occurred_at
        waits.append(
            (alert.code, (end - alert.raised_at) / timedelta(days=1), first is not None and not first.held_out)
        )
    return [_times(None, waits), *(_times(code, [each for each in waits if each[0] == code]) for code in ALERT_CODES)]


def _runs(record: InterventionRecord, at: datetime) -> bool:
    """Return whether an intervention, or a time without any for a held-out account, is under way."""
    begun = record.occurred_at < at <= record.occurred_at + timedelta(days=RUNNING_DAYS)
    return begun and (record.closed_at is None or record.closed_at >= at)


def _times(code: str | None, waits: Sequence[tuple[str, float, bool]]) -> ResponseTimes:
    days = np.array([wait for _, wait, _ in waits], dtype=np.float64)
    answered = np.array([done for *_, done in waits], dtype=np.bool_)
    count, done = len(waits), int(answered.sum())
    if count < MIN_ALERTS:
        return ResponseTimes(code, count, done, None, None, f"{count} alerts, {MIN_ALERTS} needed")
    waiting, median, in_time = 1.0, None, 0.0
    for at in np.unique(days[answered]).tolist():
        waiting *= 1 - (answered & (days == at)).sum() / (days >= at).sum()
        # The error of the product must not move the median to a later day.
        median = at if median is None and waiting <= 0.5 + 1e-9 else median
        in_time = 1 - waiting if at <= RESPONSE_DAYS else in_time
    observed = days.max() >= RESPONSE_DAYS or waiting == 0
    why = "fewer than half were answered" if median is None else None
    if not observed:
        why = f"no alert is {RESPONSE_DAYS} days old"
    return ResponseTimes(code, count, done, median, float(in_time) if observed else None, why)
