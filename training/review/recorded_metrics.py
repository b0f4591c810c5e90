"""What the run that a bundle comes from has recorded: how the candidates did on its test dates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.errors import HomeError
from models.artifacts.bundle import Bundle
from models.home import Home
from training.evaluation.baselines import BLEND
from training.registry import mlflow_tracking
from training.review.figure import ReviewFigure, undefined_figure


@dataclass(frozen=True)
class RecordedEvaluation:
    """The judgement of a run, as plain data."""

    judgement: Mapping[str, Any]

    @property
    def accounts(self) -> int:
        """On the test dates."""
        return int(self.judgement["size"]["accounts"])

    @property
    def events(self) -> int:
        """Accounts with the outcome there."""
        return int(self.judgement["size"]["accounts_with_outcome"])

    def figure(self, name: str, candidate: str = BLEND) -> ReviewFigure:
        """One of a candidate's figures; null where it is not there."""
        for row in self.judgement["rows"]:
            for metric in row["metrics"] if row["candidate"] == candidate else ():
                if metric["name"] == name:
                    return ReviewFigure(
                        value=metric["value"], low=metric["low"], high=metric["high"], events=self.events
                    )
        return undefined_figure()

    def differences(self, loss: str) -> dict[str, ReviewFigure]:
        """The mean loss of the model that shipped less that of each contender, paired; below 0 the model is better."""
        return {
            each["against"]: ReviewFigure(value=each["value"], low=each["low"], high=each["high"], events=self.events)
            for each in self.judgement["differences"]
            if each["loss"] == loss
        }


def load_recorded_evaluation(home: Home, bundle: Bundle) -> RecordedEvaluation | None:
    """The judgement recorded with a bundle's run; None where the run is not at hand."""
    _, _, run = bundle.folder.name.partition("-")
    if not run:
        return None
    try:
        mlflow = mlflow_tracking.connect(home)
    except HomeError:
        return None
    try:
        experiment = mlflow.get_experiment_by_name(mlflow_tracking.EXPERIMENT).experiment_id
        target = bundle.manifest.target
        found = mlflow.MlflowClient().search_runs(
            [experiment], f"tags.`{mlflow_tracking.version_tag(target)}` = '{bundle.manifest.version}'", max_results=100
        )
        for one in found:
            if one.info.run_id.startswith(run):
                text = mlflow.artifacts.load_text(f"{one.info.artifact_uri}/report.json")
                return RecordedEvaluation(json.loads(text)["targets"][target]["judgement"])
    except (mlflow.exceptions.MlflowException, OSError, KeyError, ValueError):
        return None
    return None
