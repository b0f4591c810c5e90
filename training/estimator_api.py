"""The part of the public Python API for a user's own estimators: backtest, judge and register.

`renewcast` exports it. Users import it from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from features.errors import BadRequest
from features.python_api import Address, Signals
from models.home import home_at
from models.targets import TARGETS, Target
from training.config import TrainConfig, read_config
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.evaluation.comparison import Comparison
from training.evaluation.promotion_gates import Gate, all_passed
from training.pipeline.recipe_backtest import RecipeBacktest, backtest_recipes
from training.python_api import TrainingResult

Config = Address | Mapping[str, object] | None
_INTERVAL = ("value", "low", "high")


@dataclass(frozen=True)
class BacktestResult:
    """The result of a backtest of recipes. `backtest` returns it.

    Attributes
    ----------
    target : str
        The predicted target.
    recipes : tuple of str
        The names of your recipes.
    origins : pandas.DatetimeIndex
        The dates at which every candidate was refitted.
    metrics : pandas.DataFrame
        Index ``candidate``, ``metric``; columns ``value``, ``low`` and ``high`` (95% interval, accounts resampled). NaN
        where undefined. Besides your recipes, the candidates are the base rate, the renewal date, the health scores,
        and Renewcast's own models; the one that it would release is ``blend``.
    differences : pandas.DataFrame
        Paired differences in loss between each recipe (and ``blend``) and every other candidate: ``candidate``,
        ``against``, ``loss`` ("log_loss" or "brier"), ``value``, ``low``, ``high`` (95% interval, the same resamples of
        accounts), and ``better`` (bool: the whole interval is below 0). Negative values favor ``candidate``.
    predictions : pandas.DataFrame
        One row per account and predicted date: ``account_id``, ``as_of`` (datetime64[us, UTC]), ``segment``, ``arr``
        (currency a year), ``outcome`` (0.0 or 1.0), and the probability (0 to 1) by each candidate in a column of its
        name.
    """

    evaluated: RecipeBacktest

    @property
    def target(self) -> str:
        """The predicted target."""
        return self.evaluated.target

    @property
    def recipes(self) -> tuple[str, ...]:
        """The names of the user's recipes."""
        return tuple(recipe.name for recipe in self.evaluated.recipes)

    @property
    def origins(self) -> pd.DatetimeIndex:
        """The dates at which every candidate was refitted."""
        return pd.DatetimeIndex(self.evaluated.data.facts[self.evaluated.target].require().dates)

    @property
    def metrics(self) -> pd.DataFrame:
        """Each candidate's metrics on all predicted rows, with 95% intervals."""
        rows = [
            {"candidate": row.candidate, "metric": metric.name} | {name: getattr(metric, name) for name in _INTERVAL}
            for row in self._comparison.rows
            for metric in row.metrics
        ]
        return pd.DataFrame(rows).set_index(["candidate", "metric"]).astype("float64")

    @property
    def differences(self) -> pd.DataFrame:
        """Paired differences in loss between each recipe and every other candidate."""
        rows = [
            {"candidate": each.candidate, "against": each.against, "loss": each.loss}
            | {name: getattr(each, name) for name in _INTERVAL}
            | {"better": each.better}
            for comparison in self.evaluated.backtest.comparisons.values()
            for each in comparison.differences
        ]
        return pd.DataFrame(rows)

    @property
    def predictions(self) -> pd.DataFrame:
        """The predicted rows with the outcomes and the probability by each candidate."""
        return self.evaluated.backtest.tested.frame()

    @property
    def _comparison(self) -> Comparison:
        return self.evaluated.backtest.judgement

    def __repr__(self) -> str:
        return f"<BacktestResult of {self.target}: {', '.join(self.recipes) or 'no recipe'} next to blend>"


@dataclass(frozen=True)
class JudgeResult:
    """The verdict on the recipes of a backtest. `judge` returns it.

    Attributes
    ----------
    grades : pandas.DataFrame
        One row per recipe, ``blend`` last: index ``recipe``; ``grade`` ("none", "weak", "fair" or "good"), ``words``
        that say what it means, ``passed`` (bool: every gate is passed, so `register` would promote it) and
        ``failed_gates`` (their names, separated by commas).
    gates : pandas.DataFrame
        The promotion gates: ``recipe``, ``name``, ``passed`` (bool), ``figure`` and ``limit`` (NaN if not a number) and
        ``words``.
    passed : tuple of str
        The recipes that pass every gate.
    """

    by_recipe: Mapping[str, tuple[Comparison, tuple[Gate, ...]]]

    @property
    def passed(self) -> tuple[str, ...]:
        """The recipes that pass every gate."""
        return tuple(name for name, (_, gates) in self.by_recipe.items() if all_passed(gates))

    @property
    def grades(self) -> pd.DataFrame:
        """The grade of each recipe, and whether it passed every gate."""
        rows = [
            {
                "recipe": name,
                "grade": comparison.grade,
                "words": comparison.words,
                "passed": all_passed(gates),
                "failed_gates": ", ".join(gate.name for gate in gates if not gate.passed),
            }
            for name, (comparison, gates) in self.by_recipe.items()
        ]
        return pd.DataFrame(rows).set_index("recipe")

    @property
    def gates(self) -> pd.DataFrame:
        """The promotion gates of each recipe."""
        names = ("name", "passed", "figure", "limit", "words")
        rows = [
            {"recipe": recipe} | {name: getattr(gate, name) for name in names}
            for recipe, (_, gates) in self.by_recipe.items()
            for gate in gates
        ]
        return pd.DataFrame(rows).astype({"figure": "float64", "limit": "float64"})

    def __repr__(self) -> str:
        words = ", ".join(f"{name} {comparison.grade}" for name, (comparison, _) in self.by_recipe.items())
        return f"<JudgeResult: {words}; passed {', '.join(self.passed) or 'nothing'}>"


def backtest(
    recipes: Mapping[str, Any] | Sequence[Any],
    signals: Signals,
    *,
    target: str = "churn",
    home: Address | None = None,
    config: Config = None,
) -> BacktestResult:
    """Backtest your own classifiers next to Renewcast's models, by the rules of a training.

    At several past dates, each classifier is refitted on the labels known then and predicts the snapshots that follow,
    as every candidate of `renewcast.train` does. It is fitted in as many copies as the setting ``folds``, each without
    one fold of the accounts; the mean of their log-odds is calibrated on the predictions of the accounts left out.
    Nothing is registered, and the home is not changed.

    Parameters
    ----------
    recipes : mapping or sequence
        Unfitted scikit-learn compatible classifiers with ``predict_proba``, by name, or as a sequence, in which each is
        named by its class. Renewcast's own model is always a candidate, named ``blend``.
    signals : Signals
        The open source. It is read again from its address, up to its ``data_through``.
    target : {"churn", "expansion"}, default "churn"
        The target.
    home : str or path-like, optional
        The home folder, for the champion and the weights of the health score. By default the environment variable
        RENEWCAST_HOME, or ``.renewcast`` without it.
    config : str, path-like or mapping, optional
        Training settings by name, or the path of a TOML file of them.

    Returns
    -------
    BacktestResult
        Metrics with intervals, paired differences and predictions. `judge` applies the promotion gates to it.

    Raises
    ------
    RenewcastError
        If there is too little data, a feature leaks the future, or a classifier cannot be fitted.

    Notes
    -----
    A classifier gets a DataFrame of float64 columns: the features of `features` that vary, by name, and
    ``horizon.days``, ``horizon.renews``, ``horizon.after_renewal`` and ``horizon.short_terms`` where contracts have
    renewal dates. NaN is unknown. A category is the position of its value in the sorted list of frequent values. The
    label is 0 or 1. If ``fit`` accepts ``sample_weight``, it gets the weights of the rows, whose label windows overlap.
    A ``random_state`` that is None is set to the seed of the settings, and imputers keep empty columns.

    Examples
    --------
    >>> import renewcast
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> quick = {"every_days": 28, "trials": 1, "resamples": 50, "folds": 2}
    >>> recipes = {"histograms": HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8)}
    >>> with renewcast.open_signals("training-signals", data_through="2026-09-30") as signals:
    ...     result = renewcast.backtest(recipes, signals, target="expansion", config=quick)
    >>> 0.5 < result.metrics.loc[("histograms", "roc_auc"), "value"] < 1
    np.True_

    Twenty trees on a small portfolio are not measurably better than the base rate:

    >>> renewcast.judge(result).grades.loc["histograms", "grade"]
    'none'
    """
    named = _named(recipes)
    place, settings = home_at(home), _settings(config)
    evaluated = backtest_recipes(
        named, signals.address, place, _target(target), settings, signals.cutoff, engine=signals.engine
    )
    return BacktestResult(evaluated)


def judge(result: BacktestResult) -> JudgeResult:
    """Apply the promotion gates and the grades of a training to the recipes of a backtest.

    Each recipe is judged like Renewcast's own model: the leak check, the feeds, enough data, better than the base rate,
    no loss to the linear model, the health score and the renewal date, and the slope of the calibration. If the home
    has a champion for the target, the recipe is also refitted on what was known when the champion was trained, and both
    are compared on what followed.

    Parameters
    ----------
    result : BacktestResult
        The result of `backtest`.

    Returns
    -------
    JudgeResult
        The grade and the gates of each recipe.

    Raises
    ------
    RenewcastError
        If a recipe cannot be fitted on what was known when the champion was trained.

    Examples
    --------
    >>> import renewcast
    >>> quick = {"every_days": 28, "trials": 1, "resamples": 50, "folds": 2}
    >>> with renewcast.open_signals("training-signals", data_through="2026-09-30") as signals:
    ...     result = renewcast.backtest({}, signals, target="expansion", config=quick)
    >>> renewcast.judge(result).gates["recipe"].unique().tolist()
    ['blend']
    """
    comparisons = result.evaluated.backtest.comparisons
    return JudgeResult({name: (comparisons[name], gates) for name, gates in result.evaluated.gates().items()})


def register_estimator(
    estimator: Any,
    signals: Signals,
    name: str | None,
    target: str,
    home: Address | None,
    config: Config,
    portfolio: str | None,
    promote: bool,
) -> TrainingResult:
    """Judge, fit and register an estimator; see `renewcast.register`."""
    from training.pipeline.train import train
    from training.registry.mlflow_tracking import restored_environment

    (recipe,) = _named([estimator] if name is None else {name: estimator})
    place, settings, predicted = home_at(home), _settings(config), _target(target)
    with restored_environment("MLFLOW_"):
        report = train(
            signals.address,
            place,
            settings,
            signals.cutoff,
            engine=signals.engine,
            portfolio=portfolio,
            recipe=recipe,
            target=predicted,
            promoting=promote,
        )
    place.ensure()
    return TrainingResult(report, place)


def _named(recipes: Mapping[str, Any] | Sequence[Any]) -> list[EstimatorRecipe]:
    if isinstance(recipes, Mapping):
        return [EstimatorRecipe(str(name), estimator) for name, estimator in recipes.items()]
    if not isinstance(recipes, list | tuple):
        raise BadRequest(
            f"recipes is a {type(recipes).__name__}", "a dictionary {NAME: classifier}, or a list of classifiers"
        )
    return [EstimatorRecipe(type(estimator).__name__, estimator) for estimator in recipes]


def _settings(config: Config) -> TrainConfig:
    if isinstance(config, Mapping):
        return read_config(None, **{str(name): value for name, value in config.items()})
    return read_config(None if config is None else Path(config))


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise BadRequest(f"there is no target {name}", f"one of {', '.join(TARGETS)}")
    return name
