"""The inputs of a renewal forecast besides the assessment, from signals or from stored sidecars."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from features.errors import BadRequest, HomeError
from features.utils.account_hierarchies import top_accounts
from models.home import Home
from models.renewals.historical_rates import HistoricalRates, historical_rates
from models.renewals.past_forecasts import PastForecasts
from serving.renewals.forecast import GRACE_DAYS, ForecastInputs
from serving.snapshots.sidecars import ACCOUNTS, accounts_document, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.snapshots.stored_tables import SCORE_AGAIN

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals

RENEWALS = "renewals"
"""The sidecar file with the rates of past renewals."""
_CONTRACTS = ("account_id", "started_at", "ended_at", "arr", "renewal_at")


def inputs_from_signals(signals: OpenSignals, as_of: datetime, home: Home) -> ForecastInputs:
    """Read the inputs of a forecast from signals.

    Parameters
    ----------
    signals : validated signals.
    as_of : only what was known before this instant counts.
    home : the home, with the backtest.

    Returns
    -------
    ForecastInputs

    Raises
    ------
    BadRequest : the signals contain no contracts.
    HomeError : the backtest file is not valid.
    """
    if not signals.contractual:
        raise BadRequest(
            "signals without subscriptions have no renewals", "subscriptions with the end of the term (renewal_at)"
        )
    document = accounts_document(signals, as_of, 0)
    tops = top_accounts(document["parents"])
    return ForecastInputs(_habits(signals, as_of), document["accounts"], PastForecasts.load(home), tops)


def published_inputs(snapshots: SnapshotFiles, as_of: datetime) -> ForecastInputs:
    """Read the inputs from the sidecars of a published snapshot; missing sidecars are unknown.

    Raises
    ------
    BadRequest : the snapshot is of a business without contracts.
    HomeError : a sidecar or the backtest file is not valid.
    """
    accounts, document = (read_sidecar(snapshots, as_of, name) for name in (ACCOUNTS, RENEWALS))
    if accounts is not None and not accounts.get("contractual", True):
        raise BadRequest(
            "a business without contracts has no renewals",
            "signals with subscriptions",
            "use the portfolio KPIs instead",
        )
    people: dict[str, Any] = {} if accounts is None else accounts["accounts"]
    try:
        habits = None if document is None else HistoricalRates.model_validate(document)
    except ValidationError as error:
        # The details are left out: they can contain values.
        raise HomeError(
            f"{sidecar_path(snapshots, as_of, RENEWALS)} is not valid ({error.error_count()} errors)",
            "the past renewals written by `renewcast score`",
            SCORE_AGAIN,
        ) from None
    tops = top_accounts({} if accounts is None else accounts.get("parents", {}))
    return ForecastInputs(habits, people, PastForecasts.load(snapshots.home), tops)


def renewals_document(signals: OpenSignals, as_of: datetime) -> dict[str, Any]:
    """Return the sidecar `RENEWALS`: `models.renewals.historical_rates.HistoricalRates` as plain data."""
    return _habits(signals, as_of).model_dump(mode="json")


def _habits(signals: OpenSignals, as_of: datetime) -> HistoricalRates:
    rows = signals.tables["subscriptions"].select(*_CONTRACTS).to_pyarrow().to_pandas()
    return historical_rates(rows, as_of, GRACE_DAYS)
