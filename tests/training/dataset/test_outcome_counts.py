"""Outcome counts agree with training and need no features."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.errors import InsufficientData
from features.signals.signals import OpenSignals
from training.config import TrainConfig
from training.dataset.labelled_snapshots import labelled_grid, read_labelled_snapshots
from training.dataset.origins import choose_origins
from training.dataset.outcome_counts import HORIZONS, count_at_horizon
from training.simulation import simulate

FIRST = datetime(2023, 1, 2)
MakeSignals = Callable[..., OpenSignals]


def _portfolio(make: MakeSignals, days: int = 730) -> OpenSignals:
    """Of 120 accounts, 40 leave (one every fortnight), 30 grow (one every three weeks), 50 stay as they are."""
    rows: list[dict[str, Any]] = []
    for i in range(120):
        row = {"account_id": f"a{i}", "started_at": FIRST, "arr": 1e3}
        end = FIRST + timedelta(days=90 + 14 * i if i < 40 else 90 + 21 * (i - 40))
        if i >= 70 or end >= FIRST + timedelta(days=days):
            rows.append(row)
        else:
            rows.append(row | {"ended_at": end})
            if i >= 40:
                rows.append(row | {"started_at": end, "arr": 2e3})
    return make(FIRST + timedelta(days=days), subscriptions=rows)


def test_accounts_with_an_outcome_are_counted_once(make_signals: MakeSignals) -> None:
    horizon, labelled = count_at_horizon(_portfolio(make_signals), TrainConfig())
    assert labelled is not None
    assert horizon.targets["churn"].accounts == 120
    assert horizon.targets["churn"].with_outcome == labelled.labels.query("churn == 1")["account_id"].nunique() == 40
    assert horizon.targets["expansion"].with_outcome == 30
    assert set(labelled.labels["as_of"].dt.tz_convert("UTC")) == set(labelled.grid.as_ofs)


@pytest.mark.parametrize("days", HORIZONS)
def test_the_last_usable_date_has_a_known_outcome(make_signals: MakeSignals, days: int) -> None:
    signals = _portfolio(make_signals)
    horizon, _ = count_at_horizon(signals, TrainConfig(horizon_days=days))
    assert horizon.last == signals.data_through - timedelta(days=days + 30)


def test_counts_agree_with_training(make_signals: MakeSignals) -> None:
    signals = _portfolio(make_signals)
    for days in HORIZONS:
        horizon, labelled = count_at_horizon(signals, TrainConfig(horizon_days=days))
        assert labelled is not None
        for there in horizon.targets.values():
            if there.long_enough:
                choose_origins(labelled.grid.as_ofs, days, 30, signals.data_through)
            else:
                with pytest.raises(InsufficientData):
                    choose_origins(labelled.grid.as_ofs, days, 30, signals.data_through)
                assert any("more days of history" in line for line in there.missing)


def test_a_short_history_reports_the_missing_days(make_signals: MakeSignals) -> None:
    horizon, labelled = count_at_horizon(_portfolio(make_signals, 100), TrainConfig())
    assert labelled is None
    assert (horizon.first, horizon.last, horizon.ready) == (None, None, ())
    assert horizon.targets["churn"].missing[0].startswith("48 more days of history")
    assert json.loads(json.dumps(horizon.as_dict()))["churn"]["with_outcome"] == 0


def test_orders_have_no_grace(make_signals: MakeSignals) -> None:
    rows = [{"account_id": "a", "occurred_at": FIRST + timedelta(days=d), "amount": 1.0} for d in range(0, 400, 10)]
    signals = make_signals(FIRST + timedelta(days=400), orders=rows)
    horizon, _ = count_at_horizon(signals, TrainConfig(horizon_days=60))
    assert horizon.grace_days == 0
    assert horizon.last == (FIRST + timedelta(days=340)).replace(tzinfo=UTC)


def test_a_large_portfolio_is_counted_on_a_coarser_grid(make_signals: MakeSignals) -> None:
    signals = _portfolio(make_signals)
    fine, _ = count_at_horizon(signals, TrainConfig())
    # Not validated: no portfolio of a test has ten thousand rows.
    coarse, labelled = count_at_horizon(signals, TrainConfig().model_copy(update={"snapshots": 3_000}))
    assert labelled is not None
    assert labelled.grid.every_days > 7
    assert labelled.grid.every_days % 7 == 0
    assert coarse.last == fine.last
    assert coarse.targets["churn"].with_outcome == fine.targets["churn"].with_outcome


@pytest.mark.slow
def test_rows_match_those_of_training(tmp_path: Path) -> None:
    simulate(tmp_path / "signals", accounts=40, weeks=52, seed=3)
    config = TrainConfig(every_days=28)
    prepared = read_labelled_snapshots(tmp_path / "signals", None, config)
    _, labelled = count_at_horizon(prepared.signals, config)
    assert labelled is not None
    assert labelled.grid == prepared.grid == labelled_grid(prepared.signals, config)[0]
    keys = ["as_of", "account_id"]
    ours, theirs = (labels.sort_values(keys, ignore_index=True) for labels in (labelled.labels, prepared.labels))
    assert (
        ours[["account_id", "churn", "expansion"]]
        .astype("object")
        .equals(theirs[["account_id", "churn", "expansion"]].astype("object"))
    )
