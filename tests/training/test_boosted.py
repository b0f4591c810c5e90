"""The booster: the same on any number of threads, held to its directions, quick to stop, honest about one class."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features.errors import InsufficientData
from features.feature import Feature
from models.scorer import Scorer
from training.boosted import Boosted, fit_boosted, refit_boosted
from training.linear import fit_linear
from training.steps import Floats

Portfolio = tuple[pd.DataFrame, Floats]
IDENTITY = {"kind": "sigmoid", "parameters": {"a": 1.0, "b": 0.0}, "resamples": [{"a": 1.0, "b": 0.0}] * 10}
WEIGHT = 28 / 90


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.boosted.MOST_TREES", 30)


def fit(portfolio: Portfolio, catalogue: dict[str, Feature], trials: int = 3, threads: int = 1) -> tuple[Boosted, ...]:
    """From nothing, and from the linear model."""
    frame, y = portfolio
    linear = fit_linear(frame, y, catalogue, WEIGHT)
    return fit_boosted(frame, y, catalogue, "churn", WEIGHT, linear, trials, threads=threads)


def trees(found: Boosted) -> str:
    """The model without the list of its parameters, which names the number of threads."""
    return found.text.split("\nparameters:")[0]


def test_the_number_of_threads_changes_nothing(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, _ = small_portfolio
    every = [fit(small_portfolio, small_catalogue, trials=2, threads=n) for n in (1, 1, 2)]
    for one, again, two in zip(*every, strict=True):
        assert one.text == again.text
        assert trees(one) == trees(two)
        assert one.loss == two.loss
        assert one.raw(frame).tolist() == two.raw(frame).tolist()


def test_it_ranks_rows_that_it_never_saw_and_refits_on_more(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, y = small_portfolio
    early = (frame["as_of"] < frame["as_of"].quantile(0.7)).to_numpy(dtype=bool)
    for found in fit((frame[early].reset_index(drop=True), y[early]), small_catalogue):
        assert roc_auc_score(y[~early], found.raw(frame[~early])) > 0.7
        more = refit_boosted(found, frame, y, small_catalogue, "churn", WEIGHT)
        assert more.settings["trees"] == found.settings["trees"]
        assert (more.start is None) == (found.start is None)
        assert trees(more) != trees(found)


def test_risk_never_falls_along_a_feature_that_is_held_to_raise_it(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, _ = small_portfolio
    path = frame.iloc[[7] * 60].assign(**{"usage.falling": np.linspace(-4, 4, 60)})
    for found in fit(small_portfolio, small_catalogue):
        raw = found.raw(path)
        assert (np.diff(raw) >= -1e-12).all()
        assert raw[-1] > raw[0]


def test_more_trials_never_do_worse_on_what_was_held_out(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    """The first trials are those of the shorter search."""
    few, more = (fit(small_portfolio, small_catalogue, trials=n) for n in (2, 6))
    assert [b.loss <= a.loss for a, b in zip(few, more, strict=True)] == [True, True]


def test_progress_is_told_and_an_interrupt_ends_the_search(
    small_portfolio: Portfolio, small_catalogue: dict[str, Feature]
) -> None:
    frame, y = small_portfolio
    told: list[tuple[int, int]] = []

    def stop(done: int, of: int, best: float) -> None:
        told.append((done, of))
        assert best > 0
        if done == 2:
            raise KeyboardInterrupt

    linear = fit_linear(frame, y, small_catalogue, WEIGHT)
    with pytest.raises(KeyboardInterrupt):
        fit_boosted(frame, y, small_catalogue, "churn", WEIGHT, linear, 5, progress=stop)
    assert told == [(1, 5), (2, 5)]


def test_one_class_is_refused(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    frame, y = small_portfolio
    linear = fit_linear(frame, y, small_catalogue, WEIGHT)
    for only in (np.zeros_like(y), np.ones_like(y)):
        with pytest.raises(InsufficientData, match="both outcomes among the training dates"):
            fit_boosted(frame, only, small_catalogue, "churn", WEIGHT, linear, 1)


def test_the_scorer_gives_the_same_log_odds(small_portfolio: Portfolio, small_catalogue: dict[str, Feature]) -> None:
    """Whether the trees start from nothing or from the linear model."""
    frame, _ = small_portfolio
    nothing, linear = fit(small_portfolio, small_catalogue)
    assert nothing.start is None
    assert linear.start is not None
    for found, more in ((nothing, {}), (linear, {"start": linear.start.plain()})):
        scorer = Scorer.from_texts(found.text, found.encoding.schema | more, IDENTITY)
        matrix = scorer.encode(frame).matrix
        assert scorer.raw(matrix) == pytest.approx(found.raw(frame), abs=1e-9)
        assert scorer.contributions(matrix).sum(axis=1) == pytest.approx(found.raw(frame), abs=1e-6)
