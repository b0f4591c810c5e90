"""Test metrics recorded with the training run of a bundle."""

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
from training.registry.run_completion import run_id_prefix
from training.review.figure import ReviewFigure, undefined_figure


@dataclass(frozen=True)
class RecordedEvaluation:
    """The evaluation of a run, as plain data."""

    evaluation: Mapping[str, Any]

    @property
    def accounts(self) -> int:
        """Number of accounts on the predicted dates."""
        return int(self.evaluation["size"]["accounts"])

    @property
    def events(self) -> int:
        """Number of accounts with the outcome on the predicted dates."""
        return int(self.evaluation["size"]["accounts_with_outcome"])

    def figure(self, name: str, candidate: str | None = None) -> ReviewFigure:
        """Return one metric of a candidate; null if it was not recorded.

        Parameters
        ----------
        name : of the metric.
        candidate : name of the candidate model; by default the evaluated one.
        """
        candidate = candidate or self.evaluation.get("subject", BLEND)
        for row in self.evaluation["rows"]:
            for metric in row["metrics"] if row["candidate"] == candidate else ():
                if metric["name"] == name:
                    return ReviewFigure(
                        value=metric["value"], low=metric["low"], high=metric["high"], events=self.events
                    )
        return undefined_figure()

    def differences(self, loss: str) -> dict[str, ReviewFigure]:
        """Return the mean loss of the champion minus that of each candidate, paired.

        Below 0 the champion is better.

        Parameters
        ----------
        loss : name of the loss.
        """
        return {
            each["against"]: ReviewFigure(value=each["value"], low=each["low"], high=each["high"], events=self.events)
            for each in self.evaluation["differences"]
            if each["loss"] == loss
        }


def load_recorded_evaluation(home: Home, bundle: Bundle) -> RecordedEvaluation | None:
    """Load the evaluation recorded with the training run of a bundle.

    Parameters
    ----------
    home : where the runs are stored.
    bundle : the model.

    Returns
    -------
    The evaluation; None if the run is not available.
    """
    run = run_id_prefix(bundle.folder)
    if not run:
        return None
    try:
        mlflow = mlflow_tracking.connect(home)
    except HomeError:
        return None
    try:
        experiment = mlflow.get_experiment_by_name(mlflow_tracking.EXPERIMENT).experiment_id
        target, client = bundle.manifest.target, mlflow.MlflowClient()
        runs = client.search_runs(
            [experiment], f"tags.`{mlflow_tracking.version_tag(target)}` = '{bundle.manifest.version}'", max_results=100
        )
        for candidate_run in runs:
            if candidate_run.info.run_id.startswith(run):
                # The report belongs to the training, whose run is the parent.
                parent = candidate_run.data.tags.get(mlflow_tracking.PARENT)
                training = client.get_run(parent) if parent else candidate_run
                text = mlflow.artifacts.load_text(f"{training.info.artifact_uri}/report.json")
                return RecordedEvaluation(json.loads(text)["targets"][target]["judgement"])
    except (mlflow.exceptions.MlflowException, OSError, KeyError, ValueError):
        return None
    return None
