"""Weights are proposed if the evidence is clear, and kept otherwise."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.errors import BadRequest
from training.review.recalibration.schemas import WeightProposal
from training.review.recalibration.synthetic_histories import SyntheticHistory, simulate_synthetic_history
from training.review.recalibration.weight_decision import propose_weights
from training.review.recalibration.weight_estimates import allowed_range, range_towards_target

IN_FORCE = {"usage": 30.0, "engagement": 25.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}


@pytest.fixture(scope="module")
def proposed(wrong: SyntheticHistory) -> WeightProposal:
    return propose_weights(wrong.rows, IN_FORCE, resamples=100)


def test_clearly_wrong_weights_change_towards_the_truth(wrong: SyntheticHistory, proposed: WeightProposal) -> None:
    assert proposed.decision == "change", proposed.reasons
    assert sum(proposed.new.values()) == pytest.approx(100)
    for d in proposed.dimensions:
        assert abs(d.new - d.old) <= proposed.cap
        assert d.new == round(d.new)
        if d.clear:
            assert (d.clear == "up") is (wrong.weights[d.name] > d.old)
    assert proposed.new["usage"] < 30
    assert proposed.new["support"] > 15


def test_a_change_is_a_step_towards_the_confirmed_target(proposed: WeightProposal) -> None:
    """The whole interval of the target is below zero; no weight moves away from the target, or past it."""
    target = next(j for j in proposed.judged if j.name == "target")
    assert target.log_loss_change.high < 0
    for d in proposed.dimensions:
        assert (d.new - d.old) * (d.shrunk - d.old) >= 0
        assert abs(d.new - d.old) < abs(d.shrunk - d.old) + 1


@pytest.mark.parametrize("target", [[57.0, 26.5, 16.5], [48.4, 30.6, 16.0], [50.0, 30.0, 15.0], [50.0000001, 30.0, 15.0]])
@pytest.mark.parametrize("clear", [[0, 0, 0], [1, 0, 0], [0, -1, 0], [1, -1, 0]])
def test_bounds_allow_only_whole_points_towards_the_target(target: list[float], clear: list[int]) -> None:
    old = np.array([50.0, 30.0, 15.0])
    least, most = range_towards_target(old, np.array(target), allowed_range(old, np.array(clear), 5.0)).T
    way = np.array(target) - old
    assert (least <= old).all()
    assert (most >= old).all()
    assert (least[way >= -1e-6] == old[way >= -1e-6]).all()
    assert (most[way <= 1e-6] == old[way <= 1e-6]).all()
    assert (np.maximum(old - least, most - old) <= np.minimum(5.0, np.ceil(np.abs(way)))).all()


def test_a_dimension_that_is_not_clear_only_balances_the_sum(proposed: WeightProposal) -> None:
    ways = {d.clear for d in proposed.dimensions if d.clear}
    for d in proposed.dimensions:
        if d.clear is None and ways == {"up", "down"}:
            assert d.candidate == d.old


def test_figures_are_consistent(proposed: WeightProposal) -> None:
    for d in proposed.dimensions:
        assert 0 <= d.fitted.low <= d.fitted.value <= d.fitted.high <= 100
        assert d.candidate_range[0] <= d.candidate_range[1]
        assert d.evidence.churned <= proposed.earlier.churned
        assert d.without is not None
        assert d.sign == "with_staying"
        # Shrunk weights lie between; correlated dimensions may go slightly beyond.
        assert min(d.old, d.fitted.value) - 3 <= d.shrunk <= max(d.old, d.fitted.value) + 3
    names = [j.name for j in proposed.judged]
    assert names == ["in force", "target", "proposed", "equal weights", "model"]
    for j in proposed.judged:
        assert j.brier.low <= j.brier.value <= j.brier.high
    assert proposed.judged[-1].auc.value > proposed.judged[0].auc.value
    assert json.loads(json.dumps(proposed.as_dict(), allow_nan=False))["decision"] == "change"


def test_with_forty_churns_there_is_not_enough_evidence(few: SyntheticHistory) -> None:
    proposal = propose_weights(few.rows, IN_FORCE, resamples=50)
    assert proposal.decision == "not_enough_evidence"
    assert proposal.new == IN_FORCE
    assert "churned" in proposal.reasons[0]


def test_correct_weights_are_not_changed(wrong: SyntheticHistory) -> None:
    true = {name: round(weight) for name, weight in wrong.weights.items()}
    proposal = propose_weights(wrong.rows, true, resamples=100)
    assert proposal.decision == "keep", proposal.reasons
    assert proposal.new == true


def test_duplicated_rows_add_no_evidence(few: SyntheticHistory) -> None:
    rows = few.rows
    again = rows.only(np.ones(len(rows), dtype=bool))
    twice = replace(
        again,
        points=pd.concat([again.points] * 2, ignore_index=True),
        score=np.tile(again.score, 2),
        band=np.tile(again.band, 2),
        churned=np.tile(again.churned, 2),
        accounts=np.tile(again.accounts, 2),
        as_of=pd.concat([again.as_of] * 2, ignore_index=True),
        later=np.tile(again.later, 2),
        segment=None,
        model=None,
    )
    one, two = (propose_weights(r, IN_FORCE, resamples=50) for r in (rows, twice))
    assert two.events == pytest.approx(one.events)
    for a, b in zip(one.dimensions, two.dimensions, strict=True):
        assert b.fitted == pytest.approx(a.fitted, abs=0.11)
        assert b.shrunk == pytest.approx(a.shrunk, abs=0.01)


def test_the_same_seed_gives_the_same_proposal(few: SyntheticHistory) -> None:
    one, two = (propose_weights(few.rows, IN_FORCE, resamples=20, seed=7).as_dict() for _ in range(2))
    assert one == two


def test_a_dimension_with_more_churn_for_more_points_is_named() -> None:
    weights = {"usage": 60.0, "support": 20.0, "community": 20.0}
    rows = simulate_synthetic_history(weights, weights, 300, 5, every_weeks=8).rows
    points = rows.points.assign(usage=100 - rows.points["usage"])
    proposal = propose_weights(replace(rows, points=points), weights, resamples=50)
    signs = {d.name: d.sign for d in proposal.dimensions}
    assert signs["usage"] == "with_churn"
    assert signs["support"] == "with_staying"
    assert any(reason.startswith("usage: more points mean more churn") for reason in proposal.reasons)


def test_a_dimension_without_data_keeps_its_weight(few: SyntheticHistory) -> None:
    rows = replace(few.rows, points=few.rows.points.assign(outcomes=np.nan))
    proposal = propose_weights(rows, IN_FORCE, resamples=50)
    (outcomes,) = [d for d in proposal.dimensions if d.name == "outcomes"]
    assert outcomes.not_judged == "no account has data for it"
    assert outcomes.candidate == outcomes.shrunk == 20.0
    assert np.isnan(outcomes.fitted.value)
    assert sum(proposal.candidate.values()) == pytest.approx(100)
    assert sum(d.fitted.value for d in proposal.dimensions if not d.not_judged) == pytest.approx(80)


def test_without_rows_no_change_is_proposed(few: SyntheticHistory) -> None:
    proposal = propose_weights(few.rows.only(np.zeros(len(few.rows), dtype=bool)), IN_FORCE, resamples=50)
    assert proposal.decision == "not_enough_evidence"
    assert proposal.new == IN_FORCE
    assert proposal.judged == ()
    json.dumps(proposal.as_dict(), allow_nan=False)


def test_with_a_cap_of_zero_nothing_changes(wrong: SyntheticHistory) -> None:
    proposal = propose_weights(wrong.rows, IN_FORCE, cap=0.0, resamples=20)
    assert proposal.decision == "keep"
    assert proposal.candidate == IN_FORCE


def test_weights_of_other_dimensions_are_refused(few: SyntheticHistory) -> None:
    for wrong in ({"usage": 100.0}, {**IN_FORCE, "usage": 31.0}, {**IN_FORCE, "usage": -5.0, "support": 50.0}):
        with pytest.raises(BadRequest):
            propose_weights(few.rows, wrong)


@pytest.mark.parametrize(
    ("clear", "least", "most"),
    [
        ([0, 0, 0], [45, 25, 10], [55, 35, 20]),
        ([1, 0, 0], [50, 25, 10], [55, 30, 15]),
        ([-1, 0, 0], [45, 30, 15], [50, 35, 20]),
        ([-1, 1, 0], [45, 30, 15], [50, 35, 15]),
    ],
)
def test_allowed_ranges(clear: list[int], least: list[float], most: list[float]) -> None:
    allowed = allowed_range(np.array([50.0, 30.0, 15.0]), np.array(clear), 5.0)
    assert allowed[:, 0].tolist() == least
    assert allowed[:, 1].tolist() == most


@pytest.mark.slow
def test_error_rates_over_many_histories() -> None:
    """Ten seeds each: correct weights rarely change, wrong ones move in the right direction, intervals cover the truth."""
    true = {"usage": 15.0, "engagement": 20.0, "support": 30.0, "outcomes": 10.0, "relationship": 25.0}
    values, changed = [], {"right": 0, "wrong": 0}
    for seed in range(10):
        for kind, weights in (("right", IN_FORCE), ("wrong", true)):
            proposal = propose_weights(simulate_synthetic_history(weights, IN_FORCE, 500, seed, every_weeks=8).rows, IN_FORCE, resamples=100)
            values += [d.fitted.low <= weights[d.name] <= d.fitted.high for d in proposal.dimensions]
            changed[kind] += proposal.decision == "change"
    assert changed["right"] <= 2
    # With 500 churns about a third of the wrong weights change, with 2,000 nearly all: bench/RESULTS.md.
    assert changed["wrong"] >= 1
    assert 0.8 <= np.mean(values) <= 0.98
