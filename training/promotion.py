"""Promotion: a registered version becomes the champion, in one step or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from models.bundle import Bundle
from models.champion import Pointer, point_to, read_pointer, write_pointer
from models.home import Home
from models.targets import Target
from training import tracking


def promote(home: Home, bundles: Mapping[Target, Bundle], rubric: str) -> None:
    """Point the home's champion at ``bundles``; a target without one keeps the champion that it has.

    The pointer is one file that is replaced whole, and it is what serving reads; the registry's alias follows it.

    Raises
    ------
    HomeError
        If the home cannot be written.
    """
    if not bundles:
        return
    before = read_pointer(home)
    entries = {"churn": before.churn, "expansion": before.expansion} if before else {}
    entries |= {target: point_to(home, bundle) for target, bundle in bundles.items()}
    write_pointer(home, Pointer(**entries, promoted_at=datetime.now(UTC), rubric=rubric))
    tracking.mark_champion(home, {target: bundle.manifest.version for target, bundle in bundles.items()})
