"""Accounts are resampled whole, for any order of their rows."""

from __future__ import annotations

import numpy as np
import pytest

from training.statistics.account_bootstrap import AccountBootstrap, interval

ACCOUNTS = ["a", "b", "a", "c", "b", "a"]


def test_row_weights_are_the_draws_of_the_account() -> None:
    bootstrap = AccountBootstrap(ACCOUNTS, resamples=50)
    weights = np.concatenate(list(bootstrap.passes()))
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_means_match_the_weighted_rows() -> None:
    bootstrap = AccountBootstrap(ACCOUNTS, resamples=20)
    losses = np.arange(6.0)
    slow = bootstrap.values(lambda w: (w @ losses) / w.sum(axis=1))
    assert bootstrap.means(losses) == pytest.approx(slow)


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    losses = np.arange(6.0)
    order = [3, 1, 5, 0, 4, 2]
    shuffled = AccountBootstrap([ACCOUNTS[i] for i in order], 20).means(losses[order])
    assert shuffled.tolist() == AccountBootstrap(ACCOUNTS, 20).means(losses).tolist()
    assert shuffled.tolist() != AccountBootstrap(ACCOUNTS, 20, seed=1).means(losses).tolist()


def test_repeated_rows_do_not_narrow_the_interval() -> None:
    """The same rows, ten times over: the interval stays as wide, where resampling rows would narrow it."""
    rng = np.random.default_rng(0)
    names, losses = [f"{i}" for i in range(80)], rng.normal(size=80)
    once = interval(AccountBootstrap(names, 400).means(losses))
    often = interval(AccountBootstrap(names * 10, 400).means(np.tile(losses, 10)))
    assert often == pytest.approx(once)


def test_passes_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.statistics.account_bootstrap._PASS", 20)
    bootstrap = AccountBootstrap(ACCOUNTS, resamples=8)
    assert [len(w) for w in bootstrap.passes()] == [3, 3, 2]
    assert len(bootstrap.values(lambda w: w[:, 0])) == 8


def test_an_interval_covers_the_middle_95_percent() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert interval(np.append(np.arange(1001.0), np.nan)) == pytest.approx((25.0, 975.0))
    assert np.isnan(interval(np.array([1.0, np.nan, np.nan]))).all()
