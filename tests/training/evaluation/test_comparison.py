"""Comparisons: intervals contain the value, differences are paired, grades follow the metrics."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np
import pytest
import scipy.special

from features.errors import InsufficientData
from features.utils.arrays import Floats
from training.evaluation.comparison import FAIR_AUC, GOOD_AUC, GOOD_SLOPE, Comparison, compare_candidates

ROWS = 2_000


def candidates(strength: float = 1.5, seed: int = 0) -> tuple[Floats, dict[str, Floats], list[str]]:
    """Labels, and predictions: the truth, a flattened copy of it, noise, and the base rate."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-2, strength, ROWS)
    y = (rng.random(ROWS) < scipy.special.expit(log_odds)).astype(float)
    rate = y.mean()
    noise = scipy.special.expit(scipy.special.logit(rate) + rng.normal(0, 0.3, ROWS))
    probabilities = {
        "blend": scipy.special.expit(log_odds),
        "logistic_regression": scipy.special.expit(log_odds * 0.99),
        "health_score": noise,
        "base_rate": np.full(ROWS, rate),
    }
    return y, probabilities, [f"{i % 500}" for i in range(ROWS)]


@lru_cache
def compare(strength: float = 1.5, resamples: int = 60, **renamed: str) -> Comparison:
    y, probabilities, accounts = candidates(strength)
    probabilities = {name: probabilities[renamed.get(name, name)] for name in probabilities}
    return compare_candidates(y, probabilities, accounts, np.ones(ROWS), float(y.mean()), resamples=resamples)


def test_intervals_contain_their_values() -> None:
    judgement = compare()
    for row in judgement.rows:
        for metric in row.metrics:
            if np.isfinite(metric.low):
                # An error of absolute gaps grows under resampling, so its interval may lie above it.
                assert metric.name == "calibration_error" or metric.low - 1e-3 <= metric.value <= metric.high + 1e-3


def test_differences_are_paired() -> None:
    judgement = compare()
    for loss in ("brier", "log_loss"):
        evaluated = judgement.difference("health_score", loss)
        assert evaluated is not None
        apart = judgement["blend"][loss].value - judgement["health_score"][loss].value
        assert evaluated.value == pytest.approx(apart)
        assert evaluated.better
    # The truth and its near copy: far closer to each other than either is known.
    near = judgement.difference("logistic_regression")
    own = judgement["blend"]["log_loss"]
    assert near is not None
    assert near.high - near.low < (own.high - own.low) / 10


def test_a_candidate_does_not_differ_from_itself() -> None:
    same = compare(logistic_regression="blend").difference("logistic_regression")
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert not same.better
    assert not same.worse


def test_a_worse_candidate_is_marked() -> None:
    result = compare(blend="health_score", health_score="blend").difference("health_score")
    assert result is not None
    assert result.worse


@pytest.mark.parametrize(("strength", "grade"), [(0.0, "none"), (0.45, "weak"), (0.9, "fair"), (1.5, "good")])
def test_grades_follow_the_ranking(strength: float, grade: str) -> None:
    judgement = compare(strength)
    assert judgement.grade == grade
    assert judgement.words


def test_a_good_ranking_with_wrong_probabilities_is_only_fair() -> None:
    y, result, accounts = candidates()
    timid = scipy.special.expit(-1.5 + 0.3 * scipy.special.logit(result["blend"]))
    judgement = compare_candidates(y, {"blend": timid}, accounts, np.ones(ROWS), float(y.mean()), resamples=100)
    assert judgement["blend"]["roc_auc"].low > GOOD_AUC
    assert judgement.grade == "fair"


@pytest.mark.parametrize(
    ("strength", "rows", "grade"), [(0.9, 400, "weak"), (0.9, ROWS, "fair"), (1.5, 240, "fair"), (1.5, ROWS, "good")]
)
def test_grades_use_the_bounds_of_intervals(strength: float, rows: int, grade: str) -> None:
    """A model whose AUC is high enough for the next grade gets the grade that its outcomes prove."""
    y, result, accounts = candidates(strength)
    part = slice(0, rows)
    judgement = compare_candidates(
        y[part], {"blend": result["blend"][part]}, accounts[part], np.ones(rows), float(y[part].mean()), resamples=200
    )
    auc, slope = judgement["blend"]["roc_auc"], judgement["blend"]["calibration_slope"]
    assert judgement.grade == grade
    assert auc.value > {0.9: FAIR_AUC, 1.5: GOOD_AUC}[strength]
    assert f"(ROC AUC at least {auc.low:.2f}, the lower end of its 95% interval)" in judgement.words
    if grade == "good":
        assert GOOD_SLOPE[0] <= slope.low <= slope.high <= GOOD_SLOPE[1]
    elif rows < ROWS:
        assert auc.low < {"weak": FAIR_AUC, "fair": GOOD_AUC}[grade]


def test_sizes_and_rates_are_reported() -> None:
    y, _, accounts = candidates()
    judgement = compare()
    with_outcome = {a for a, happened in zip(accounts, y, strict=True) if happened}
    assert judgement.size == {
        "rows": ROWS,
        "accounts": 500,
        "rows_with_outcome": int(y.sum()),
        "accounts_with_outcome": len(with_outcome),
    }
    assert judgement.window_rate == y.mean()


def test_results_are_reproducible_json_values() -> None:
    text = json.dumps(compare(resamples=20).as_dict(), allow_nan=False)
    compare.cache_clear()
    assert text == json.dumps(compare(resamples=20).as_dict(), allow_nan=False)
    assert json.loads(text)["grade"] == "good"


def test_one_class_is_refused() -> None:
    y, result, accounts = candidates()
    with pytest.raises(InsufficientData, match="only one outcome occurs on the predicted dates"):
        compare_candidates(np.zeros_like(y), result, accounts, np.ones(ROWS), 0.1)
