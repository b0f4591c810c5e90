"""Promotion: a registered version becomes the champion, in one step or not at all; and the way back.

The pointer is one file that is replaced whole; it is what serving reads, and it tells who changed it, when and why. One
change is made at a time, so that none is lost. The registry's alias follows it (`training.registry.champion_alias`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from features.errors import BadRequest
from features.utils.file_lock import exclusive_lock
from features.utils.private_files import make_tree_private
from models.artifacts.bundle import Bundle, load_bundle
from models.artifacts.champion import (
    HISTORY_LIMIT,
    ChampionChange,
    ChampionEntry,
    ChampionPointer,
    champion_entry,
    read_pointer,
    write_pointer,
)
from models.artifacts.home_portfolio import read_identity
from models.artifacts.identity_file import require_same_portfolio
from models.home import Home
from models.targets import Target
from training.evaluation.promotion_gates import blocking_gates, gate_text
from training.registry.champion_alias import sync_alias
from training.registry.run_completion import is_completed

LOCK = ".champion.lock"
"""The file in the home that is locked while the pointer is read, changed and written."""


class _Decision(NamedTuple):
    """What was done to the champions, who did it, and why."""

    what: Literal["promoted", "rolled_back"]
    who: str
    why: str


def promote(home: Home, bundles: Mapping[Target, Bundle], rubric: str, who: str, why: str) -> None:
    """Point the home's champion at ``bundles``; a target without one keeps the champion that it has.

    Parameters
    ----------
    rubric : the name of the health score in use.
    who, why : are kept with the change.

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
    """Promote a version that was registered earlier, if its run was completed and it passed every gate then. Where it
    could not be compared with the champion of the time, ``who`` answers for that.

    The home decides, not the registry: a version whose registry is away, or is no longer the one in use, can be
    promoted all the same. Where two registries have given the same number, the newer one is meant.

    Raises
    ------
    BadRequest
        There is no such version, its run was broken off, or a gate was not passed: which, and by how much.
    BundleError
        Its bundle is broken, or was made for other features or another portfolio.
    """
    bundle = _bundle_of(home, target, version)
    if failed := blocking_gates([told for told in bundle.manifest.gates.values() if isinstance(told, dict)]):
        words = "; ".join(gate_text(told) for told in failed)
        raise BadRequest(f"version {version} for {target} did not pass every gate: {words}", cure="train again")
    entry = {target: champion_entry(home, bundle)}
    with _changing(home) as before:
        rubric = before.rubric if before else bundle.rubric.name
        write_pointer(home, _changed(before, entry, rubric, _Decision("promoted", who, why)))
    sync_alias(home)
    return bundle


def rollback(home: Home, target: Target, who: str, why: str) -> ChampionEntry:
    """Give the title back to the champion before the present one.

    Raises
    ------
    BadRequest
        There is none.
    BundleError
        Its bundle is broken, or was made for other features.
    """
    with _changing(home) as pointer:
        earlier = pointer.before(target) if pointer else None
        if pointer is None or earlier is None:
            raise BadRequest(f"no champion for {target} came before the present one", "at least two promotions")
        require_same_portfolio(read_identity(home), load_bundle(home.root / earlier.folder, target))
        decision = _Decision("rolled_back", who, why)
        write_pointer(home, _changed(pointer, {target: earlier}, pointer.rubric, decision))
    sync_alias(home)
    return earlier


@contextmanager
def _changing(home: Home) -> Iterator[ChampionPointer | None]:
    """The pointer as it is, which nobody else changes meanwhile."""
    make_tree_private(home.root)
    with exclusive_lock(home.root / LOCK):
        yield read_pointer(home)


def _changed(
    before: ChampionPointer | None, entries: Mapping[Target, ChampionEntry], rubric: str, decision: _Decision
) -> ChampionPointer:
    """The pointer with other champions, and a line for each in its history."""
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
    # Another registry began its numbers anew: the newest one is meant.
    identity = read_identity(home)
    found = [
        require_same_portfolio(identity, load_bundle(folder, target))
        for folder in folders
        if is_completed(home, folder)
    ]
    if not found:
        whole = [folder for folder in home.bundles.glob(f"{target}/*-*") if is_completed(home, folder)]
        there = sorted({f.name.split("-")[0] for f in whole}, key=lambda v: (len(v), v))
        raise BadRequest(
            f"the training of version {version} for {target} was broken off, or is not at its end yet"
            if folders
            else f"there is no version {version} for {target}",
            f"one of {', '.join(there) or 'none: train first'}",
            "train again" if folders else "",
        )
    return max(found, key=lambda bundle: bundle.manifest.created_at)
