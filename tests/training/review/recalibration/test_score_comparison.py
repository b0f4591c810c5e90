"""Ways to score are held against each other on the same later rows, in pairs."""

from __future__ import annotations

import numpy as np
import pytest

from training.review.recalibration.score_comparison import (
    ScoringComparison,
    calibrated_by_model,
    calibrated_by_score,
    evidence_count,
)

RNG = np.random.default_rng(0)
N = 3_000
SCORE = RNG.uniform(0, 100, N)
CHANCE = 1 / (1 + np.exp(0.05 * (SCORE - 20)))
CHURNED = (RNG.random(N) < CHANCE).astype(float)
ACCOUNTS = np.array([f"a{i % 1_000}" for i in range(N)], dtype=object)
COURT = ScoringComparison(CHURNED, ACCOUNTS, 100, 0)


def test_a_way_differs_in_nothing_from_itself() -> None:
    (first,) = COURT.judge({"in force": CHANCE})
    assert first.brier_change == first.log_loss_change == first.auc_change == (0.0, 0.0, 0.0)
    assert first.brier.value == pytest.approx(((CHANCE - CHURNED) ** 2).mean())
    assert first.brier.low < first.brier.value < first.brier.high


def test_the_truth_is_clearly_better_than_an_average() -> None:
    average = np.full(N, CHURNED.mean())
    first, second = COURT.judge({"in force": average, "proposed": CHANCE})
    assert second.brier_change.high < 0
    assert second.log_loss_change.high < 0
    assert second.auc_change.low > 0
    assert first.auc.value == 0.5


def test_a_way_that_knows_some_rows_is_judged_on_these() -> None:
    some = np.where(np.arange(N) < N / 2, CHANCE, np.nan)
    _, second = COURT.judge({"in force": CHANCE, "model": some})
    assert second.evidence == evidence_count(CHURNED[: N // 2], ACCOUNTS[: N // 2])
    assert second.brier_change.value == 0.0
    assert [j.name for j in COURT.judge({"in force": CHANCE, "model": np.full(N, np.nan)})] == ["in force"]


def test_a_score_is_calibrated_by_what_came_before() -> None:
    later = np.array([10.0, 50.0, 90.0, np.nan])
    found = calibrated_by_score(SCORE, CHURNED, np.ones(N), later)
    assert found[:3] == pytest.approx(1 / (1 + np.exp(0.05 * (later[:3] - 20))), abs=0.04)
    assert np.isnan(found[3])


def test_a_model_without_a_past_is_taken_at_its_word() -> None:
    later = np.array([0.2, np.nan])
    nothing = np.full(N, np.nan)
    assert calibrated_by_model(nothing, CHURNED, np.ones(N), ACCOUNTS, later)[0] == 0.2
    # Twice too sure before: drawn back later.
    log_odds = 2 * np.log(CHANCE / (1 - CHANCE))
    found = calibrated_by_model(1 / (1 + np.exp(-log_odds)), CHURNED, np.ones(N), ACCOUNTS, later)
    assert found[0] == pytest.approx(1 / (1 + np.exp(-np.log(0.25) / 2)), abs=0.04)
    assert np.isnan(found[1])
