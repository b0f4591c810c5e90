"""Past outcomes and the rates of peers never depend on what happened at or after the date.

The accounts of `test_blindness.py` are too few for peers, so these portfolios are larger.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.families.peers import FEATURES
from features.families.subscriptions import OUTCOME_FEATURES
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid

AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
NAMES = ["account_id", *sorted(OUTCOME_FEATURES), *(feature.name for feature in FEATURES)]
DAY = timedelta(days=1)

Row = dict[str, Any]


def _portfolio(seed: int) -> dict[str, list[Row]]:
    """Eighty accounts whose subscriptions follow each other with gaps and overlaps of -20 to 80 days."""
    rng = np.random.default_rng(seed)
    accounts, subscriptions = [], []
    for i in range(80):
        accounts.append({"account_id": f"a{i:02}", "created_at": "2021-01-01", "region": str(rng.choice(["n", "s"]))})
        at = datetime(2021, 1, 1, tzinfo=UTC) + int(rng.integers(0, 500)) * DAY
        while at < datetime(2025, 1, 1, tzinfo=UTC) and rng.random() < 0.9:
            # Some ends and starts are at the date itself.
            end = at + int(rng.integers(20, 400)) * DAY
            end = AS_OF if abs(end - AS_OF) < 15 * DAY else end
            terms = {
                "arr": float(rng.integers(5, 30)) * 100,
                "plan": str(rng.choice(["basic", "pro"])),
                "renewal_at": end,
            }
            ended = end if rng.random() < 0.9 else None
            subscriptions.append({"account_id": f"a{i:02}", "started_at": at, "ended_at": ended, **terms})
            at = end + int(rng.choice([0, 0, 30, 31, rng.integers(-20, 80)])) * DAY
    return {"accounts": accounts, "subscriptions": subscriptions}


def _other_future(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    """The same past: later rows are dropped, and ends that were open at the date are drawn again."""
    changed = []
    for row in rows:
        if row["started_at"] < AS_OF:
            still_open = row["ended_at"] is None or row["ended_at"] >= AS_OF
            drawn = AS_OF + int(rng.integers(0, 60)) * DAY if rng.random() < 0.5 else None
            changed.append(row | {"ended_at": drawn} if still_open else row)
    return changed


def _outcomes(make_signals: Any, tables: dict[str, list[Row]]) -> pd.DataFrame:
    text = {
        name: [{c: v.isoformat() if isinstance(v, datetime) else v for c, v in row.items()} for row in rows]
        for name, rows in tables.items()
    }
    signals = make_signals(text, "2026-01-01")
    try:
        return snapshot(signals, Grid.single(AS_OF))[NAMES]
    finally:
        signals.close()


@pytest.mark.parametrize("seed", range(3))
def test_another_future_and_another_order_of_rows_change_nothing(make_signals: Any, seed: int) -> None:
    tables, rng = _portfolio(seed), np.random.default_rng(seed)
    expected = _outcomes(make_signals, tables)
    assert expected["peers.plan_churn_364d"].nunique() > 2
    assert (
        (expected[["contract.past_churns", "contract.expansions_so_far", "contract.contractions_so_far"]] > 0)
        .any()
        .all()
    )
    future = _other_future(tables["subscriptions"], rng)
    shuffled = [tables["subscriptions"][i] for i in rng.permutation(len(tables["subscriptions"]))]
    for rows in (future, shuffled):
        frame = _outcomes(make_signals, tables | {"subscriptions": rows})
        pd.testing.assert_frame_equal(frame, expected, check_exact=True)


def test_dates_of_a_grid_agree_with_single_dates(make_signals: Any) -> None:
    text = _portfolio(0)
    single = _outcomes(make_signals, text).set_index("account_id")
    for row in (*text["accounts"], *text["subscriptions"]):
        row |= {c: v.isoformat() for c, v in row.items() if isinstance(v, datetime)}
    signals = make_signals(text, "2026-01-01")
    frame = snapshot(signals, Grid(AS_OF - 28 * DAY, 7, 6))
    signals.close()
    of_date = frame[frame["as_of"] == pd.Timestamp(AS_OF)].set_index("account_id")[NAMES[1:]]
    pd.testing.assert_frame_equal(of_date, single, check_exact=True)
