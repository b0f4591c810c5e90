"""The backtest predicts every later snapshot once, by models that know nothing of what happened after their origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier

from features.errors import BadRequest
from features.utils.progress import no_progress
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.origins import Origins
from training.dataset.sufficiency import Sufficiency
from training.dataset.target_rows import TargetRows
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.evaluation.backtest import PARTS, Backtest, run_backtest
from training.evaluation.baselines import BASE_RATE, BLEND, HEALTH_SCORE, RENEWAL_DUE
from training.evaluation.promotion_gates import all_passed, evaluate_gates

MAIN = 30
CONFIG = TrainConfig(horizon_days=MAIN, horizons=(14, 60), grace_days=0, trials=1, folds=2, resamples=50)
Run = Callable[[LabelledSnapshots, Origins], Backtest]


def _run(prepared: LabelledSnapshots, origins: Origins) -> Backtest:
    score = 50 - 10 * prepared.frame["usage.falling"].to_numpy()
    return run_backtest(TargetRows(prepared, "churn", {HEALTH_SCORE: score}, MAIN), origins, CONFIG, no_progress)


@pytest.fixture(scope="module")
def origins(labelled_portfolio: LabelledSnapshots) -> Origins:
    dates = tuple(labelled_portfolio.grid.as_ofs)
    return Origins((dates[6], dates[9]), dates, MAIN)


@pytest.fixture(scope="module")
def backtest(labelled_portfolio: LabelledSnapshots, origins: Origins) -> Backtest:
    return _run(labelled_portfolio, origins)


def test_every_later_snapshot_is_predicted_once_by_every_candidate(
    backtest: Backtest, origins: Origins, labelled_portfolio: LabelledSnapshots
) -> None:
    frame = labelled_portfolio.frame
    expected = frame.loc[frame["as_of"] >= origins.first, ["account_id", "as_of"]]
    keys = pd.DataFrame({"account_id": backtest.tested.accounts, "as_of": backtest.tested.as_of})
    assert not keys.duplicated().any()
    assert set(keys.itertuples(index=False)) == set(expected.itertuples(index=False))
    assert set(backtest.tested.p) == {BASE_RATE, RENEWAL_DUE, HEALTH_SCORE, BLEND, *PARTS}
    assert all(len(p) == len(keys) and ((p > 0) & (p < 1)).all() for p in backtest.tested.p.values())
    # The base rate is what was known at the origin: one value for each.
    by_origin = (keys["as_of"] >= origins.dates[1]).to_numpy()
    assert all(np.ptp(backtest.tested.known_rate[part]) == 0 for part in (by_origin, ~by_origin))
    assert backtest.tested.known_rate[0] != backtest.tested.known_rate[-1]
    days = backtest.test.frame["contract.days_to_renewal"].to_numpy()
    assert backtest.tested.due.tolist() == (days <= MAIN).tolist()


def test_the_model_finds_the_signal(backtest: Backtest) -> None:
    assert backtest.judgement.subject == BLEND
    assert backtest.judgement[BLEND]["roc_auc"].low > 0.65
    assert backtest.judgement.difference(BASE_RATE) is not None
    assert backtest.judgement.difference(BASE_RATE).better  # type: ignore[union-attr]
    assert backtest.tested.p[BLEND].mean() == pytest.approx(backtest.tested.y.mean(), abs=0.03)


def test_further_horizons_are_pooled_over_the_origins_whose_outcome_is_known(backtest: Backtest) -> None:
    short, long = backtest.by_horizon
    assert (short.name, long.name) == ("14 days", "60 days")
    # Of six predicted dates, the last two have no outcome 60 days ahead yet.
    assert (short.rows, long.rows) == (6 * 250, 4 * 250)
    assert short.enough
    assert long.roc_auc[1] > 0.6


def test_nothing_after_an_origin_reaches_its_predictions(
    backtest: Backtest, origins: Origins, labelled_portfolio: LabelledSnapshots
) -> None:
    """All outcomes not known at the first origin, and all later snapshots, may change: its predictions stay the same."""
    first, second = origins.dates
    frame = labelled_portfolio.frame.copy()
    later = (frame["as_of"] >= second).to_numpy()
    for name in ("usage.falling", "usage.bent", "usage.noise", "contract.arr", "contract.days_to_renewal"):
        frame.loc[later, name] = 1000 + 7 * frame.loc[later, name]

    def flipped(labels: pd.DataFrame, days: int) -> pd.DataFrame:
        unknown = (labels["as_of"] + timedelta(days=days) > first).to_numpy()
        return labels.assign(churn=np.where(unknown, 1 - labels["churn"], labels["churn"]))

    further = {days: flipped(labels, days) for days, labels in labelled_portfolio.further_labels.items()}
    labels = flipped(labelled_portfolio.labels, MAIN)
    altered = _run(replace(labelled_portfolio, frame=frame, labels=labels, further_labels=further), origins)
    assert altered.settings.as_dict() == backtest.settings.as_dict()
    own = (backtest.tested.as_of < second).to_numpy()
    assert 0 < own.sum() < len(own)
    for name, p in backtest.tested.p.items():
        assert (altered.tested.p[name][own] == p[own]).all(), name
        # The second origin knows some of these outcomes, which shows that the comparison can fail.
        assert not np.allclose(altered.tested.p[name][~own], p[~own]), name


def test_what_the_data_lack_is_no_candidate(labelled_portfolio: LabelledSnapshots, origins: Origins) -> None:
    frame = labelled_portfolio.frame.assign(**{"contract.days_to_renewal": np.nan})
    rows = TargetRows(
        replace(labelled_portfolio, frame=frame, further_labels={}), "churn", {HEALTH_SCORE: np.full(len(frame), np.nan)}, MAIN
    )
    result = run_backtest(rows, Origins(origins.dates[1:], origins.labelled, MAIN), CONFIG, no_progress)
    assert set(result.tested.p) == {BASE_RATE, BLEND, *PARTS}
    assert not result.tested.due.any()


class _Noise(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probabilities that have nothing to do with the outcome."""

    def fit(self, X: pd.DataFrame, y: object) -> _Noise:
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        p = 0.05 + 0.9 * (np.modf(np.abs(np.nan_to_num(X["usage.noise"])) * 1000)[0])
        return np.column_stack([1 - p, p])


@pytest.mark.slow
def test_recipes_are_judged_like_our_own_and_one_without_signal_fails(
    labelled_portfolio: LabelledSnapshots, origins: Origins, backtest: Backtest
) -> None:
    rows = TargetRows(labelled_portfolio, "churn", {}, MAIN)
    recipes = [
        EstimatorRecipe("trees", HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=6)),
        EstimatorRecipe("noise", _Noise()),
    ]
    result = run_backtest(rows, origins, CONFIG, no_progress, recipes)
    assert list(result.comparisons) == ["trees", "noise", BLEND]
    assert result.judgement == result.comparisons["trees"]
    # Our own candidates are those of a backtest without recipes, and differences are paired both ways.
    np.testing.assert_array_equal(result.tested.p[BLEND], backtest.tested.p[BLEND])
    one, two = result.comparisons["trees"].difference(BLEND), result.comparisons[BLEND].difference("trees")
    assert one is not None
    assert two is not None
    assert (one.value, one.low, one.high) == pytest.approx((-two.value, -two.high, -two.low))
    enough = Sufficiency("churn", 900.0, 300, {}, {}, {}, (), (), None)
    gates = {name: evaluate_gates(each, enough, [], None, []) for name, each in result.comparisons.items()}
    assert result.comparisons["trees"].grade in ("fair", "good")
    assert not [gate.name for gate in gates["trees"] if not gate.passed and gate.name == "beats_base_rate"]
    assert result.comparisons["noise"].grade == "none"
    assert not all_passed(gates["noise"])
    assert "beats_base_rate" in [gate.name for gate in gates["noise"] if not gate.passed]


@pytest.mark.parametrize("names", [(BLEND,), (HEALTH_SCORE,), ("own", "own")])
def test_candidates_have_different_names(
    labelled_portfolio: LabelledSnapshots, origins: Origins, names: tuple[str, ...]
) -> None:
    recipes = [EstimatorRecipe(name, _Noise()) for name in names]
    with pytest.raises(BadRequest, match="several candidates would be called"):
        run_backtest(TargetRows(labelled_portfolio, "churn", {}, MAIN), origins, CONFIG, no_progress, recipes)
