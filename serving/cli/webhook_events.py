"""Webhook events of commands. The service delivers them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from serving.cli.context import open_store

if TYPE_CHECKING:
    from models.home import Home
    from models.targets import Target
    from serving.store.database import Store
    from serving.webhooks.events import DriftFinding


def enqueue_latest_promotions(targets: Collection[Target], home: Home | None = None) -> None:
    """Enqueue the newest change of champion of each target.

    Parameters
    ----------
    targets : the targets that were promoted or rolled back.
    home : the home folder; by default RENEWCAST_HOME.
    """
    from models.artifacts.champion_pointer import read_pointer
    from models.home import current_home
    from serving.webhooks.events import enqueue_promotions

    place = home or current_home()
    pointer = read_pointer(place)
    history = pointer.history if pointer else ()
    newest = [next(change for change in reversed(history) if change.target == target) for target in targets]
    if newest:
        otherwise = "webhooks are notified with the next published scores"
        _enqueue(place, lambda store: enqueue_promotions(store, newest), otherwise)


def enqueue_drift_findings(found: Sequence[DriftFinding]) -> None:
    """Enqueue events for champions that should be retrained."""
    from models.home import current_home
    from serving.webhooks.events import enqueue_drift

    otherwise = "webhooks were not notified; run `renewcast monitor` again"
    _enqueue(current_home(), lambda store: enqueue_drift(store, found), otherwise)


def _enqueue(home: Home, send: Callable[[Store], int], otherwise: str) -> None:
    """Add events to the outbox. If the store is unavailable, print a warning: the command itself has succeeded."""
    from serving.common.errors import StoreDown
    from serving.common.settings import current_settings

    if current_settings().store_address is None and not (home.root / "store.sqlite").exists():
        # Without a store there are no endpoints.
        return
    try:
        send(open_store(home))
    except StoreDown as error:
        from features.utils.console import Console

        Console(stderr=True, soft_wrap=True).print(f"{error.found}: {otherwise}")
