"""The panel: which accounts are active at which date, and what their contract and their company are then."""

from __future__ import annotations

from typing import Any

import ibis

from features.clock import DAY_SECONDS
from features.engine import DATES, GRID, contract_table
from features.families import orders
from features.measures import FIXED_POINT, column_name
from features.rollup import instant_seconds, position, rolled_up

PANEL_COLUMNS = {
    "account_id": "string",
    "pos": "int64",
    "as_of_s": "int64",
    "created_s": "int64",
    "tenure_days": "float64",
    "arr": "float64",
    "employees": "int64",
    "industry": "string",
    "region": "string",
    "days_to_renewal": "float64",
    "term_days": "float64",
    "days_since_change": "float64",
    "plan": "string",
}
"""What the panel holds of each active account at each date."""


def everyone() -> ibis.Table:
    """Every account at every position."""
    return contract_table("accounts").select("account_id").cross_join(DATES.select("pos"))


def panel(contractual: bool, horizon_days: int) -> ibis.Table:
    """The active accounts at each date, in `PANEL_COLUMNS`.

    Active: a subscription known by then runs (its end, if any, is not yet known). Without subscriptions: an order of
    positive amount in the last ``horizon_days``.
    """
    accounts = contract_table("accounts")
    accounts = accounts.select(
        "account_id", "industry", "region", "employees", created_s=instant_seconds(accounts.created_at)
    )
    active = _by_contract() if contractual else _by_orders(horizon_days)
    table = active.join(DATES, "pos").join(accounts, "account_id")

    def days(seconds: Any) -> Any:
        return seconds.cast("float64") / DAY_SECONDS

    tenure = days(table.as_of_s - table.created_s)
    table = table.mutate(
        # An account whose record begins after its first subscription has a tenure of nothing, not less.
        tenure_days=ibis.ifelse(tenure < 0, 0.0, tenure),
        days_to_renewal=days(table.renewal_s - table.as_of_s),
        term_days=days(table.renewal_s - table.term_start_s),
        days_since_change=days(table.as_of_s - table.term_start_s),
    )
    return table.select(*PANEL_COLUMNS)


def _by_contract() -> ibis.Table:
    rows = contract_table("subscriptions").cross_join(GRID)
    rows = rows.select(
        "account_id",
        "plan",
        "arr",
        opens=position(rows.started_at, rows),
        closes=ibis.coalesce(position(rows.ended_at, rows), rows.dates),
        started_s=instant_seconds(rows.started_at),
        renewal_s=instant_seconds(rows.renewal_at),
        fixed=(rows.arr * FIXED_POINT).round().cast("int64"),
    )
    standing = rows.cross_join(DATES.select("pos"))
    standing = standing.filter((standing.pos >= standing.opens) & (standing.pos < standing.closes))
    group = ibis.window(group_by=["account_id", "pos"])
    # The next renewal is the earliest among the subscriptions running; the term is that subscription's.
    standing = standing.mutate(
        largest=standing.arr == standing.arr.max().over(group), next_renewal=standing.renewal_s.min().over(group)
    )
    return standing.group_by(["account_id", "pos"]).aggregate(
        plan=standing.plan.max(where=standing.largest),
        renewal_s=standing.renewal_s.min(),
        term_start_s=ibis.coalesce(
            standing.started_s.max(where=standing.renewal_s == standing.next_renewal), standing.started_s.max()
        ),
        arr=standing.fixed.sum().cast("float64") / FIXED_POINT,
    )


def _by_orders(horizon_days: int) -> ibis.Table:
    recent = (orders.ORDERS, horizon_days)
    rolled = rolled_up("orders", orders.ARR.needs | {recent})
    rolled = rolled.filter(rolled[column_name(*recent)] > 0)
    return rolled.select(
        "account_id",
        "pos",
        plan=ibis.null("string"),
        renewal_s=ibis.null("int64"),
        term_start_s=ibis.null("int64"),
        arr=orders.ARR.build(rolled),
    )
