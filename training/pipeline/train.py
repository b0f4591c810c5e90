"""The training run: signals in, judged candidates, registered versions, and a new champion where every gate is
passed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from features.custom.current_catalogue import current_catalogue
from features.errors import InsufficientData
from features.feed_health.feed_health import Feeds, feed_health
from features.signals.signals import read_signals
from features.sources.base import DUCKDB
from features.sources.engine import available_cpus
from features.sources.open_source import open_source
from features.utils.arrays import Floats
from features.utils.dates import to_iso
from features.utils.progress import Progress, no_progress, subprogress
from models.artifacts.bundle import Bundle
from models.artifacts.home_portfolio import require_portfolio
from models.artifacts.identity_file import require_same_portfolio
from models.artifacts.model_card import ModelCard
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.health.rubric import Rubric, load_rubric
from models.health.rubric_versions import load_rubric_history
from models.health.score_calibration import HealthFacts
from models.home import Home
from models.scorer.scorer import THREADS
from models.targets import TARGETS, Target
from training.config import TrainConfig
from training.dataset.label_feed_faults import label_feed_faults
from training.dataset.labelled_snapshots import LabelledSnapshots, label_snapshots
from training.dataset.sufficiency import Sufficiency, sufficiency
from training.evaluation.baselines import BLEND, HEALTH_SCORE
from training.evaluation.by_segment import evaluate_by_segment
from training.evaluation.capacity_value import capacity_value
from training.evaluation.champion_comparison import load_champions
from training.evaluation.rubric_baselines import all_rubrics, health_facts, score_rubrics
from training.leakage.check import check_snapshots_for_leaks
from training.leakage.report import LeakReport
from training.pipeline.abort import stop, without_leaks
from training.pipeline.candidate import Candidate, fit_candidate
from training.pipeline.model_card import card_of
from training.pipeline.parallel_targets import side_by_side
from training.pipeline.plots import pictures
from training.pipeline.report import TrainReport
from training.registry import mlflow_tracking
from training.registry.promotion import promote


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
    catalogue = current_catalogue()
    named, versions = load_rubric(config.rubric, catalogue), load_rubric_history(home, catalogue)
    rivals = load_champions(home, catalogue)
    source = open_source(address, engine)
    progress(0.0, "looking at the feeds")
    feeds = feed_health(source, data_through)
    signals = read_signals(source, data_through, progress=subprogress(progress, 0.02, 0.12))
    # One thread for linear algebra: its sums would otherwise depend on how many there are, and two targets at a time
    # would stand in each other's way (a fifth to a quarter of the CPU time of a small training).
    with closing(signals), threadpool_limits(limits=1, user_api="blas"):
        identity = require_portfolio(home, signals, portfolio)
        for rival in rivals.values():
            if isinstance(rival, Bundle):
                require_same_portfolio(identity, rival)
        feeds = feeds.with_distinct_rows(signals.rows)
        prepared = label_snapshots(signals, config, subprogress(progress, 0.12, 0.35), catalogue)
        faults = label_feed_faults(feeds, signals.contractual, prepared.grid.first)
        facts = {target: _facts(prepared, target, config) for target in TARGETS}
        lacking = [f"{target}: {line}" for target, fact in facts.items() for line in fact.missing]
        able = [target for target, fact in facts.items() if not fact.missing]
        if not able:
            raise InsufficientData(lacking, "load more accounts or a longer history; `renewcast check` shows the facts")
        leaks = check_snapshots_for_leaks(prepared, config, subprogress(progress, 0.36, 0.45))
        ready = without_leaks(able, leaks)
        if not ready:
            stop(home, leaks, config, lacking)
        # What is shipped, and what scores have meant, is of the versions that reviews have put in force by now. One
        # that was set by outcomes of the test looks better there than it is: as a rival that is hard, never easy.
        now = prepared.signals.data_through
        rubric = versions.at(named, now)
        beside = {name: versions.at(one, now) for name, one in all_rubrics(named).items()}
        parts = facts["churn" if "churn" in ready else ready[0]].require()
        # A rubric competes with the weights that it will be used with.
        scored = score_rubrics(prepared, beside.values(), parts, config.seed)
        health: dict[str, Floats] = {
            HEALTH_SCORE if name == rubric.name else name: np.asarray(known.scores.score, dtype=np.float64)
            for name, known in scored.items()
        }

        def fit(target: Target, tell: Progress) -> Candidate:
            found, rival = leaks.leaks(target), rivals.get(target)
            return fit_candidate(prepared, facts[target], health, found, config, tell, rival, faults)

        # Trainings that take several threads each go one after another: see `models.scorer.scorer.THREADS`.
        at_once = available_cpus() if config.threads == THREADS else 1
        candidates = side_by_side(ready, fit, subprogress(progress, 0.45, 0.9), at_once)
        progress(0.9, "what the health scores have meant")
        meant = health_facts(prepared, scored, parts, config.seed)
        progress(0.92, "registering the models")
        identity = require_portfolio(home, signals, portfolio, keep=True, trained=True)
        return _register(prepared, facts, feeds, leaks, candidates, home, config, rubric, meant, identity, progress)


def _facts(prepared: LabelledSnapshots, target: Target, config: TrainConfig) -> Sufficiency:
    return sufficiency(
        prepared.signals,
        prepared.frame,
        prepared.labels,
        prepared.grid.as_ofs,
        target,
        config.horizon_days,
        prepared.grace_days,
        prepared.catalogue,
    )


def _register(
    prepared: LabelledSnapshots,
    facts: Mapping[Target, Sufficiency],
    feeds: Feeds,
    leaks: LeakReport,
    candidates: Mapping[Target, Candidate],
    home: Home,
    config: TrainConfig,
    rubric: Rubric,
    health: HealthFacts,
    identity: PortfolioIdentity,
    progress: Progress,
) -> TrainReport:
    seed = config.seed
    segments = {
        target: evaluate_by_segment(one.tested, BLEND, config.capacity, seed) for target, one in candidates.items()
    }
    work = {
        target: capacity_value(one.tested, config.capacity, config.save_rate, config.cost_per_account, seed)
        for target, one in candidates.items()
    }
    bundles: dict[Target, Bundle] = {}
    versions: dict[Target, str] = {}
    folders: dict[Target, Path] = {}
    with mlflow_tracking.run(home, f"train through {to_iso(prepared.signals.data_through)}") as run:
        about = {"data_through": to_iso(prepared.signals.data_through), "portfolio": identity.name}
        run.params({**config.model_dump(), **about})
        run.document("config.json", config.model_dump())
        run.document("leakcheck.json", leaks.as_dict())
        run.document("health.json", health.model_dump(mode="json"))
        if prepared.catalogue.custom_text:
            run.document("features.toml", prepared.catalogue.custom_text)
        for target, candidate in candidates.items():
            card = card_of(candidate, prepared, config, leaks, feeds, segments[target], work[target], run.run_id)
            run.document(f"{target}-card.json", card.model_dump(mode="json"))

            def write(
                version: str, target: Target = target, candidate: Candidate = candidate, card: ModelCard = card
            ) -> Path:
                # The registry's numbers start anew on another server; the run's id keeps the folders apart.
                folder = home.bundle_folder(target, f"{version}-{run.run_id[:8]}")
                bundles[target] = candidate.write(folder, version, prepared, config, rubric, health, card, identity)
                return folder

            used = list(candidate.shipped.encoding.features)
            versions[target], folders[target] = run.register(target, prepared.catalogue, used, write)
            run.tag_version(target, versions[target], identity.origin)
            failed = [gate.name for gate in candidate.gates if not gate.passed]
            run.tags(
                {
                    mlflow_tracking.version_tag(target): versions[target],
                    mlflow_tracking.failed_tag(target): ",".join(failed),
                }
            )
            for row in candidate.judgement.rows:
                run.metrics(f"{target}/{row.candidate}", {m.name: m.value for m in row.metrics})
        promoted = {target: bundle for target, bundle in bundles.items() if candidates[target].promotable}
        report = TrainReport(
            prepared.signals.origin,
            prepared.signals.data_through,
            config,
            facts,
            feeds,
            leaks,
            candidates,
            versions,
            folders,
            tuple(promoted),
            run.run_id,
            prepared.catalogue.version,
            prepared.grid.every_days,
            segments,
            work,
        )
        run.document("report.json", report.as_dict())
        progress(0.96, "drawing")
        for target, bundle in bundles.items():
            drawn = pictures(
                target,
                candidates[target].tested,
                report.worked(target),
                bundle.scorer,
                prepared.latest,
                prepared.catalogue,
            )
            run.figures({f"pictures/{target}-{name}": figure for name, figure in drawn.items()})
    progress(0.98, "promoting")
    promote(home, promoted, config.rubric, "training", f"passed every gate in run {run.run_id[:8]}")
    progress(1.0, "trained")
    return report
