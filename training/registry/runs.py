"""Completed training runs and changes of champion."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from features.utils.dates import to_iso
from models.artifacts.champion import ChampionChange, read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.evaluation.baselines import BLEND
from training.registry import mlflow_tracking, run_completion
from training.registry.champion_alias import sync_alias

#: The metrics that `renewcast runs` reports for a run.
FIGURES = ("roc_auc", "brier_skill", "calibration_slope", "lift_10")


@dataclass(frozen=True)
class TargetOutcome:
    """The result of a run for one target.

    Parameters
    ----------
    version : the registered version.
    champion : whether it is the current champion.
    failed : the gates that are not passed, including those that could not be checked.
    figures : selected test metrics, by name.
    """

    version: str
    champion: bool
    failed: tuple[str, ...]
    figures: dict[str, float]


@dataclass(frozen=True)
class CompletedRun:
    """One completed run. ``began`` is UTC; ``data_through`` is the logged text."""

    run_id: str
    began: datetime
    data_through: str
    horizon_days: str
    outcomes: dict[Target, TargetOutcome]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self) | {"began": to_iso(self.began)}


def completed_runs(home: Home, limit: int = 50) -> list[CompletedRun]:
    """Return the completed runs, newest first.

    This also finishes what a killed process left undone: the champion alias is updated, and the markers of completed
    runs are removed, so that every listed version can be promoted.

    Parameters
    ----------
    home : the home.
    limit : the largest number of runs.

    Returns
    -------
    list of CompletedRun

    Raises
    ------
    HomeError, BundleError
        If the tracking store cannot be opened, or the champion's pointer is broken.
    """
    mlflow = mlflow_tracking.connect(home)
    sync_alias(home, mlflow)
    pointer = read_pointer(home)
    champions = {t: p.version for t in TARGETS if pointer and (p := pointer.of(t)) is not None}
    tagged_runs = mlflow.MlflowClient().search_runs(
        [mlflow.get_experiment_by_name(mlflow_tracking.EXPERIMENT).experiment_id],
        f"tags.`{mlflow_tracking.COMPLETED}` = 'true'",
        order_by=["attributes.start_time DESC"],
        max_results=limit,
    )
    for run in tagged_runs:
        children = [run.data.tags.get(mlflow_tracking.child_run_tag(target), "") for target in TARGETS]
        for run_id in filter(None, (run.info.run_id, *children)):
            run_completion.mark_completed(home, run_id)
    return [_completed_run(run, champions) for run in tagged_runs]


def champion_changes(home: Home) -> tuple[ChampionChange, ...]:
    """Return every change of champion, oldest first."""
    pointer = read_pointer(home)
    return pointer.history if pointer else ()


def _completed_run(run: Any, champions: dict[Target, str]) -> CompletedRun:
    tags, outcomes = run.data.tags, {}
    for target in TARGETS:
        if (version := tags.get(mlflow_tracking.version_tag(target))) is None:
            continue
        subject = tags.get(mlflow_tracking.subject_tag(target), BLEND)
        figures = {
            name: run.data.metrics[key] for name in FIGURES if (key := f"{target}/{subject}/{name}") in run.data.metrics
        }
        failed = tuple(filter(None, tags.get(mlflow_tracking.failed_gates_tag(target), "").split(",")))
        outcomes[target] = TargetOutcome(version, champions.get(target) == version, failed, figures)
    began = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    params = run.data.params
    return CompletedRun(
        run.info.run_id, began, params.get("data_through", "?"), params.get("horizon_days", "?"), outcomes
    )
