"""Webhooks are told of what a command did, with the next delivery of the service."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from serving.cli.context import store_at_hand

if TYPE_CHECKING:
    from models.home import Home
    from models.targets import Target
    from serving.store.database import Store
    from serving.webhooks.events import DriftFinding


def promotions_told(targets: Collection[Target], home: Home | None = None) -> None:
    """Tell webhooks of the newest change of champion of each target, in the ``home`` or the one that the environment
    names."""
    from models.artifacts.champion import read_pointer
    from models.home import current_home
    from serving.webhooks.events import enqueue_promotions

    place = home or current_home()
    pointer = read_pointer(place)
    history = pointer.history if pointer else ()
    newest = [next(change for change in reversed(history) if change.target == target) for target in targets]
    if newest:
        otherwise = "webhooks are told of it with the next published batch"
        _tell(place, lambda store: enqueue_promotions(store, newest), otherwise)


def drift_told(found: Sequence[DriftFinding]) -> None:
    """Tell webhooks that champions should be trained again."""
    from models.home import current_home
    from serving.webhooks.events import enqueue_drift

    otherwise = "webhooks are not told of it; `renewcast monitor` tries again"
    _tell(current_home(), lambda store: enqueue_drift(store, found), otherwise)


def _tell(home: Home, send: Callable[[Store], int], otherwise: str) -> None:
    """Put something into the outbox; where the store is away, say so, since what was done stays done."""
    from serving.common.errors import StoreDown
    from serving.common.settings import current_settings

    if current_settings().store_address is None and not (home.root / "store.sqlite").exists():
        # Nobody has asked to be told of anything.
        return
    try:
        send(store_at_hand(home))
    except StoreDown as error:
        from features.utils.console import Console

        Console(stderr=True, soft_wrap=True).print(f"{error.found}: {otherwise}")
