"""The table ``outcomes``: goals, return on investment, milestones, first value, and what surveys say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from training.simulation.calendar import Bools, Floats, Ints
from training.simulation.history import SimulatedHistory
from training.simulation.random_streams import sigmoid
from training.simulation.tables.event_rows import Arrival, choice_array, event_table, float_array, random_working_time

KINDS = ("goal_set", "goal_met", "goal_missed", "roi_reported", "first_value", "milestone", "nps", "csat")
GOAL_SET, GOAL_MET, GOAL_MISSED, ROI, FIRST_VALUE, MILESTONE, NPS, CSAT = range(len(KINDS))
WEEKLY_GOALS = np.array([0.05, 0.09, 0.13, 0.16])
"""Goals set a week, by segment."""
WEEKLY_SURVEYS = np.array([0.03, 0.045, 0.06, 0.08])
"""Answers to each kind of survey a week, by segment."""


def outcomes_table(history: SimulatedHistory) -> pa.Table:
    """Goals are met and returns high where there is progress; surveys tell what the product is felt to be worth."""
    rng = history.rng("outcomes")
    running = history.grid(lambda state: state.running)
    progress = history.grid(lambda state: state.progress)
    value = history.grid(lambda state: state.value)
    segment = history.world.segment
    goals = rng.random(running.shape) < WEEKLY_GOALS[segment] * running
    # A person answers in a certain temper, whatever the product is worth.
    temper = 0.4 * rng.standard_normal(running.shape[1])
    parts = [
        _first_value_rows(history, rng),
        _rows_of_kind(history, goals, GOAL_SET, None, rng),
        *_completed_goals(history, goals, progress, rng),
        _rows_of_kind(
            history, rng.random(running.shape) < 0.03 * running, ROI, np.exp(0.7 + 0.5 * progress), rng, 0.25
        ),
        _rows_of_kind(
            history, rng.random(running.shape) < 0.03 * np.exp(1.0 * progress) * running, MILESTONE, None, rng
        ),
    ]
    for kind, middle, slope, low, high in ((NPS, 7.4, 1.5, 0, 10), (CSAT, 4.0, 0.45, 1, 5)):
        asked = rng.random(running.shape) < WEEKLY_SURVEYS[segment] * running
        felt = middle + slope * (value + temper + 0.5 * rng.standard_normal(running.shape))
        parts.append(_rows_of_kind(history, asked, kind, np.clip(np.round(felt), low, high), rng))
    account, day, kinds = (np.concatenate([part[i] for part in parts]).astype(np.int64) for i in range(3))
    columns = {
        "kind": choice_array(KINDS, kinds),
        "value": float_array(np.concatenate([part[3] for part in parts])),
    }
    second = random_working_time(account, day, history, rng)
    return event_table(history, rng, account, second, columns, Arrival(nightly=0.0, late=0.06, late_days=10))


_OutcomeColumns = tuple[Ints, Ints, Ints, Floats]
"""Account, day, kind and value of some rows."""


def _rows_of_kind(
    history: SimulatedHistory, when: Bools, kind: int, value: Floats | None, rng: np.random.Generator, blur: float = 0.0
) -> _OutcomeColumns:
    """Rows of a kind on some day of the weeks marked; ``blur`` is the log-spread of the value's noise."""
    week, account = np.nonzero(when)
    n = len(week)
    day = history.start + 7 * week + rng.integers(0, 7, n)
    worth = np.full(n, np.nan) if value is None else value[week, account] * np.exp(blur * rng.standard_normal(n))
    return account, day, np.full(n, kind), np.round(worth, 2)


def _completed_goals(
    history: SimulatedHistory, goals: Bools, progress: Floats, rng: np.random.Generator
) -> list[_OutcomeColumns]:
    """What became of each goal 10 to 14 weeks after it was set."""
    week, account = np.nonzero(goals)
    later = week + rng.integers(10, 15, len(week))
    seen = later < history.weeks
    later, account = later[seen], account[seen]
    met = rng.random(len(later)) < sigmoid(0.3 + 1.8 * progress[later, account])
    day = history.start + 7 * later + rng.integers(0, 7, len(later))
    nothing = np.full(len(later), np.nan)
    return [(account, day, np.where(met, GOAL_MET, GOAL_MISSED), nothing)]


def _first_value_rows(history: SimulatedHistory, rng: np.random.Generator) -> _OutcomeColumns:
    """The day of first value, some time into onboarding; a few never reach it."""
    world = history.world
    n = len(world)
    wait = world.ramp_days * np.exp(0.3 * rng.standard_normal(n))
    reached = np.flatnonzero(rng.random(n) < sigmoid(3.0 + world.fit))
    day = world.created[reached] + 1 + wait[reached].astype(np.int64)
    return reached, day, np.full(len(reached), FIRST_VALUE), np.full(len(reached), np.nan)
