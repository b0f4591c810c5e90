"""The training runs that there are, newest first: what each saw, gave and led to."""

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

#: The figures that `renewcast runs` shows of a run.
FIGURES = ("roc_auc", "brier_skill", "calibration_slope", "lift_10")


@dataclass(frozen=True)
class TargetOutcome:
    """What a run gave for one target.

    Parameters
    ----------
    version : the registered one.
    champion : whether it answers now.
    failed : the gates that it did not pass.
    figures : some of the test's, by name.
    """

    version: str
    champion: bool
    failed: tuple[str, ...]
    figures: dict[str, float]


@dataclass(frozen=True)
class CompletedRun:
    """One completed run. ``began`` is UTC; ``data_through`` as it was logged."""

    run_id: str
    began: datetime
    data_through: str
    horizon_days: str
    outcomes: dict[Target, TargetOutcome]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self) | {"began": to_iso(self.began)}


def completed_runs(home: Home, limit: int = 50) -> list[CompletedRun]:
    """The newest completed runs. One that was broken off does not count.

    The registry being open, what a kill has left undone there and in the home is made up for: the alias follows the
    pointer, and what is listed here can be promoted.

    Raises
    ------
    HomeError, BundleError
        If the tracking store cannot be opened, or the champion's pointer is broken.
    """
    mlflow = mlflow_tracking.connect(home)
    sync_alias(home, mlflow)
    pointer = read_pointer(home)
    answering = {t: p.version for t in TARGETS if pointer and (p := pointer.of(t)) is not None}
    found = mlflow.MlflowClient().search_runs(
        [mlflow.get_experiment_by_name(mlflow_tracking.EXPERIMENT).experiment_id],
        f"tags.`{mlflow_tracking.COMPLETED}` = 'true'",
        order_by=["attributes.start_time DESC"],
        max_results=limit,
    )
    for run in found:
        run_completion.mark_completed(home, run.info.run_id)
    return [_trained(run, answering) for run in found]


def champion_changes(home: Home) -> tuple[ChampionChange, ...]:
    """Every change of champion, oldest first."""
    pointer = read_pointer(home)
    return pointer.history if pointer else ()


def _trained(run: Any, answering: dict[Target, str]) -> CompletedRun:
    tags, outcomes = run.data.tags, {}
    for target in TARGETS:
        if (version := tags.get(mlflow_tracking.version_tag(target))) is None:
            continue
        figures = {
            name: run.data.metrics[key] for name in FIGURES if (key := f"{target}/{BLEND}/{name}") in run.data.metrics
        }
        failed = tuple(filter(None, tags.get(mlflow_tracking.failed_gates_tag(target), "").split(",")))
        outcomes[target] = TargetOutcome(version, answering.get(target) == version, failed, figures)
    began = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
    params = run.data.params
    return CompletedRun(
        run.info.run_id, began, params.get("data_through", "?"), params.get("horizon_days", "?"), outcomes
    )
