"""The totals of peers stored with a published snapshot, from which a single account gets the rates of its peers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from features.snapshots.peer_rates import PeerTotals
from features.utils.dates import WEEK_DAYS, Grid
from models.rules.history import WEEKS
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import read_sidecar, sidecar_path
from serving.snapshots.stored_tables import unusable_file

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals

PEER_TOTALS = "peer_totals"
"""The sidecar with the document of `features.snapshots.peer_rates.PeerTotals`, for portfolios with contracts."""


def scored_weeks(as_of: datetime) -> Grid:
    """Return the weekly dates up to ``as_of`` that a scoring computes."""
    return Grid(as_of - timedelta(weeks=WEEKS - 1), WEEK_DAYS, WEEKS)


def peer_totals_document(signals: OpenSignals, as_of: datetime) -> dict[str, Any] | None:
    """Return the sidecar `PEER_TOTALS`; None without contracts."""
    # Imported here, since reading published data needs no query engine.
    from features.snapshots.snapshot import portfolio_totals

    totals = portfolio_totals(signals, scored_weeks(as_of))
    return None if totals is None else totals.document()


def read_peer_totals(scored: ScoredSnapshot) -> PeerTotals | None:
    """Return the totals of a published snapshot, read once; None if an earlier release published it.

    Raises
    ------
    HomeError : the sidecar is broken.
    """
    return scored.cache.get(PEER_TOTALS, lambda: _read(scored))


def _read(scored: ScoredSnapshot) -> PeerTotals | None:
    document = read_sidecar(scored.snapshots, scored.as_of, PEER_TOTALS)
    if document is None:
        return None
    try:
        return PeerTotals.read(document)
    except (AttributeError, KeyError, TypeError, ValueError):
        path = sidecar_path(scored.snapshots, scored.as_of, PEER_TOTALS)
        raise unusable_file(path, "it does not have the expected structure", what="document") from None
