"""The runs in the home's own MLflow store, read with SQLite, because importing MLflow takes seconds.

Only the layout of `REVISION` is read. For any other the caller uses MLflow, which also migrates the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from models.artifacts.champion_pointer import ChampionEntry
from models.home import Home
from models.targets import Target
from training.registry.mlflow_tracking import ALIAS, COMPLETED, EXPERIMENT, registered_model_name
from training.registry.run_completion import run_id_prefix

REVISION = "dc11669786a5"
"""The revision of MLflow's tables that is known here: that of the pinned version."""
_RUNS = """
SELECT runs.run_uuid, runs.start_time FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
WHERE runs.experiment_id = ? AND runs.lifecycle_stage = 'active' AND tags.key = ? AND tags.value = 'true'
ORDER BY runs.start_time DESC, runs.run_uuid LIMIT ?
"""


@dataclass(frozen=True)
class RunRecord:
    """What MLflow stores about a run. ``start_time`` is in milliseconds since 1970, UTC."""

    run_id: str
    start_time: int
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrackingFile:
    """The open store of a home.

    Parameters
    ----------
    connection : a read-only connection.
    experiment_id : MLflow's ID of the experiment.
    """

    connection: sqlite3.Connection
    experiment_id: int

    @classmethod
    @contextmanager
    def opened(cls, home: Home) -> Iterator[TrackingFile | None]:
        """Open the store of ``home``; None if its layout is another one.

        Raises
        ------
        sqlite3.Error
            If there is no file, or it is broken.
        """
        with closing(sqlite3.connect(f"{home.tracking_file.as_uri()}?mode=ro", uri=True)) as connection:
            yield cls._of(connection)

    @classmethod
    def _of(cls, connection: sqlite3.Connection) -> TrackingFile | None:
        if connection.execute("SELECT version_num FROM alembic_version").fetchall() != [(REVISION,)]:
            return None
        query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?"
        experiments = connection.execute(query, (EXPERIMENT,)).fetchall()
        if len(experiments) != 1 or experiments[0][1] != "active":
            return None
        return cls(connection, experiments[0][0])

    def has_alias(self, target: Target, champion: ChampionEntry) -> bool:
        """Return whether the registry's champion alias is set to this champion."""
        versions = self.connection.execute(
            "SELECT versions.version, versions.run_id FROM registered_model_aliases AS aliases "
            "JOIN model_versions AS versions ON versions.name = aliases.name AND versions.version = aliases.version "
            "WHERE aliases.name = ? AND aliases.alias = ?",
            (registered_model_name(target), ALIAS),
        ).fetchall()
        return any(
            str(version) == champion.version and str(run_id or "").startswith(run_id_prefix(champion.folder))
            for version, run_id in versions
        )

    def completed_runs(self, limit: int) -> list[RunRecord]:
        """Return the completed runs, newest first.

        Parameters
        ----------
        limit : the largest number of runs.
        """
        rows = self.connection.execute(_RUNS, (self.experiment_id, COMPLETED, limit)).fetchall()
        return [
            RunRecord(
                run_id,
                start_time,
                dict(self._pairs("SELECT key, value FROM tags WHERE run_uuid = ?", run_id)),
                dict(self._pairs("SELECT key, value FROM params WHERE run_uuid = ?", run_id)),
                {
                    key: float("nan") if is_nan else value
                    for key, value, is_nan in self._pairs(
                        "SELECT key, value, is_nan FROM latest_metrics WHERE run_uuid = ?", run_id
                    )
                },
            )
            for run_id, start_time in rows
        ]

    def _pairs(self, query: str, run_id: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, (run_id,)).fetchall()
