"""One training run: its inputs, and its steps in the order in which `training.pipeline.train` runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from features.catalogue.catalogue import Catalogue
from features.errors import InsufficientData
from features.feed_health.feed_health import Feeds, feed_health
from features.signals.signals import OpenSignals, read_signals
from features.signals.validation import given_end_findings
from features.sources.engine import available_cpus
from features.sources.open_source import open_source
from features.utils.dates import to_iso
from features.utils.progress import Progress, subprogress
from models.artifacts.bundle import Bundle
from models.artifacts.home_portfolio import require_portfolio
from models.artifacts.identity_file import require_same_portfolio
from models.artifacts.model_card import ModelCard
from models.health.rubric import Rubric, load_rubric
from models.health.rubric_versions import RubricHistory, load_rubric_history
from models.home import Home
from models.scorer.scorer import THREADS
from models.targets import Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import label_snapshots
from training.dataset.training_data import TrainingData
from training.estimators.estimator_ensemble import EstimatorRecipe
from training.evaluation.champion_comparison import UnreadableChampion, load_champions
from training.evaluation.promotion_gates import blocking_gates
from training.evaluation.rubric_baselines import ScoredRubrics, all_rubrics, health_facts, score_rubrics
from training.leakage.check import check_snapshots_for_leaks
from training.leakage.report import LeakReport
from training.pipeline import run_record
from training.pipeline.abort import abort_training, leak_free_targets
from training.pipeline.candidate import Candidate, Release, fit_candidate
from training.pipeline.model_card import build_model_card
from training.pipeline.parallel_targets import run_in_parallel
from training.pipeline.plots import draw_plots
from training.pipeline.report import RegisteredModel, TrainReport
from training.registry import mlflow_tracking as tracking
from training.registry.promotion import promote
from training.registry.run_completion import RUN_ID_LENGTH
from training.registry.stored_predictions import PREDICTIONS, predictions_table
from training.renewals.candidate import RenewalCandidate, fit_renewals


@dataclass(frozen=True)
class TrainingRun:
    """One training run.

    Parameters
    ----------
    home : the folder of MLflow's store, the bundles and the champion.
    config : the settings.
    catalogue : the features.
    rubric : the health score that ``config`` names, built in or from a file.
    versions : the rubric versions that reviews have put into force.
    champions : the current champion of each target.
    portfolio : the name of the portfolio; None for that of the source.
    progress : receives the share done and the current step.
    recipe : the recipe of a user; None for the product's own.
    target : the only target to train; None for all.
    promoting : whether to promote what passes every gate.
    """

    home: Home
    config: TrainConfig
    catalogue: Catalogue
    rubric: Rubric
    versions: RubricHistory
    champions: Mapping[Target, Bundle | UnreadableChampion]
    portfolio: str | None
    progress: Progress
    recipe: EstimatorRecipe | None = None
    target: Target | None = None
    promoting: bool = True

    @classmethod
    def of(
        cls,
        home: Home,
        config: TrainConfig,
        catalogue: Catalogue,
        portfolio: str | None,
        progress: Progress,
        recipe: EstimatorRecipe | None = None,
        target: Target | None = None,
        promoting: bool = True,
    ) -> TrainingRun:
        """Read the rubrics and champions from the home.

        Parameters
        ----------
        home : the home.
        config : the training settings.
        catalogue : the features.
        portfolio : the name of the portfolio; None for that of the home.
        progress : called with the share done.
        recipe, target, promoting : see the class.

        Returns
        -------
        TrainingRun

        Raises
        ------
        BundleError
            If the file that points to the champion is broken.
        """
        rubric, versions = load_rubric(config.rubric, catalogue), load_rubric_history(home, catalogue)
        champions = load_champions(home, catalogue)
        return cls(home, config, catalogue, rubric, versions, champions, portfolio, progress, recipe, target, promoting)

    def read(self, address: str | Path, data_through: datetime | None, engine: str) -> tuple[OpenSignals, Feeds]:
        """Read the signals.

        Parameters
        ----------
        address : the signals source.
        data_through : nothing at or after this instant is read; None for everything.
        engine : the engine that reads and aggregates the signals.

        Returns
        -------
        OpenSignals
            To be closed.
        Feeds
            What each feed contained before the signals were read.

        Raises
        ------
        SignalsError
            If the source cannot be read.
        """
        source = open_source(address, engine)
        self.progress(0.0, "checking the feeds")
        feeds = feed_health(source, data_through)
        end = data_through or source.data_through
        if end is not None and not feeds.unread:
            feeds = replace(feeds, end_notes=tuple(map(str, given_end_findings(source, end))))
        return read_signals(source, data_through, progress=self._part(0.02, 0.12)), feeds

    def prepare(self, signals: OpenSignals, feeds: Feeds) -> TrainingData:
        """Build and label the snapshots.

        Parameters
        ----------
        signals : validated signals.
        feeds : what each feed contained before the signals were read.

        Returns
        -------
        TrainingData

        Raises
        ------
        PortfolioMismatchError
            If the signals, or a champion of the home, belong to another portfolio.
        InsufficientData
            If no date has a known outcome, or no account is active on any date.
        """
        identity = require_portfolio(self.home, signals, self.portfolio)
        for champion in self.champions.values():
            if isinstance(champion, Bundle):
                require_same_portfolio(identity, champion)
        prepared = label_snapshots(signals, self.config, self._part(0.12, 0.35), self.catalogue)
        return TrainingData.of(prepared, self.config, feeds)

    def check_leaks(self, data: TrainingData) -> LeakReport:
        """Check for leaks. At least one target with enough data must have none.

        Raises
        ------
        InsufficientData
            If no target has enough data.
        LeakFound
            If every target with enough data has a leak; the findings are stored in a failed run.
        """
        trainable = self._trainable(data)
        leaks = check_snapshots_for_leaks(data.prepared, self.config, self._part(0.36, 0.45))
        if not leak_free_targets(trainable, leaks):
            abort_training(self.home, leaks, self.config, data.lacking)
        return leaks

    def score_rubrics(self, data: TrainingData, leaks: LeakReport) -> ScoredRubrics:
        """Score all snapshots by every rubric, with its current weights.

        Parameters
        ----------
        data : the labeled snapshots, with the facts about them.
        leaks : the result of the leakage checks.

        Returns
        -------
        ScoredRubrics
        """
        # The current versions of the rubrics are used. Weights that a review fitted on test outcomes make a rubric
        # look better than it is, so it is a harder rival, never an easier one.
        now, ready = data.prepared.signals.data_through, leak_free_targets(self._trainable(data), leaks)
        current = [self.versions.at(rubric, now) for rubric in all_rubrics(self.rubric).values()]
        parts = data.facts["churn" if "churn" in ready else ready[0]].require()
        scored = score_rubrics(data.prepared, current, parts, self.config.seed)
        return ScoredRubrics(self.versions.at(self.rubric, now), scored, parts)

    def fit(self, data: TrainingData, leaks: LeakReport, rubrics: ScoredRubrics) -> Mapping[Target, Candidate]:
        """Fit, evaluate and gate a candidate for each target that has enough data and no leak.

        Parameters
        ----------
        data : the labeled snapshots, with the facts about them.
        leaks : the result of the leakage checks.
        rubrics : the scores of all snapshots by every rubric.

        Returns
        -------
        mapping of target to Candidate
        """
        health = rubrics.contenders()

        def fit_target(target: Target, progress: Progress) -> Candidate:
            return fit_candidate(
                data, target, health, leaks.leaks(target), self.champions.get(target), progress, self.recipe
            )

        # Trainings that use several threads each run one after another; see `models.scorer.scorer.THREADS`.
        workers = available_cpus() if self.config.threads == THREADS else 1
        targets = leak_free_targets(self._trainable(data), leaks)
        return run_in_parallel(targets, fit_target, self._part(0.45, 0.85), workers)

    def fit_renewals(self, data: TrainingData, candidates: Mapping[Target, Candidate]) -> RenewalCandidate | None:
        """Fit, evaluate and gate the renewal model, which belongs to the bundle of churn.

        Parameters
        ----------
        data : the labeled snapshots, with the facts about them.
        candidates : the candidates by target; their backtests give the derivation, one of the model's rivals.

        Returns
        -------
        RenewalCandidate or None
            None without a candidate for churn.
        """
        churn, expansion = candidates.get("churn"), candidates.get("expansion")
        if churn is None:
            return None
        if blocking_gates([asdict(gate) for gate in churn.gates]):
            return RenewalCandidate((), "the churn model of the same training did not pass its gates")
        if churn.recipe is not None:
            return RenewalCandidate((), "the churn model is a registered estimator; its own probabilities are used")
        # A forecast is derived from the models that are used, so the renewal model is compared with those only.
        usable = expansion is not None and not blocking_gates([asdict(gate) for gate in expansion.gates])
        growth = expansion.by_renewal if expansion is not None and usable else None
        progress = self._part(0.85, 0.9)
        return fit_renewals(data.prepared, churn.origins, churn.by_renewal, growth, self.config, progress)

    def release(self, data: TrainingData, rubrics: ScoredRubrics, renewals: RenewalCandidate | None) -> Release:
        """Collect the shared contents of the bundles, and store the portfolio's identity in the home.

        Parameters
        ----------
        data : the labeled snapshots, with the facts about them.
        rubrics : the scores of all snapshots by every rubric.
        renewals : the renewal model, or why there is none.

        Returns
        -------
        Release
        """
        self.progress(0.9, "calibrating the health scores")
        facts = health_facts(data.prepared, rubrics.scored, rubrics.origins, self.config.seed)
        self.progress(0.92, "registering the models")
        identity = require_portfolio(self.home, data.prepared.signals, self.portfolio, keep=True, trained=True)
        return Release(data, rubrics.rubric, facts, identity, renewals)

    def register(self, release: Release, leaks: LeakReport, candidates: Mapping[Target, Candidate]) -> TrainReport:
        """Write and register every candidate, each in a child of one MLflow run, with the reports of the training.

        Parameters
        ----------
        release : the contents that all bundles share.
        leaks : the result of the leakage checks.
        candidates : the candidates by target.

        Returns
        -------
        TrainReport
        """
        with self._recorded(release, leaks) as record:
            models = {
                target: self._register(record, release, leaks, candidate) for target, candidate in candidates.items()
            }
            report = TrainReport.of(release.data, leaks, models, record.run_id, release.renewals)
            record.document("report.json", report.as_dict())
            self.progress(0.96, "drawing plots")
            for target, model in models.items():
                drawn = draw_plots(model.candidate, model.bundle.scorer, release.data.prepared)
                record.figures({f"pictures/{target}-{name}": figure for name, figure in drawn.items()})
            record.tags({tracking.DESCRIPTION: "\n".join(model.description for model in models.values())})
        return report

    def promote(self, report: TrainReport) -> None:
        """Promote the models that passed every gate."""
        self.progress(0.98, "promoting")
        bundles = {target: report.models[target].bundle for target in report.promoted}
        promote(self.home, bundles, self.config.rubric, "training", f"passed every gate in run {report.run_id[:8]}")
        self.progress(1.0, "trained")

    @contextmanager
    def _recorded(self, release: Release, leaks: LeakReport) -> Iterator[tracking.Run]:
        """Open an MLflow run, and log the settings, the leak check and the calibration of the health scores."""
        prepared, through = release.data.prepared, to_iso(release.data.prepared.signals.data_through)
        name = "train" if self.recipe is None else f"register {self.recipe.name}"
        with tracking.run(self.home, f"{name} through {through}") as record:
            portfolio = {"portfolio": release.portfolio.name}
            record.params(run_record.data_params(release.data) | run_record.recipe_params(self.recipe) | portfolio)
            record.document("config.json", self.config.model_dump())
            record.document("leakcheck.json", leaks.as_dict())
            record.document("health.json", release.health.model_dump(mode="json"))
            if prepared.catalogue.custom_text:
                record.document(f"features{prepared.catalogue.custom_suffix}", prepared.catalogue.custom_text)
            yield record

    def _register(
        self, record: tracking.Run, release: Release, leaks: LeakReport, candidate: Candidate
    ) -> RegisteredModel:
        """Register a candidate in a child run of its own; its first metrics also stand in the parent run."""
        target, data, judgement = candidate.target, release.data, candidate.judgement
        card = build_model_card(candidate, data, leaks, record.run_id, release.renewals)
        record.document(f"{target}-card.json", card.model_dump(mode="json"))
        failed = {tracking.failed_gates_tag(target): ",".join(candidate.failed_gates)}
        first = run_record.headline(judgement)
        with record.child(f"{target} through {to_iso(data.prepared.signals.data_through)}") as child:
            settings = run_record.data_params(data) | run_record.recipe_params(self.recipe)
            child.params(settings | run_record.model_params(candidate))
            for rows in run_record.datasets(candidate, data, release.portfolio.name):
                child.dataset(rows)
            registered, bundle = self._registered(child, release, candidate, card)
            version = registered.version
            child.metrics(first, model_id=registered.model_id)
            further = run_record.further_metrics(candidate)
            if target == "churn" and release.renewals is not None:
                further |= run_record.renewal_metrics(release.renewals)
            for part, figures in further.items():
                child.metrics(figures, part)
            child.table(PREDICTIONS, predictions_table(candidate.tested, judgement.subject, release.portfolio))
            description = run_record.describe(candidate, data, version)
            tags = {tracking.version_tag(target): version, tracking.subject_tag(target): candidate.subject} | failed
            child.tags(tags | {"renewcast.target": target, tracking.DESCRIPTION: description})
            child.tag_version(target, version, release.portfolio.origin, description)
            child.describe_model(target, run_record.model_description(target))
        record.tags(tags | {tracking.child_run_tag(target): child.run_id})
        record.metrics(first, f"{target}/{judgement.subject}")
        return RegisteredModel(candidate, version, registered.folder, bundle, child.run_id, description, self.promoting)

    def _registered(
        self, child: tracking.Run, release: Release, candidate: Candidate, card: ModelCard
    ) -> tuple[tracking.RegisteredVersion, Bundle]:
        written: list[Bundle] = []

        def write(version: str) -> Path:
            # Another registry may assign the same version number; the run ID makes the folder name unique.
            folder = self.home.bundle_folder(candidate.target, f"{version}-{child.run_id[:RUN_ID_LENGTH]}")
            written.append(candidate.write(folder, version, release, card))
            return folder

        used = list(candidate.final.ensemble.encoding.features)
        requirements = ["onnxruntime"] if candidate.final.ensemble.onnx else []
        catalogue = release.data.prepared.catalogue
        return child.register(candidate.target, catalogue, used, write, requirements), written[-1]

    def _trainable(self, data: TrainingData) -> list[Target]:
        """Return the targets with enough data.

        Raises
        ------
        InsufficientData
            If there is none.
        """
        targets = [target for target in data.trainable() if self.target in (None, target)]
        if not targets:
            raise InsufficientData([line for line in data.lacking if line.startswith(f"{self.target}: ")])
        return targets

    def _part(self, start: float, end: float) -> Progress:
        return subprogress(self.progress, start, end)
