"""The worklist of a published snapshot, with the interventions that callers have recorded since.

The data of the snapshot is computed once. Recorded actions are read again whenever any process has changed the store,
so that they take effect immediately.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from models.rules.intervention_effects import InterventionRecord, InterventionStatus
from models.uplift.account_effects import read_effects
from serving.snapshots.account_attributes import AccountSelection
from serving.snapshots.compute_once_cache import ComputeOnceCache
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, PRODUCTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version
from serving.store.database import Store
from serving.worklist.account_view import WorklistAccounts
from serving.worklist.active_alerts import active_alerts
from serving.worklist.effects import NOT_STORED, effects_document, usable_effects
from serving.worklist.holdout import design_document
from serving.worklist.intervention_lists import raised_alerts, results_document
from serving.worklist.interventions import (
    INTERVENTIONS,
    RecordedActions,
    next_publication,
    published_interventions,
    read_recorded,
    snooze_day,
)
from serving.worklist.rank import WorklistContext, build_worklist

#: How many worklists of one snapshot are cached.
CACHE_SIZE = 16


class WorklistCache:
    """The worklists of one snapshot. Safe to use from many threads.

    Raises
    ------
    HomeError : a sidecar of the snapshot is not valid.
    """

    def __init__(self, scored: ScoredSnapshot) -> None:
        self._scored = scored
        accounts = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS)
        self._people = {} if accounts is None else accounts["accounts"]
        self._interventions = published_interventions(scored.snapshots, scored.as_of)
        self._effects = read_effects(scored.snapshots.home.effects_file)
        self._accounts = WorklistAccounts.of(scored.assessment, self._people)
        self._active = frozenset(scored.assessment.account_ids)
        self._cache = ComputeOnceCache(CACHE_SIZE)

    def of(self, store: Store, capacity: int, selection: AccountSelection, save_rate: float | None) -> dict[str, Any]:
        """Return a worklist of the snapshot, with all recorded actions.

        Parameters
        ----------
        store : the store, with the recorded actions.
        capacity, selection, save_rate : as in `serving.worklist.rank.build_worklist`.

        Returns
        -------
        dict for JSON
            A `serving.worklist.schemas.WorklistResponse`. Do not modify it.
        """
        key = (capacity, tuple(selection.account_filter.chosen.items()), save_rate)
        return self._computed(store, key, lambda actions: self._work(actions, capacity, selection, save_rate))

    def standing(self, store: Store) -> Mapping[str, InterventionStatus]:
        """Return the accounts whose plays are off the list, and why: held out, under way, done or snoozed.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        version, actions = self._recorded(store)
        as_of, interventions = self._scored.as_of, self._interventions or ()
        if version is None:
            return actions.standing(interventions, as_of)
        return self._cache.get(("standing", *version), lambda: actions.standing(interventions, as_of))

    def snoozed(self, store: Store) -> Mapping[str, date]:
        """Return the snoozed accounts with the end dates.

        Raises
        ------
        StoreDown : the store cannot be reached.
        """
        return self._recorded(store)[1].snoozed

    def _recorded(self, store: Store) -> tuple[tuple[Any, ...] | None, RecordedActions]:
        """Return the recorded actions and their version; the version is None if the store cannot detect changes."""
        # Read before the actions, so that an action recorded in between refreshes the next result.
        changed, until = store.version(), next_publication(self._scored.snapshots, self._scored.as_of)
        if changed is None:
            return None, self._read(store, until)
        # A snooze ends with its day, although the store does not change.
        version = (changed, until, snooze_day(self._scored.as_of, until))
        return version, self._cache.get(version, lambda: self._read(store, until))

    def _read(self, store: Store, until: datetime | None) -> RecordedActions:
        with store.read() as connection:
            return read_recorded(connection, self._active, self._scored.as_of, until)

    def design(self, store: Store, *settings: Any) -> dict[str, Any]:
        """Return the design of a trial; ``settings`` are the further arguments of `design_document`."""
        return self._computed(
            store,
            ("design", *settings),
            lambda actions: design_document(self._scored.assessment, self._context(actions), *settings),
        )

    def effects(self, store: Store) -> dict[str, Any]:
        """Return the effect of plays, and what the worklist uses of it."""
        return self._computed(store, ("effects",), self._play_effects)

    def results(self, store: Store, selection: AccountSelection) -> dict[str, Any]:
        """Return the results of interventions on the selected accounts, and the responses to their alerts."""

        def compute(actions: RecordedActions) -> dict[str, Any]:
            with store.read() as connection:
                raised = raised_alerts(connection, self._scored.as_of, selection)
            records = [
                each for each in self._context(actions).interventions or () if selection.includes(each.account_id)
            ]
            return results_document(self._scored.as_of, records, raised, selection)

        return self._computed(store, ("results", *selection.account_filter.chosen.items()), compute)

    def alerts(self, store: Store, limit: int, selection: AccountSelection, *filters: Any) -> dict[str, Any]:
        """Return the accounts with active alerts; ``filters`` are the further arguments of `active_alerts`."""
        standing = self.standing(store)
        return self._computed(
            store,
            ("alerts", limit, tuple(selection.account_filter.chosen.items()), *filters),
            lambda _: active_alerts(self._scored.assessment, self._accounts, standing, limit, selection, *filters),
        )

    def _computed(
        self, store: Store, key: tuple[Any, ...], compute: Callable[[RecordedActions], dict[str, Any]]
    ) -> dict[str, Any]:
        version, actions = self._recorded(store)
        if version is None:
            return compute(actions)
        return self._cache.get((*version, *key), lambda: compute(actions))

    def _play_effects(self, actions: RecordedActions) -> dict[str, Any]:
        effects = usable_effects(self._effects, self._scored.as_of)
        notes = () if effects is not None else (NOT_STORED,)
        interventions = self._context(actions).interventions or ()
        return effects_document(self._scored.as_of, interventions, effects, notes)

    def _context(self, actions: RecordedActions) -> WorklistContext:
        nothing = self._interventions is None and not actions.interventions
        interventions: Sequence[InterventionRecord] | None = (
            None if nothing else [*(self._interventions or ()), *actions.interventions]
        )
        return WorklistContext(self._people, interventions, actions.snoozed, self._effects)

    def _work(
        self, actions: RecordedActions, capacity: int, selection: AccountSelection, save_rate: float | None
    ) -> dict[str, Any]:
        context = self._context(actions)
        return build_worklist(self._scored.assessment, capacity, context, selection, save_rate, self._accounts)


def worklist_cache(scored: ScoredSnapshot) -> WorklistCache:
    """Return the worklist cache of a snapshot, one for each version of its sidecars."""
    sidecars = (ACCOUNTS, PRODUCTS, INTERVENTIONS)
    stamps = [file_version(sidecar_path(scored.snapshots, scored.as_of, name)) for name in sidecars]
    stamps.append(file_version(scored.snapshots.home.effects_file))
    return scored.cache.get(("worklist", *stamps), lambda: WorklistCache(scored))


def published_worklist(
    scored: ScoredSnapshot,
    store: Store,
    capacity: int,
    selection: AccountSelection | None = None,
    save_rate: float | None = None,
) -> dict[str, Any]:
    """Return the worklist of a snapshot, with all recorded actions.

    Parameters
    ----------
    scored : the snapshot.
    store : the store, with the recorded actions.
    capacity, selection, save_rate : as in `serving.worklist.rank.build_worklist`.

    Returns
    -------
    dict for JSON
        A `serving.worklist.schemas.WorklistResponse`. Do not modify it.

    Raises
    ------
    HomeError : a sidecar of the snapshot is not valid.
    StoreDown : the store cannot be reached.
    """
    everyone = AccountSelection.everyone(scored.assessment) if selection is None else selection
    return worklist_cache(scored).of(store, capacity, everyone, save_rate)


def published_design(scored: ScoredSnapshot, store: Store, *settings: Any) -> dict[str, Any]:
    """Return the design of a trial of plays for a snapshot, with all recorded actions.

    Parameters
    ----------
    scored : the snapshot.
    store : the store, with the recorded actions.
    *settings : the further arguments of `serving.worklist.holdout.design_document`.

    Returns
    -------
    dict for JSON
        A `serving.worklist.schemas.HoldoutDesignResponse`. Do not modify it.

    Raises
    ------
    BadRequest : there is no churn model, or no account has this play or CSM.
    HomeError, StoreDown : as `published_worklist`.
    """
    return worklist_cache(scored).design(store, *settings)


def published_effects(scored: ScoredSnapshot, store: Store) -> dict[str, Any]:
    """Return the effect of plays that is known at a snapshot, with all recorded actions.

    Returns
    -------
    dict for JSON
        A `serving.worklist.schemas.PlayEffectsResponse`. Do not modify it.

    Raises
    ------
    HomeError, StoreDown : as `published_worklist`.
    """
    return worklist_cache(scored).effects(store)


def published_results(scored: ScoredSnapshot, store: Store, selection: AccountSelection) -> dict[str, Any]:
    """Return the results of interventions that are known at a snapshot, with all recorded actions.

    Parameters
    ----------
    scored : the snapshot.
    store : the store, with the recorded actions.
    selection : only interventions on these accounts count.

    Returns
    -------
    dict for JSON
        A `serving.worklist.intervention_schemas.InterventionResults`. Do not modify it.

    Raises
    ------
    HomeError, StoreDown : as `published_worklist`.
    """
    return worklist_cache(scored).results(store, selection)


def published_alerts(
    scored: ScoredSnapshot, store: Store, limit: int, selection: AccountSelection, *filters: Any
) -> dict[str, Any]:
    """Return the accounts with active alerts at a snapshot, with all recorded actions.

    Parameters
    ----------
    scored : the snapshot.
    store : the store, with the recorded actions.
    limit, selection, *filters : the further arguments of `serving.worklist.active_alerts.active_alerts`.

    Returns
    -------
    dict for JSON
        A `serving.worklist.intervention_schemas.ActiveAlerts`. Do not modify it.

    Raises
    ------
    HomeError, StoreDown : as `published_worklist`.
    """
    return worklist_cache(scored).alerts(store, limit, selection, *filters)
