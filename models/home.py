"""RENEWCAST_HOME: where everything that Renewcast writes lives."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import HomeError
from features.utils.atomic_files import write_file
from features.utils.private_files import make_tree_private
from models.targets import Target

DEFAULT_HOME = Path(".renewcast")


class HomeSettings(BaseSettings):
    """What the environment says of the home: RENEWCAST_HOME and MLFLOW_TRACKING_URI. An empty value counts as none."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    home: Path = Field(default=DEFAULT_HOME, validation_alias="RENEWCAST_HOME")
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")


@dataclass(frozen=True)
class Home:
    """The places under one home folder. Making one touches no disk.

    Parameters
    ----------
    root : the home folder, absolute.
    mlflow_uri : the tracking server to use instead of the home's own SQLite file.
    """

    root: Path
    mlflow_uri: str | None = None

    @property
    def bundles(self) -> Path:
        """The folder of all bundles: ``bundles/<target>/<version>/``."""
        return self.root / "bundles"

    def bundle_folder(self, target: Target, version: str) -> Path:
        """The folder of one bundle."""
        return self.bundles / target / version

    @property
    def champion_file(self) -> Path:
        """The pointer to the champion bundles; see `models.artifacts.champion`."""
        return self.root / "champion.json"

    @property
    def portfolio_file(self) -> Path:
        """The identity of the portfolio that the home belongs to; see `models.artifacts.home_portfolio`."""
        return self.root / "portfolio.json"

    @property
    def snapshots(self) -> Path:
        """The folder of kept snapshots."""
        return self.root / "snapshots"

    @property
    def rollups(self) -> Path:
        """The folder of what large feeds were rolled up to."""
        return self.root / "rollups"

    @property
    def rubrics(self) -> Path:
        """The folder of the versions of rubrics that reviews have led to; see `models.health.rubric_versions`."""
        return self.root / "rubrics"

    @property
    def rubric_history(self) -> Path:
        """The file of what was decided in reviews."""
        return self.rubrics / "history.json"

    @property
    def reviews(self) -> Path:
        """The folder of quarterly reviews: ``reviews/<id>/``."""
        return self.root / "reviews"

    @property
    def texts(self) -> Path:
        """The file of SQL texts kept between processes; see `features.sources.sql_cache`."""
        return self.root / "texts.json"

    @property
    def tracking_uri(self) -> str:
        """Where MLflow's runs and registry are: MLFLOW_TRACKING_URI if given, else SQLite in the home."""
        return self.mlflow_uri or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's artifacts, used with the home's own SQLite."""
        return self.root / "mlartifacts"

    def ensure(self) -> Home:
        """Make the home if need be and try to write in it, so that a long run fails at its start and not at its end.
        An existing home is taken away from group and others.

        Raises
        ------
        HomeError : it cannot be made or written.
        """
        if self.root.exists() and not self.root.is_dir():
            raise HomeError(f"{self.root} is a file", "a folder", "set RENEWCAST_HOME to a folder")
        trial = self.root / ".writable"
        write_file(trial, b"")
        trial.unlink(missing_ok=True)
        make_tree_private(self.root)
        return self


def home_at(root: str | os.PathLike[str] | None = None) -> Home:
    """The home in the folder ``root``; without one, the home that the environment names at this moment."""
    settings = HomeSettings()
    folder = settings.home if root is None else Path(root)
    return Home(folder.expanduser().absolute(), settings.mlflow_tracking_uri)


@lru_cache(maxsize=1)
def current_home() -> Home:
    """The home that the environment names, read once. ``current_home.cache_clear()`` makes it read again.

    A relative RENEWCAST_HOME is taken from the folder in which the process is at the first call.
    """
    return home_at()
