"""Find the models of completed trainings by a run, a version or the champion, and read what was logged with them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from features.errors import BadRequest, HomeError
from models.artifacts.champion_pointer import read_pointer
from models.home import Home
from models.targets import TARGETS, Target
from training.registry import mlflow_tracking as tracking
from training.registry.code_version import COMMIT, PACKAGE_VERSION
from training.registry.run_completion import run_id_prefix
from training.registry.stored_predictions import PREDICTIONS

CHAMPION = "champion"
#: Shortest beginning of a run ID that is looked up; `renewcast runs` prints eight characters.
SHORTEST_PREFIX = 4
MAXIMUM_RUNS = 5000
REFERENCES = "a run ID or its beginning, a version such as 3 or churn/3, or champion"


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A registered model, with what its training logged.

    Parameters
    ----------
    target, version : the registered version.
    run_id : the run of the training.
    model_run_id : the run of the target; the same as ``run_id`` for trainings that logged all targets in one run.
    began : when the training began (UTC).
    champion : whether it is the current champion.
    portfolio : the ID of the portfolio; empty if it was not recorded.
    code : the version and the commit of the code, as far as they were recorded.
    config : the settings of the training.
    report : the part of the training's report about the target.
    data_through : nothing at or after it was read, as text.
    failed : the failed gates.
    """

    target: Target
    version: str
    run_id: str
    model_run_id: str
    began: datetime
    champion: bool
    portfolio: str
    code: Mapping[str, str]
    config: Mapping[str, Any]
    report: Mapping[str, Any]
    data_through: str
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Trainings:
    """The completed trainings of a registry.

    Parameters
    ----------
    home : the home.
    mlflow : the result of `training.registry.mlflow_tracking.connect`.
    runs : the MLflow runs of the trainings, newest first.
    champions : the version and the beginning of the run ID of each champion.
    """

    home: Home
    mlflow: Any
    runs: Sequence[Any]
    champions: Mapping[Target, tuple[str, str]]
    _reports: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=dict)

    @classmethod
    def of(cls, home: Home) -> Trainings:
        """Read the list of completed trainings.

        Parameters
        ----------
        home : the home.

        Returns
        -------
        Trainings

        Raises
        ------
        HomeError, BundleError
            If the tracking store cannot be opened, or the champion's pointer is broken.
        """
        mlflow = tracking.connect(home)
        pointer = read_pointer(home)
        entries = {target: entry for target in TARGETS if pointer and (entry := pointer.of(target)) is not None}
        champions = {target: (entry.version, run_id_prefix(entry.folder)) for target, entry in entries.items()}
        experiment = mlflow.get_experiment_by_name(tracking.EXPERIMENT).experiment_id
        runs = mlflow.MlflowClient().search_runs(
            [experiment],
            f"tags.`{tracking.COMPLETED}` = 'true'",
            order_by=["attributes.start_time DESC"],
            max_results=MAXIMUM_RUNS,
        )
        return cls(home, mlflow, [run for run in runs if _versions(run)], champions)

    def find(self, reference: str) -> dict[Target, StoredModel]:
        """Find models.

        Parameters
        ----------
        reference : the ID of a run or its beginning; a version, also as ``TARGET/VERSION``; or ``champion``, also as
            ``TARGET/champion``.

        Returns
        -------
        dict of target to StoredModel
            At least one.

        Raises
        ------
        BadRequest
            If there is no such model, or several runs begin so.
        HomeError
            If the files of the run cannot be read.
        """
        scope, _, rest = reference.rpartition("/")
        if scope and scope not in TARGETS:
            raise BadRequest(f"{reference!r} names no model", REFERENCES, self._cure())
        targets: tuple[Target, ...] = tuple(t for t in TARGETS if scope in ("", t))
        if rest == CHAMPION:
            found = self._champions(targets)
        elif not (found := self._versions_named(rest, targets)):
            found = self._run_named(rest, targets, reference)
        return {target: self._model(run, target) for target, run in found.items()}

    def predictions(self, model: StoredModel) -> pd.DataFrame | None:
        """Return the predictions of a model's backtest (`training.registry.stored_predictions.predictions_table`).

        Parameters
        ----------
        model : the model.

        Returns
        -------
        pandas.DataFrame or None
            None if the training stored none.
        """
        client = self.mlflow.MlflowClient()
        try:
            if PREDICTIONS not in {entry.path for entry in client.list_artifacts(model.model_run_id)}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return pd.read_parquet(client.download_artifacts(model.model_run_id, PREDICTIONS, folder))
        except (self.mlflow.exceptions.MlflowException, OSError, ValueError):
            return None

    def _champions(self, targets: Sequence[Target]) -> dict[Target, Any]:
        wanted = {target: self.champions[target] for target in targets if target in self.champions}
        if not wanted:
            raise BadRequest("there is no champion", REFERENCES, "train first, or name a run or a version")
        found = {
            target: run
            for target, (version, prefix) in wanted.items()
            for run in self.runs
            if _versions(run).get(target) == version and _model_run_id(run, target).startswith(prefix)
        }
        if not found:
            raise BadRequest(
                "the run of the champion is not in this registry",
                "the registry in which it was registered",
                "set MLFLOW_TRACKING_URI to that server, or unset it for the home's own registry",
            )
        return found

    def _versions_named(self, version: str, targets: Sequence[Target]) -> dict[Target, Any]:
        found: dict[Target, Any] = {}
        for target in targets:
            # Two registries can assign the same number, but not within one registry.
            matches = [run for run in self.runs if _versions(run).get(target) == version]
            if matches:
                found[target] = matches[0]
        return found

    def _run_named(self, prefix: str, targets: Sequence[Target], reference: str) -> dict[Target, Any]:
        matches = [run for run in self.runs if run.info.run_id.startswith(prefix)]
        found = {target: run for run in matches for target in targets if target in _versions(run)}
        if not matches:
            # The run of one target.
            pairs = [(t, run) for run in self.runs for t in targets if _model_run_id(run, t).startswith(prefix)]
            matches, found = [run for _, run in pairs], dict(pairs)
        if len(prefix) < SHORTEST_PREFIX or not found:
            ids = ", ".join(run.info.run_id[:8] for run in self.runs[:5]) or "none: train first"
            raise BadRequest(
                f"there is no completed training or version {reference!r}", f"{REFERENCES}; runs: {ids}", self._cure()
            )
        if len({run.info.run_id for run in matches}) > 1:
            raise BadRequest(f"several runs begin with {prefix!r}", "the beginning of one run ID", self._cure())
        return found

    def _cure(self) -> str:
        return "`renewcast runs` lists runs and versions"

    def _model(self, run: Any, target: Target) -> StoredModel:
        tags, version = run.data.tags, _versions(run)[target]
        report, config = self._logged(run)
        champion = self.champions.get(target)
        model_run_id = _model_run_id(run, target)
        return StoredModel(
            target=target,
            version=version,
            run_id=run.info.run_id,
            model_run_id=model_run_id,
            began=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
            champion=champion is not None and champion[0] == version and model_run_id.startswith(champion[1]),
            portfolio=tags.get("renewcast.portfolio", ""),
            code={name: tags[tag] for name, tag in (("version", PACKAGE_VERSION), ("commit", COMMIT)) if tag in tags},
            config=config,
            report={"catalogue_version": report.get("catalogue_version")} | report["targets"].get(target, {}),
            data_through=str(report.get("data_through", "")),
            failed=tuple(filter(None, tags.get(tracking.failed_gates_tag(target), "").split(","))),
        )

    def _logged(self, run: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        run_id = run.info.run_id
        if run_id not in self._reports:
            try:
                report, config = (self._json(run, name) for name in ("report.json", "config.json"))
            except (self.mlflow.exceptions.MlflowException, OSError, ValueError) as error:
                raise HomeError(
                    f"the files of run {run_id[:8]} cannot be read ({type(error).__name__})",
                    "report.json and config.json among its artifacts",
                    "restore the artifacts of the registry, or train again",
                ) from None
            self._reports[run_id] = report, config
        return self._reports[run_id]

    def _json(self, run: Any, name: str) -> Mapping[str, Any]:
        content = json.loads(self.mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{name}"))
        if not isinstance(content, dict) or (name == "report.json" and "targets" not in content):
            raise ValueError(name)
        return content


def _versions(run: Any) -> dict[Target, str]:
    """Return the registered version of each target of a training's run; empty for other runs."""
    tags = run.data.tags
    return {target: tags[tag] for target in TARGETS if (tag := tracking.version_tag(target)) in tags}


def _model_run_id(run: Any, target: Target) -> str:
    return str(run.data.tags.get(tracking.child_run_tag(target), run.info.run_id))
