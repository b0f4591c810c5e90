"""Baselines are calibrated like the model, on the same rows and at the same level."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.special

from models.scorer.base import RENEWAL_FEATURE
from models.targets import TARGETS
from training.estimators.calibration import HALFWAY
from training.evaluation.baselines import (
    base_rate_probabilities,
    health_log_odds,
    health_probabilities,
    renewal_due_probabilities,
)

DATES = pd.Series(pd.date_range("2024-01-01", periods=10, freq="7D", tz="UTC").repeat(200))
ACCOUNTS = np.array([f"{i % 200}" for i in range(len(DATES))], dtype=object)
Values = npt.NDArray[np.float64]


def _model(y: Values, shift: float = 0.0, rate: float = 0.2) -> Any:
    """A model whose out-of-fold rows are these; every snapshot is a training row, in reverse order."""
    index = np.arange(len(DATES))[::-1]
    held = SimpleNamespace(
        y=y[index], accounts=ACCOUNTS[index], as_of=DATES[index].reset_index(drop=True), weight=np.full(len(y), 0.5), row_index=index
    )
    return SimpleNamespace(ensemble=SimpleNamespace(out_of_fold=held), shift=shift, rate=rate)


def _rows(days: Values) -> Any:
    return SimpleNamespace(prepared=SimpleNamespace(frame=pd.DataFrame({RENEWAL_FEATURE: days})))


def _draw(p: Values) -> Values:
    return (np.random.default_rng(7).random(len(p)) < p).astype(np.float64)


def test_health_log_odds_rise_with_the_target() -> None:
    score = np.array([10.0, 50.0, 90.0, np.nan])
    churn, expansion = (health_log_odds(score, target) for target in TARGETS)
    assert churn[0] > churn[1] > churn[2]
    assert expansion[0] < expansion[1] < expansion[2]
    assert np.isnan(churn[3])
    assert np.isnan(expansion[3])


def test_a_score_is_calibrated_to_observed_rates() -> None:
    score = np.random.default_rng(0).uniform(0, 100, len(DATES))
    model = _model(_draw(scipy.special.expit(-score / 20)))
    later = np.array([15.0, 40.0, 80.0])
    p = health_probabilities(model, score, later, "churn")
    assert p == pytest.approx(scipy.special.expit(-later / 20), abs=0.05)


def test_accounts_without_a_score_get_the_mean_of_the_others() -> None:
    rng = np.random.default_rng(0)
    score = np.where(rng.random(len(DATES)) < 0.3, np.nan, rng.uniform(0, 100, len(DATES)))
    y = _draw(np.full(len(DATES), 0.2))
    p = health_probabilities(_model(y), score, np.array([np.nan, 0.0]), "churn")
    assert p[0] == pytest.approx(y[np.isfinite(score)].mean(), abs=1e-3)
    assert np.isfinite(p).all()


def test_without_scores_or_without_both_outcomes_a_score_is_the_base_rate() -> None:
    none, later = np.full(len(DATES), np.nan), np.array([10.0, 90.0, np.nan])
    y = _draw(np.full(len(DATES), 0.2))
    assert health_probabilities(_model(y, rate=0.31), none, later, "churn").tolist() == [0.31] * 3
    stayed = np.where(y == 0, 50.0, np.nan)
    assert health_probabilities(_model(y, rate=0.31), stayed, later, "churn").tolist() == [0.31] * 3
    assert base_rate_probabilities(_model(y, rate=0.31), 2).tolist() == [0.31] * 2


def test_a_constant_score_is_judged_at_the_level_of_the_base_rate() -> None:
    """One value for all accounts says nothing, even if only the accounts that churn more have it."""
    churns_more = np.arange(len(DATES)) % 3 == 0
    y = _draw(np.where(churns_more, 0.5, 0.05))
    for score in (np.full(len(DATES), 50.0), np.where(churns_more, 50.0, np.nan)):
        p = health_probabilities(_model(y, 0.8, rate=0.31), score, np.array([50.0, 50.0, np.nan]), "churn")
        assert p.tolist() == [0.31] * 3


def test_the_renewal_date_gives_the_past_rate_at_that_distance() -> None:
    days = np.tile([10.0, 45.0, 400.0, np.nan], len(DATES) // 4)
    truth = np.tile([0.5, 0.2, 0.02, 0.1], len(DATES) // 4)
    y = _draw(truth)
    p = renewal_due_probabilities(_model(y), _rows(days), np.array([0.0, 29.9, 50.0, 1000.0, np.nan, 100.0]))
    observed = [y[truth == each].mean() for each in (0.5, 0.5, 0.2, 0.02, 0.1)]
    assert p[:5] == pytest.approx(observed, abs=0.01)
    assert p[0] == p[1]
    assert p[5] == pytest.approx(y.mean(), abs=1e-9), "no account was ever that far from its renewal"


def test_baselines_take_the_level_of_the_model() -> None:
    """The newest quarter is above the past: every baseline is raised halfway, as the model is."""
    rng, shift = np.random.default_rng(3), 0.8
    score, days = rng.uniform(0, 100, len(DATES)), rng.uniform(0, 400, len(DATES))
    y = _draw(scipy.special.expit(-score / 20))
    logit = scipy.special.logit
    due, raised = (renewal_due_probabilities(_model(y, by), _rows(days), days) for by in (0.0, shift))
    assert logit(raised) - logit(due) == pytest.approx(np.full(len(days), HALFWAY * shift))
    health, higher = (health_probabilities(_model(y, by), score, score, "churn") for by in (0.0, shift))
    assert logit(higher) - logit(health) == pytest.approx(np.full(len(days), HALFWAY * shift), abs=0.1)
