"""Promote a registered version to champion, or roll back to the previous one.

The pointer is one file that is replaced atomically. Serving reads it, and it records who changed it, when and why. A
lock allows one change at a time, so that none is lost. The registry's alias is updated afterwards
(`training.registry.champion_alias`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from features.errors import BadRequest
from features.utils.file_lock import exclusive_lock
from models.artifacts.bundle import Bundle, load_bundle
from models.artifacts.champion import champion_entry
from models.artifacts.champion_pointer import (
    HISTORY_LIMIT,
    ChampionChange,
    ChampionEntry,
    ChampionPointer,
    read_pointer,
    write_pointer,
)
from models.artifacts.home_portfolio import read_identity
from models.artifacts.identity_file import require_same_portfolio
from models.home import Home
from models.statements import require_statement
from models.targets import Target
from training.evaluation.promotion_gates import blocking_gates, gate_text
from training.registry.champion_alias import sync_alias
from training.registry.run_completion import is_completed

LOCK = ".champion.lock"
"""The file in the home that is locked while the pointer is read, changed and written."""


class _Decision(NamedTuple):
    """A change of champion: the action, the person and the reason."""

    what: Literal["promoted", "rolled_back"]
    who: str
    why: str


def promote(home: Home, bundles: Mapping[Target, Bundle], rubric: str, who: str, why: str) -> None:
    """Point the home's champion at ``bundles``; a target without a bundle keeps its champion.

    Parameters
    ----------
    rubric : the name of the health score in use.
    who, why : the person and the reason, stored with the change.

    Raises
    ------
    HomeError
        If the home cannot be written.
    """
    if not bundles:
        return
    entries = {t: champion_entry(home, b) for t, b in bundles.items()}
    with _changing(home) as before:
        write_pointer(home, _changed(before, entries, rubric, _Decision("promoted", who, why)))
    sync_alias(home)


def promote_version(home: Home, target: Target, version: str, who: str, why: str) -> Bundle:
    """Promote a version that was registered earlier, if its run was completed and it passed every gate.

    If it could not be compared with the champion at that time, ``who`` takes responsibility for the promotion.

    The bundles in the home decide, not the registry: a version can be promoted even if its registry is unreachable or
    no longer in use. If two registries assigned the same number, the newer version is promoted.

    Parameters
    ----------
    home : the home.
    target, version : the model.
    who, why : the person who decides, and the reason; both are stored.

    Returns
    -------
    Bundle
        The new champion.

    Raises
    ------
    BadRequest
        If there is no such version, its run was not completed, it failed a gate, or the author or the reason is missing
        or too long; the message gives the details.
    BundleError
        If its bundle is broken, or was built for other features or another portfolio.
    """
    require_statement(who, why)
    bundle = _bundle_of(home, target, version)
    if failed := blocking_gates([gate for gate in bundle.manifest.gates.values() if isinstance(gate, dict)]):
        words = "; ".join(gate_text(gate) for gate in failed)
        raise BadRequest(f"version {version} for {target} failed promotion gates: {words}", cure="train again")
    entry = {target: champion_entry(home, bundle)}
    with _changing(home) as before:
        rubric = before.rubric if before else bundle.rubric.name
        write_pointer(home, _changed(before, entry, rubric, _Decision("promoted", who, why)))
    sync_alias(home)
    return bundle


def rollback(home: Home, target: Target, who: str, why: str) -> ChampionEntry:
    """Roll back to the previous champion.

    Parameters
    ----------
    home : the home.
    target : the target.
    who, why : the person who decides, and the reason; both are stored.

    Returns
    -------
    ChampionEntry
        The champion after it.

    Raises
    ------
    BadRequest
        If there is no previous champion, or the author or the reason is missing or too long.
    BundleError
        If its bundle is broken or was built for other features.
    """
    require_statement(who, why)
    with _changing(home) as pointer:
        earlier = pointer.before(target) if pointer else None
        if pointer is None or earlier is None:
            raise BadRequest(f"{target} has no previous champion", "at least two promotions")
        require_same_portfolio(read_identity(home), load_bundle(home.root / earlier.folder, target))
        decision = _Decision("rolled_back", who, why)
        write_pointer(home, _changed(pointer, {target: earlier}, pointer.rubric, decision))
    sync_alias(home)
    return earlier


@contextmanager
def _changing(home: Home) -> Iterator[ChampionPointer | None]:
    """Lock the pointer against other changes, and yield its current content."""
    home.make_private()
    with exclusive_lock(home.root / LOCK):
        yield read_pointer(home)


def _changed(
    before: ChampionPointer | None, entries: Mapping[Target, ChampionEntry], rubric: str, decision: _Decision
) -> ChampionPointer:
    """Return the pointer with the new champions, and one history entry for each."""
    now = datetime.now(UTC)
    champions = {"churn": before.churn, "expansion": before.expansion} if before else {}
    changes = [
        ChampionChange(at=now, what=decision.what, target=target, champion=entry, who=decision.who, why=decision.why)
        for target, entry in entries.items()
    ]
    history = (*(before.history if before else ()), *changes)[-HISTORY_LIMIT:]
    return ChampionPointer(**(champions | dict(entries)), promoted_at=now, rubric=rubric, history=history)


def _bundle_of(home: Home, target: Target, version: str) -> Bundle:
    folders = sorted(home.bundles.glob(f"{target}/{version}-*")) if version.isdigit() else []
    # Two registries can assign the same version number; the newest bundle is used.
    identity = read_identity(home)
    bundles = [
        require_same_portfolio(identity, load_bundle(folder, target))
        for folder in folders
        if is_completed(home, folder)
    ]
    if not bundles:
        complete = [folder for folder in home.bundles.glob(f"{target}/*-*") if is_completed(home, folder)]
        versions = sorted({f.name.split("-")[0] for f in complete}, key=lambda v: (len(v), v))
        raise BadRequest(
            f"the training of version {version} for {target} was interrupted or is still running"
            if folders
            else f"there is no version {version} for {target}",
            f"one of {', '.join(versions) or 'none: train first'}",
            "train again" if folders else "",
        )
    return max(bundles, key=lambda bundle: bundle.manifest.created_at)
