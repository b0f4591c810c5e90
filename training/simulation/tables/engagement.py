"""The tables ``engagement`` and ``support``: touches and support tickets."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.calendar import SECONDS_A_DAY
from training.simulation.history import SimulatedHistory
from training.simulation.random_streams import sigmoid
from training.simulation.tables.contacts import CONTACTS_PER_ACCOUNT, contact_ids
from training.simulation.tables.event_rows import (
    Arrival,
    choice_array,
    event_table,
    float_array,
    random_working_time,
    timestamp_array,
)

KINDS = ("meeting", "qbr", "email", "training", "webinar", "community", "survey")
MEETING, QBR, EMAIL, TRAINING, WEBINAR, COMMUNITY, SURVEY = range(len(KINDS))
OUTCOMES = ("attended", "no_show", "cancelled", "replied", "ignored", "posted", "completed")
ATTENDED, NO_SHOW, CANCELLED, REPLIED, IGNORED, POSTED, COMPLETED = range(len(OUTCOMES))
WEEKLY_RATE = np.array(
    [
        [0.0, 0.0, 0.25, 0.01, 0.04, 0.03, 0.03],
        [0.08, 0.0, 0.4, 0.02, 0.04, 0.03, 0.03],
        [0.2, 1 / 26, 0.45, 0.03, 0.05, 0.04, 0.04],
        [0.35, 1 / 13, 0.6, 0.05, 0.06, 0.06, 0.05],
    ]
)
"""Touches per week by segment and kind. Quarterly business reviews are regular, not random."""
SEVERITIES = ("low", "normal", "high", "urgent")
TOPICS = ("how_to", "bug", "billing", "access", "performance", "integration", "feature_request", "competitor")
FEATURE_REQUEST, COMPETITOR = 6, 7


def engagement_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``engagement``. With good rapport, meetings take place and emails are answered quickly.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("engagement")
    running = history.grid(lambda state: state.running)
    shape = running.shape
    rapport = history.grid(lambda state: state.rapport)
    appetite = history.grid(lambda state: state.appetite)
    lift = {COMMUNITY: 0.8 * rapport, TRAINING: 0.6 * appetite, WEBINAR: 0.5 * appetite}
    parts = []
    for kind in range(len(KINDS)):
        rate = np.broadcast_to(WEEKLY_RATE[history.traits.segment, kind], shape)
        if kind == QBR:
            every = np.maximum(np.round(1 / np.maximum(rate, 1e-9)), 1).astype(np.int64)
            phase = rng.integers(0, 52, shape[1])
            count = ((np.arange(shape[0])[:, None] + phase) % every == 0) & (rate > 0)
        else:
            count = rng.poisson(rate * np.exp(lift.get(kind, 0.15 * rapport)))
        week, account = np.nonzero(count * running)
        times = np.asarray(count)[week, account].astype(np.int64)
        parts.append((np.repeat(week, times), np.repeat(account, times), np.full(times.sum(), kind)))
    week, account, kinds = (np.concatenate(column).astype(np.int64) for column in zip(*parts, strict=True))
    n = len(week)
    warm = rapport[week, account] + history.traits.warmth[account]
    outcome = _outcome(kinds, warm, rng)
    hours = np.exp(2.3 - 0.7 * warm + 0.7 * rng.standard_normal(n))
    day = history.start + 7 * week + rng.integers(0, 7, n)
    columns = {
        "kind": choice_array(KINDS, kinds),
        "outcome": choice_array(OUTCOMES, outcome),
        "contact_id": contact_ids(history, account, rng.integers(0, CONTACTS_PER_ACCOUNT, n)),
        "response_hours": float_array(np.where(outcome == REPLIED, np.round(np.minimum(hours, 400), 2), np.nan)),
    }
    second = random_working_time(account, day, history, rng)
    return event_table(history, rng, account, second, columns, Arrival(nightly=0.1, late=0.05, late_days=6))


def _outcome(kind: Ints, warm: Floats, rng: np.random.Generator) -> Ints:
    """Draw the outcome of each touch, an index into ``OUTCOMES``."""
    uniform, other = rng.random((2, len(kind)))
    attended = uniform < sigmoid(1.3 + 1.3 * warm)
    missed = np.where(other < 0.5, NO_SHOW, CANCELLED)
    answered = uniform < sigmoid(0.1 + 1.3 * warm)
    outcome = np.where(attended, ATTENDED, missed)
    outcome = np.where(kind == WEBINAR, np.where(attended, ATTENDED, NO_SHOW), outcome)
    outcome = np.where(kind == EMAIL, np.where(answered, REPLIED, IGNORED), outcome)
    outcome = np.where(kind == COMMUNITY, POSTED, outcome)
    return np.asarray(np.where(kind == SURVEY, np.where(answered, COMPLETED, IGNORED), outcome), dtype=np.int64)


def support_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``support``. Product problems cause more, more severe and slower tickets; low value lowers CSAT.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("support")
    running = history.grid(lambda state: state.running)
    trouble = history.grid(lambda state: state.trouble)
    value = history.grid(lambda state: state.value)
    users = np.stack([s.active_users(history.traits, history.start + 7 * t) for t, s in enumerate(history.during)])
    # Some accounts open more tickets than others, which is unrelated to problems.
    ticket_rate = np.exp(0.5 * rng.standard_normal(running.shape[1]))
    count = rng.poisson((0.04 + 0.025 * users**0.6) * np.exp(0.9 * np.minimum(trouble, 3.0)) * ticket_rate * running)
    week, account = np.nonzero(count)
    times = count[week, account]
    week, account = np.repeat(week, times), np.repeat(account, times)
    n = len(week)
    problems, value_then = trouble[week, account], value[week, account]
    severity = np.digitize(0.9 * np.minimum(problems, 3.0) + rng.logistic(0.0, 1.0, n), [-0.7, 1.9, 3.6])
    escalated = rng.random(n) < sigmoid(-4.0 + 0.9 * np.minimum(problems, 3.0) + 0.7 * (severity >= 2))
    hours = np.exp(2.6 + 0.35 * np.minimum(problems, 3.0) + 0.3 * (severity == 0) + 1.0 * rng.standard_normal(n))
    opened = random_working_time(account, history.start + 7 * week + rng.integers(0, 7, n), history, rng)
    resolved = opened + (np.maximum(hours, 0.2) * 3600).astype(np.int64)
    unresolved = (resolved >= history.end * SECONDS_A_DAY) | (resolved >= history.last_hour[account] * 3600)
    satisfaction = (
        4.1
        + 0.55 * value_then
        - 0.55 * np.minimum(problems, 3.0)
        - 0.15 * np.log(hours / 12)
        + 0.7 * rng.standard_normal(n)
    )
    silent = unresolved | (rng.random(n) > 0.45)
    sentiment = np.tanh(0.35 + 0.45 * value_then - 0.4 * np.minimum(problems, 3.0) + 0.4 * rng.standard_normal(n))
    columns = {
        "ticket_id": pa.array([f"T{i + 1:07d}" for i in range(n)]),
        "resolved_at": timestamp_array(resolved, unresolved),
        "severity": choice_array(SEVERITIES, severity),
        "escalated": pa.array(escalated),
        "csat": float_array(np.where(silent, np.nan, np.clip(np.round(satisfaction), 1, 5))),
        "sentiment": float_array(np.where(rng.random(n) < 0.25, np.nan, np.round(sentiment, 3))),
        "topic": choice_array(TOPICS, _topic(history, week, account, rng)),
    }
    return event_table(history, rng, account, opened, columns, Arrival(nightly=0.1, late=0.03, late_days=5))


def _topic(history: SimulatedHistory, week: Ints, account: Ints, rng: np.random.Generator) -> Ints:
    """Draw the topic of each ticket; some tickets mention a competitor that is being evaluated."""
    n = len(week)
    uniform = rng.random((2, n))
    rival: Bools = history.grid(lambda state: state.rival)[week, account]
    appetite = history.grid(lambda state: state.appetite)[week, account]
    topic = rng.integers(0, FEATURE_REQUEST, n)
    topic = np.where(uniform[0] < sigmoid(-2.3 + 0.9 * appetite), FEATURE_REQUEST, topic)
    return np.asarray(np.where(uniform[1] < np.where(rival, 0.35, 0.003), COMPETITOR, topic), dtype=np.int64)
