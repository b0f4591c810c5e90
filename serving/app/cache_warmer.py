"""Loading a new snapshot and computing its slow parts in the background, so that the first user does not wait for them.

The chart engine takes a second to start, and the weeks before a snapshot and its renewals take seconds to compute. The
steps run one after another. If one fails, the request that needs it reports the reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from features.errors import RenewcastError
from serving.common.json_logs import error_location, log_event
from serving.pages.snapshot_context import health_trend_chart, signal_history
from serving.portfolio.account_list import AccountListQuery, published_account_list
from serving.renewals.published_forecast import published_renewals
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.worklist.published_worklist import worklist_cache

#: How often (seconds) to check for a new snapshot. One that is replaced sooner is not prepared.
WARM_SECONDS = 1.0
WarmStep = Callable[[ScoredSnapshot], object]
"""A step. It is run again, after the others, while it returns True."""
STEPS: Mapping[str, WarmStep] = {
    "portfolio": lambda scored: scored.portfolio,
    "answers": lambda scored: _prepare_answers(scored),
    "roster": lambda scored: published_account_list(scored).find(AccountListQuery(as_of=None)),
    "trend": health_trend_chart,
    "weeks": signal_history,
    "worklist": worklist_cache,
    "renewals": published_renewals,
}
"""Parts without which pages are slow, those of the first page first."""


def _prepare_answers(scored: ScoredSnapshot) -> bool:
    began = time.monotonic()
    more = scored.prepare_answers()
    if more:
        # Of a large portfolio, requests get at least half of the time.
        time.sleep(time.monotonic() - began)
    return more


class CacheWarmer:
    """Prepares each latest snapshot once.

    Parameters
    ----------
    live : provides the latest snapshot.
    steps : the steps, by their names in the log.
    """

    def __init__(self, live: LiveStateManager, steps: Mapping[str, WarmStep] = STEPS) -> None:
        self._live = live
        self._steps = steps
        self._scored: ScoredSnapshot | None = None
        self._remaining: list[str] = []

    def work(self) -> bool:
        """Run one step, and return whether there are more. See `serving.common.background_thread.BackgroundThread`."""
        # This begins to load a new champion or snapshot, so that few requests have to wait for it.
        state = self._live.refresh()
        latest = None if state is None else state.latest
        if latest is None:
            return False
        if latest is not self._scored:
            self._scored, self._remaining = latest, list(self._steps)
            return False
        if not self._remaining:
            return False
        name = self._remaining.pop(0)
        try:
            if self._steps[name](latest) is True:
                self._remaining.append(name)
        except RenewcastError as error:
            # Some parts do not exist for every business; the request for one reports why.
            log_event("warm_left_out", step=name, error=type(error).__name__)
        except Exception as error:  # noqa: BLE001 the other steps may succeed
            log_event("warm_failed", logging.WARNING, step=name, **error_location(error))
        if not self._remaining:
            log_event("warm", as_of=latest.as_of.isoformat())
        return bool(self._remaining)
