"""What a renewal forecast needs beside the assessment: from the signals, or from what `score` kept of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from features.errors import BadRequest, HomeError
from models.home import Home
from models.renewals.historical_rates import Habits, habits_of
from models.renewals.past_forecasts import PastForecasts
from serving.renewals.forecast import GRACE_DAYS, ForecastInputs
from serving.snapshots.lookback_rows import SCORE_AGAIN
from serving.snapshots.sidecars import ACCOUNTS, accounts_document, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles

if TYPE_CHECKING:
    from features.signals.signals import Signals

RENEWALS = "renewals"
"""The companion that holds the habits of past renewals."""
_CONTRACTS = ("account_id", "started_at", "ended_at", "arr", "renewal_at")


def inputs_from_signals(signals: Signals, as_of: datetime, home: Home) -> ForecastInputs:
    """Read it from the signals, as it was known before ``as_of``.

    Raises
    ------
    BadRequest : the signals hold no contracts.
    HomeError : the backtest's file is broken.
    """
    if not signals.contractual:
        raise BadRequest(
            "signals without subscriptions have no renewals", "contracts with the end of their term (renewal_at)"
        )
    people = accounts_document(signals, as_of, 0)["accounts"]
    return ForecastInputs(_habits(signals, as_of), people, PastForecasts.load(home))


def published_inputs(snapshots: SnapshotFiles, as_of: datetime) -> ForecastInputs:
    """Read it from what was kept beside a published snapshot; what was not kept is not known.

    Raises
    ------
    BadRequest : the snapshot is of a business without contracts.
    HomeError : a companion or the backtest's file is broken.
    """
    accounts, kept = (read_sidecar(snapshots, as_of, name) for name in (ACCOUNTS, RENEWALS))
    if accounts is not None and not accounts.get("contractual", True):
        raise BadRequest(
            "a business without contracts has no renewals", "signals with subscriptions", "ask for the portfolio"
        )
    people: dict[str, Any] = {} if accounts is None else accounts["accounts"]
    try:
        habits = None if kept is None else Habits.model_validate(kept)
    except ValidationError as error:
        # The reasons are left out: they can repeat values.
        raise HomeError(
            f"{sidecar_path(snapshots, as_of, RENEWALS)} is not as written ({error.error_count()} differences)",
            "what `renewcast score` keeps of past renewals",
            SCORE_AGAIN,
        ) from None
    return ForecastInputs(habits, people, PastForecasts.load(snapshots.home))


def renewals_document(signals: Signals, as_of: datetime) -> dict[str, Any]:
    """The companion `RENEWALS`: `models.renewals.historical_rates.Habits` as plain data."""
    return _habits(signals, as_of).model_dump(mode="json")


def _habits(signals: Signals, as_of: datetime) -> Habits:
    rows = signals.tables["subscriptions"].select(*_CONTRACTS).to_pyarrow().to_pandas()
    return habits_of(rows, as_of, GRACE_DAYS)
