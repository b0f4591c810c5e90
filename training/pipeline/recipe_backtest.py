"""Backtest of a user's recipes next to the product's own, by the rules of a training; nothing is registered."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from threadpoolctl import threadpool_limits

from features.custom.current_catalogue import current_catalogue
from features.errors import InsufficientData
from features.sources.base import DUCKDB
from features.utils.progress import Progress, no_progress, subprogress
from models.home import Home
from models.targets import Target
from training.config import TrainConfig
from training.dataset.target_rows import TargetRows
from training.dataset.training_data import TrainingData
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.evaluation.backtest import Backtest, run_backtest
from training.evaluation.baselines import BLEND
from training.evaluation.champion_comparison import compare_with_champion
from training.evaluation.promotion_gates import Gate, evaluate_gates
from training.leakage.check import check_snapshots_for_leaks
from training.leakage.report import LeakReport
from training.pipeline.abort import LeakFound, fix_for, leak_free_targets
from training.pipeline.training_run import TrainingRun


@dataclass(frozen=True)
class RecipeBacktest:
    """A backtest, and what the promotion gates need besides it.

    Parameters
    ----------
    target : the predicted target.
    recipes : the user's recipes.
    run : the home with its champions, and the settings.
    data : the training data.
    leaks : the result of the leak check.
    rows : the labelled snapshots of the target.
    backtest : the predictions and comparisons.
    """

    target: Target
    recipes: tuple[EstimatorRecipe, ...]
    run: TrainingRun
    data: TrainingData
    leaks: LeakReport
    rows: TargetRows
    backtest: Backtest

    def gates(self) -> dict[str, tuple[Gate, ...]]:
        """Evaluate the promotion gates of each recipe, the product's own last, as a training does.

        Returns
        -------
        dict of str to tuple of Gate
            By recipe.
        """
        enough, champion = self.data.facts[self.target], self.run.champions.get(self.target)
        by_name: dict[str, EstimatorRecipe | None] = {recipe.name: recipe for recipe in self.recipes} | {BLEND: None}
        evaluated = {}
        for name, recipe in by_name.items():
            against = None
            if champion is not None:
                first = enough.require().first
                against = compare_with_champion(
                    champion, self.rows, self.run.config, self.backtest.settings, first, recipe=recipe
                )
            comparison = self.backtest.comparisons[name]
            leaks, faults = self.leaks.leaks(self.target), self.data.label_feed_faults
            evaluated[name] = evaluate_gates(comparison, enough, leaks, against, faults)
        return evaluated


def backtest_recipes(
    recipes: Sequence[EstimatorRecipe],
    address: str | Path,
    home: Home,
    target: Target,
    config: TrainConfig,
    data_through: datetime | None = None,
    progress: Progress = no_progress,
    engine: str = DUCKDB,
    portfolio: str | None = None,
) -> RecipeBacktest:
    """Backtest recipes on the signals before ``data_through``. The home is read, and nothing is written to it.

    Parameters
    ----------
    recipes : the user's recipes.
    target : the target to predict.

    The other parameters are those of `training.pipeline.train.train`.

    Raises
    ------
    SignalsError
        If the source cannot be read.
    InsufficientData
        If the target has too little data.
    LeakFound
        If a feature leaks the future.
    BadRequest
        If a recipe cannot be fitted.
    """
    run = TrainingRun.of(home, config, current_catalogue(), portfolio, progress, target=target)
    signals, feeds = run.read(address, data_through, engine)
    with closing(signals), threadpool_limits(limits=1, user_api="blas"):
        data = run.prepare(signals, feeds)
        if missing := data.facts[target].missing:
            raise InsufficientData(list(missing), "`renewcast check` shows the facts")
        leaks = check_snapshots_for_leaks(data.prepared, config, subprogress(progress, 0.36, 0.45))
        if not leak_free_targets([target], leaks):
            words = "; ".join(dict.fromkeys(finding.words for finding in leaks.failures))
            expected = "features that do not change with later data, and no feature that alone reveals the outcome"
            raise LeakFound(f"nothing was fitted: {words}", expected, fix_for(leaks, target))
        rows = TargetRows(data.prepared, target, run.score_rubrics(data, leaks).contenders(), config.horizon_days)
        origins = data.facts[target].require()
        backtest = run_backtest(rows, origins, config, subprogress(progress, 0.45, 1.0), recipes)
    return RecipeBacktest(target, tuple(recipes), run, data, leaks, rows, backtest)
