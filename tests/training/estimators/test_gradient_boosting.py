"""Boosted trees do not depend on threads, respect constraints, can be interrupted, and need two classes."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.definitions.feature import Feature
from features.utils.arrays import Floats
from models.scorer.scorer import THREADS, Scorer
from training.dataset.design_matrix import Design, build_design
from training.estimators.gradient_boosting import BoostedTrees, fit_boosted_trees, fit_from_start, refit_boosted_trees

Portfolio = tuple[pd.DataFrame, Floats]
IDENTITY = {"kind": "sigmoid", "parameters": {"a": 1.0, "b": 0.0}, "resamples": [{"a": 1.0, "b": 0.0}] * 10}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.estimators.gradient_boosting.MOST_TREES", 30)


def rows(portfolio: Portfolio, catalogue: dict[str, Feature]) -> Design:
    frame, y = portfolio
    return build_design(frame, {90: y}, 90, 0, catalogue)


def fit(portfolio: Portfolio, catalogue: dict[str, Feature], trials: int = 3, threads: int = 1) -> BoostedTrees:
    return fit_boosted_trees(rows(portfolio, catalogue), catalogue, "churn", trials, threads=threads)


def trees(result: BoostedTrees) -> str:
    """The model without the list of its parameters, which names the number of threads."""
    return result.text.split("\nparameters:")[0]


def test_threads_do_not_change_the_result(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, _ = small_portfolio
    one, again, two = (fit(small_portfolio, small_catalogue, trials=2, threads=n) for n in (1, 1, 2))
    assert one.text == again.text
    assert trees(one) == trees(two)
    assert one.loss == two.loss
    assert one.raw(frame).tolist() == two.raw(frame).tolist()


def test_every_lightgbm_call_uses_the_same_number_of_threads(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps that number for the whole process, where the other target is trained at the same time."""
    calls: list[int] = []
    predict, construct = lightgbm.Booster.predict, lightgbm.Dataset.construct

    def predicting(self: lightgbm.Booster, *inputs: Any, **settings: Any) -> Any:
        calls.append(settings["num_threads"])
        return predict(self, *inputs, **settings)

    def constructing(self: lightgbm.Dataset) -> lightgbm.Dataset:
        calls.append(self.params["num_threads"])
        return construct(self)

    monkeypatch.setattr(lightgbm.Booster, "predict", predicting)
    monkeypatch.setattr(lightgbm.Dataset, "construct", constructing)
    frame, _ = small_portfolio
    model = fit(small_portfolio, small_catalogue)
    refit_boosted_trees(model, rows(small_portfolio, small_catalogue), small_catalogue, "churn").raw(frame)
    fit_from_start(model, rows(small_portfolio, small_catalogue), np.zeros(len(frame)))
    scorer = Scorer.from_texts(model.text, model.encoding.schema, IDENTITY)
    scorer.contributions(scorer.encode(frame).matrix)
    assert len(calls) > 10
    assert set(calls) == {THREADS}


def test_trees_rank_held_out_rows_and_refit_on_more(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, y = small_portfolio
    early = (frame["as_of"] < frame["as_of"].quantile(0.7)).to_numpy(dtype=bool)
    model = fit((frame[early].reset_index(drop=True), y[early]), small_catalogue)
    assert roc_auc_score(y[~early], model.raw(frame[~early])) > 0.7
    more = refit_boosted_trees(model, rows(small_portfolio, small_catalogue), small_catalogue, "churn")
    assert more.settings["trees"] == model.settings["trees"]
    assert trees(more) != trees(model)


def test_held_out_rows_are_predicted_out_of_sample(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    design = rows(small_portfolio, small_catalogue)
    result, thin = fit(small_portfolio, small_catalogue), design.search_rows()
    masks = [fold.held_out for fold in thin.folds()]
    assert [len(part) for part in result.held_out_log_odds] == [int(part.sum()) for part in masks]
    y = np.concatenate([thin.y[part] for part in masks])
    assert 0.65 < roc_auc_score(y, np.concatenate(result.held_out_log_odds)) < 1.0


def test_trees_that_start_from_perfect_log_odds_add_little(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    design = rows(small_portfolio, small_catalogue)
    model = fit(small_portfolio, small_catalogue)
    offsets = np.where(design.y == 1, 6.0, -6.0)
    added = fit_from_start(model, design, offsets).raw(small_portfolio[0])
    assert added.std() < 0.3 * model.raw(small_portfolio[0]).std()


def test_risk_never_falls_along_a_monotone_feature(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, _ = small_portfolio
    path = frame.iloc[[7] * 60].assign(**{"usage.falling": np.linspace(-4, 4, 60)})
    raw = fit(small_portfolio, small_catalogue).raw(path)
    assert (np.diff(raw) >= -1e-12).all()
    assert raw[-1] > raw[0]


def test_more_trials_never_increase_the_held_out_loss(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """The first trials are the same as those of the shorter search."""
    few, more = (fit(small_portfolio, small_catalogue, trials=n) for n in (2, 6))
    assert more.loss <= few.loss


def test_richer_trees_are_chosen_if_significantly_better(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """Columns that matter only together need trees that split on both."""
    frame, _ = small_portfolio
    large = frame["contract.arr"] - frame["contract.arr"].median()
    together = np.sign(frame["usage.bent"]) * np.sign(frame["usage.noise"]) * np.sign(large)
    y = (np.random.default_rng(3).random(len(frame)) < np.where(together > 0, 0.9, 0.1)).astype(float)
    by_chance = np.random.default_rng(4).permutation(y)
    rich, modest = (fit((frame, of), small_catalogue, trials=1) for of in (y, by_chance))
    assert rich.settings["num_leaves"] > modest.settings["num_leaves"]


def test_progress_is_reported_and_an_interrupt_ends_the_search(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    result: list[tuple[int, int]] = []

    def stop(process: int, of: int, best: float) -> None:
        result.append((process, of))
        assert best > 0
        if process == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_boosted_trees(rows(small_portfolio, small_catalogue), small_catalogue, "churn", 5, progress=stop)
    assert result == [(1, 5), (2, 5)]


def test_the_scorer_gives_the_same_log_odds(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, _ = small_portfolio
    model = fit(small_portfolio, small_catalogue)
    scorer = Scorer.from_texts(model.text, model.encoding.schema, IDENTITY)
    matrix = scorer.encode(frame).matrix
    assert scorer.raw(matrix) == pytest.approx(model.raw(frame), abs=1e-9)
    assert scorer.contributions(matrix).sum(axis=1) == pytest.approx(model.raw(frame), abs=1e-6)


def test_regularization_is_scaled_to_the_search_rows(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leaf that needs so many independent outcomes needs fewer rows where each of them weighs more."""
    frame, y = small_portfolio
    weekly = frame.assign(as_of=frame["as_of"].min() + (frame["as_of"] - frame["as_of"].min()) / 4)
    design = rows((weekly, y), small_catalogue)
    model = fit_boosted_trees(design, small_catalogue, "churn", 1)
    calls: list[int] = []
    trained = lightgbm.train

    def training(settings: Any, data: lightgbm.Dataset, *inputs: Any, **more: Any) -> Any:
        calls.append(settings["min_data_in_leaf"])
        return trained(settings, data, *inputs, **more)

    monkeypatch.setattr(lightgbm, "train", training)
    fit_from_start(model, design, np.zeros(len(design.y)))
    *searched, needed = calls
    by = design.weight.mean() / design.search_rows().weight.mean()
    assert by < 0.5
    assert needed == model.settings["min_data_in_leaf"]
    assert set(searched) == {round(needed * by)}
