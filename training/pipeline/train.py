"""Train and evaluate candidates, register them, and promote those that pass every gate."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

from threadpoolctl import threadpool_limits

from features.custom.current_catalogue import current_catalogue
from features.sources.base import DUCKDB
from features.utils.progress import Progress, no_progress
from models.home import Home
from models.home_writers import writing
from models.targets import Target
from training.config import TrainConfig
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.pipeline.report import TrainReport
from training.pipeline.training_run import TrainingRun


def train(
    address: str | Path,
    home: Home,
    config: TrainConfig,
    data_through: datetime | None = None,
    progress: Progress = no_progress,
    engine: str = DUCKDB,
    portfolio: str | None = None,
    recipe: EstimatorRecipe | None = None,
    target: Target | None = None,
    promoting: bool = True,
) -> TrainReport:
    """Train both targets on the signals before ``data_through``, and promote each model that passes every gate.

    The features are the built-in ones and those in the file that RENEWCAST_FEATURES names.

    Parameters
    ----------
    address : the signals source.
    home : the folder of MLflow's store, the bundles and the champion.
    config : the settings; recorded with the run.
    data_through : nothing at or after this instant is read; by default everything.
    progress : receives the share done and the current step.
    engine : the engine that reads and aggregates the signals: ``duckdb``, ``spark`` or ``spark://HOST:PORT``.
    portfolio : the name of the portfolio; by default that of the source. It must match the home's, if the home
        has one.
    recipe : the recipe of a user; None for the product's own.
    target : the only target to train; None for all.
    promoting : whether to promote what passes every gate.

    Raises
    ------
    SignalsError, HomeError
        If the source cannot be read or the home cannot be written.
    PortfolioMismatchError
        If the home belongs to another portfolio. Models of different portfolios are never compared or promoted.
    InsufficientData
        If neither target has enough data; the message states what is missing. Nothing is registered.
    LeakFound
        If a snapshot changes with later data, or if for every target a feature alone reveals the outcome. Nothing is
        fitted; the findings are stored in a failed run.
    BundleError
        If the file that points to the champion is broken.
    """
    home.ensure()
    with writing(home, "training"):
        run = TrainingRun.of(home, config, current_catalogue(), portfolio, progress, recipe, target, promoting)
        signals, feeds = run.read(address, data_through, engine)
        # One thread for linear algebra: sums depend on the number of threads, and two targets trained in parallel would
        # compete for threads (20 to 25% of the CPU time of a small training).
        with closing(signals), threadpool_limits(limits=1, user_api="blas"):
            data = run.prepare(signals, feeds)
            leaks = run.check_leaks(data)
            rubrics = run.score_rubrics(data, leaks)
            candidates = run.fit(data, leaks, rubrics)
            renewals = run.fit_renewals(data, candidates)
            release = run.release(data, rubrics, renewals)
            report = run.register(release, leaks, candidates)
            run.promote(report)
            return report
