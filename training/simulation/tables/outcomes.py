"""The table ``outcomes``: goals, return on investment, milestones, first value and survey scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.utils.arrays import Bools, Floats, Ints
from training.simulation.history import SimulatedHistory
from training.simulation.random_streams import sigmoid
from training.simulation.tables.event_rows import Arrival, choice_array, event_table, float_array, random_working_time

KINDS = ("goal_set", "goal_met", "goal_missed", "roi_reported", "first_value", "milestone", "nps", "csat")
GOAL_SET, GOAL_MET, GOAL_MISSED, ROI, FIRST_VALUE, MILESTONE, NPS, CSAT = range(len(KINDS))
GOALS = (
    "Cut the time for a monthly report by half",
    "Have every team plan its work in one place",
    "Answer customers' questions within a day",
    "Replace the spreadsheets of two departments",
    "Onboard new employees within a week",
    "Reduce manual entries by 30%",
    "Give managers a weekly overview",
    "Close the books three days earlier",
)
MILESTONES = (
    "First department is live",
    "Integration with the data warehouse is live",
    "Single sign-on is set up",
    "Training of all teams is finished",
    "Reports run without manual work",
)
"""Texts of goals and milestones; those of an account are taken in turn, starting with one of its own."""
WEEKLY_GOALS = np.array([0.05, 0.09, 0.13, 0.16])
"""Goals set per week, by segment."""
WEEKLY_SURVEYS = np.array([0.03, 0.045, 0.06, 0.08])
"""Answers to each kind of survey per week, by segment."""


def outcomes_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``outcomes``. Goals and returns depend on progress, survey scores on perceived value.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("outcomes")
    running = history.grid(lambda state: state.running)
    progress = history.grid(lambda state: state.progress)
    value = history.grid(lambda state: state.value)
    segment = history.traits.segment
    goals = rng.random(running.shape) < WEEKLY_GOALS[segment] * running
    # Response style of the account, unrelated to the value of the product.
    response_style = 0.4 * rng.standard_normal(running.shape[1])
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
        answered = rng.random(running.shape) < WEEKLY_SURVEYS[segment] * running
        score = middle + slope * (value + response_style + 0.5 * rng.standard_normal(running.shape))
        parts.append(_rows_of_kind(history, answered, kind, np.clip(np.round(score), low, high), rng))
    account, day, kinds = (np.concatenate([part[i] for part in parts]).astype(np.int64) for i in range(3))
    number = np.concatenate([part[4] for part in parts]).astype(np.int64)
    columns = {
        "kind": choice_array(KINDS, kinds),
        "value": float_array(np.concatenate([part[3] for part in parts])),
        "text": _texts(kinds, number),
    }
    second = random_working_time(account, day, history, rng)
    return event_table(history, rng, account, second, columns, Arrival(nightly=0.0, late=0.06, late_days=10))


_OutcomeColumns = tuple[Ints, Ints, Ints, Floats, Ints]
"""Account, day, kind, value and number of the text of rows."""


def _texts(kinds: Ints, number: Ints) -> pa.Array:
    """Return the texts of goals, of their results, and of milestones; null for other kinds."""
    goal, milestone = np.isin(kinds, (GOAL_SET, GOAL_MET, GOAL_MISSED)), kinds == MILESTONE
    index = np.where(milestone, len(GOALS) + number % len(MILESTONES), number % len(GOALS))
    return choice_array((*GOALS, *MILESTONES), index, ~(goal | milestone))


def _text_numbers(account: Ints, week: Ints) -> Ints:
    """Return the number of the text for something that begins in a week."""
    return np.asarray(5 * account + 3 * week, dtype=np.int64)


def _rows_of_kind(
    history: SimulatedHistory,
    when: Bools,
    kind: int,
    value: Floats | None,
    rng: np.random.Generator,
    noise: float = 0.0,
) -> _OutcomeColumns:
    """Rows of one kind on a random day of the marked weeks; ``noise`` is the noise of the value on the log scale."""
    week, account = np.nonzero(when)
    n = len(week)
    day = history.start + 7 * week + rng.integers(0, 7, n)
    values = np.full(n, np.nan) if value is None else value[week, account] * np.exp(noise * rng.standard_normal(n))
    return account, day, np.full(n, kind), np.round(values, 2), _text_numbers(account, week)


def _completed_goals(
    history: SimulatedHistory, goals: Bools, progress: Floats, rng: np.random.Generator
) -> list[_OutcomeColumns]:
    """Results of goals, 10 to 14 weeks after they were set."""
    week, account = np.nonzero(goals)
    later = week + rng.integers(10, 15, len(week))
    in_data = later < history.weeks
    later, account, numbers = later[in_data], account[in_data], _text_numbers(account, week)[in_data]
    met = rng.random(len(later)) < sigmoid(0.3 + 1.8 * progress[later, account])
    day = history.start + 7 * later + rng.integers(0, 7, len(later))
    no_value = np.full(len(later), np.nan)
    return [(account, day, np.where(met, GOAL_MET, GOAL_MISSED), no_value, numbers)]


def _first_value_rows(history: SimulatedHistory, rng: np.random.Generator) -> _OutcomeColumns:
    """First value, some time after the start of onboarding; a few accounts never reach it."""
    traits = history.traits
    n = len(traits)
    wait = traits.ramp_days * np.exp(0.3 * rng.standard_normal(n))
    reached = np.flatnonzero(rng.random(n) < sigmoid(3.0 + traits.fit))
    day = traits.created[reached] + 1 + wait[reached].astype(np.int64)
    n = len(reached)
    return reached, day, np.full(n, FIRST_VALUE), np.full(n, np.nan), np.zeros(n, dtype=np.int64)
