"""The level moves with known outcomes and with the renewals that are due, not with features that all accounts share."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from features.utils.arrays import Floats
from training.estimators.population_drift import PopulationDrift, drift_correction, due_groups

UNKNOWN = np.nan
EQUAL = np.array([1.0])


def _drift(then: Floats, then_days: float, now: Floats, now_days: float) -> PopulationDrift:
    return PopulationDrift(then[:, None], np.full(len(then), then_days), now[:, None], np.full(len(now), now_days))


def test_groups_of_days_to_renewal() -> None:
    assert due_groups(np.array([0.0, 29.0, 30.0, 365.0, UNKNOWN])).tolist() == [0, 0, 1, 6, 7]


def test_a_feature_that_moves_for_all_accounts_does_not_move_the_level() -> None:
    """All log-odds rise by 0.7: the mean probability stays, and so does the ranking."""
    then = np.random.default_rng(0).normal(-2, 1, 4000)
    moved = then + 0.7
    by = _drift(then, UNKNOWN, moved, UNKNOWN).correction(EQUAL, scipy.special.expit)
    level, today = scipy.special.logit([scipy.special.expit(then).mean(), scipy.special.expit(moved).mean()])
    # Five rows of today's own mean are added to the 4,000 of the past.
    assert by == pytest.approx(level - today, abs=0.01)
    assert by == pytest.approx(-0.6, abs=0.1)


def test_renewals_that_are_due_move_the_level() -> None:
    """One of ten renewals was due then, half of them today. Those of a group have the probabilities that they had."""
    then, now = np.repeat([0.02, 0.2], [900, 100]), np.repeat([0.02, 0.2], [500, 500])
    far, due = due_groups(np.array([200.0, 10.0]))
    groups = np.repeat([far, due], [900, 100]), np.repeat([far, due], [500, 500])
    assert drift_correction(then, groups[0], now, groups[1]) == pytest.approx(0.0, abs=1e-12)


def test_a_group_without_a_past_keeps_the_level_of_the_model() -> None:
    then, now = np.full(500, 0.02), np.full(500, 0.3)
    far, due = due_groups(np.array([200.0, 10.0]))
    assert drift_correction(then, np.full(500, far), now, np.full(500, due)) == pytest.approx(0.0, abs=1e-12)


def test_by_hand() -> None:
    """20 rows of 10% then, and 35% today, which counts as five rows: (20 x 0.10 + 5 x 0.35) / 25 = 15%."""
    group = np.full(20, 3)
    by = drift_correction(np.full(20, 0.10), group, np.full(8, 0.35), group[:8])
    assert by == pytest.approx(scipy.special.logit(0.15) - scipy.special.logit(0.35))


def test_without_snapshots_of_today_there_is_no_correction() -> None:
    drift = _drift(np.zeros(10), UNKNOWN, np.zeros(0), UNKNOWN)
    assert drift.correction(EQUAL, scipy.special.expit) == 0.0


def test_weights_choose_the_model_whose_level_is_corrected() -> None:
    steady, moved = np.full((50, 1), -2.0), np.full((50, 1), -1.0)
    days = np.full(50, UNKNOWN)
    drift = PopulationDrift(np.hstack([steady, steady]), days, np.hstack([steady, moved]), days)
    first, second = (drift.correction(np.array(weights), scipy.special.expit) for weights in ([1.0, 0.0], [0.0, 1.0]))
    assert first == pytest.approx(0.0, abs=1e-12)
    assert second < -0.5
