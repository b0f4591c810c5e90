"""The average effect of plays: agrees with a manual calculation, covers the truth, and is refused where it must be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.uplift.average_effect import TrialOutcomes, estimate_effect
from models.uplift.pooling import pool_rates
from models.uplift.power import RiskProfile, required_ratio, smallest_effect


def draw(accounts: int, save_rate: float, rng: np.random.Generator, share: float = 0.3) -> TrialOutcomes:
    churn = rng.beta(2, 6, accounts)
    held_out = rng.random(accounts) < share
    stayed = rng.random(accounts) > np.where(held_out, churn, churn * (1 - save_rate))
    return TrialOutcomes(stayed, held_out, np.full(accounts, share), churn[:, None], ("churn_probability",))


def estimates(save_rate: float, repeats: int = 150, accounts: int = 600) -> list[tuple[float, float, float]]:
    rng = np.random.default_rng(int(100 * save_rate) + 1)
    found = [estimate_effect(draw(accounts, save_rate, rng), 90)[0] for _ in range(repeats)]
    return [(each.low, each.uplift, each.high) for each in found if each is not None]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("names", [(), ("churn_probability",)])
def test_plays_that_saved_every_account_have_a_rate_that_is_not_certain(seed: int, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(seed)
    drawn = draw(300, 1.0, rng)
    assert drawn.stayed[~drawn.held_out].all()
    effect, _ = estimate_effect(replace(drawn, names=names, covariates=drawn.covariates[:, : len(names)]), 90)
    assert effect is not None
    assert isinstance(effect.ratio_error, float)
    # Of 200 accounts, half of one, over a churn of a quarter.
    assert 0.005 < effect.ratio_error < 0.05
    pooled = pool_rates(effect, {"a": effect, "b": effect})
    assert pooled.save_rate("a") == pytest.approx(1.0, abs=0.05)
    assert pooled.by_play["a"].low < 1.0 < pooled.by_play["a"].high


def test_without_an_effect_few_intervals_exclude_zero() -> None:
    found = estimates(0.0)
    assert len(found) == 150
    # 2.5% are expected; 150 draws have more than 9 with a probability below 1%.
    assert sum(low > 0 for low, _, _ in found) <= 9


def test_the_interval_covers_the_true_effect() -> None:
    found, truth = estimates(0.4), 0.4 * 0.25
    assert sum(low <= truth <= high for low, _, high in found) >= 134
    assert np.mean([uplift for _, uplift, _ in found]) == pytest.approx(truth, abs=0.01)


def test_the_required_accounts_detect_the_effect_with_the_stated_power() -> None:
    rng = np.random.default_rng(3)
    accounts = RiskProfile(rng.beta(2, 6, 50_000)).required_accounts(0.5, 0.3, 0.8)
    assert accounts is not None
    detected = [low > 0 for low, _, _ in estimates(0.5, accounts=accounts)]
    # 80% of 150 with four standard errors.
    assert 0.8 - 0.13 < np.mean(detected) < 0.8 + 0.13


def test_adjustment_for_risk_narrows_the_interval() -> None:
    rng = np.random.default_rng(4)
    churn = np.where(rng.random(800) < 0.3, 0.8, 0.05)
    held_out = rng.random(800) < 0.5
    stayed = rng.random(800) > churn * np.where(held_out, 1.0, 0.7)
    trial = TrialOutcomes(stayed, held_out, np.full(800, 0.5), churn[:, None], ("churn_probability",))
    adjusted, _ = estimate_effect(trial, 90)
    plain, _ = estimate_effect(replace(trial, covariates=np.zeros((800, 0)), names=()), 90)
    assert adjusted is not None
    assert plain is not None
    assert adjusted.adjusted_for == ("churn_probability",)
    assert adjusted.high - adjusted.low < 0.85 * (plain.high - plain.low)
    assert (adjusted.detectable or 1) < (plain.detectable or 0)


def test_unequal_probabilities_are_weighted() -> None:
    # Risky accounts are held out more often; plays have no effect.
    rng = np.random.default_rng(5)
    risky = rng.random(6000) < 0.5
    share = np.where(risky, 0.7, 0.2)
    held_out = rng.random(6000) < share
    stayed = rng.random(6000) > np.where(risky, 0.5, 0.1)
    trial = TrialOutcomes(stayed, held_out, share, np.zeros((6000, 0)))
    effect, _ = estimate_effect(trial, 90)
    assert effect is not None
    assert effect.treated.value - effect.held_out.value > 0.1, "the plain difference is biased"
    assert effect.low < 0 < effect.high


def test_an_assignment_that_does_not_look_random_has_no_effect() -> None:
    rng = np.random.default_rng(6)
    trial = draw(600, 0.4, rng)
    safest = np.argsort(trial.covariates[:, 0])[:180]
    chosen = np.isin(np.arange(600), safest)
    effect, why = estimate_effect(replace(trial, held_out=chosen), 90)
    assert effect is None
    assert why is not None
    assert "not held out at random" in why
    effect, why = estimate_effect(replace(trial, shares=np.full(600, 0.5)), 90)
    assert effect is None
    assert why is not None
    assert "no random comparison" in why


def test_a_trial_that_could_not_detect_any_play_has_no_effect() -> None:
    stayed = np.array([True] * 20 + [False] * 5 + [True] * 24 + [False] * 1)
    held_out = np.arange(50) < 25
    effect, why = estimate_effect(TrialOutcomes(stayed, held_out, np.full(50, np.nan), np.zeros((50, 0))), 90)
    assert effect is None
    assert why is not None
    assert "could go unnoticed" in why


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_unknown_covariates_and_shares_do_no_harm(value: float) -> None:
    trial = draw(600, 0.4, np.random.default_rng(7))
    covariates, shares = trial.covariates.copy(), trial.shares.copy()
    covariates[:50] = value
    shares[:50] = value
    effect, _ = estimate_effect(replace(trial, covariates=covariates, shares=shares), 90)
    assert effect is not None
    assert np.isfinite([effect.low, effect.uplift, effect.high, effect.ratio_error]).all()


def test_power_formulas_are_inverse_to_each_other() -> None:
    profile = RiskProfile(np.random.default_rng(8).beta(2, 6, 2000))
    for save_rate in (0.2, 0.5, 0.9):
        accounts = profile.required_accounts(save_rate, 0.2)
        assert accounts is not None
        assert profile.detectable_save_rate(accounts, 0.2) == pytest.approx(save_rate, abs=0.005)
    assert required_ratio(0.8) == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert smallest_effect(0.1, lambda d: 1.0) is None
    assert smallest_effect(0.0, lambda d: 0.0) is None
    assert RiskProfile(np.zeros(100)).required_accounts(0.5, 0.2) is None
    assert RiskProfile(np.full(10, 0.2)).detectable_save_rate(10, 0.2) is None


def test_plays_that_do_not_differ_share_one_save_rate_and_plays_that_differ_keep_their_own() -> None:
    rng = np.random.default_rng(9)
    good, same, bad = (estimate_effect(draw(3000, rate, rng), 90)[0] for rate in (0.6, 0.6, 0.0))
    whole, _ = estimate_effect(draw(9000, 0.4, rng), 90)
    assert good is not None
    assert same is not None
    assert bad is not None
    assert whole is not None
    apart = pool_rates(whole, {"good": good, "bad": bad})
    assert apart.variance > 0
    assert (apart.save_rate("good") or 0) > 0.45 > 0.2 > (apart.save_rate("bad") or 0)
    assert apart.save_rate("other") == pytest.approx(whole.save_rate)
    alike = replace(good, ratio=whole.ratio)
    together = pool_rates(whole, {"good": alike, "same": alike})
    assert together.variance == 0
    assert together.save_rate("good") == pytest.approx(whole.save_rate)


def test_without_a_measured_effect_no_play_has_a_save_rate() -> None:
    effect, _ = estimate_effect(draw(2000, 0.0, np.random.default_rng(10)), 90)
    assert effect is not None
    assert effect.low < 0
    assert pool_rates(effect, {"play": effect}).save_rate("play") is None
