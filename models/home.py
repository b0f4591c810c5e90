"""RENEWCAST_HOME: the folder of everything that Renewcast writes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from features.errors import HomeError
from features.utils.atomic_files import UNFINISHED, write_file
from features.utils.private_files import make_private, make_tree_private
from models.targets import Target

DEFAULT_HOME = Path(".renewcast")
OWN_ENTRIES = (
    *("bundles", "snapshots", "rollups", "rubrics", "reviews", "jobs", "demo", "mlartifacts"),
    *("champion.json", "portfolio.json", "effects.json", "renewals.json", "texts.json", "settings.json", "secret.key"),
    *("store.sqlite*", "mlflow.db*", ".champion.lock", ".portfolio.lock", ".erasing.lock", ".writers"),
    *(".writable*", f".*{UNFINISHED}*"),
)
"""Patterns of the names that Renewcast writes directly in a home. Nothing else in a home is changed."""
HOME_MARKERS = ("champion.json", "portfolio.json", "store.sqlite")
"""Any of these files makes a folder a home, whatever else it holds."""
UNRELATED = ("lost+found", ".DS_Store", ".gitignore", ".gitkeep", ".keep", ".snapshot", "Thumbs.db", "desktop.ini")
"""Names that systems and version control put into otherwise empty folders."""


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
    def settings_file(self) -> Path:
        """The portfolio's currency and order of dates; see `models.portfolio_settings`."""
        return self.root / "settings.json"

    @property
    def snapshots(self) -> Path:
        """The folder of stored snapshots."""
        return self.root / "snapshots"

    @property
    def rollups(self) -> Path:
        """The folder of rolled-up large feeds."""
        return self.root / "rollups"

    @property
    def store_file(self) -> Path:
        """The SQLite file of the store, which may not exist yet."""
        return self.root.absolute() / "store.sqlite"

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
    def tracking_file(self) -> Path:
        """The SQLite file of MLflow, if there is no tracking server."""
        return self.root / "mlflow.db"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking server: MLFLOW_TRACKING_URI if set, else SQLite in the home."""
        if self.mlflow_uri:
            return self.mlflow_uri
        path = str(self.tracking_file)
        quoted = path.replace("%", "%25").replace("?", "%3F")
        # With the short scheme, MLflow creates the folders of the path before it decodes the path.
        return f"sqlite:///{path}" if quoted == path else f"sqlite+pysqlite:///{quoted}"

    @property
    def artifacts(self) -> Path:
        """The folder of MLflow's artifacts, used with SQLite in the home."""
        return self.root / "mlartifacts"

    def require_own(self) -> Home:
        """Check that the home is a home, empty, or does not exist yet.

        Raises
        ------
        HomeError : the home is a file, or a folder with other files that is not a home.
        """
        self._entries()
        return self

    def make_private(self) -> Home:
        """Remove access by group and others from what Renewcast wrote in an existing home.

        Other files in the folder are left alone. The folder itself is made private if nothing else is in it.

        Raises
        ------
        HomeError : see `require_own`.
        """
        if names := self._entries():
            if not other_entries(names):
                make_private(self.root)
            for name in filter(_is_own, names):
                make_tree_private(self.root / name)
        return self

    def ensure(self) -> Home:
        """Create the home if it does not exist, and check that it can be written, so that long runs fail at the start.

        Access by group and others is removed from an existing home; see `make_private`.

        Raises
        ------
        HomeError : the home cannot be created or written, or see `require_own`.
        """
        # The check comes first, so that nothing is written to a folder that is refused.
        self.require_own()
        trial = self.root / ".writable"
        write_file(trial, b"")
        self.make_private()
        trial.unlink(missing_ok=True)
        return self

    def _entries(self) -> list[str]:
        """Return the names in the home's folder, after a check that the folder is a home or can become one."""
        if not self.root.is_dir():
            if self.root.exists():
                raise HomeError(f"{self.root} is a file", "a folder", "set RENEWCAST_HOME to a folder")
            return []
        try:
            names = os.listdir(self.root)
        except OSError as error:
            raise HomeError(f"cannot read {self.root}: {error.strerror}", "a readable folder") from error
        others = other_entries(names)
        if others and not any(marker in names for marker in HOME_MARKERS):
            raise HomeError(
                f"{self.root} is not a home of Renewcast: {len(others)} of its {len(names)} entries are other files",
                "a home, an empty folder, or a folder that does not exist yet",
                f"set RENEWCAST_HOME to a folder that holds nothing else, for example {self.root / DEFAULT_HOME}",
            )
        return names


def _is_own(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in OWN_ENTRIES)


def other_entries(names: list[str]) -> list[str]:
    """Return the names of a folder's entries that Renewcast did not write."""
    return [name for name in names if name not in UNRELATED and not _is_own(name)]


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
