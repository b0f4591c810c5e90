"""What the first person to look at a new snapshot would wait for, worked out beforehand, beside the requests.

The engine that draws charts takes a second to start, and the weeks before a snapshot and its renewals take seconds to
work out. One thing is done at a time; what fails here is left to the request that needs it, which says why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from features.errors import RenewcastError
from serving.common.json_logs import error_location, log_event
from serving.pages.snapshot_context import account_list, health_trend_chart, signal_history
from serving.portfolio.account_list import AccountListQuery
from serving.renewals.published_forecast import published_renewals
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.worklist.published_worklist import worklist_cache

#: How often (seconds) a new snapshot is looked for; one that is replaced sooner is not worth the work.
WARM_SECONDS = 1.0
WarmStep = Callable[[ScoredSnapshot], object]
STEPS: Mapping[str, WarmStep] = {
    "portfolio": lambda scored: scored.portfolio,
    "roster": lambda scored: account_list(scored).find(AccountListQuery(as_of=None)),
    "trend": health_trend_chart,
    "weeks": signal_history,
    "worklist": worklist_cache,
    "renewals": published_renewals,
}
"""What the pages are slow without, the first page first."""


class CacheWarmer:
    """Prepares the latest snapshot, once.

    Parameters
    ----------
    steps : what is done, by its name in the log.
    """

    def __init__(self, live: LiveStateManager, steps: Mapping[str, WarmStep] = STEPS) -> None:
        self._live = live
        self._steps = steps
        self._scored: ScoredSnapshot | None = None
        self._left: list[str] = []

    def work(self) -> bool:
        """Take one step; whether there may be more at once. For `serving.common.background_thread.BackgroundThread`."""
        state = self._live.cached()
        latest = None if state is None else state.latest
        if latest is None:
            return False
        if latest is not self._scored:
            self._scored, self._left = latest, list(self._steps)
            return False
        if not self._left:
            return False
        name = self._left.pop(0)
        try:
            self._steps[name](latest)
        except RenewcastError as error:
            # Of some businesses a part cannot be told; whoever asks for it hears why.
            log_event("warm_left_out", step=name, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 the other steps may do better
            log_event("warm_failed", logging.WARNING, step=name, **error_location(error))
        if not self._left:
            log_event("warm", as_of=latest.as_of.isoformat())
        return bool(self._left)
