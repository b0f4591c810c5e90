"""Boosted trees do not depend on threads, respect constraints, and can be interrupted."""

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
from training.estimators.gradient_boosting import (
    MOST_TREES,
    BoostedTrees,
    TreeSearch,
    TreeSettings,
    binned_rows,
    fit_boosted_trees,
)

Portfolio = tuple[pd.DataFrame, Floats]
IDENTITY = {"kind": "sigmoid", "parameters": {"a": 1.0, "b": 0.0}, "resamples": [{"a": 1.0, "b": 0.0}] * 10}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.estimators.gradient_boosting.MOST_TREES", 30)


def rows(portfolio: Portfolio, catalogue: dict[str, Feature]) -> Design:
    frame, y = portfolio
    return build_design(frame, {90: y}, 90, 0, catalogue)


def fit(portfolio: Portfolio, catalogue: dict[str, Feature], trials: int = 3, threads: int = 1) -> BoostedTrees:
    design = rows(portfolio, catalogue)
    return fit_boosted_trees(design, search(design, catalogue, trials, threads), catalogue, "churn")


def search(design: Design, catalogue: dict[str, Feature], trials: int = 3, threads: int = 1) -> TreeSettings:
    return TreeSearch(design, catalogue, "churn", threads=threads).small_trees(trials)


def search_large(design: Design, catalogue: dict[str, Feature]) -> TreeSettings:
    return TreeSearch(design, catalogue, "churn").large_trees()


def trees(result: BoostedTrees) -> str:
    """The model without the list of its parameters, which names the number of threads."""
    return result.text.split("\nparameters:")[0]


def test_threads_do_not_change_the_result(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few, because threads that share a busy core are slow.
    monkeypatch.setattr("training.estimators.gradient_boosting.MOST_TREES", 8)
    frame, _ = small_portfolio
    one, again, two = (fit(small_portfolio, small_catalogue, trials=2, threads=n) for n in (1, 1, 2))
    assert one.text == again.text
    assert trees(one) == trees(two)
    assert one.settings.loss == two.settings.loss
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
    model.raw(frame)
    search_large(rows(small_portfolio, small_catalogue), small_catalogue)
    scorer = Scorer.from_texts(model.text, model.encoding.schema, IDENTITY)
    scorer.contributions(scorer.encode(frame).matrix)
    assert len(calls) > 10
    assert set(calls) == {THREADS}


def test_trees_rank_later_rows_and_fit_more_rows_with_the_same_settings(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """As members of an ensemble do."""
    frame, y = small_portfolio
    early = (frame["as_of"] < frame["as_of"].quantile(0.7)).to_numpy(dtype=bool)
    model = fit((frame[early].reset_index(drop=True), y[early]), small_catalogue)
    assert roc_auc_score(y[~early], model.raw(frame[~early])) > 0.7
    more = fit_boosted_trees(rows(small_portfolio, small_catalogue), model.settings, small_catalogue, "churn")
    assert more.booster.num_trees() == model.booster.num_trees() == model.settings.trees
    assert trees(more) != trees(model)


def test_both_kinds_of_trees_are_the_same_on_shared_tables(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """Binning once for both is only faster."""
    design = rows(small_portfolio, small_catalogue)
    both, data = TreeSearch(design, small_catalogue, "churn"), binned_rows(design)
    found = both.small_trees(2), both.large_trees()
    assert found == (search(design, small_catalogue, 2), search_large(design, small_catalogue))
    for each in found:
        alone = fit_boosted_trees(design, each, small_catalogue, "churn")
        assert trees(fit_boosted_trees(design, each, small_catalogue, "churn", data)) == trees(alone)


def test_the_loss_is_that_of_accounts_outside_the_fit(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """Labels by chance cannot be predicted, whatever the trees learn by heart: the loss is that of the base rate."""
    frame, y = small_portfolio
    chance = np.random.default_rng(4).permutation(y)
    rate = chance.mean()
    base = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    design = rows((frame, chance), small_catalogue)
    for settings in (search(design, small_catalogue), search_large(design, small_catalogue)):
        assert settings.loss > 0.97 * base
        assert settings.trees <= MOST_TREES


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
    assert more.settings.loss <= few.settings.loss


def test_large_trees_learn_interacting_columns(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns that matter only together need trees with many leaves: the first small trees cannot separate them."""
    monkeypatch.setattr("training.estimators.gradient_boosting.MOST_TREES", 150)
    frame, _ = small_portfolio
    large = frame["contract.arr"] - frame["contract.arr"].median()
    together = np.sign(frame["usage.bent"]) * np.sign(frame["usage.noise"]) * np.sign(large)
    y = (np.random.default_rng(3).random(len(frame)) < np.where(together > 0, 0.9, 0.1)).astype(float)
    design = rows((frame, y), small_catalogue)
    assert search_large(design, small_catalogue).loss < 0.9 * search(design, small_catalogue, 1).loss


def test_without_folds_the_search_uses_the_first_settings(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """A single churned account cannot be on both sides of a fold."""
    frame, _ = small_portfolio
    design = rows((frame, (frame["account_id"] == "a0").to_numpy(dtype=np.float64)), small_catalogue)
    for settings in (search(design, small_catalogue), search_large(design, small_catalogue)):
        assert settings.loss == np.inf
        model = fit_boosted_trees(design, settings, small_catalogue, "churn")
        assert 0 < model.booster.num_trees() <= settings.trees
        assert np.isfinite(model.raw(frame)).all()


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
        TreeSearch(rows(small_portfolio, small_catalogue), small_catalogue, "churn").small_trees(5, stop)
    assert result == [(1, 5), (2, 5)]


def test_the_scorer_gives_the_same_log_odds(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, _ = small_portfolio
    model = fit(small_portfolio, small_catalogue)
    scorer = Scorer.from_texts(model.text, model.encoding.schema, IDENTITY)
    matrix = scorer.encode(frame).matrix
    assert scorer.raw(matrix) == pytest.approx(model.raw(frame), abs=1e-9)
    assert scorer.contributions(matrix).sum(axis=1) == pytest.approx(model.raw(frame), abs=1e-6)


def test_regularization_is_scaled_to_the_search_rows(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """A leaf that needs so many independent outcomes needs fewer rows where each of them weighs more."""
    frame, y = small_portfolio
    weekly = frame.assign(as_of=frame["as_of"].min() + (frame["as_of"] - frame["as_of"].min()) / 4)
    design = rows((weekly, y), small_catalogue)
    needed = {
        name: search(part, small_catalogue, 1).parameters(part, small_catalogue, "churn")["min_data_in_leaf"]
        for name, part in (("all", design), ("search", design.search_rows()))
    }
    by = design.weight.mean() / design.search_rows().weight.mean()
    assert by < 0.5
    assert needed["search"] == pytest.approx(needed["all"] * by, abs=1)
