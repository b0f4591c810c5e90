"""Renewal calls are compared with outcomes, next to score and model, on the same accounts."""

from __future__ import annotations

import numpy as np
import pytest

from features.utils.arrays import Floats, Objects
from training.review.sections.judgments import JudgmentReview, judge

N = 400


def _history(seed: int = 3) -> tuple[Floats, Floats, Floats, Objects]:
    """Two independent signs, known and unknown to the score, each of which decides half of the churns."""
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=N), rng.normal(size=N)
    churned = (rng.random(N) < 1 / (1 + np.exp(-(2 * one + 2 * two - 2.5)))).astype(np.float64)
    return one, two, churned, np.array([f"a{i}" for i in range(N)], dtype=object)


def _calls(sign: Floats) -> Floats:
    """Renew (2) for the lower half, at risk (1), and churn (0) for the upper tenth."""
    return np.select([sign > np.quantile(sign, 0.9), sign > np.quantile(sign, 0.5)], [0.0, 1.0], 2.0)


def _of(review: JudgmentReview, other: str) -> dict[str, float]:
    comparison = next(each for each in review.comparisons if each.compared_with == other)
    return {name: getattr(comparison, name).value for name in ("judgment", "alone", "both", "adds")}


def test_a_judgment_of_its_own_adds_to_score_and_model() -> None:
    one, two, churned, accounts = _history()
    score = 50 - 10 * one.clip(-4, 4)
    review = judge("renewal_call", _calls(two), churned, accounts, score, one - 1, N)
    for other in ("score", "model"):
        skills = _of(review, other)
        assert skills["both"] > max(skills["alone"], skills["judgment"]) > 0.05
        assert skills["adds"] == pytest.approx(skills["both"] - skills["alone"])
    assert review.words == "people's judgment adds to the health score; people's judgment adds to the model"
    assert all(each.adds.low > 0 for each in review.comparisons if each.adds.low is not None)


def test_a_judgment_at_random_adds_nothing() -> None:
    one, _, churned, accounts = _history()
    random = np.random.default_rng(9).integers(0, 3, N).astype(np.float64)
    review = judge("renewal_call", random, churned, accounts, 50 - 10 * one.clip(-4, 4), np.full(N, np.nan), N)
    assert [each.compared_with for each in review.comparisons] == ["score"]
    assert abs(_of(review, "score")["judgment"]) < 0.03
    assert review.comparisons[0].words.startswith("this quarter does not show clearly")


def test_the_outcomes_of_each_call_are_counted() -> None:
    calls = np.array([2.0] * 6 + [1.0] * 3 + [0.0])
    churned = np.array([0, 0, 0, 0, 0, 1, 0, 1, 1, 1], dtype=np.float64)
    accounts = np.array([f"a{i}" for i in range(10)], dtype=object)
    review = judge("renewal_call", calls, churned, accounts, np.full(10, 50.0), np.full(10, np.nan), 12)
    counts = {each.judgment: (each.accounts, each.rate.events, each.rate.value) for each in review.outcomes}
    assert counts == {"renew": (6, 1, pytest.approx(1 / 6)), "at risk": (3, 2, pytest.approx(2 / 3)), "churn": (1, 1, 1.0)}
    assert (review.accounts, review.of) == (10, 12)
    assert review.comparisons == ()
    assert review.words.startswith("too few outcomes to judge the renewal calls: 4 churned and 6 retained accounts had one")


def test_several_snapshots_of_an_account_are_never_in_two_folds() -> None:
    # A judgment that only identifies the account predicts nothing about other accounts.
    accounts = np.repeat(np.array([f"a{i}" for i in range(60)], dtype=object), 10)
    churned = np.repeat((np.arange(60) % 3 == 0).astype(np.float64), 10)
    own = np.repeat(np.random.default_rng(1).integers(-2, 3, 60).astype(np.float64), 10)
    review = judge("sentiment", own, churned, accounts, np.full(600, 50.0), np.full(600, np.nan), 60)
    assert _of(review, "score")["judgment"] < 0.05
    assert _of(review, "score")["alone"] == pytest.approx(0.0, abs=1e-6)
