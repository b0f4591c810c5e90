"""The tables and states of the accounts of a sheet.

The contract's tables get what is dated: accounts and the contracts that run at the date of the sheet, whose terms are
known from this date on. Everything else is a state (`features.sources.account_states`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from features.sources.spreadsheet.accounts import Account, largest, newest, total
from features.sources.spreadsheet.vocabulary import fields

_INSTANT = pa.timestamp("us")
SENTIMENTS = {"green": 1, "yellow": 0, "red": -1}
"""The CSM's judgment that a color stands for, on the scale of the table ``pulse``: -2 to 2."""
_ACCOUNTS = {
    "account_id": pa.string(),
    "created_at": _INSTANT,
    "name": pa.string(),
    "industry": pa.string(),
    "region": pa.string(),
    "employees": pa.int64(),
    "csm": pa.string(),
}
_SUBSCRIPTIONS = {
    "account_id": pa.string(),
    "started_at": _INSTANT,
    "arr": pa.float64(),
    "seats": pa.int64(),
    "plan": pa.string(),
    "product": pa.string(),
    "renewal_at": _INSTANT,
    "term_started_at": _INSTANT,
    "notice_at": _INSTANT,
}
_PULSE = {"account_id": pa.string(), "occurred_at": _INSTANT, "by": pa.string(), "sentiment": pa.int64()}
FAR_FUTURE = datetime(2199, 1, 1)
EDGE = timedelta(seconds=1)
"""A sheet shows what was known just before its date."""


def contract_tables(accounts: Sequence[Account], as_of: datetime) -> dict[str, pa.Table]:
    """Return the tables ``accounts`` and ``subscriptions``, and ``pulse`` if the sheet has colors.

    Parameters
    ----------
    accounts : the accounts of the sheet.
    as_of : the date of the sheet, without a time zone.
    """
    edge = as_of - EDGE
    people = [
        {"account_id": a.account_id, "created_at": min(a.created_at or edge, edge), "name": a.name}
        | {name: _whole(value) for name, value in a.people.items()}
        for a in accounts
    ]
    contracts = [
        {
            "account_id": a.account_id,
            "started_at": min(t for t in (a.created_at, c.renewal_at, edge) if t is not None),
            "arr": c.arr or 0.0,
            "seats": _whole(c.seats),
            "plan": c.plan,
            "product": c.product,
            # A term that has not begun has no known values; so an unknown amount is not read as zero.
            "renewal_at": None if c.arr is None else c.renewal_at,
            "term_started_at": FAR_FUTURE if c.arr is None else min(t for t in (c.renewal_at, edge) if t is not None),
            "notice_at": c.notice_at,
        }
        for a in accounts
        for c in a.contracts
    ]
    tables = {"accounts": _table(people, _ACCOUNTS), "subscriptions": _table(contracts, _SUBSCRIPTIONS)}
    return tables | pulse_table([(accounts, as_of)])


def pulse_table(sheets: Sequence[tuple[Sequence[Account], datetime]]) -> dict[str, pa.Table]:
    """Return the table ``pulse`` with the colors of sheets as judgments of the CSM; empty if there are none.

    Parameters
    ----------
    sheets : the accounts of each sheet, and its date without a time zone.
    """
    rows = [
        {
            "account_id": a.account_id,
            "occurred_at": as_of - EDGE,
            "by": a.people["csm"],
            "sentiment": SENTIMENTS[a.health],
        }
        for accounts, as_of in sheets
        for a in accounts
        if a.health is not None
    ]
    return {"pulse": _table(rows, _PULSE)} if rows else {}


def state_rows(accounts: Sequence[Account], as_of: datetime) -> pa.Table:
    """Return the states of the accounts (`features.sources.account_states.AccountStates`).

    Parameters
    ----------
    accounts : the accounts of the sheet.
    as_of : the date of the sheet, without a time zone.
    """
    edge = as_of - EDGE
    rows = [{"account_id": a.account_id, "observed_at": edge, **_features(a, edge)} for a in accounts]
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {}
    for name in names:
        given = [row.get(name) for row in rows]
        kind = next((type(v) for v in given if v is not None), float)
        columns[name] = pa.array(given, {str: pa.string(), datetime: _INSTANT}.get(kind, pa.float64()))
    return pa.table(columns)


def _features(account: Account, edge: datetime) -> dict[str, Any]:
    contracts, stated = account.contracts, account.stated
    arr, seats = total(c.arr for c in contracts), total(c.seats for c in contracts)
    main = largest(contracts, lambda c: c.plan is not None)
    term = largest(contracts, lambda c: c.renewal_at is not None and c.term_started_at is not None)
    renewals = [c.renewal_at for c in contracts if c.renewal_at is not None]
    notice = newest(*(c.notice_at for c in contracts))
    result: dict[str, Any] = {
        "contract.arr": arr,
        "contract.tenure_days": account.created_at,
        "contract.days_since_start": account.created_at,
        "contract.seats": seats or None,
        "contract.arr_per_seat": arr / seats if arr is not None and seats else None,
        "contract.days_to_renewal": min(renewals, default=None),
        "contract.term_days": _days(term.term_started_at, term.renewal_at) if term else None,
        "contract.products": float(len(contracts)),
        "contract.plan": main.plan if main else None,
        "account.industry": account.people["industry"],
        "account.region": account.people["region"],
        "account.employees": account.people["employees"],
    }
    if account.health is not None:
        result["pulse.sentiment"] = float(SENTIMENTS[account.health])
        result["pulse.age_days"] = edge
    if "notice_given" in stated or notice is not None:
        result["contract.notice_given"] = 1.0 if notice is not None and notice <= edge else stated.get("notice_given")
        result["contract.days_since_notice"] = notice
    for name, value in stated.items():
        about = fields().get(name)
        feature = name if about is None else about.feature
        if feature and name != "notice_given" and value is not None:
            result[feature] = edge - timedelta(days=value) if name == "days_since_login" else value
    if stated.get("overdue") is not None:
        result["contract.past_due"] = stated["overdue"]
    met = newest(stated.get("last_meeting"), stated.get("last_qbr"))
    if met is not None:
        result["engagement.days_since_meeting"] = met
        # A sheet that only has meetings does not show the last contact of any kind.
        if (contact := stated.get("last_contact")) is not None:
            result["engagement.days_since_last"] = newest(met, contact)
    if "usage.seats_used_share" not in result and seats and stated.get("active_users") is not None:
        result["usage.seats_used_share"] = stated["active_users"] / seats
    if stated.get("nps") is not None and stated.get("nps_at") is None:
        result["outcomes.nps_age_days"] = edge
    return result


def _days(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start) / timedelta(days=1)


def _whole(value: Any) -> Any:
    return round(value) if isinstance(value, float) else value


def _table(rows: Sequence[dict[str, Any]], columns: dict[str, pa.DataType]) -> pa.Table:
    return pa.table({name: pa.array([row.get(name) for row in rows], kind) for name, kind in columns.items()})
