"""The training run: signals in, judged candidates, registered versions, and a new champion where every gate is
passed."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

from threadpoolctl import threadpool_limits

from features.custom.current_catalogue import current_catalogue
from features.feed_health.feed_health import feed_health
from features.signals.signals import read_signals
from features.sources.base import DUCKDB
from features.sources.open_source import open_source
from features.utils.progress import Progress, no_progress, subprogress
from models.home import Home
from training.config import TrainConfig
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
) -> TrainReport:
    """Train both targets on the signals before ``data_through`` and promote what passes every gate.

    The features are those that ship and those of the file that RENEWCAST_FEATURES names.

    Parameters
    ----------
    address : the signals source.
    home : where MLflow's store, the bundles and the champion live.
    config : the settings; recorded with the run.
    data_through : nothing at or after this instant is read; by default everything.
    progress : told how far the work is.
    engine : what reads the signals and rolls them up: ``duckdb``, ``spark`` or ``spark://HOST:PORT``.
    portfolio : the name of the portfolio; by default that of the source. It has to be the home's, if the home has one.

    Raises
    ------
    SignalsError, HomeError
        If the source cannot be read, or the home not written.
    PortfolioMismatchError
        If the home belongs to another portfolio: models of two are neither compared nor promoted over each other.
    InsufficientData
        If neither target has enough data; the message says what is lacking. Nothing is registered then.
    LeakFound
        If a snapshot changes with what comes later, or of every target a feature tells the outcome alone. Nothing is
        fitted then; a run that does not count keeps what was found.
    BundleError
        If the file that points to the champion is broken.
    """
    home.ensure()
    run = TrainingRun.of(home, config, current_catalogue(), portfolio, progress)
    source = open_source(address, engine)
    progress(0.0, "looking at the feeds")
    feeds = feed_health(source, data_through)
    signals = read_signals(source, data_through, progress=subprogress(progress, 0.02, 0.12))
    # One thread for linear algebra: its sums would otherwise depend on how many there are, and two targets at a time
    # would stand in each other's way (a fifth to a quarter of the CPU time of a small training).
    with closing(signals), threadpool_limits(limits=1, user_api="blas"):
        data = run.prepare(signals, feeds)
        leaks = run.check_leaks(data)
        rubrics = run.score_rubrics(data, leaks)
        candidates = run.fit(data, leaks, rubrics)
        release = run.release(data, rubrics)
        report = run.register(release, leaks, candidates)
        run.promote(report)
        return report
