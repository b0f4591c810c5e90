"""A candidate's recipe is compared with the champion on labels that neither was trained on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import BundleError
from models.artifacts.champion_pointer import ChampionPointer, write_pointer
from models.home import Home
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.dataset.target_rows import TargetRows
from training.estimators.ensemble import EnsembleSettings
from training.estimators.fitted_model import fit_model
from training.estimators.gradient_boosting import TreeSettings
from training.estimators.logistic_regression import RidgeSettings
from training.evaluation import champion_comparison
from training.evaluation.champion_comparison import (
    ChampionComparison,
    UnreadableChampion,
    compare_with_champion,
    load_champions,
)

MAIN, DAY = 30, timedelta(days=1)
CONFIG = TrainConfig(horizon_days=MAIN, horizons=(), grace_days=0, trials=1, folds=2, resamples=50)
_TREES = TreeSettings(
    {"leaves": 6, "alone": 30.0, "ridge": 10.0, "columns": 0.4, "rows": 0.7, "smooth": 10.0, "random_cuts": True}, 20, 0.5
)
SETTINGS = EnsembleSettings(RidgeSettings(0.3, {0.3: 0.5}), _TREES, _TREES)


@pytest.fixture(scope="module")
def rows(labelled_portfolio: LabelledSnapshots) -> TargetRows:
    return TargetRows(replace(labelled_portfolio, further_labels={}), "churn", {}, MAIN)


@pytest.fixture(scope="module")
def trained_through(labelled_portfolio: LabelledSnapshots) -> datetime:
    """Three dates have outcomes that a champion of this day has not used."""
    return labelled_portfolio.grid.as_ofs[9] + DAY  # type: ignore[no-any-return]


def _champion(trained_through: datetime, horizon_days: int = MAIN, answers: Any = None) -> Any:
    manifest = SimpleNamespace(version="3", horizon_days=horizon_days, grace_days=0, trained_through=trained_through)
    predict = answers or (lambda frame: np.full(len(frame), 0.5))
    scorer = SimpleNamespace(predict=lambda frame: SimpleNamespace(probability=predict(frame)))
    return SimpleNamespace(manifest=manifest, scorer=scorer)


def _compare(champion: Any, rows: TargetRows, first: datetime | None = None) -> ChampionComparison:
    return compare_with_champion(champion, rows, CONFIG, SETTINGS, first or rows.prepared.grid.as_ofs[0])


def _relabelled(rows: TargetRows, churn: Any) -> TargetRows:
    return replace(rows, prepared=replace(rows.prepared, labels=rows.prepared.labels.assign(churn=churn)))


def test_the_recipe_is_fitted_on_what_was_known_when_the_champion_was_trained(
    rows: TargetRows, trained_through: datetime
) -> None:
    """Outcomes that were unknown then can be anything: the probabilities under comparison stay the same."""
    labels = rows.prepared.labels
    unknown = (labels["as_of"] + MAIN * DAY > trained_through).to_numpy()
    flipped = _relabelled(rows, np.where(unknown, 1 - labels["churn"], labels["churn"]))
    test = rows.rows_at(sorted(set(labels["as_of"][unknown])))
    p = fit_model(flipped, trained_through, CONFIG, SETTINGS, resamples=0).probability(test.frame)
    loss = -np.where(test.y == 1, np.log(p), np.log1p(-p)).mean()
    comparison = _compare(_champion(trained_through), rows)
    assert comparison.difference is not None
    difference, low, high = comparison.difference
    assert difference == pytest.approx(loss - np.log(2), abs=1e-9)
    assert low < difference < high < 0, "the champion says 50% of every account"


def test_a_better_champion_shows(rows: TargetRows, trained_through: datetime) -> None:
    outcomes = rows.prepared.labels.set_index(["account_id", "as_of"])["churn"]

    def answers(test: Any) -> Any:
        return 0.1 + 0.8 * outcomes.loc[list(zip(test["account_id"], test["as_of"], strict=True))].to_numpy()

    comparison = _compare(_champion(trained_through, answers=answers), rows)
    assert comparison.difference is not None
    assert comparison.difference[1] > 0


def test_settings_that_are_newer_than_the_champion_are_not_used(
    rows: TargetRows, trained_through: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def fit(_rows: Any, through: datetime, _config: Any, settings: Any, **_more: Any) -> Any:
        used.append((through, settings))
        return SimpleNamespace(probability=lambda frame: np.full(len(frame), 0.3))

    monkeypatch.setattr(champion_comparison, "fit_model", fit)
    for first in (trained_through, trained_through + DAY):
        _compare(_champion(trained_through), rows, first)
    assert used == [(trained_through, SETTINGS), (trained_through, None)]


def test_a_champion_of_the_same_data_is_not_compared(rows: TargetRows) -> None:
    through = rows.prepared.signals.data_through
    comparison = _compare(_champion(through), rows)
    assert (comparison.difference, comparison.unreadable) == (None, False)
    assert comparison.reason == f"it was trained through {through:%Y-%m-%d} and has used every known outcome"


def test_too_few_new_outcomes_are_reported(rows: TargetRows, trained_through: datetime) -> None:
    few = rows.prepared.labels["churn"] * rows.prepared.frame["account_id"].isin([f"a{i}" for i in range(15)])
    comparison = _compare(_champion(trained_through), _relabelled(rows, few))
    assert comparison.difference is None
    assert "accounts have outcomes that it has not used; at least 20 are needed" in comparison.reason


def test_too_short_a_history_at_the_time_is_reported(rows: TargetRows) -> None:
    comparison = _compare(_champion(rows.prepared.grid.as_ofs[1]), rows)
    assert comparison.difference is None
    assert "do not suffice to fit the candidate (no outcome at the training dates is known)" in comparison.reason


def test_champions_of_another_horizon_are_not_compared(rows: TargetRows, trained_through: datetime) -> None:
    comparison = _compare(_champion(trained_through, horizon_days=60), rows)
    assert comparison.difference is None
    assert comparison.reason == "it predicts 60 days ahead (grace 0), not 30 (grace 0)"


def test_unreadable_and_missing_champions(tmp_path: Path, rows: TargetRows) -> None:
    home = Home(tmp_path)
    assert load_champions(home, CATALOGUE) == {}
    result = '{"churn": {"version": "7", "folder": "bundles/churn/7"}, "promoted_at": "2026-01-01T00:00:00Z"}'
    write_pointer(home, ChampionPointer.model_validate_json(result))
    assert load_champions(home, CATALOGUE) == {"churn": UnreadableChampion("7")}
    comparison = _compare(UnreadableChampion("7"), rows)
    assert comparison.unreadable
    assert "version 7, can no longer be read" in comparison.reason


def test_a_broken_pointer_is_reported_before_fitting(tmp_path: Path) -> None:
    (tmp_path / "champion.json").write_text("{", encoding="utf-8")
    with pytest.raises(BundleError):
        load_champions(Home(tmp_path), CATALOGUE)
