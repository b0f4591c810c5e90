"""Rates of peers: counted by hand, without the account itself, and the same for a part of the portfolio."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.families.peers import FEATURES
from features.snapshots.peer_rates import MINIMUM_YEARS, PRIOR_YEARS, PeerTotals
from features.snapshots.snapshot import portfolio_totals, snapshot
from features.utils.dates import Grid

AS_OF = datetime(2024, 3, 31, tzinfo=UTC)
"""Outcomes are certain until 1 March 2024; the year of 364 days before it starts on 3 March 2023."""
YEARS = 364 / 365
"""The time of an account that was active in the whole window, in years of 365 days."""
NAMES = [feature.name for feature in FEATURES]


def _account(name: str, region: str | None) -> dict[str, Any]:
    return {"account_id": name, "created_at": "2021-01-01", "region": region}


def _subscription(name: str, start: str = "2021-01-01", end: str | None = None, arr: float = 100.0) -> dict[str, Any]:
    return {"account_id": name, "started_at": start, "ended_at": end, "arr": arr, "plan": "basic"}


def _portfolio() -> dict[str, list[dict[str, Any]]]:
    """Twenty accounts in the north, of which n00 left and n01 expanded; ten in the south, of which none did.

    One account in the west is a group on its own, and one has no region.
    """
    names = [f"n{i:02}" for i in range(20)] + [f"s{i:02}" for i in range(10)]
    regions = {"n": "north", "s": "south"}
    accounts = [_account(name, regions[name[0]]) for name in names] + [_account("w", "west"), _account("x", None)]
    rows = [_subscription(name) for name in [*names[2:], "w", "x"]]
    # n00 left after 182 days of the window; n01 grew in it.
    rows += [_subscription("n00", end="2023-09-01")]
    rows += [_subscription("n01", end="2023-06-01"), _subscription("n01", start="2023-06-01", arr=150.0)]
    return {"accounts": accounts, "subscriptions": rows}


def _rates(make_signals: Any, tables: Any, grid: Grid | None = None, totals: PeerTotals | None = None) -> pd.DataFrame:
    signals = make_signals(tables, "2025-01-01")
    try:
        return snapshot(signals, grid or Grid.single(AS_OF), peer_totals=totals).set_index("account_id")[
            ["as_of", *NAMES]
        ]
    finally:
        signals.close()


def test_rates_are_those_of_the_other_accounts_shrunk_to_the_portfolio(make_signals: Any) -> None:
    frame = _rates(make_signals, _portfolio())
    everyone, lost = 31 * YEARS + 182 / 365, 1
    assert frame["portfolio.churn_364d"].tolist() == pytest.approx([lost / everyone] * 31)
    # Without n05 itself: 18 others in the north for the whole window, and n00 for half of it.
    own = YEARS
    north, portfolio = 18 * YEARS + 182 / 365, lost / (everyone - own)
    expected = (lost + PRIOR_YEARS * portfolio) / (north + PRIOR_YEARS)
    assert frame.loc["n05", "peers.region_churn_364d"] == pytest.approx(expected)
    # In the south no account left, so the rate is below the portfolio's.
    south = PRIOR_YEARS * portfolio / (9 * YEARS + PRIOR_YEARS)
    assert frame.loc["s05", "peers.region_churn_364d"] == pytest.approx(south)
    assert frame["portfolio.expansion_364d"].tolist() == pytest.approx([1 / everyone] * 31)


def test_small_groups_and_accounts_without_a_group_have_no_rate(make_signals: Any) -> None:
    frame = _rates(make_signals, _portfolio())
    assert frame.loc[["w", "x"], "peers.region_churn_364d"].isna().all()
    assert frame.loc[["w", "x"], "peers.plan_churn_364d"].notna().all()
    assert frame["peers.industry_churn_364d"].isna().all()
    few = [f"s{i:02}" for i in range(int(MINIMUM_YEARS))]
    tables = {name: [row for row in rows if row["account_id"] in few] for name, rows in _portfolio().items()}
    assert _rates(make_signals, tables)[NAMES].isna().all(axis=None)


def test_a_churn_counts_when_its_grace_is_over(make_signals: Any) -> None:
    tables = _portfolio()
    # The grace of 30 days after 1 September ends on 1 October; only after it the churn is certain.
    at, later = (_rates(make_signals, tables, Grid.single(datetime(2023, 10, d, tzinfo=UTC))) for d in (1, 2))
    assert (at["portfolio.churn_364d"] == 0).all()
    assert (later["portfolio.churn_364d"] > 0).all()


@pytest.mark.parametrize("changed", ["n05", "s03"])
def test_what_happens_to_an_account_does_not_change_the_rates_of_its_peers_for_itself(
    make_signals: Any, changed: str
) -> None:
    """Leave-one-out: an account that left, expanded and returned has the same rates as if nothing had happened."""
    before = _rates(make_signals, _portfolio())
    tables = _portfolio()
    tables["subscriptions"] = [row for row in tables["subscriptions"] if row["account_id"] != changed]
    tables["subscriptions"] += [
        _subscription(changed, end="2023-05-01"),
        _subscription(changed, start="2023-08-01", end="2023-10-01"),
        _subscription(changed, start="2023-10-01", arr=300.0),
    ]
    after = _rates(make_signals, tables)
    peers = [name for name in NAMES if name.startswith("peers.")]
    pd.testing.assert_series_equal(after.loc[changed, peers], before.loc[changed, peers])
    others = after.drop(index=changed)["peers.plan_churn_364d"]
    assert (others > before.drop(index=changed)["peers.plan_churn_364d"]).all()


def test_one_account_with_the_totals_has_the_rates_of_the_portfolio(make_signals: Any) -> None:
    grid = Grid(datetime(2024, 3, 3, tzinfo=UTC), 7, 5)
    tables = _portfolio()
    whole = _rates(make_signals, tables, grid)
    signals = make_signals(tables, "2025-01-01")
    totals = portfolio_totals(signals, grid)
    signals.close()
    assert totals is not None
    stored = PeerTotals.read(json.loads(json.dumps(totals.document())))
    for name in ("n01", "n05", "s00", "w"):
        own = {table: [row for row in rows if row["account_id"] == name] for table, rows in tables.items()}
        pd.testing.assert_frame_equal(_rates(make_signals, own, grid, stored), whole.loc[[name]], check_exact=True)


def test_an_account_outside_the_portfolio_leaves_nothing_out(make_signals: Any) -> None:
    signals = make_signals(_portfolio(), "2025-01-01")
    totals = portfolio_totals(signals, Grid.single(AS_OF))
    signals.close()
    new = {"accounts": [_account("new", "south")], "subscriptions": [_subscription("new")]}
    rate = _rates(make_signals, new, totals=totals).loc["new", "peers.region_churn_364d"]
    portfolio = 1 / (31 * YEARS + 182 / 365)
    assert rate == pytest.approx(PRIOR_YEARS * portfolio / (10 * YEARS + PRIOR_YEARS))


def test_the_last_earlier_totals_count_and_none_before_the_first(make_signals: Any) -> None:
    signals = make_signals(_portfolio(), "2025-01-01")
    totals = portfolio_totals(signals, Grid.single(AS_OF))
    signals.close()
    own = {name: [row for row in rows if row["account_id"] == "n05"] for name, rows in _portfolio().items()}
    around = Grid(datetime(2024, 3, 30, tzinfo=UTC), 1, 3)
    rates = _rates(make_signals, own, around, totals)["peers.region_churn_364d"].to_numpy()
    assert np.isnan(rates[0])
    assert rates[1] == rates[2] > 0
