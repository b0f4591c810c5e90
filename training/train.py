"""The training run: signals in, judged candidates, registered versions, and a new champion where every gate is
passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from features.clock import show
from features.engine import threads
from features.errors import BundleError, InsufficientData
from features.own.current import current_catalogue
from features.progress import Progress, part_of, silent
from features.source import DUCKDB
from models.bundle import Bundle
from models.card import Card
from models.champion import load_champion
from models.home import Home
from models.meaning import HealthFacts
from models.rubric import Rubric, load_rubric
from models.rubric_history import load_rubric_history
from models.scorer import THREADS
from models.targets import TARGETS, Target
from training import tracking
from training.candidate import Candidate, fit_candidate
from training.capacity import Worked, worked
from training.card import card_of
from training.config import TrainConfig
from training.contenders import BLEND, HEALTH_SCORE
from training.health_facts import health_facts, learned, rubrics_beside
from training.leakcheck import leakcheck_prepared
from training.leakcheck_report import LeakReport
from training.pictures import pictures
from training.prepare import Prepared, prepare
from training.promotion import promote
from training.segments import Segment, by_segment
from training.side_by_side import side_by_side
from training.steps import Floats
from training.sufficiency import Sufficiency, sufficiency


@dataclass(frozen=True)
class TrainReport:
    """What a training run did.

    Parameters
    ----------
    origin : the signals source.
    data_through : nothing at or after this instant was read.
    facts : per target, how much data there was and what was lacking.
    leaks : what the leak check looked at and found.
    candidates : per target that could be trained.
    versions, folders : of the registered models.
    promoted : the targets whose candidate is now champion.
    run_id : of the MLflow run.
    catalogue_version : of the features, a company's own among them.
    every_days : the step of the grid of snapshots; wider than the settings say where there are many accounts.
    segments, work : per target, the judgement by segment, and what each candidate's ranking is worth to a team.
    """

    origin: str
    data_through: datetime
    config: TrainConfig
    facts: Mapping[Target, Sufficiency]
    leaks: LeakReport
    candidates: Mapping[Target, Candidate]
    versions: Mapping[Target, str]
    folders: Mapping[Target, Path]
    promoted: tuple[Target, ...]
    run_id: str
    catalogue_version: str
    every_days: int
    segments: Mapping[Target, tuple[Segment, ...]]
    work: Mapping[Target, tuple[Worked, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "origin": self.origin,
            "data_through": show(self.data_through),
            "horizon_days": self.config.horizon_days,
            "run_id": self.run_id,
            "catalogue_version": self.catalogue_version,
            "every_days": self.every_days,
            "leakcheck": self.leaks.as_dict(),
            "targets": {target: self._target(target) for target in self.facts},
        }

    def worked(self, target: Target) -> tuple[Worked, ...]:
        """What each candidate's ranking is worth to a team."""
        return self.work[target]

    def _target(self, target: Target) -> dict[str, Any]:
        told: dict[str, Any] = {"data": self.facts[target].as_dict(), "promoted": target in self.promoted}
        if candidate := self.candidates.get(target):
            told |= {
                "version": self.versions[target],
                "bundle": str(self.folders[target]),
                "split": {n: [show(d[0]), show(d[-1])] for n, d in candidate.split.slices().items() if d},
                "judgement": candidate.judgement.as_dict(),
                "stability": candidate.stability.as_dict() if candidate.stability else None,
                "involuntary": candidate.involuntary.as_dict() if candidate.involuntary else None,
                "by_horizon": [part.as_dict() for part in candidate.by_horizon],
                "by_segment": [part.as_dict() for part in self.segments[target]],
                "worked": [work.as_dict() for work in self.worked(target)],
                "gates": [asdict(gate) for gate in candidate.gates],
                "calibrator": candidate.calibrator["kind"],
                "horizons": list(candidate.shipped.encoding.horizons),
                "trees_share": candidate.shipped.share,
                "settings": candidate.shipped.trees.settings,
            }
        return told


def train(
    address: str | Path,
    home: Home,
    config: TrainConfig,
    data_through: datetime | None = None,
    progress: Progress = silent,
    engine: str = DUCKDB,
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

    Raises
    ------
    SignalsError, HomeError
        If the source cannot be read, or the home not written.
    InsufficientData
        If neither target has enough data; the message says what is lacking. Nothing is registered then.
    """
    home.ensure()
    catalogue = current_catalogue()
    named, versions = load_rubric(config.rubric, catalogue), load_rubric_history(home, catalogue)
    tell_reading = part_of(progress, 0.0, 0.35)
    prepared = prepare(address, data_through, config, tell_reading, catalogue, engine)
    try:
        facts = {target: _facts(prepared, target, config) for target in TARGETS}
        if lacking := [f"{t}: {line}" for t, fact in facts.items() for line in fact.missing if _hopeless(facts)]:
            raise InsufficientData(lacking, "load more accounts or a longer history; `renewcast check` shows the facts")
        leaks = leakcheck_prepared(prepared, config, part_of(progress, 0.36, 0.45))
        # What is shipped, and what scores have meant, is of the versions that reviews have put in force by now.
        now = prepared.signals.data_through
        rubric = versions.at(named, now)
        beside = {name: versions.at(one, now) for name, one in rubrics_beside(named).items()}
        ready = [target for target, fact in facts.items() if not fact.missing]
        parts = facts["churn" if "churn" in ready else ready[0]].require()
        # A rubric competes with the weights that it will be used with.
        scored = learned(prepared, beside.values(), parts, config.seed)
        health: dict[str, Floats] = {
            HEALTH_SCORE if name == rubric.name else name: np.asarray(known.scores.score, dtype=np.float64)
            for name, known in scored.items()
        }
        champions = _champions(home, prepared)

        def fit(target: Target, tell: Progress) -> Candidate:
            found = leaks.leaks(target)
            return fit_candidate(prepared, facts[target], health, found, config, tell, champions.get(target))

        # Trainings that take several threads each go one after another: see `models.scorer.THREADS`.
        at_once = threads() if config.threads == THREADS else 1
        candidates = side_by_side(ready, fit, part_of(progress, 0.45, 0.9), at_once)
        progress(0.9, "what the health scores have meant")
        meant = health_facts(prepared, scored, parts, config.seed)
        progress(0.92, "registering the models")
        return _register(prepared, facts, leaks, candidates, home, config, rubric, meant, progress)
    finally:
        prepared.signals.close()


def _facts(prepared: Prepared, target: Target, config: TrainConfig) -> Sufficiency:
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


def _champions(home: Home, prepared: Prepared) -> Mapping[Target, Bundle]:
    """The champions to be compared with; one that can no longer be read is no rival."""
    try:
        return load_champion(home, prepared.catalogue).bundles
    except BundleError:
        return {}


def _hopeless(facts: Mapping[Target, Sufficiency]) -> bool:
    return all(fact.missing for fact in facts.values())


def _register(
    prepared: Prepared,
    facts: Mapping[Target, Sufficiency],
    leaks: LeakReport,
    candidates: Mapping[Target, Candidate],
    home: Home,
    config: TrainConfig,
    rubric: Rubric,
    health: HealthFacts,
    progress: Progress,
) -> TrainReport:
    seed = config.seed
    segments = {target: by_segment(one.tested, BLEND, config.capacity, seed) for target, one in candidates.items()}
    work = {
        target: worked(one.tested, config.capacity, config.save_rate, config.cost_per_account, seed)
        for target, one in candidates.items()
    }
    bundles: dict[Target, Bundle] = {}
    versions: dict[Target, str] = {}
    folders: dict[Target, Path] = {}
    with tracking.run(home, f"train through {show(prepared.signals.data_through)}") as run:
        run.params({**config.model_dump(), "data_through": show(prepared.signals.data_through)})
        run.document("config.json", config.model_dump())
        run.document("leakcheck.json", leaks.as_dict())
        run.document("health.json", health.model_dump(mode="json"))
        if prepared.catalogue.own_text:
            run.document("features.toml", prepared.catalogue.own_text)
        for target, candidate in candidates.items():
            card = card_of(candidate, prepared, config, leaks, segments[target], work[target], run.run_id)
            run.document(f"{target}-card.json", card.model_dump(mode="json"))

            def write(
                version: str, target: Target = target, candidate: Candidate = candidate, card: Card = card
            ) -> Path:
                # The registry's numbers start anew on another server; the run's id keeps the folders apart.
                folder = home.bundle_folder(target, f"{version}-{run.run_id[:8]}")
                bundles[target] = candidate.write(folder, version, prepared, config, rubric, health, card)
                return folder

            used = list(candidate.shipped.encoding.features)
            versions[target], folders[target] = run.register(target, prepared.catalogue, used, write)
            failed = [gate.name for gate in candidate.gates if not gate.passed]
            run.tags({tracking.version_tag(target): versions[target], tracking.failed_tag(target): ",".join(failed)})
            for row in candidate.judgement.rows:
                run.metrics(f"{target}/{row.candidate}", {m.name: m.value for m in row.metrics})
        promoted = {target: bundle for target, bundle in bundles.items() if candidates[target].promotable}
        report = TrainReport(
            prepared.signals.origin,
            prepared.signals.data_through,
            config,
            facts,
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
