"""Which rows of a source do not count, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from features.contract.settings import PAUSED_ARR_VARIABLE, TRIALS_VARIABLE, subscription_settings
from features.feed_health.feed_health import Feeds
from features.signals.validation import CheckReport

REPEATED = "repeats of another row"
NOT_ARRIVED = "loaded only after the end of the data"
TRIALS = f"trials, which count only with {TRIALS_VARIABLE}=active"


@dataclass(frozen=True)
class DroppedRows:
    """Rows of one table that do not count for one reason."""

    table: str
    rows: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return the rows as JSON values."""
        return asdict(self)


def dropped_rows(report: CheckReport, feeds: Feeds) -> tuple[DroppedRows, ...]:
    """Return the rows that are left out, by table and reason, in the order of the source's tables.

    What a mapping leaves out (see `features.sources.base.Source.notes`) is not a row of the source's tables.

    Parameters
    ----------
    report : the findings of the check.
    feeds : the feeds, with the share of repeated rows.
    """
    dropped: list[DroppedRows] = []
    for name in report.rows:
        dropped += [
            DroppedRows(name, each.rows, each.what.partition(":")[0])
            for each in report.findings
            if each.table == name and each.ignored
        ]
        if (feed := feeds.tables.get(name)) is None:
            continue
        if feed.to_come:
            dropped.append(DroppedRows(name, feed.to_come, NOT_ARRIVED))
        if feed.trials:
            dropped.append(DroppedRows(name, feed.trials, TRIALS))
        if feed.paused:
            dropped.append(DroppedRows(name, feed.paused, paused_reason()))
        if feed.repeated_share and (repeats := round(feed.repeated_share * feed.rows)):
            dropped.append(DroppedRows(name, repeats, REPEATED))
    return tuple(dropped)


def paused_reason() -> str:
    """Return how much of the ARR of paused subscriptions counts; the subscriptions themselves do."""
    share = subscription_settings().paused_arr
    return f"in ARR only: paused, which counts at {share:.0%} ({PAUSED_ARR_VARIABLE})"
