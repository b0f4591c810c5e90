"""The ensemble predicts held-out accounts out of sample, and is scored as it was fitted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from features.definitions.feature import Feature
from features.errors import InsufficientData
from features.utils.arrays import Floats
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.members import ErrorModel, jackknife_variance
from models.scorer.scorer import Scorer
from training.dataset import design_matrix
from training.dataset.design_matrix import Design, build_design
from training.dataset.inner_folds import balanced_folds
from training.estimators import gradient_boosting
from training.estimators.ensemble import (
    LARGE_TREES,
    LINEAR,
    MODELS,
    SMALL_TREES,
    WEIGHT_SPREAD,
    Ensemble,
    EnsembleSettings,
    fit_ensemble,
    search_ensemble,
    single_weights,
    stacking_weights,
)

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
WEEKS, ACCOUNTS, FOLDS = 30, 120, 3
ERROR = {"variance": 0.04, "weight": 4.0}
CALIBRATOR = {
    "kind": "sigmoid",
    "parameters": {"a": 1.0, "b": 0.0},
    "resamples": [{"a": 1.0, "b": 0.0}] * 10,
    "error": ERROR,
}
CATALOGUE = {
    name: Feature(name, name.split(".")[0], "usage", name, kind, "", None, None, name, monotone=False)
    for name, kind in (("usage.signal", "number"), (RENEWAL_FEATURE, "number"), ("contract.plan", "category"))
}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Weekly snapshots of accounts whose signal and plan last, with holes."""
    rng = np.random.default_rng(1)
    account = np.repeat(np.arange(ACCOUNTS), WEEKS)
    signal = rng.normal(size=ACCOUNTS)[account] + rng.normal(0, 0.5, len(account))
    plan = np.where(rng.random(ACCOUNTS) < 0.5, "monthly", "yearly")[account]
    return pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in account],
            "as_of": np.tile(pd.date_range(FIRST, periods=WEEKS, freq="7D").as_unit("us"), ACCOUNTS),
            "usage.signal": np.where(rng.random(len(account)) < 0.1, np.nan, signal),
            RENEWAL_FEATURE: np.where(plan == "yearly", rng.integers(0, 365, len(account)), np.nan),
            "contract.plan": pd.Series(plan, dtype=object).where(rng.random(len(account)) > 0.05, None),
        }
    )


@pytest.fixture(scope="module")
def design(frame: pd.DataFrame) -> Design:
    """Outcomes within 30 and 90 days, which follow the signal and the plan."""
    log_odds = -1.5 + 1.2 * np.nan_to_num(frame["usage.signal"]) + (frame["contract.plan"] == "monthly")
    draw = np.random.default_rng(2).random(ACCOUNTS).repeat(WEEKS)
    y = (draw < scipy.special.expit(log_odds)).to_numpy(dtype=np.float64)
    return build_design(frame, {90: y, 30: y * (draw < 0.2)}, 90, 30, CATALOGUE)


@pytest.fixture(scope="module")
def chosen(design: Design) -> EnsembleSettings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_boosting, "MOST_TREES", 25)
        return search_ensemble(design, CATALOGUE, "churn", trials=1)


@pytest.fixture(scope="module")
def ensemble(design: Design, chosen: EnsembleSettings) -> Ensemble:
    return fit_ensemble(design, chosen, CATALOGUE, "churn", FOLDS)


def scorer_of(ensemble: Ensemble) -> Scorer:
    schema = json.loads(json.dumps(ensemble.encoding.schema | ensemble.scorer_parameters()))
    return Scorer.from_texts(ensemble.text, schema, CALIBRATOR)


def test_members_do_not_depend_on_the_labels_of_their_fold(
    design: Design, chosen: EnsembleSettings, ensemble: Ensemble
) -> None:
    """So the out-of-fold predictions of these accounts are out of sample."""
    number = 1
    inside = balanced_folds(design.accounts, FOLDS) == number
    other = fit_ensemble(replace(design, y=np.where(inside, 1 - design.y, design.y)), chosen, CATALOGUE, "churn", FOLDS)
    fold = balanced_folds(ensemble.out_of_fold.accounts, FOLDS)
    before, after = ensemble.out_of_fold.raw, other.out_of_fold.raw
    assert before[fold == number].tolist() == after[fold == number].tolist()
    assert (before[fold != number] != after[fold != number]).all(axis=1).all()


def test_members_of_a_large_portfolio_are_fitted_on_a_part_of_their_rows(
    design: Design, chosen: EnsembleSettings, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows that calibrate them are the same, and the ensemble says how many rows are left."""
    monkeypatch.setattr(design_matrix, "MOST_ROWS", 300)
    thinned = fit_ensemble(design, chosen, CATALOGUE, "churn", FOLDS)
    assert ensemble.fitted_share == 1
    assert 0.1 < thinned.fitted_share < 1
    assert thinned.out_of_fold.row_index.tolist() == ensemble.out_of_fold.row_index.tolist()
    assert thinned.out_of_fold.weight.tolist() == ensemble.out_of_fold.weight.tolist()
    held = thinned.out_of_fold
    assert 0.6 < roc_auc_score(held.y, held.raw @ thinned.weights) < 0.95


def test_out_of_fold_rows_are_predicted_by_the_member_without_the_account(
    frame: pd.DataFrame, design: Design, ensemble: Ensemble
) -> None:
    held = ensemble.out_of_fold
    fold = balanced_folds(held.accounts, FOLDS)
    rows = frame.iloc[held.row_index]
    assert rows["account_id"].tolist() == held.accounts.tolist()
    assert (rows["as_of"].to_numpy() == held.as_of.to_numpy()).all()
    matrix = ensemble.encoding.matrix(rows)
    for number, member in enumerate(ensemble.members):
        assert held.raw[fold == number].tolist() == member.raw_of(matrix[fold == number]).tolist()
    assert set(held.accounts) == set(frame["account_id"])
    # In total the rows count as many independent label windows as all rows do.
    assert held.weight.sum() == pytest.approx(design.weight[design.main].sum(), rel=0.1)
    assert 0.65 < roc_auc_score(held.y, held.raw @ ensemble.weights) < 0.95


@pytest.mark.parametrize("weights", [None, (0.3, 0.5, 0.9), (1, 0, 0), (0, 0, 1), (0, 0.7, 0), (0, 0, 0)])
def test_the_scorer_gives_the_same_log_odds(
    frame: pd.DataFrame, ensemble: Ensemble, weights: tuple[float, ...] | None
) -> None:
    """To the last digits, of each member and horizon, whatever the weights of the models are."""
    if weights is not None:
        ensemble = replace(ensemble, weights=np.array(weights, dtype=np.float64))
    scorer = scorer_of(ensemble)
    matrix = scorer.encode(frame).matrix
    assert scorer.members == FOLDS
    for days in (30, 90):
        assert scorer.member_raw(matrix, days) == pytest.approx(ensemble.member_raw(frame, days), abs=1e-12)
        assert scorer.raw(matrix, days) == pytest.approx(ensemble.raw(frame, days), abs=1e-12)
    # Contributions add up for each member.
    some = matrix[:50]
    assert scorer.member_contributions(some).sum(axis=2) == pytest.approx(scorer.member_raw(some), abs=1e-9)


def test_a_row_has_the_same_score_alone_and_in_a_batch(frame: pd.DataFrame, ensemble: Ensemble) -> None:
    scorer = scorer_of(ensemble)
    matrix = scorer.encode(frame).matrix[:200]
    together = scorer.estimate(matrix)
    for i in range(0, 200, 20):
        alone = scorer.estimate(matrix[i : i + 1])
        assert (alone.raw[0], alone.error[0]) == (together.raw[i], together.error[i])


def test_log_odds_are_the_mean_of_the_members(frame: pd.DataFrame, ensemble: Ensemble) -> None:
    members = ensemble.member_raw(frame)
    assert members.shape == (FOLDS, len(frame))
    assert ensemble.raw(frame) == pytest.approx(members.mean(axis=0), abs=1e-12)
    # And those of a member are the weighted sum of its three models.
    parts = [ensemble.member_raw(frame, weights=single_weights(name)) for name in MODELS]
    expected = sum(w * part for w, part in zip(ensemble.weights, parts, strict=True))
    assert members == pytest.approx(expected, abs=1e-12)


def test_the_error_is_that_of_the_jackknife(frame: pd.DataFrame, ensemble: Ensemble) -> None:
    """The delete-a-group jackknife of k groups: (k - 1) / k times the sum of squares around the mean."""
    members = ensemble.member_raw(frame)
    expected = [(FOLDS - 1) / FOLDS * sum((m - column.mean()) ** 2 for m in column) for column in members.T]
    assert jackknife_variance(members) == pytest.approx(expected)
    assert ensemble.error_variance(frame) == pytest.approx(np.mean(expected))
    assert ensemble.error_variance(frame[:0]) == 0.0
    # The scorer averages it with the mean variance of the training rows, by degrees of freedom.
    pooled = (ERROR["weight"] * ERROR["variance"] + (FOLDS - 1) * np.array(expected)) / (ERROR["weight"] + FOLDS - 1)
    assert ErrorModel.of(CALIBRATOR).errors(members) == pytest.approx(np.sqrt(pooled))


def test_facts_about_the_ensemble_are_json_values(ensemble: Ensemble, chosen: EnsembleSettings) -> None:
    assert json.loads(json.dumps(chosen.as_dict())) == chosen.as_dict()
    assert set(chosen.as_dict()) == {"ridge", SMALL_TREES, LARGE_TREES}
    assert ensemble.trees == sum(member["trees"] for member in ensemble.scorer_parameters()["members"])
    line, both = (replace(ensemble, weights=single_weights(*names)) for names in ((LINEAR,), (LINEAR, SMALL_TREES)))
    assert (line.trees, line.trees_share) == (0, 0.0)
    assert both.trees == sum(member.small_trees.booster.num_trees() for member in ensemble.members)
    assert both.trees_share == 0.5


def test_progress_is_reported_by_member(design: Design, chosen: EnsembleSettings) -> None:
    shares: list[float] = []
    fit_ensemble(design, chosen, CATALOGUE, "churn", 2, shares.append)
    assert shares == [0.5, 1.0]


def test_an_outcome_of_a_single_account_is_refused(design: Design, chosen: EnsembleSettings) -> None:
    """One member would have no outcome to learn from."""
    single = replace(design, y=(design.accounts == "a0").astype(np.float64))
    with pytest.raises(InsufficientData, match="only one outcome occurs"):
        fit_ensemble(single, chosen, CATALOGUE, "churn", FOLDS)


def test_outcomes_of_one_fold_are_spread(design: Design, chosen: EnsembleSettings) -> None:
    """A tiny table may have both of its outcomes in one fold; then each member needs one of them."""
    fold = balanced_folds(design.accounts, FOLDS)
    two = np.unique(design.accounts[fold == 0].astype(str))[:2]
    few = replace(design, y=np.isin(design.accounts.astype(str), two).astype(np.float64))
    held = fit_ensemble(few, chosen, CATALOGUE, "churn", FOLDS).out_of_fold
    assert set(held.accounts) == set(design.accounts)
    assert np.isfinite(held.raw).all()


def outcomes(log_odds: Floats, seed: int = 0) -> Floats:
    return (np.random.default_rng(seed).random(len(log_odds)) < scipy.special.expit(log_odds)).astype(np.float64)


def test_the_right_model_gets_the_weight_if_there_are_enough_outcomes() -> None:
    rng = np.random.default_rng(0)
    right, noise = rng.normal(-1, 1.5, (2, 20_000))
    raw = np.column_stack([right, noise, noise + rng.normal(size=len(noise))])
    y = outcomes(right)
    weights = stacking_weights(raw, y, np.ones(len(y)))
    assert weights == pytest.approx([1.0, 0.0, 0.0], abs=0.06)
    # Rows that together are one independent label window say nothing: the weights stay equal.
    assert stacking_weights(raw, y, np.full(len(y), 1e-6)) == pytest.approx(np.full(3, 1 / 3), abs=0.01)


def test_weights_are_shrunk_by_the_prior() -> None:
    rng = np.random.default_rng(0)
    right, noise = rng.normal(-1, 1.0, (2, 300))
    raw, y = np.column_stack([right, noise]), outcomes(right, seed=1)
    tight, usual, loose = (
        stacking_weights(raw, y, np.full(300, 0.5), spread) for spread in (0.01, WEIGHT_SPREAD, 10.0)
    )
    assert tight == pytest.approx([0.5, 0.5], abs=0.02)
    assert tight[0] < usual[0] < loose[0]


def test_models_worse_than_chance_are_left_out() -> None:
    right = np.random.default_rng(0).normal(-1, 1.5, 5_000)
    y, ones = outcomes(right), np.ones(5_000)
    assert stacking_weights(np.column_stack([right, -right]), y, ones) == pytest.approx([1.0, 0.0], abs=0.1)
    # If all are, their weights are equal: the calibrator flattens them.
    assert stacking_weights(np.column_stack([-right, -2 * right]), y, ones).tolist() == [0.5, 0.5]


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(0.1, 5), st.integers(2, 4))
def test_weights_are_never_negative(seed: int, center: float, scale: float, models: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.normal(center, scale, (60, models))
    y = np.append(rng.integers(0, 2, 58), [0, 1]).astype(np.float64)
    weights = stacking_weights(raw, y, rng.random(60))
    assert weights.shape == (models,)
    assert (weights >= 0).all()
    assert np.isfinite(weights).all()
    assert weights.sum() > 0


def test_single_weights_name_the_models() -> None:
    assert single_weights(LINEAR).tolist() == [1.0, 0.0, 0.0]
    assert single_weights(SMALL_TREES, LARGE_TREES).tolist() == [0.0, 0.5, 0.5]
