"""Answers to surveys of customer effort (``ces``), an optional part of ``outcomes``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from training.simulation.history import SimulatedHistory
from training.simulation.tables.event_rows import (
    Arrival,
    choice_array,
    event_table,
    float_array,
    random_working_time,
)
from training.simulation.tables.outcomes import WEEKLY_SURVEYS

EFFORT_SHARE = 0.5
"""Surveys of effort, relative to those of each other kind."""
LOWEST, HIGHEST = 1, 7
"""Very easy, and very hard."""
_USUAL, _TROUBLE, _VALUE, _STYLE, _NOISE = 3.0, 0.7, 0.4, 0.5, 0.7


def with_efforts(history: SimulatedHistory, name: str, tables: Iterable[pa.Table]) -> Iterable[pa.Table]:
    """Add the rows of the kind ``ces`` to ``outcomes``, in the order of time.

    Parameters
    ----------
    history : the simulated history.
    name : the name of the table; others do not change.
    tables : its slices.
    """
    return [_with_rows(pa.concat_tables(tables), effort_rows(history))] if name == "outcomes" else tables


def _with_rows(table: pa.Table, more: pa.Table) -> pa.Table:
    both = pa.concat_tables([table, more.select(table.column_names)]).unify_dictionaries()
    return both.take(np.argsort(both["occurred_at"].to_numpy(), kind="stable"))


def effort_rows(history: SimulatedHistory) -> pa.Table:
    """Draw the answers: product problems raise the effort, and perceived value lowers it.

    Parameters
    ----------
    history : the simulated history.
    """
    rng, traits = history.rng("efforts"), history.traits
    running = history.grid(lambda state: state.running)
    felt = history.grid(lambda state: _TROUBLE * state.trouble - _VALUE * state.value)
    # Response style of the account, unrelated to the product.
    style = _STYLE * rng.standard_normal((running.shape[1],))
    answered = rng.random(running.shape) < EFFORT_SHARE * WEEKLY_SURVEYS[traits.segment] * running
    week, account = np.nonzero(answered)
    score = _USUAL + felt[week, account] + style[account] + _NOISE * rng.standard_normal(len(week))
    day = history.start + 7 * week + rng.integers(0, 7, len(week))
    columns = {
        "kind": choice_array(("ces",), np.zeros(len(week), dtype=np.int64)),
        "value": float_array(np.clip(np.round(score), LOWEST, HIGHEST)),
        "text": choice_array(("",), np.zeros(len(week), dtype=np.int64), np.ones(len(week), dtype=np.bool_)),
    }
    second = random_working_time(account, day, history, rng)
    return event_table(history, rng, account, second, columns, Arrival(nightly=0.0, late=0.06, late_days=10))
