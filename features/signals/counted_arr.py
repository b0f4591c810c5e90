"""The ARR of a subscription that counts: without trials, with a share of paused ARR, and in the base currency.

``given_arr`` is the amount of the source, in the subscription's currency, and ``counted`` the share of it that counts.
``arr`` is the counted amount in the base currency at the constant reference rate of `features.signals.exchange_rates`,
for comparing one date with another. The amount at a date is ``given_arr`` times ``counted`` times the rate known then.
"""

from __future__ import annotations

import ibis

from features.contract.schema import TABLES
from features.signals.exchange_rates import RATES, currency_code

TRIAL, PAUSED = "trial", "paused"


def with_counted_arr(rows: ibis.Table, paused_arr: float, with_trials: bool) -> ibis.Table:
    """Return the subscriptions that count, with their amounts.

    Parameters
    ----------
    rows : subscriptions in the contract's columns.
    paused_arr : the share of the ARR of paused subscriptions that counts.
    with_trials : whether trials count as subscriptions.
    """
    rows = rows.mutate(
        currency=currency_code(rows),
        given_arr=rows.arr,
        counted=ibis.ifelse((rows.status == PAUSED).fill_null(False), paused_arr, 1.0),
    )
    if not with_trials:
        rows = rows.filter((rows.status != TRIAL).fill_null(True))
    rows = rows.left_join(RATES, rows.currency == RATES.code)
    rows = rows.mutate(arr=amount_at_rates(rows))
    contract = TABLES["subscriptions"]
    return rows.select(*contract.names, *(name for name, _ in contract.derived))


def amount_at_rates(rows: ibis.Table) -> ibis.Value:
    """Return the counted amount of rows that are joined with a table like `RATES`; null without a rate."""
    return rows.given_arr * rows.counted * ibis.ifelse(rows.currency.isnull(), 1.0, rows.rate)
