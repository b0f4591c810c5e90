"""The accounts that churned in a period: what was lost, why, and what was predicted before they left.

They are those of the step *Churn* of the bridge of ARR, so that their ARR adds up to it. What was predicted is the last
published prediction before the end of the contract, at most `LOOKBACK_DAYS` before; later data do not change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from features.errors import UnknownSnapshot
from features.utils.dates import parse_cutoff, to_iso
from features.utils.periods import period_ending
from models.peer_groups.segments import segment_of
from models.predictions.payload import format_instant
from models.predictions.schema import Fraction, ResponseModel
from models.predictions.table_export import plain_rows
from serving.portfolio.filtered_kpis import kpi_filter
from serving.portfolio.kpi_schemas import PUBLISHED_PERIODS, KpiPeriod, PeriodName
from serving.schemas.account_filter import AccountFilter, AppliedFilter
from serving.snapshots.account_attributes import attribute_versions, filtered_cache
from serving.snapshots.portfolio_summary import Amount, Count
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar, sidecar_path
from serving.snapshots.snapshot_files import file_version
from serving.snapshots.stored_tables import SCORE_AGAIN
from serving.store.database import Store
from serving.store.published_predictions import last_predictions

if TYPE_CHECKING:
    from features.signals.signals import OpenSignals

#: The sidecar with the accounts that churned in each period.
CHURNED = "churned"
#: An older prediction says nothing about a departure: the default horizon.
LOOKBACK_DAYS = 90

ChurnKind = Literal["voluntary", "involuntary"]


class ChurnReason(ResponseModel):
    """The accounts that churned for one reason."""

    kind: ChurnKind = Field(description="Involuntary: by nonpayment.")
    reason: str | None = Field(description="The recorded end reason; null: none was recorded.")
    accounts: Count
    arr: Amount


class ChurnedAccount(ResponseModel):
    """An account that churned, and the last prediction that was published before."""

    account_id: str
    name: str | None
    csm: str | None
    segment: str | None = Field(description="By the ARR at the start of the period.")
    ended_at: str = Field(description="The end of its last contract; without contracts, when it counts as lost.")
    kind: ChurnKind
    reason: str | None
    arr: Amount | None = Field(description="The lost ARR: that at the start of the period; null: unknown.")
    predicted_as_of: str | None = Field(
        description=f"The date of the prediction; null: none was published in the {LOOKBACK_DAYS} days before the end."
    )
    health_score: float | None
    health_band: str | None
    churn_probability: Fraction | None
    churn_band: str | None
    warned: bool | None = Field(description="Whether it was warned of: `warned_by` is not empty. Null: no prediction.")
    warned_by: list[str] = Field(
        description="`churn_high` or `churn_medium`, `health_red`, and the codes of the active alerts."
    )


class ChurnedAccounts(ResponseModel):
    """The accounts that churned in a period."""

    as_of: str
    period: KpiPeriod
    contractual: bool = Field(description="False: ARR comes from the orders of one year.")
    churned_accounts: Count
    churned_arr: Amount = Field(description="Of the accounts with known ARR.")
    arr_unknown_accounts: Count
    predicted_accounts: Count = Field(description="Those with a prediction before they left.")
    warned_accounts: Count
    by_reason: list[ChurnReason] = Field(description="Largest ARR first.")
    accounts: list[ChurnedAccount] = Field(description="The latest end first.")
    more_accounts: Count
    unknown: str | None = Field(description="Why the accounts of the filter are unknown; null otherwise.")
    filter: AppliedFilter | None = Field(description="The accounts that count; null: all.")


def churned_document(signals: OpenSignals, as_of: datetime, active_days: int) -> dict[str, Any]:
    """Build the sidecar `CHURNED`.

    Parameters
    ----------
    signals : validated signals.
    as_of : the instant; only what was known before counts.
    active_days : without contracts, an order within this many days makes an account active.

    Returns
    -------
    dict for JSON
        ``contractual``, and ``periods`` with the start, the end and the rows of each period of `PUBLISHED_PERIODS`.
    """
    # Imported here, since reading published data needs no query engine.
    from features.revenue.arr import movements

    periods: dict[str, Any] = {}
    for name in PUBLISHED_PERIODS:
        period = period_ending(as_of, name)
        moved = movements(signals, period.start, period.end, active_days=active_days)
        lost = moved[moved["kind"].notna()]
        rows = lost[["account_id", "left_at", "kind", "reason"]].assign(
            arr=lost["churned"], segment=segment_of(lost["arr_start"].to_numpy(dtype=np.float64))
        )
        ordered = rows.sort_values(["left_at", "account_id"], ascending=[False, True], kind="stable")
        span = {"name": period.name, "start": to_iso(period.start), "end": to_iso(period.end)}
        periods[name] = {"period": span, "rows": plain_rows(ordered)}
    return {"contractual": signals.contractual, "periods": periods}


def published_churned(
    scored: ScoredSnapshot,
    store: Store | None,
    period: PeriodName,
    account_filter: AccountFilter,
    limit: int | None = None,
) -> dict[str, Any]:
    """Return the accounts that churned in a period.

    Parameters
    ----------
    scored : the snapshot.
    store : the store with the published predictions; None if it cannot be read, and no prediction is known then.
    period : the period that ends at the snapshot.
    account_filter : the accounts that count.
    limit : the maximum number of accounts to list; None for all.

    Returns
    -------
    dict for JSON
        A `ChurnedAccounts`.

    Raises
    ------
    UnknownSnapshot : they were not stored with the snapshot.
    HomeError : a sidecar is not valid.
    StoreDown : the store cannot be read.
    """
    stored = read_sidecar(scored.snapshots, scored.as_of, CHURNED)
    if stored is None or period not in stored["periods"]:
        again = f"{SCORE_AGAIN} --publish"
        raise UnknownSnapshot("this snapshot has no stored churned accounts", "a snapshot with them", again)

    def make() -> tuple[list[dict[str, Any]], str | None]:
        return _selected(scored, account_filter, stored["periods"][period]["rows"])

    version = file_version(sidecar_path(scored.snapshots, scored.as_of, CHURNED))
    cache = filtered_cache(scored, account_filter)
    rows, unknown = cache.get(("churned", period, version, *attribute_versions(scored)), make)
    ends = {row["account_id"]: parse_cutoff(row["ended_at"]) for row in rows}
    predictions: Mapping[str, Any] = {}
    if store is not None and ends:
        with store.read() as connection:
            predictions = last_predictions(connection, ends, timedelta(days=LOOKBACK_DAYS))
    accounts = [{**row, **_prediction(predictions.get(row["account_id"]))} for row in rows]
    shown = accounts if limit is None else accounts[:limit]
    return {
        "as_of": format_instant(scored.as_of),
        "period": stored["periods"][period]["period"],
        "contractual": stored["contractual"],
        "churned_accounts": len(accounts),
        "churned_arr": _total(accounts),
        "arr_unknown_accounts": sum(each["arr"] is None for each in accounts),
        "predicted_accounts": sum(each["warned"] is not None for each in accounts),
        "warned_accounts": sum(each["warned"] is True for each in accounts),
        "by_reason": _by_reason(accounts),
        "accounts": shown,
        "more_accounts": len(accounts) - len(shown),
        "unknown": unknown,
        "filter": account_filter.applied,
    }


def _selected(
    scored: ScoredSnapshot, account_filter: AccountFilter, rows: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the rows that a filter selects with names and CSMs, or why they are unknown."""
    document = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS) or {}
    people = {**document.get("former", {}), **document.get("accounts", {})}
    if account_filter.chosen:
        only = kpi_filter(scored, account_filter)
        if only.lacking is not None:
            return [], f"{only.lacking} is unknown for accounts that have left"
        ids, segments = (np.array([row[name] for row in rows], dtype=object) for name in ("account_id", "segment"))
        rows = [row for row, matches in zip(rows, only.matches(ids, segments).tolist(), strict=True) if matches]
    return [
        {
            "account_id": row["account_id"],
            "name": people.get(row["account_id"], {}).get("name"),
            "csm": people.get(row["account_id"], {}).get("csm"),
            "segment": row["segment"],
            "ended_at": row["left_at"],
            "kind": row["kind"],
            "reason": row["reason"],
            "arr": row["arr"],
        }
        for row in rows
    ], None


def _prediction(document: Mapping[str, Any] | None) -> dict[str, Any]:
    if document is None:
        names = ("predicted_as_of", "health_score", "health_band", "churn_probability", "churn_band", "warned")
        return {**dict.fromkeys(names), "warned_by": []}
    churn, health = document["churn"], document["health"]
    by = [f"churn_{churn['band']}"] if churn["band"] in ("high", "medium") else []
    by += ["health_red"] if health["band"] == "red" else []
    by += [each["code"] for each in document["alerts"]]
    return {
        "predicted_as_of": document["as_of"],
        "health_score": health["score"],
        "health_band": health["band"],
        "churn_probability": churn["probability"],
        "churn_band": churn["band"],
        "warned": bool(by),
        "warned_by": by,
    }


def _by_reason(accounts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for each in accounts:
        groups.setdefault((each["kind"], each["reason"]), []).append(each)
    reasons = [
        {"kind": kind, "reason": reason, "accounts": len(group), "arr": _total(group)}
        for (kind, reason), group in groups.items()
    ]
    return sorted(reasons, key=lambda each: (-each["arr"], -each["accounts"], each["kind"], each["reason"] or ""))


def _total(accounts: Sequence[Mapping[str, Any]]) -> float:
    return float(sum(each["arr"] or 0.0 for each in accounts))
