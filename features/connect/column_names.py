"""Usual names of tables and columns, to draft a mapping of tables that no pack knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from features.contract.schema import TABLES

TABLE_NAMES: dict[str, tuple[str, ...]] = {
    "accounts": ("accounts", "account", "customers", "customer", "companies", "organizations", "orgs", "clients"),
    "subscriptions": ("subscriptions", "subscription", "contracts", "contract", "licenses", "agreements"),
    "orders": ("orders", "order", "purchases", "sales", "transactions"),
    "usage": ("usage", "events", "event", "product_events", "activity", "activities", "logins", "sessions", "tracks"),
    "support": ("support", "tickets", "ticket", "cases", "case", "conversations", "support_tickets"),
    "engagement": ("engagement", "meetings", "calls", "emails", "trainings", "webinars"),
    "billing": ("billing", "payments"),
    "outcomes": ("outcomes", "nps", "csat", "surveys"),
    "relationship": ("relationship", "contacts_history"),
    "company": ("company_events",),
    "pulse": ("pulse",),
    "fx_rates": ("fx_rates", "exchange_rates", "rates"),
}
"""Names of tables, by the table of the contract that they usually are."""
CONSTANTS: dict[str, dict[str, str]] = {
    "meetings": {"kind": "meeting"},
    "calls": {"kind": "call"},
    "emails": {"kind": "email"},
    "trainings": {"kind": "training"},
    "webinars": {"kind": "webinar"},
    "payments": {"kind": "invoice_paid"},
    "nps": {"kind": "nps"},
    "csat": {"kind": "csat"},
}
"""What every row of a table with such a name is."""
_ACCOUNT = ("account_id", "account", "customer_id", "customer", "company_id", "organization_id", "org_id", "client_id")
_CREATED = ("created_at", "created", "created_date", "createddate", "create_date", "signup_date", "signed_up")
_AT = ("occurred_at", "timestamp", "event_time", "event_at", "time", "date", "at", *_CREATED)
_COLUMNS: dict[str, tuple[str, ...]] = {
    "account_id": _ACCOUNT,
    "occurred_at": _AT,
    "created_at": (*_CREATED, "customer_since", "since", "signed_up_at", "start_date"),
    "name": ("name", "company_name", "account_name", "customer_name", "company", "organization"),
    "industry": ("industry", "segment", "vertical"),
    "region": ("region", "country", "billing_country", "territory"),
    "employees": ("employees", "employee_count", "number_of_employees", "numberofemployees", "headcount"),
    "csm": ("csm", "csm_name", "account_manager", "customer_success_manager", "owner", "owner_name"),
    "parent_id": ("parent_id", "parent_account_id", "parentid", "parent"),
    "started_at": ("started_at", "start_date", "start", "starts_at", "term_start", "begin_date", "valid_from"),
    "ended_at": ("ended_at", "end_date", "canceled_at", "cancelled_at", "churned_at", "terminated_at"),
    "renewal_at": ("renewal_at", "renewal_date", "renews_at", "next_renewal", "term_end", "expires_at", "expiry_date"),
    "arr": ("arr", "annual_value", "acv", "arr_cents", "mrr", "mrr_cents", "monthly_amount"),
    "seats": ("seats", "licenses", "quantity", "users"),
    "plan": ("plan", "plan_name", "tier", "edition"),
    "product": ("product", "product_name", "sku"),
    "currency": ("currency", "currency_code", "currency_iso_code"),
    "end_reason": ("end_reason", "churn_reason", "cancel_reason", "cancellation_reason"),
    "status": ("status",),
    "subscription_id": ("subscription_id", "contract_id", "id"),
    "amount": ("amount", "total", "price", "amount_cents", "total_cents", "revenue"),
    "order_id": ("order_id", "id"),
    "user_id": ("user_id", "user", "userid", "email"),
    "feature": ("feature", "event_name", "event", "action", "page"),
    "minutes": ("minutes", "duration_minutes", "duration_seconds", "seconds"),
    "event_id": ("event_id", "id", "uuid", "message_id"),
    "loaded_at": ("loaded_at", "received_at", "ingested_at"),
    "ticket_id": ("ticket_id", "case_id", "ticket", "number", "id"),
    "resolved_at": ("resolved_at", "solved_at", "closed_at", "resolved", "closed", "closed_date"),
    "severity": ("severity", "priority", "urgency"),
    "csat": ("csat", "satisfaction", "satisfaction_score", "rating"),
    "topic": ("topic", "category", "type"),
    "value": ("value", "score", "rating"),
    "rate": ("rate", "exchange_rate"),
}
_UNITS = {"cents": r"(^|_)cents$", "monthly": r"^(mrr|monthly)(_|$)", "seconds": r"(^|_)seconds$"}


@dataclass(frozen=True)
class TableGuess:
    """A table that looks like one of the contract.

    Parameters
    ----------
    table : the table of the contract.
    name : the name of the given table.
    columns : the columns of the contract with the given ones, where their names differ.
    constants : values that every row has.
    units : units that the names of columns show.
    missing : required columns that were not found.
    """

    table: str
    name: str
    columns: Mapping[str, str]
    constants: Mapping[str, str]
    units: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    matched: Mapping[str, str] = field(default_factory=dict)


def guess_table(name: str, columns: Mapping[str, str], prefix: str = "") -> TableGuess | None:
    """Return what a table of a source looks like; None if its name is not usual.

    Parameters
    ----------
    name : its name.
    columns : its columns with their types.
    prefix : a prefix of all tables of the source.
    """
    plain = _plain(name.removeprefix(prefix)).removesuffix("_data")
    table = next((t for t, names in TABLE_NAMES.items() if plain in names), None)
    if table is None:
        return None
    given = {_plain(column): column for column in columns}
    matched: dict[str, str] = {}
    for column in TABLES[table].names:
        names = _COLUMNS.get(column, (column,))
        if table == "accounts" and column == "account_id":
            names = (*names, "id", "key", "uuid")
        found = next((n for n in names if n in given and given[n] not in matched.values()), None)
        if found is not None:
            matched[column] = given[found]
    constants = {key: value for key, value in CONSTANTS.get(plain, {}).items() if key not in matched}
    missing = tuple(c for c in TABLES[table].required if c not in matched and c not in constants)
    renamed = {column: own for column, own in matched.items() if own.strip().lower() != column}
    units = {c: shown for c, own in renamed.items() if (shown := _units(own))}
    return TableGuess(table, name, renamed, constants, units, missing, matched)


def _units(name: str) -> tuple[str, ...]:
    return tuple(unit for unit, pattern in _UNITS.items() if re.search(pattern, _plain(name)))


def _plain(name: str) -> str:
    """Return a name in lower case with underscores: ``CreatedDate`` and ``created date`` are ``created_date``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
