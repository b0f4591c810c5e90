"""The Stripe pack against figures computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_sample_export_has_the_arr_that_was_computed_by_hand(run_export: Callable[..., Any]) -> None:
    run = run_export("stripe", "stripe")
    assert run.rows("subscriptions", "account_id", "arr", "seats", "renewal_at") == [
        # 1,500.00 USD a month for 2, and for 1.
        ("123fsdf", 36_000.0, 2, "2021-02-19 14:16:37"),
        ("sdf6547", 18_000.0, 1, "2021-02-19 14:16:37"),
    ]
    # 12 customers of which one is deleted and has no subscription, and two that only subscriptions name.
    assert len(run["accounts"]) == 13
    assert run.stated("cannot be read") == (
        "1 value of the table subscription_item_data cannot be read and count as unknown: current_period_end (1)."
    )
