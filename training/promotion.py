"""Promotion: a registered version becomes the champion, in one step or not at all; and the way back.

The pointer is one file that is replaced whole; it is what serving reads, and it tells who changed it, when and why. The
registry's alias follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from features.errors import BadRequest
from models.bundle import Bundle, load_bundle
from models.champion import CHANGES, Change, Pointed, Pointer, point_to, read_pointer, write_pointer
from models.home import Home
from models.targets import Target
from training import tracking
from training.gate import by_how_much, refused


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
    if bundles:
        _change(home, {t: point_to(home, b) for t, b in bundles.items()}, "promoted", who, why, rubric)


def promote_version(home: Home, target: Target, version: str, who: str, why: str) -> Bundle:
    """Promote a version that was registered earlier, if it passed every gate when it was trained. Where it could not be
    compared with the champion of the time, ``who`` answers for that.

    Raises
    ------
    BadRequest
        There is no such version, or a gate was not passed: which, and by how much.
    BundleError
        Its bundle is broken, or was made for other features.
    """
    bundle = _bundle_of(home, target, version)
    if failed := refused([told for told in bundle.manifest.gates.values() if isinstance(told, dict)]):
        words = "; ".join(by_how_much(told) for told in failed)
        raise BadRequest(f"version {version} for {target} did not pass every gate: {words}", cure="train again")
    pointer = read_pointer(home)
    promote(home, {target: bundle}, pointer.rubric if pointer else bundle.rubric.name, who, why)
    return bundle


def rollback(home: Home, target: Target, who: str, why: str) -> Pointed:
    """Give the title back to the champion before the present one.

    Raises
    ------
    BadRequest
        There is none.
    BundleError
        Its bundle is broken, or was made for other features.
    """
    pointer = read_pointer(home)
    earlier = pointer.before(target) if pointer else None
    if pointer is None or earlier is None:
        raise BadRequest(f"no champion for {target} came before the present one", "at least two promotions")
    load_bundle(home.root / earlier.folder, target)
    _change(home, {target: earlier}, "rolled_back", who, why, pointer.rubric)
    return earlier


def _change(
    home: Home,
    entries: Mapping[Target, Pointed],
    what: Literal["promoted", "rolled_back"],
    who: str,
    why: str,
    rubric: str,
) -> None:
    before, now = read_pointer(home), datetime.now(UTC)
    kept = {"churn": before.churn, "expansion": before.expansion} if before else {}
    told = [Change(at=now, what=what, target=t, champion=entry, who=who, why=why) for t, entry in entries.items()]
    history = (*(before.history if before else ()), *told)[-CHANGES:]
    write_pointer(home, Pointer(**(kept | dict(entries)), promoted_at=now, rubric=rubric, history=history))
    tracking.mark_champion(home, {target: entry.version for target, entry in entries.items()})


def _bundle_of(home: Home, target: Target, version: str) -> Bundle:
    folders = sorted(home.bundles.glob(f"{target}/{version}-*")) if version.isdigit() else []
    # Another registry began its numbers anew: the newest one is meant.
    found = [load_bundle(folder, target) for folder in folders]
    if not found:
        there = sorted({f.name.split("-")[0] for f in home.bundles.glob(f"{target}/*-*")}, key=lambda v: (len(v), v))
        raise BadRequest(
            f"there is no version {version} for {target}", f"one of {', '.join(there) or 'none: train first'}"
        )
    return max(found, key=lambda bundle: bundle.manifest.created_at)
