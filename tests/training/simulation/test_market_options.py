"""Settings of a market change what they name, and nothing else."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.errors import BadRequest
from features.signals.validation import check_source
from features.sources.open_source import open_source
from training.simulation import simulate, true_probabilities_of
from training.simulation.calendar import day_number
from training.simulation.churn_propensity import churn_propensity
from training.simulation.contract_events import ContractEvent
from training.simulation.history import SimulatedHistory, simulate_history
from training.simulation.market_options import MarketOptions
from training.simulation.presets import PRESETS, Market

END = day_number(date(2026, 9, 30))


def _history(market: Market, accounts: int = 1_500, weeks: int = 78, seed: int = 4) -> SimulatedHistory:
    return simulate_history(accounts, weeks, seed, END, market)


def _churned(history: SimulatedHistory, account: np.ndarray, weeks_back: int) -> np.ndarray:
    as_of = history.end - 7 * weeks_back
    left_on = history.left_on[account]
    return (left_on >= as_of) & (left_on < as_of + 90)


@pytest.mark.parametrize("preset", PRESETS)
def test_without_signal_all_accounts_have_the_same_probability(preset: str) -> None:
    history = _history(MarketOptions(preset=preset, signal=0.0).market(), accounts=1_000, weeks=60)
    truth = true_probabilities_of(history, 26, futures=40)
    assert truth.churn.std() < 0.02 * truth.churn.mean()
    if preset != "orders":
        assert truth.expansion.std() < 0.05 * truth.expansion.mean()
        churned = [_churned(history, np.flatnonzero(history.after[-back - 1].running), back) for back in (26, 39)]
        expected = 1 - (1 - PRESETS[preset].annual_churn) ** (90 / 365.25)
        assert np.concatenate(churned).mean() == pytest.approx(expected, rel=0.35)


@pytest.mark.slow
def test_without_signal_the_truth_ranks_the_outcomes_no_better_than_chance() -> None:
    found = []
    for seed in range(4):
        history = _history(MarketOptions(signal=0.0, annual_churn=0.5).market(), seed=seed)
        truth = true_probabilities_of(history, 18, futures=30)
        found.append(roc_auc_score(_churned(history, truth.account, 18), truth.churn))
    assert abs(np.mean(found) - 0.5) < 0.03


@pytest.mark.slow
def test_half_of_the_signal_separates_accounts_less() -> None:
    spreads = []
    for signal in (1.0, 0.5):
        truth = true_probabilities_of(_history(MarketOptions(signal=signal).market()), 26, futures=40)
        spreads.append(np.log(np.clip(truth.churn, 1e-4, 1)).std())
    assert 0 < spreads[1] < 0.7 * spreads[0]


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_noise_is_the_share_of_the_propensity_that_signals_do_not_show(noise: float) -> None:
    history = _history(MarketOptions(noise=noise).market())
    state = history.during[-1].take(history.during[-1].running)
    traits = history.traits.take(history.during[-1].running)
    propensity = churn_propensity(traits, state, history.end - 7)
    shown = np.corrcoef(propensity.total, propensity.visible)[0, 1] ** 2
    assert shown == pytest.approx(1 - noise, abs=0.08)
    assert propensity.total.std() == pytest.approx(propensity.visible.std(), rel=0.15)


@pytest.mark.slow
def test_the_share_of_monthly_contracts_and_the_annual_churn_are_met() -> None:
    market = MarketOptions(monthly_share=0.5, annual_churn=0.3).market()
    history = _history(market, accounts=3_000, weeks=104)
    assert (history.traits.term == 1).mean() == pytest.approx(0.5, abs=0.04)
    assert history.annual_churn == pytest.approx(0.3, rel=0.12)


def test_with_drift_other_parts_drove_churn_in_the_past() -> None:
    market = MarketOptions(drift=0.4).market()
    history = _history(market, weeks=104)
    assert MarketOptions().market().years_before_end(0) == 0
    state, traits = history.during[0], history.traits

    def weight(day: int) -> float:
        total = churn_propensity(traits, state, day).visible
        return float(np.polyfit(state.rapport, total, 1)[0])

    nominal = weight(history.end)
    assert weight(history.end - 2 * 365) == pytest.approx(nominal * 1.8, rel=0.25)


def test_a_trend_raises_churn_from_year_to_year() -> None:
    rises = []
    for trend in (0.0, 1.0):
        history = _history(MarketOptions(trend=trend).market(), accounts=2_000, weeks=156)
        running = history.grid(lambda state: state.running).sum(axis=1)
        lost = (np.stack(history.kinds) <= ContractEvent.NONPAYMENT).sum(axis=1)
        early, late = (lost[part].sum() / running[part].sum() for part in (slice(0, 52), slice(104, 156)))
        rises.append(late / early)
    assert rises[1] > 1.6 * rises[0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "b2c"},
        {"noise": 1.5},
        {"signal": -0.1},
        {"monthly_share": 2.0},
        {"annual_churn": 0.0},
        {"preset": "orders", "monthly_share": 0.5},
    ],
)
def test_a_wrong_option_is_refused_and_says_what_is_expected(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="Expected"):
        MarketOptions(**wrong).market()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "orders" else ())
        for name in PRESETS
        if name != "mixed-b2b"
    ],
)
def test_the_tables_of_every_preset_follow_the_contract_with_the_truth_next_to_them(preset: str, tmp_path: Path) -> None:
    written = simulate(tmp_path / "signals", accounts=60, weeks=40, seed=3, options=MarketOptions(preset=preset))
    report = check_source(open_source(written.folder))
    assert not report.errors
    assert not report.notes
    assert ("orders" in report.rows) == (preset == "orders")
    truth = pd.read_parquet(written.truth)
    assert len(truth) > 0
    assert truth[["churn", "expansion"]].stack().between(0, 1).all()
