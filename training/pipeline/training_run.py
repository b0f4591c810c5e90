"""One training run: what it works with, and its steps, in the order in which `training.pipeline.train` takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from features.catalogue.catalogue import Catalogue
from features.feed_health.feed_health import Feeds
from features.signals.signals import Signals
from features.sources.engine import available_cpus
from features.utils.dates import to_iso
from features.utils.progress import Progress, subprogress
from models.artifacts.bundle import Bundle
from models.artifacts.home_portfolio import require_portfolio
from models.artifacts.identity_file import require_same_portfolio
from models.health.rubric import Rubric, load_rubric
from models.health.rubric_versions import RubricHistory, load_rubric_history
from models.home import Home
from models.scorer.scorer import THREADS
from models.targets import Target
from training.config import TrainConfig
from training.dataset.labelled_snapshots import label_snapshots
from training.dataset.training_data import TrainingData
from training.evaluation.champion_comparison import UnreadableChampion, load_champions
from training.evaluation.rubric_baselines import ScoredRubrics, all_rubrics, health_facts, score_rubrics
from training.leakage.check import check_snapshots_for_leaks
from training.leakage.report import LeakReport
from training.pipeline.abort import stop, without_leaks
from training.pipeline.candidate import Candidate, Release, fit_candidate
from training.pipeline.model_card import card_of
from training.pipeline.parallel_targets import side_by_side
from training.pipeline.plots import pictures
from training.pipeline.report import RegisteredModel, TrainReport
from training.registry import mlflow_tracking as tracking
from training.registry.promotion import promote


@dataclass(frozen=True)
class TrainingRun:
    """One training run.

    Parameters
    ----------
    home : where MLflow's store, the bundles and the champion live.
    config : the settings.
    catalogue : the features.
    rubric : the health score that ``config`` names, as it is shipped with Renewcast or written in a file.
    versions : the versions of the rubrics that reviews have put in force.
    champions : what answers now, by target.
    portfolio : the name of the portfolio; None for that of the source.
    progress : told how far the work is.
    """

    home: Home
    config: TrainConfig
    catalogue: Catalogue
    rubric: Rubric
    versions: RubricHistory
    champions: Mapping[Target, Bundle | UnreadableChampion]
    portfolio: str | None
    progress: Progress

    @classmethod
    def of(
        cls, home: Home, config: TrainConfig, catalogue: Catalogue, portfolio: str | None, progress: Progress
    ) -> TrainingRun:
        """Read what the home holds for a run.

        Raises
        ------
        BundleError
            If the file that points to the champion is broken.
        """
        rubric, versions = load_rubric(config.rubric, catalogue), load_rubric_history(home, catalogue)
        return cls(home, config, catalogue, rubric, versions, load_champions(home, catalogue), portfolio, progress)

    def prepare(self, signals: Signals, feeds: Feeds) -> TrainingData:
        """Build and label the snapshots.

        Raises
        ------
        AnotherPortfolio
            If the signals, or a champion of the home, belong to another portfolio.
        InsufficientData
            If no date has a known outcome, or no account is active at any.
        """
        identity = require_portfolio(self.home, signals, self.portfolio)
        for champion in self.champions.values():
            if isinstance(champion, Bundle):
                require_same_portfolio(identity, champion)
        prepared = label_snapshots(signals, self.config, self._part(0.12, 0.35), self.catalogue)
        return TrainingData.of(prepared, self.config, feeds)

    def check_leaks(self, data: TrainingData) -> LeakReport:
        """Look for leaks; at least one target with enough data has none.

        Raises
        ------
        InsufficientData
            If no target has enough data.
        LeakFound
            If no target without a leak is left; a run that does not count keeps what was found.
        """
        able = data.trainable()
        leaks = check_snapshots_for_leaks(data.prepared, self.config, self._part(0.36, 0.45))
        if not without_leaks(able, leaks):
            stop(self.home, leaks, self.config, data.lacking)
        return leaks

    def score_rubrics(self, data: TrainingData, leaks: LeakReport) -> ScoredRubrics:
        """Score all snapshots by every rubric, with the weights that it will be used with."""
        # What ships, and what scores have meant, is of the versions that reviews have put in force by now. One that was
        # set by outcomes of the test looks better there than it is: as a rival that is hard, never easy.
        now, ready = data.prepared.signals.data_through, without_leaks(data.trainable(), leaks)
        beside = [self.versions.at(rubric, now) for rubric in all_rubrics(self.rubric).values()]
        parts = data.facts["churn" if "churn" in ready else ready[0]].require()
        scored = score_rubrics(data.prepared, beside, parts, self.config.seed)
        return ScoredRubrics(self.versions.at(self.rubric, now), scored, parts)

    def fit(self, data: TrainingData, leaks: LeakReport, rubrics: ScoredRubrics) -> Mapping[Target, Candidate]:
        """Fit, judge and gate a candidate for each target that has enough data and no leak."""
        health = rubrics.contenders()

        def one(target: Target, tell: Progress) -> Candidate:
            return fit_candidate(data, target, health, leaks.leaks(target), self.champions.get(target), tell)

        # Trainings that take several threads each go one after another: see `models.scorer.scorer.THREADS`.
        at_once = available_cpus() if self.config.threads == THREADS else 1
        return side_by_side(without_leaks(data.trainable(), leaks), one, self._part(0.45, 0.9), at_once)

    def release(self, data: TrainingData, rubrics: ScoredRubrics) -> Release:
        """Put together what every bundle carries, and keep the portfolio's identity in the home."""
        self.progress(0.9, "what the health scores have meant")
        facts = health_facts(data.prepared, rubrics.scored, rubrics.parts, self.config.seed)
        self.progress(0.92, "registering the models")
        identity = require_portfolio(self.home, data.prepared.signals, self.portfolio, keep=True, trained=True)
        return Release(data, rubrics.rubric, facts, identity)

    def register(self, release: Release, leaks: LeakReport, candidates: Mapping[Target, Candidate]) -> TrainReport:
        """Write and register every candidate in an MLflow run of its own, with all that is known of the training."""
        with self._recorded(release, leaks) as record:
            models = {
                target: self._register(record, release, leaks, candidate) for target, candidate in candidates.items()
            }
            report = TrainReport.of(release.data, leaks, models, record.run_id)
            record.document("report.json", report.as_dict())
            self.progress(0.96, "drawing")
            for target, model in models.items():
                drawn = pictures(model.candidate, model.bundle.scorer, release.data.prepared)
                record.figures({f"pictures/{target}-{name}": figure for name, figure in drawn.items()})
        return report

    def promote(self, report: TrainReport) -> None:
        """Make champion what passed every gate."""
        self.progress(0.98, "promoting")
        bundles = {target: report.models[target].bundle for target in report.promoted}
        promote(self.home, bundles, self.config.rubric, "training", f"passed every gate in run {report.run_id[:8]}")
        self.progress(1.0, "trained")

    @contextmanager
    def _recorded(self, release: Release, leaks: LeakReport) -> Iterator[tracking.Run]:
        """An MLflow run that holds the settings, the leak check and the facts about the health scores."""
        prepared, through = release.data.prepared, to_iso(release.data.prepared.signals.data_through)
        with tracking.run(self.home, f"train through {through}") as record:
            about = {"data_through": through, "portfolio": release.portfolio.name}
            record.params({**self.config.model_dump(), **about})
            record.document("config.json", self.config.model_dump())
            record.document("leakcheck.json", leaks.as_dict())
            record.document("health.json", release.health.model_dump(mode="json"))
            if prepared.catalogue.custom_text:
                record.document("features.toml", prepared.catalogue.custom_text)
            yield record

    def _register(
        self, record: tracking.Run, release: Release, leaks: LeakReport, candidate: Candidate
    ) -> RegisteredModel:
        target, prepared = candidate.target, release.data.prepared
        card = card_of(candidate, release.data, leaks, record.run_id)
        record.document(f"{target}-card.json", card.model_dump(mode="json"))
        written: list[Bundle] = []

        def write(version: str) -> Path:
            # The registry's numbers start anew on another server; the run's id keeps the folders apart.
            folder = self.home.bundle_folder(target, f"{version}-{record.run_id[:8]}")
            written.append(candidate.write(folder, version, release, card))
            return folder

        used = list(candidate.final.blend.encoding.features)
        version, folder = record.register(target, prepared.catalogue, used, write)
        record.tag_version(target, version, release.portfolio.origin)
        failed = ",".join(candidate.failed_gates)
        record.tags({tracking.version_tag(target): version, tracking.failed_tag(target): failed})
        for row in candidate.judgement.rows:
            record.metrics(f"{target}/{row.candidate}", {m.name: m.value for m in row.metrics})
        return RegisteredModel(candidate, version, folder, written[-1])

    def _part(self, start: float, end: float) -> Progress:
        return subprogress(self.progress, start, end)
