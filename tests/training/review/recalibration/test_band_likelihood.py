"""The likelihood finds the limits where the churn rate jumps."""

from __future__ import annotations

import numpy as np
import pytest

from training.review.recalibration.band_likelihood import ScoreHistogram
from training.statistics.account_bootstrap import AccountBootstrap


def counts(rates: list[float], limits: tuple[int, int], rows: int = 10_000, seed: int = 0) -> tuple[ScoreHistogram, ScoreHistogram]:
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 100, rows)
    chance = np.array(rates)[(score >= limits[0]).astype(int) + (score >= limits[1])]
    churned = (rng.random(rows) < chance).astype(float)
    names = np.array([f"a{i % 500}" for i in range(rows)], dtype=object)
    return ScoreHistogram.of(score, churned, np.ones(rows), AccountBootstrap(names, 20, 0))


def test_jumps_are_found() -> None:
    whole, sampled = counts([0.3, 0.1, 0.02], (37, 66))
    assert whole.best()[0].tolist() == pytest.approx([37, 66], abs=2)
    assert np.abs(sampled.best() - [37, 66]).max() <= 6


def test_counts_match_the_rows() -> None:
    whole, sampled = counts([0.3, 0.1, 0.02], (37, 66), rows=2_000)
    assert whole.rows.sum() == 2_000
    assert sampled.rows.sum(axis=1) == pytest.approx(np.full(20, 2_000))


def test_rising_churn_rates_give_no_limits() -> None:
    whole, _ = counts([0.02, 0.1, 0.3], (37, 66))
    assert np.isnan(whole.best()[0]).all()


def test_a_strong_prior_gives_the_limits_in_force() -> None:
    whole, _ = counts([0.3, 0.1, 0.02], (37, 66))
    assert whole.with_prior(40, 70, 1e9).best()[0].tolist() == [40, 70]


def test_limits_stay_within_their_bounds() -> None:
    whole, _ = counts([0.3, 0.1, 0.02], (37, 66))
    assert whole.best((40, 70), (45, 75))[0].tolist() == [40, 70]
