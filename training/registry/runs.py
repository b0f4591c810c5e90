"""Completed training runs and changes of champion."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from features.utils.dates import to_iso
from models.artifacts.champion_pointer import ChampionChange, ChampionPointer, read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.registry import mlflow_tracking, run_completion
from training.registry.champion_alias import sync_alias
from training.registry.tracking_file import RunRecord, TrackingFile

#: The metrics that `renewcast runs` reports for a run.
FIGURES = ("roc_auc", "brier_skill", "calibration_slope", "lift_10")
#: The candidate that trainings registered before a tag named it: `training.evaluation.baselines.BLEND`.
FIRST_SUBJECT = "blend"


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
    pointer = read_pointer(home)
    champions = {t: p.version for t in TARGETS if pointer and (p := pointer.of(t)) is not None}
    records = _records_in_file(home, pointer, limit)
    if records is None:
        records = _records_by_mlflow(home, limit)
    for run in records:
        children = [run.tags.get(mlflow_tracking.child_run_tag(target), "") for target in TARGETS]
        for run_id in filter(None, (run.run_id, *children)):
            run_completion.mark_completed(home, run_id)
    return [_completed_run(run, champions) for run in records]


def _records_in_file(home: Home, pointer: ChampionPointer | None, limit: int) -> list[RunRecord] | None:
    """Read the runs without MLflow; None if that is not possible, or if the champion alias needs an update."""
    if home.mlflow_uri is not None:
        return None
    if pointer is None and not home.require_own().tracking_file.exists():
        return []
    # If the file is broken or locked, MLflow says so.
    with suppress(sqlite3.Error), TrackingFile.opened(home) as file:
        entries = {target: entry for target in TARGETS if pointer and (entry := pointer.of(target)) is not None}
        if file is not None and all(file.has_alias(target, entry) for target, entry in entries.items()):
            return file.completed_runs(limit)
    return None


def _records_by_mlflow(home: Home, limit: int) -> list[RunRecord]:
    mlflow = mlflow_tracking.connect(home)
    sync_alias(home, mlflow)
    runs = mlflow.MlflowClient().search_runs(
        [mlflow.get_experiment_by_name(mlflow_tracking.EXPERIMENT).experiment_id],
        f"tags.`{mlflow_tracking.COMPLETED}` = 'true'",
        order_by=["attributes.start_time DESC"],
        max_results=limit,
    )
    return [RunRecord(r.info.run_id, r.info.start_time, r.data.tags, r.data.params, r.data.metrics) for r in runs]


def champion_changes(home: Home) -> tuple[ChampionChange, ...]:
    """Return every change of champion, oldest first."""
    pointer = read_pointer(home)
    return pointer.history if pointer else ()


def _completed_run(run: RunRecord, champions: dict[Target, str]) -> CompletedRun:
    outcomes = {}
    for target in TARGETS:
        if (version := run.tags.get(mlflow_tracking.version_tag(target))) is None:
            continue
        subject = run.tags.get(mlflow_tracking.subject_tag(target), FIRST_SUBJECT)
        figures = {name: run.metrics[key] for name in FIGURES if (key := f"{target}/{subject}/{name}") in run.metrics}
        failed = tuple(filter(None, run.tags.get(mlflow_tracking.failed_gates_tag(target), "").split(",")))
        outcomes[target] = TargetOutcome(version, champions.get(target) == version, failed, figures)
    began = datetime.fromtimestamp(run.start_time / 1000, UTC)
    through, horizon = (run.params.get(name, "?") for name in ("data_through", "horizon_days"))
    return CompletedRun(run.run_id, began, through, horizon, outcomes)
