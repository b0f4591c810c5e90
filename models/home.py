"""RENEWCAST_HOME: the folder of everything that Renewcast writes."""

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
    """Settings from the environment: RENEWCAST_HOME and MLFLOW_TRACKING_URI. Empty values count as unset."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    home: Path = Field(default=DEFAULT_HOME, validation_alias="RENEWCAST_HOME")
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")


@dataclass(frozen=True)
class Home:
    """Paths in a home folder. Creating an instance does not access the disk.

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
        """The folder of stored snapshots."""
        return self.root / "snapshots"

    @property
    def rollups(self) -> Path:
        """The folder of rolled-up large feeds."""
        return self.root / "rollups"

    @property
    def rubrics(self) -> Path:
        """The folder of rubric versions from reviews; see `models.health.rubric_versions`."""
        return self.root / "rubrics"

    @property
    def rubric_history(self) -> Path:
        """The file of the decisions on reviews."""
        return self.rubrics / "history.json"

    @property
    def effects_file(self) -> Path:
        """The file of effects of plays per account; see `models.uplift.account_effects`."""
        return self.root / "effects.json"

    @property
    def reviews(self) -> Path:
        """The folder of quarterly reviews: ``reviews/<id>/``."""
        return self.root / "reviews"

    @property
    def texts(self) -> Path:
        """The file of cached SQL texts; see `features.sources.sql_cache`."""
        return self.root / "texts.json"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking server: MLFLOW_TRACKING_URI if set, else SQLite in the home."""
        return self.mlflow_uri or f"sqlite:///{self.root / 'mlflow.db'}"

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's artifacts, used with SQLite in the home."""
        return self.root / "mlartifacts"

    def make_private(self) -> Home:
        """Remove access by group and others from an existing home.

        Raises
        ------
        HomeError : the home is a file, which is left alone.
        """
        self._require_folder()
        make_tree_private(self.root)
        return self

    def ensure(self) -> Home:
        """Create the home if it does not exist, and check that it can be written, so that long runs fail at the start.

        Access by group and others is removed from an existing home.

        Raises
        ------
        HomeError : the home cannot be created or written.
        """
        self._require_folder()
        trial = self.root / ".writable"
        write_file(trial, b"")
        trial.unlink(missing_ok=True)
        return self.make_private()

    def _require_folder(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise HomeError(f"{self.root} is a file", "a folder", "set RENEWCAST_HOME to a folder")


def home_at(root: str | os.PathLike[str] | None = None) -> Home:
    """The home in the folder ``root``; without one, the home that the environment names at this moment."""
    settings = HomeSettings()
    folder = settings.home if root is None else Path(root)
    return Home(folder.expanduser().absolute(), settings.mlflow_tracking_uri)


@lru_cache(maxsize=1)
def current_home() -> Home:
    """Return the home set in the environment. It is read once; ``current_home.cache_clear()`` resets it.

    A relative RENEWCAST_HOME is relative to the working directory at the first call.
    """
    return home_at()
