"""Insufficient data is refused with a complete list; sufficient data is described by facts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from features.definitions.feature import Feature
from features.errors import InsufficientData
from features.signals.signals import OpenSignals
from training.dataset.labels import label
from training.dataset.sufficiency import MINIMUM_ACCOUNTS, MINIMUM_OUTCOMES, Sufficiency, missing_share, sufficiency

FIRST = datetime(2023, 1, 2)
MakeSignals = Callable[..., OpenSignals]


def facts(make: MakeSignals, catalogue: dict[str, Feature], accounts: int, days: int, churn_each: float) -> Sufficiency:
    """Accounts from the first day on, of which a share of `churn_each` ends in each 90 days, snapshot every week."""
    rng = np.random.default_rng(0)
    through = FIRST + timedelta(days=days)
    life = rng.exponential(90 / max(churn_each, 1e-9), accounts)
    rows = [
        {"account_id": f"a{i}", "started_at": FIRST, "arr": 1e3}
        | ({"ended_at": FIRST + timedelta(days=int(n) + 1)} if n + 1 < days else {})
        for i, n in enumerate(life)
    ]
    usage = [{"account_id": "a0", "occurred_at": through - timedelta(days=20)}]
    signals = make(through, subscriptions=rows, usage=usage)
    as_ofs = [FIRST.replace(tzinfo=UTC) + timedelta(days=d) for d in range(7, days, 7)]
    pairs = [(f"a{i}", t) for t in as_ofs for i in range(accounts)]
    keys = pd.DataFrame(pairs, columns=["account_id", "as_of"])
    keys["as_of"] = keys["as_of"].dt.as_unit("us")
    labels = label(signals, keys)
    frame = keys.assign(**{name: (1e3 if name == "contract.arr" else np.nan) for name in catalogue})
    return sufficiency(signals, labels, as_ofs, "churn", missing_share(frame, catalogue))


def test_a_realistic_portfolio_is_sufficient(make_signals: MakeSignals, small_catalogue: dict[str, Feature]) -> None:
    """600 accounts over two years, of which 5% leave in a quarter."""
    result = facts(make_signals, small_catalogue, 600, 730, 0.05)
    assert result.missing == ()
    assert result.require() is result.origins
    assert result.accounts > 500
    for name, part in result.slices.items():
        assert part.accounts_with_outcome >= MINIMUM_OUTCOMES.get(name, MINIMUM_OUTCOMES["train"])
        assert part.accounts_without_outcome > part.accounts_with_outcome
        assert part.rows_with_outcome >= part.accounts_with_outcome
        assert part.rows >= part.accounts
    train, backtest, everything = (result.slices[name] for name in ("train", "backtest", "all"))
    assert train.last + timedelta(days=120) <= backtest.first
    assert (everything.first, everything.last) == (train.first, backtest.last)
    assert everything.accounts_with_outcome > max(train.accounts_with_outcome, backtest.accounts_with_outcome)


def test_eighteen_months_with_a_hundred_churns_are_sufficient(
    make_signals: MakeSignals, small_catalogue: dict[str, Feature]
) -> None:
    result = facts(make_signals, small_catalogue, 500, 546, 0.045)
    assert 90 < result.slices["all"].accounts_with_outcome < 130
    assert result.require().labelled[-1] == FIRST.replace(tzinfo=UTC) + timedelta(days=420)


def test_the_backtest_starts_when_enough_outcomes_are_known(
    make_signals: MakeSignals, small_catalogue: dict[str, Feature]
) -> None:
    """With fewer churns, the first model learns from a longer history instead of being refused."""
    few, many = (facts(make_signals, small_catalogue, 200, 1_000, each) for each in (0.04, 0.4))
    assert few.missing == ()
    assert few.require().first > many.require().first + timedelta(days=90)
    before = few.require().train(few.require().first)
    assert few.slices["train"].accounts_with_outcome >= MINIMUM_OUTCOMES["train"]
    assert few.slices["train"].dates == len(before) > len(many.require().train(many.require().first))


def test_a_small_short_portfolio_is_refused_with_all_reasons(
    make_signals: MakeSignals, small_catalogue: dict[str, Feature]
) -> None:
    result = facts(make_signals, small_catalogue, 60, 122, 0)
    with pytest.raises(InsufficientData) as refused:
        result.require()
    history, accounts = refused.value.missing
    assert "more days of history" in history
    assert f"{MINIMUM_ACCOUNTS - 60} more accounts (60 active ones" in accounts


def test_too_few_outcomes_are_counted_per_slice(make_signals: MakeSignals, small_catalogue: dict[str, Feature]) -> None:
    result = facts(make_signals, small_catalogue, 150, 730, 0.02)
    lacking = [
        f"{minimum - result.slices[name].accounts_with_outcome} more accounts with churn at the {name} dates"
        for name, minimum in MINIMUM_OUTCOMES.items()
        if result.slices[name].accounts_with_outcome < minimum
    ]
    assert lacking
    assert [line.split(" (")[0] for line in result.missing] == lacking


def test_a_missing_class_is_reported_in_every_slice(
    make_signals: MakeSignals, small_catalogue: dict[str, Feature]
) -> None:
    result = facts(make_signals, small_catalogue, 150, 730, 0)
    assert len(result.missing) == len(MINIMUM_OUTCOMES)
    assert all("only one outcome occurs there" in line for line in result.missing)


def test_censored_rows_are_counted_separately(make_signals: MakeSignals, small_catalogue: dict[str, Feature]) -> None:
    """Rows of accounts that have left have no label; with those that have one they make up all rows of the slice."""
    result = facts(make_signals, small_catalogue, 150, 730, 0.2)
    for part in result.slices.values():
        assert part.censored > 0
        assert part.rows + part.censored == part.dates * 150


def test_missing_families_and_stale_feeds_are_reported(
    make_signals: MakeSignals, small_catalogue: dict[str, Feature]
) -> None:
    result = facts(make_signals, small_catalogue, 60, 122, 0.05)
    assert result.missing_share == {"usage": 1.0, "contract": 0.5}
    assert result.stale_days == {"usage": pytest.approx(20)}
    assert result.notes == ("usage: the newest row is 20 days older than the end of the data",)
    assert result.history_days == pytest.approx(115)


def test_staleness_depends_on_the_rhythm_of_the_feed(
    make_signals: MakeSignals, small_catalogue: dict[str, Feature]
) -> None:
    """A month of silence is long for orders of every week, and nothing for one of every half year."""
    for every, stale in ((7, True), (180, False)):
        orders = [
            {"account_id": "a0", "occurred_at": FIRST + timedelta(days=d), "amount": 1.0} for d in range(0, 700, every)
        ]
        start = [{"account_id": "a0", "started_at": FIRST, "arr": 1.0}]
        last = FIRST + timedelta(days=max(range(0, 700, every)) + 30)
        signals = make_signals(last, subscriptions=start, orders=orders)
        as_ofs = [FIRST.replace(tzinfo=UTC) + timedelta(days=d) for d in range(7, 400, 7)]
        keys = pd.DataFrame({"account_id": "a0", "as_of": pd.DatetimeIndex(as_ofs).as_unit("us")})
        frame = keys.assign(**dict.fromkeys(small_catalogue, np.nan))
        report = sufficiency(signals, label(signals, keys), as_ofs, "churn", missing_share(frame, small_catalogue))
        assert report.stale_days == {"orders": pytest.approx(30)}
        assert bool(report.notes) == stale


def test_facts_are_json_values(make_signals: MakeSignals, small_catalogue: dict[str, Feature]) -> None:
    result = facts(make_signals, small_catalogue, 600, 730, 0.05)
    payload = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    backtest = result.slices["backtest"]
    assert payload["slices"]["backtest"]["accounts_with_outcome"] == backtest.accounts_with_outcome
    assert payload["slices"]["backtest"]["first"] == backtest.first.isoformat()
    assert payload["missing"] == []
