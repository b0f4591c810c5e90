"""Reading and writing the portfolio identity of a home, and checking bundles against it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

from features.errors import BundleError
from features.utils.atomic_files import write_file
from models.artifacts.bundle_files import Manifest
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.home import Home
from models.json_files import read_json_file


class _HasManifest(Protocol):
    @property
    def folder(self) -> Path: ...
    @property
    def manifest(self) -> Manifest: ...


B = TypeVar("B", bound=_HasManifest)


def read_identity_file(home: Home) -> PortfolioIdentity | None:
    """Read the identity from the home's file; None without the file.

    Raises
    ------
    HomeError : the file is broken.
    """
    file = home.portfolio_file
    if not file.exists():
        return None
    cure = f"restore {file.name} from a backup, or choose a new home"
    return read_json_file(
        file, PortfolioIdentity, "a portfolio identity written by `renewcast train`", cure, strict=True
    )


def write_identity_file(home: Home, identity: PortfolioIdentity) -> None:
    """Write the home's file.

    Raises
    ------
    HomeError : the home cannot be written.
    """
    write_file(home.portfolio_file, identity.model_dump_json(indent=1) + "\n")


def require_same_portfolio(identity: PortfolioIdentity | None, bundle: B) -> B:
    """Return the bundle if it belongs to the portfolio of the home.

    Old bundles have no identity and are accepted.

    Raises
    ------
    BundleError : it belongs to another portfolio.
    """
    own = bundle.manifest.portfolio
    if identity is not None and own is not None and own.id != identity.id:
        raise BundleError(
            f"{bundle.folder} was trained on the portfolio {own.name} ({own.kind}), but this home belongs to "
            f"{identity.name} ({identity.kind})",
            "a bundle of this home's portfolio",
            "promote a version that was trained in this home, or use the home of the bundle (RENEWCAST_HOME)",
        )
    return bundle
