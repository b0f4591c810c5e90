"""The tables ``subscriptions`` and ``billing``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from features.utils.arrays import Ints
from training.simulation.history import SimulatedHistory
from training.simulation.market_segments import ADD_ONS, ALLOWANCE, CONTRACT_HOUR, PLANS, SELF_SERVE
from training.simulation.presets import Pricing
from training.simulation.random_streams import sigmoid
from training.simulation.subscription_periods import OPEN, REASONS
from training.simulation.tables.event_rows import (
    Arrival,
    account_ids,
    choice_array,
    event_table,
    float_array,
    random_working_time,
    timestamp_array,
)

KINDS = ("invoice_paid", "invoice_overdue", "payment_failed", "budget_review")
PAID, OVERDUE, FAILED, REVIEW = range(len(KINDS))


def subscriptions_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``subscriptions``. Add-ons and plans that are paid by usage have no seats and no usage limit.

    Parameters
    ----------
    history : the simulated history.
    """
    rows = history.subscriptions
    hour = CONTRACT_HOUR[history.traits.region[rows.account]]
    add_on = rows.product > 0
    plan = np.where(add_on, len(PLANS) + rows.product - 1, rows.plan)
    metered = np.full(len(rows.seats), history.traits.market.pricing is Pricing.USAGE)
    limit = np.where(add_on | metered, np.nan, np.round(rows.seats * ALLOWANCE[rows.plan]))
    return pa.table(
        {
            "account_id": choice_array(account_ids(history), rows.account),
            "started_at": timestamp_array((rows.started * 24 + hour) * 3600),
            "ended_at": timestamp_array((rows.ended * 24 + hour) * 3600, rows.ended == OPEN),
            "arr": float_array(rows.arr),
            "seats": pa.array(rows.seats, mask=add_on | metered),
            "plan": choice_array(PLANS + ADD_ONS, plan),
            "usage_limit": float_array(limit),
            "renewal_at": timestamp_array((rows.renewal * 24 + hour) * 3600),
            "end_reason": choice_array(REASONS, np.maximum(rows.reason, 0), rows.reason == OPEN),
        }
    )


def billing_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``billing``: invoices and budget reviews. Problems increase with budget stress.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("billing")
    running = history.grid(lambda state: state.running)
    strain = history.grid(lambda state: state.strain)
    failing = history.grid(lambda state: state.failing)
    invoiced = history.facts("invoiced") & running
    failed = history.facts("payment_failed") & running
    recovered = history.facts("recovered") & running
    # Larger customers pay later, which is unrelated to churn.
    slow = -3.6 + 0.35 * history.traits.segment
    overdue = invoiced & (failing == 0) & (rng.random(running.shape) < sigmoid(slow + 1.1 * strain))
    unpaid = (failing == 3) & running
    prompt = invoiced & (failing == 0) & ~overdue
    days = np.where(invoiced, history.facts("invoice_day"), 0)
    reviewed = (
        rng.random(running.shape) < sigmoid(-4.6 + 1.3 * strain) * (history.traits.segment > SELF_SERVE) * running
    )
    week_day = history.start + 7 * np.arange(history.weeks)[:, None]
    lag = rng.integers(0, 7, running.shape)
    late = rng.integers(12, 35, running.shape)
    marks = (
        (PAID, prompt, days + lag),
        (OVERDUE, overdue, days + late),
        (PAID, overdue, days + late + 5 + lag),
        (OVERDUE, unpaid, week_day + lag),
        (FAILED, failed, np.where(invoiced, days, week_day + lag)),
        (PAID, recovered, week_day + lag),
        (REVIEW, reviewed, week_day + lag),
    )
    amount = history.grid(lambda state: state.arr) * history.traits.billing / 12
    account, day, kind, invoice_amount = _collect_rows(marks, amount)
    columns = {
        "kind": choice_array(KINDS, kind),
        "amount": float_array(np.where(kind == REVIEW, np.nan, np.round(invoice_amount, 2))),
    }
    second = random_working_time(account, day, history, rng)
    return event_table(history, rng, account, second, columns, Arrival(nightly=0.3, late=0.03, late_days=5))


def _collect_rows(
    marks: tuple[tuple[int, np.ndarray, np.ndarray], ...], amount: np.ndarray
) -> tuple[Ints, Ints, Ints, np.ndarray]:
    """Account, day, kind and amount of the marked weeks; each mark has a kind, a mask and days."""
    cells = [np.nonzero(mark) for _, mark, _ in marks]
    account = np.concatenate([cell[1] for cell in cells])
    day = np.concatenate([day[cell] for (_, _, day), cell in zip(marks, cells, strict=True)])
    kind = np.concatenate([np.full(len(cell[0]), kind) for (kind, _, _), cell in zip(marks, cells, strict=True)])
    return account, day, kind, np.concatenate([amount[cell] for cell in cells])
