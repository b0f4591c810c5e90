"""The renewal model covers renewals at its leads; all others are derived, and the four outcomes add up to 1."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from features.utils.periods import Period
from models.renewals.due_accounts import ModelProbabilities, find_due_accounts
from models.renewals.forecast import DueRenewals, outcome_probabilities
from models.renewals.historical_rates import HistoricalRates, SegmentRates
from models.renewals.renewal_model import LEADS, RenewalModel, covered_renewals
from models.scorer.base import Calibrated
from models.scorer.errors import ScorerError

RATES = HistoricalRates(
    segments={
        "all": SegmentRates(renewals=20, grew=5, shrank=4, grown=(1.5,) * 5, shrunk=(0.5,) * 4, level=(1.0,) * 11)
    }
)
AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
SHARE = st.floats(0, 1)
MAYBE = st.one_of(st.just(float("nan")), SHARE)


@given(st.lists(st.tuples(SHARE, MAYBE, MAYBE), min_size=1, max_size=8))
@settings(max_examples=50)
def test_the_four_outcomes_add_up_to_one(rows: list[tuple[float, float, float]]) -> None:
    leaves, grows, shrinks = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    due = DueRenewals(
        np.ones(n), leaves, np.zeros(n), grows * (1 - leaves), np.zeros(n), np.full(n, "a", dtype=object), shrinks
    )
    outcomes = outcome_probabilities(due, RATES)
    assert outcomes.sum(axis=1) == pytest.approx(np.ones(n))
    assert (outcomes >= 0).all()
    assert outcomes[:, 0] == pytest.approx(leaves)


class _Constant:
    """A scorer with one probability for everybody."""

    def __init__(self, p: float) -> None:
        self.p = p

    def predict(self, frame: pd.DataFrame) -> Calibrated:
        return Calibrated(*(np.full(len(frame), p) for p in (self.p, self.p / 2, (1 + self.p) / 2)))


def _model(**p: float) -> RenewalModel:
    scorers: Any = {stage: _Constant(each) for stage, each in p.items()}
    return RenewalModel(scorers)


UNTIL = [LEADS[0] - 1, LEADS[0], 75, LEADS[-1], LEADS[-1] + 1, 31, np.nan]
TERM = [365, 365, 365, np.nan, 365, 31, 365]
FRAME = pd.DataFrame({"contract.days_to_renewal": UNTIL, "contract.term_days": TERM})
COVERED = [False, True, True, True, False, False, False]


def test_monthly_contracts_and_renewals_outside_the_leads_are_derived() -> None:
    assert covered_renewals(FRAME).tolist() == COVERED
    predicted = _model(lost=0.4, expanded=0.25).predict(FRAME)
    n = len(FRAME)
    horizons = {days: np.full(n, 0.1) for days in (30, 90, 180)}
    derived = ModelProbabilities(horizons, np.full(n, 0.05), np.full(n, 0.2))
    arguments = (
        AS_OF,
        Period("2026", AS_OF, datetime(2027, 1, 1, tzinfo=UTC)),
        np.array(UNTIL),
        np.ones(n),
        derived,
        derived,
        30,
    )
    without, both = find_due_accounts(*arguments), find_due_accounts(*arguments, predicted)
    covered = np.array(COVERED)
    assert both.by_renewal_model.tolist() == COVERED
    assert both.grows is not None
    assert without.grows is not None

    def pooled(one: float, other: np.ndarray) -> np.ndarray:
        return expit((logit(one) + logit(other)) / 2)

    leaves = pooled(0.4, without.leaves[covered])
    assert both.leaves[covered] == pytest.approx(leaves)
    growth = without.grows[covered] / (1 - without.leaves[covered])
    assert both.grows[covered] == pytest.approx(pooled(0.25, growth) * (1 - leaves))
    np.testing.assert_array_equal(both.leaves[~covered], without.leaves[~covered])
    np.testing.assert_array_equal(both.grows[~covered], without.grows[~covered])
    assert np.isnan(both.shrinks).all(), "a stage without a model has its historical rate"


@pytest.mark.parametrize(
    "content",
    [
        {"leads": [30], "stages": {}},
        {"leads": list(LEADS), "stages": {}},
        {"leads": list(LEADS), "stages": {"lost": {"model": "x"}}},
        {"leads": list(LEADS), "stages": {"lost": {"model": "x", "schema": {}, "calibrator": {}}, "won": {}}},
        {"leads": list(LEADS), "stages": {"lost": {"model": "x", "schema": {}, "calibrator": {}}}},
    ],
)
def test_a_file_that_is_not_valid_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ScorerError, match=r"renewals\.json"):
        RenewalModel.from_json(json.dumps(content).encode())
