"""The table ``orders`` of a portfolio without contracts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from training.simulation.history import SimulatedHistory
from training.simulation.order_process import draw_orders
from training.simulation.tables.event_rows import (
    Arrival,
    choice_array,
    event_table,
    float_array,
    random_working_time,
)

PRODUCTS = tuple(f"product {number:02d}" for number in range(1, 25))
"""From products that all accounts order to products that few accounts order."""


def orders_table(history: SimulatedHistory) -> pa.Table:
    """Build the table ``orders``, one row per order. Orders arrive immediately.

    Parameters
    ----------
    history : the simulated history.
    """
    rng = history.rng("orders table")
    orders = draw_orders(history)
    n = len(orders.account)
    breadth = np.stack([state.breadth(history.traits) for state in history.during])
    week = (orders.day - history.start) // 7
    variety = 2.0 * breadth[week, orders.account]
    columns = {
        "amount": float_array(orders.amount),
        "order_id": pa.array([f"O{number:07d}" for number in range(1, n + 1)]),
        "product": choice_array(PRODUCTS, (variety * rng.random(n) ** 1.5).astype(np.int64)),
        "quantity": float_array(np.asarray(1.0 + rng.poisson(4.0, n), dtype=np.float64)),
    }
    second = random_working_time(orders.account, orders.day, history, rng)
    return event_table(history, rng, orders.account, second, columns, Arrival(nightly=0.0, late=0.0))
