"""The start of a source's contract history, where the source shows only accounts that were still there then.

Snapshots of accounts begin at a date. An account of the first one may be older, but those that left before it are in no
snapshot. So no one seems to have left before that date, and neither retention nor churn can be learned there.
"""

from __future__ import annotations

from datetime import UTC, datetime

from features.signals.signals import OpenSignals


def history_start(signals: OpenSignals) -> datetime | None:
    """Return the first instant with known terms of a contract, if contracts began before it.

    Before it, the terms of every contract are unknown (see `features.signals.contract_terms`), and none has ended.

    Parameters
    ----------
    signals : validated signals.

    Returns
    -------
    datetime or None
        In UTC; None if contracts are known from their start, or without contracts.
    """
    if not signals.contractual:
        return None
    rows = signals.tables["subscriptions"]
    found = rows.aggregate(
        first=rows.started_at.min(), known=rows.started_at.min(where=rows.arr.notnull())
    ).to_pyarrow()
    first, known = (found[name][0].as_py() for name in ("first", "known"))
    if first is None or known is None or first >= known:
        return None
    start: datetime = known.replace(tzinfo=UTC)
    return start
