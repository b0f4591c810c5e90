"""The report of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from features.feed_health.feed_health import Feeds
from features.utils.dates import to_iso
from models.artifacts.bundle import Bundle
from models.targets import Target
from training.config import TrainConfig
from training.dataset.sufficiency import Sufficiency
from training.dataset.training_data import TrainingData
from training.leakage.report import LeakReport
from training.pipeline.candidate import Candidate
from training.renewals.candidate import RenewalCandidate


@dataclass(frozen=True)
class RegisteredModel:
    """A registered candidate.

    Parameters
    ----------
    candidate : the candidate.
    version : its version in the registry.
    folder, bundle : its bundle in the home.
    run_id : the MLflow run of the target, a child of the training's run.
    description : the description in the registry, in Markdown.
    promoting : without it, the candidate is not promoted even if it passed every gate.
    """

    candidate: Candidate
    version: str
    folder: Path
    bundle: Bundle
    run_id: str
    description: str
    promoting: bool = True

    @property
    def promoted(self) -> bool:
        """Whether the candidate passed every gate and became the champion."""
        return self.promoting and self.candidate.promotable

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        candidate, ensemble = self.candidate, self.candidate.final.ensemble
        return {
            "version": self.version,
            "run_id": self.run_id,
            "bundle": str(self.folder),
            "origins": [to_iso(origin) for origin in candidate.origins.dates],
            "newest_snapshots": candidate.newest_snapshots,
            "judgement": candidate.judgement.as_dict(),
            "due": candidate.due.as_dict() if candidate.due else None,
            "stability": candidate.stability.as_dict(),
            "involuntary": candidate.involuntary.as_dict() if candidate.involuntary else None,
            "by_horizon": [part.as_dict() for part in candidate.by_horizon],
            "by_segment": [part.as_dict() for part in candidate.by_segment],
            "worked": [work.as_dict() for work in candidate.work],
            "gates": [asdict(gate) for gate in candidate.gates],
            "calibrator": candidate.calibrator["kind"],
            "horizons": list(ensemble.encoding.horizons),
            "trees_share": ensemble.trees_share,
            "weights": dict(zip(ensemble.models, ensemble.weights.tolist(), strict=True)),
            "settings": ensemble.settings.as_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class TrainReport:
    """The report of a training run.

    Parameters
    ----------
    origin : the signals source.
    data_through : nothing at or after this instant was read.
    config : the settings.
    catalogue_version : the version of the features, including custom features.
    every_days : days between snapshots; more than in the settings if there are many accounts.
    facts : per target, the amount of data and what is missing.
    feeds : the health of every feed at the end of the data.
    leaks : the report of the leak check; a target with a leak was not trained.
    models : the registered candidate of each target that could be trained.
    run_id : the MLflow run.
    renewals : the renewal model; None without a candidate for churn.
    open_questions : what the mapping of the signals has not answered.
    """

    origin: str
    data_through: datetime
    config: TrainConfig
    catalogue_version: str
    every_days: int
    facts: Mapping[Target, Sufficiency]
    feeds: Feeds
    leaks: LeakReport
    models: Mapping[Target, RegisteredModel]
    run_id: str
    renewals: RenewalCandidate | None = None
    open_questions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        data: TrainingData,
        leaks: LeakReport,
        models: Mapping[Target, RegisteredModel],
        run_id: str,
        renewals: RenewalCandidate | None = None,
    ) -> TrainReport:
        """Create the report of a run.

        Parameters
        ----------
        data : the training data.
        leaks : the result of the leakage checks.
        models : the registered models, by target.
        run_id : the MLflow run.
        renewals : the renewal model.

        Returns
        -------
        TrainReport
        """
        prepared = data.prepared
        return cls(
            origin=prepared.signals.origin,
            data_through=prepared.signals.data_through,
            config=data.config,
            catalogue_version=prepared.catalogue.version,
            every_days=prepared.grid.every_days,
            facts=data.facts,
            feeds=data.feeds,
            leaks=leaks,
            models=models,
            run_id=run_id,
            renewals=renewals,
            open_questions=prepared.signals.open_questions,
        )

    @property
    def candidates(self) -> Mapping[Target, Candidate]:
        """The candidate of each target that could be trained."""
        return {target: model.candidate for target, model in self.models.items()}

    @property
    def promoted(self) -> tuple[Target, ...]:
        """The targets whose candidate is now the champion."""
        return tuple(target for target, model in self.models.items() if model.promoted)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "origin": self.origin,
            "data_through": to_iso(self.data_through),
            "horizon_days": self.config.horizon_days,
            "run_id": self.run_id,
            "catalogue_version": self.catalogue_version,
            "every_days": self.every_days,
            "feeds": self.feeds.as_dict() | {"troubles": self.feeds.troubles()},
            "leakcheck": self.leaks.as_dict(),
            "targets": {target: self._target(target) for target in self.facts},
            "renewals": None if self.renewals is None else self.renewals.as_dict(),
            "open_questions": list(self.open_questions),
        }

    def _target(self, target: Target) -> dict[str, Any]:
        model = self.models.get(target)
        return {
            "data": self.facts[target].as_dict(),
            "promoted": target in self.promoted,
            "leaks": self.leaks.leak_lines(target),
            **({} if model is None else model.as_dict()),
        }
