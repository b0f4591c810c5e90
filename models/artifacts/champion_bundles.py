"""The bundles that the champion pointer names, as a whole or without their models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from features.errors import BundleError
from models.artifacts.bundle_files import BundleDocuments, read_bundle_documents
from models.artifacts.champion_pointer import ChampionPointer, read_pointer
from models.artifacts.identity_file import B, read_identity_file, require_same_portfolio
from models.home import Home
from models.targets import TARGETS, Target


def champion_documents(home: Home) -> dict[Target, BundleDocuments]:
    """Read the manifests and model cards of the champion, without its models, which take seconds to load.

    Raises
    ------
    BundleError : the pointer or a file of a bundle is broken, or a bundle is not the one that the pointer names.
    HomeError : the file of the home's portfolio is broken.
    """
    pointer = read_pointer(home)
    return {} if pointer is None else pointed_bundles(home, pointer, read_bundle_documents)


def pointed_bundles(home: Home, pointer: ChampionPointer, read: Callable[[Path, Target], B]) -> dict[Target, B]:
    """Read what the pointer names, by target.

    Parameters
    ----------
    home : the home.
    pointer : the pointer to the champion.
    read : reads the bundle in a folder.

    Raises
    ------
    BundleError : a bundle has another version than the pointer says, or belongs to another portfolio than the home.
    HomeError : the file of the home's portfolio is broken.
    """
    bundles: dict[Target, B] = {}
    identity = read_identity_file(home)
    for target in TARGETS:
        pointed = pointer.of(target)
        if pointed is None:
            continue
        bundle = require_same_portfolio(identity, read(home.root / pointed.folder, target))
        if bundle.manifest.version != pointed.version:
            raise BundleError(
                f"{bundle.folder} contains version {bundle.manifest.version}",
                f"version {pointed.version}, as in {home.champion_file}",
                "promote a model again",
            )
        bundles[target] = bundle
    return bundles
