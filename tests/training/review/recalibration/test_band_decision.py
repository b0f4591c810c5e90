"""Band limits move to clear jumps of the churn rate, within the capacity of the team."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from models.health.rubric_schema import Bands
from training.review.labelled_rows import ReviewRows, later_rows_mask
from training.review.recalibration.band_decision import propose_bands
from training.review.recalibration.synthetic_histories import SyntheticHistory

BANDS = Bands(green=70, yellow=40, red=0)


@pytest.fixture(scope="module")
def jumps(wrong: SyntheticHistory) -> ReviewRows:
    """Rows whose churn rate jumps at 52 and 70."""
    rows = wrong.rows
    rng = np.random.default_rng(0)
    luck = rng.random(len(rows))
    chance = np.where(rows.score < 52, 0.4, np.where(rows.score < 70, 0.06, 0.01))
    churned = np.where(np.isnan(rows.churned) | np.isnan(rows.score), np.nan, luck < chance).astype(float)
    return replace(rows, churned=churned, later=later_rows_mask(rows.as_of, churned, rows.accounts, 120))


def test_a_limit_moves_towards_the_jump_by_at_most_the_cap(jumps: ReviewRows) -> None:
    proposal = propose_bands(jumps, BANDS, capacity=None, resamples=100)
    assert proposal.decision == "change", proposal.reasons
    green, yellow = proposal.limits
    assert (yellow.new, yellow.clear) == (45.0, "up")
    assert yellow.fitted.low <= 52 <= yellow.fitted.high
    assert (green.new, green.clear) == (70.0, None)
    assert proposal.new == {"green": 70.0, "yellow": 45.0, "red": 0.0}
    json.dumps(proposal.as_dict(), allow_nan=False)


def test_churn_falls_from_red_to_green_and_rows_add_up(jumps: ReviewRows) -> None:
    proposal = propose_bands(jumps, BANDS, capacity=None, resamples=50)
    for bands in (proposal.before, proposal.after):
        assert [b.band for b in bands] == ["green", "yellow", "red"]
        rates = [b.rate_earlier.value for b in bands]
        assert rates == sorted(rates)
        assert sum(b.earlier.rows for b in bands) == proposal.earlier.rows


def test_a_red_queue_over_capacity_is_not_proposed(jumps: ReviewRows) -> None:
    proposal = propose_bands(jumps, BANDS, capacity=1, resamples=50)
    assert proposal.decision == "keep"
    assert proposal.queue_after.typical > proposal.queue_before.typical
    assert "queue" in proposal.reasons[0]


def test_limits_at_the_jumps_are_not_changed(jumps: ReviewRows) -> None:
    proposal = propose_bands(jumps, Bands(green=70, yellow=52, red=0), capacity=None, resamples=50)
    assert proposal.decision == "keep", proposal.reasons
    assert proposal.candidate == {"green": 70.0, "yellow": 52.0, "red": 0.0}


def test_with_forty_churns_there_is_not_enough_evidence(few: SyntheticHistory) -> None:
    proposal = propose_bands(few.rows, BANDS, capacity=5, resamples=50)
    assert proposal.decision == "not_enough_evidence"
    assert proposal.new == {"green": 70.0, "yellow": 40.0, "red": 0.0}


def test_without_rows_no_change_is_proposed(few: SyntheticHistory) -> None:
    proposal = propose_bands(few.rows.only(np.zeros(len(few.rows), dtype=bool)), BANDS, capacity=5, resamples=50)
    assert proposal.decision == "not_enough_evidence"
    json.dumps(proposal.as_dict(), allow_nan=False)
