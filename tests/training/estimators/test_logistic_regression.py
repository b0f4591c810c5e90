"""The logistic regression learns, handles scale and missing values, and is deterministic."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.definitions.feature import Feature
from features.errors import InsufficientData
from features.utils.arrays import Floats
from models.scorer.base import RENEWAL_FEATURE
from models.scorer.linear_terms import LinearTerms
from models.targets import Target
from training.dataset.design_matrix import Design, build_design
from training.estimators.logistic_regression import (
    STRENGTHS,
    LinearModel,
    RidgeSettings,
    fit_linear,
    search_ridge,
)

Portfolio = tuple[pd.DataFrame, Floats]


def rows(frame: pd.DataFrame, y: Floats, catalogue: dict[str, Feature]) -> Design:
    return build_design(frame, {90: y}, 90, 0, catalogue)


def fit(frame: pd.DataFrame, y: Floats, catalogue: dict[str, Feature], target: Target | None = None) -> LinearModel:
    return fit_linear(rows(frame, y, catalogue), RidgeSettings(0.03, {}), catalogue, target)


def test_the_model_ranks_held_out_rows(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, y = small_portfolio
    early = (frame["as_of"] < frame["as_of"].quantile(0.7)).to_numpy(dtype=bool)
    design = rows(frame[early].reset_index(drop=True), y[early], small_catalogue)
    ridge = search_ridge(design)
    assert tuple(ridge.losses) == STRENGTHS
    assert ridge.strength == min(STRENGTHS, key=lambda s: ridge.losses[s])
    model = fit_linear(design, ridge, small_catalogue)
    assert roc_auc_score(y[~early], model.raw(frame[~early])) > 0.7


def test_the_ridge_is_strong_where_nothing_can_be_learned(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """The losses are those of accounts outside the fit, and ties go to the stronger ridge."""
    frame, y = small_portfolio
    chance = np.random.default_rng(4).permutation(y)
    assert (
        search_ridge(rows(frame, chance, small_catalogue)).strength
        < search_ridge(rows(frame, y, small_catalogue)).strength
    )
    single = (frame["account_id"] == "a0").to_numpy(dtype=np.float64)
    assert search_ridge(rows(frame, single, small_catalogue)).strength == min(STRENGTHS)


def test_the_order_of_rows_does_not_matter(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, y = small_portfolio
    order = np.random.default_rng(0).permutation(len(frame))
    once = fit(frame, y, small_catalogue).raw(frame)
    again = fit(frame.iloc[order].reset_index(drop=True), y[order], small_catalogue).raw(frame)
    assert again == pytest.approx(once, abs=1e-8)


def test_unknown_values_are_predicted(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, y = small_portfolio
    model = fit(frame, y, small_catalogue)
    strange = frame.head(3).assign(
        **{"usage.bent": np.nan, "contract.arr": [np.inf, -1e12, 1e12], "contract.plan": ["new", None, "rare"]}
    )
    assert np.isfinite(model.raw(strange)).all()


def test_progress_is_reported_and_can_stop_the_search(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, y = small_portfolio
    result: list[tuple[int, int]] = []

    def stop(process: int, of: int, best: float) -> None:
        result.append((process, of))
        if process == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search_ridge(rows(frame, y, small_catalogue), stop)
    assert result == [(1, len(STRENGTHS)), (2, len(STRENGTHS))]


def test_one_class_is_refused(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, y = small_portfolio
    with pytest.raises(InsufficientData, match="only one outcome occurs at the training dates"):
        rows(frame, np.zeros_like(y), small_catalogue)


def test_no_slope_contradicts_its_constraint(
    small_portfolio: tuple[pd.DataFrame, Floats], small_catalogue: dict[str, Feature]
) -> None:
    frame, y = small_portfolio
    numbers = [name for name, f in small_catalogue.items() if f.kind == "number"]
    free = fit(frame, y, small_catalogue).scorer_parameters()["numbers"]
    # Hold every feature to the opposite of what the data say: nothing may be left of it.
    against: dict[str, Feature] = {
        name: replace(f, monotone=True, direction="lowers_risk" if free[name][0] > 0 else "raises_risk")
        if name in numbers
        else f
        for name, f in small_catalogue.items()
    }
    numbers = fit(frame, y, against, "churn").scorer_parameters()["numbers"]
    signs = {"raises_risk": 1, "lowers_risk": -1}
    assert all(numbers[name][0] * signs[str(against[name].direction)] >= 0 for name in numbers)
    assert any(numbers[name][0] == 0 for name in numbers)


def test_the_scorer_gives_the_same_linear_log_odds(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, y = small_portfolio
    model = fit(frame, y, small_catalogue)
    payload = json.loads(json.dumps({"start": model.scorer_parameters()}))
    start = LinearTerms.of(payload, "start", model.encoding.features, model.encoding.categories)
    assert start is not None
    holes = frame.mask(np.random.default_rng(0).random(frame.shape) < 0.2)
    matrix = model.encoding.matrix(holes)
    assert start.intercept + start.parts(matrix).sum(axis=1) == pytest.approx(model.raw_of(matrix), abs=1e-9)


def test_each_contribution_is_zero_on_average(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    """Over the training rows of the main horizon, by their weights, categories included; so the intercept is what the
    average row has. Other horizons are trained on as well, and have no part in what is average at this one."""
    frame, y = small_portfolio
    catalogue = small_catalogue | {
        RENEWAL_FEATURE: replace(small_catalogue["usage.bent"], name=RENEWAL_FEATURE),
    }
    rng = np.random.default_rng(1)
    until = rng.integers(0, 365, len(frame)).astype(np.float64)
    until[rng.random(len(frame)) < 0.2] = np.nan
    due = {days: y * (np.nan_to_num(until, nan=50.0) < days) for days in (30, 90, 180)}
    due[90][:500] = np.nan
    design = build_design(frame.assign(**{RENEWAL_FEATURE: until}), due, 90, 0, catalogue)
    model = fit_linear(design, RidgeSettings(0.03, {}), catalogue)
    payload = json.loads(json.dumps({"start": model.scorer_parameters()}))
    start = LinearTerms.of(payload, "start", model.encoding.columns, model.encoding.categories)
    assert start is not None
    main, weight = design.matrix[design.main], design.weight[design.main]
    parts = start.parts(main)
    assert start.intercept + parts.sum(axis=1) == pytest.approx(model.raw_of(main), abs=1e-9)
    assert np.average(parts, axis=0, weights=weight) == pytest.approx(np.zeros(parts.shape[1]), abs=1e-9)
    assert np.abs(parts).max(axis=0)[model.encoding.columns.index("contract.plan")] > 0.05
    assert start.intercept == pytest.approx(np.average(model.raw_of(main), weights=weight), abs=1e-9)
