"""What tables that no pack knows look like: by their names and by those of their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from features.connect.amount_columns import AmountColumns, amount_columns, period_of_name
from features.connect.column_names import (
    TERM_ENDS,
    USERS,
    core_name,
    is_instant,
    names_other_table,
    own_column,
    plain_name,
    table_of_columns,
    table_of_name,
)
from features.connect.value_spellings import NOT_DUE, SPELLINGS, folded_sql
from features.contract.schema import TABLES
from features.sources.mapping.units import YEARLY
from features.sources.spreadsheet.vocabulary import field_of
from features.utils.sql_text import sql_identifier, sql_literal

CONSTANTS: dict[str, dict[str, str]] = {
    "meetings": {"kind": "meeting"},
    "calls": {"kind": "call"},
    "emails": {"kind": "email"},
    "trainings": {"kind": "training"},
    "webinars": {"kind": "webinar"},
    "payments": {"kind": "invoice_paid"},
    "invoices": {"kind": "invoice_paid"},
    "invoice": {"kind": "invoice_paid"},
    "nps": {"kind": "nps"},
    "csat": {"kind": "csat"},
}
"""What every row of a table with such a name is."""
PAID_COLUMNS = ("paid_at", "paid_on", "paid_date", "payment_date", "date_paid", "settled_at")
"""Names of columns that say when an invoice was paid."""
_UNITS = {
    "cents": r"(^|_)cents$",
    "seconds": r"(^|_)seconds$",
}

_PER = {"monthly": "month", "quarterly": "quarter", "weekly": "week", "daily": "day"}
_TIMES = YEARLY | {"monthly": "twelve", "quarterly": "four"}
"""The number of each period in a year, in words where it is small."""


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
    matched : the columns of the contract with the given ones.
    where : the condition of the rows that are used; empty for all.
    assumes : what is assumed, in sentences.
    amounts : for contracts, the amount with the columns that say what it is for; None if no column is named like one.
    """

    table: str
    name: str
    columns: Mapping[str, str]
    constants: Mapping[str, str]
    units: Mapping[str, tuple[str, ...]]
    missing: tuple[str, ...] = ()
    matched: Mapping[str, str] = field(default_factory=dict)
    where: str = ""
    assumes: tuple[str, ...] = ()
    amounts: AmountColumns | None = None


def guess_table(name: str, columns: Mapping[str, str], prefix: str = "") -> TableGuess | None:
    """Return what a table of a source looks like, by its name or else by its columns; None if it looks like none.

    Parameters
    ----------
    name : its name.
    columns : its columns with their types.
    prefix : a prefix of all tables of the source.
    """
    plain = plain_name(name.removeprefix(prefix))
    table = table_of_name(plain) or (None if names_other_table(plain) else table_of_columns(columns))
    if table is None:
        return None
    return guess_columns(table, name, columns, CONSTANTS.get(core_name(plain), {}))


def guess_columns(
    table: str,
    name: str,
    columns: Mapping[str, str],
    constants: Mapping[str, str] | None = None,
    given_columns: Mapping[str, str] | None = None,
) -> TableGuess:
    """Return which columns of a given table are those of a table of the contract.

    Parameters
    ----------
    table : the table of the contract.
    name : the given table.
    columns : its columns with their types.
    constants : values that every row has, unless a column has them.
    given_columns : columns of the contract that are already known, with the given ones.
    """
    matched = dict(given_columns or {})
    for column in TABLES[table].names:
        if column not in matched and (own := own_column(table, column, columns, matched)) is not None:
            matched[column] = own
    amounts = amount_columns(columns, matched) if table == "subscriptions" else None
    if amounts is not None and amounts.has_period:
        matched.setdefault("arr", amounts.amount)
    fixed = {key: value for key, value in (constants or {}).items() if key not in matched}
    where, assumes = "", list[str]()
    if table == "billing" and fixed.get("kind") == "invoice_paid":
        where, assumes = _paid(columns, matched)
    if table == "support" and "severity" not in matched:
        fixed["severity"] = "normal"
        assumes.append("No column has the severity of a ticket: all count as normal, and which are severe is unknown")
    if table == "subscriptions":
        assumes += _term_end(matched)
    missing = tuple(c for c in TABLES[table].required if c not in matched and c not in fixed)
    renamed = {column: own for column, own in matched.items() if own.strip().lower() != column}
    units = {c: shown for c, own in renamed.items() if (shown := _units(c, own))}
    assumes += [
        f"{own} is an amount per {_PER[unit]}: times {_TIMES[unit]}"
        for c, own in matched.items()
        for unit in units.get(c, ())
        if unit in YEARLY
    ]
    return TableGuess(table, name, renamed, fixed, units, missing, matched, where, tuple(assumes), amounts)


def subscriptions_of(accounts: TableGuess, columns: Mapping[str, str]) -> TableGuess | None:
    """Return the contracts that a table of accounts has in its own columns: one of each account; None without revenue.

    Parameters
    ----------
    accounts : what the table is as accounts.
    columns : its columns with their types.
    """
    known = {"account_id": accounts.matched["account_id"]} if "account_id" in accounts.matched else {}
    guess = guess_columns("subscriptions", accounts.name, columns, None, known)
    own_id = {"subscription_id"} & set(guess.matched)
    if own_id and guess.matched["subscription_id"] == known.get("account_id"):
        own = {column: own for column, own in guess.matched.items() if column != "subscription_id"}
        guess = replace(guess, matched=own, columns={c: o for c, o in guess.columns.items() if c != "subscription_id"})
    if "arr" not in guess.matched or guess.missing:
        return None
    assumed = f"Every row of {accounts.name} with revenue is one contract, with the amount of today since its start"
    return replace(guess, assumes=(assumed, *guess.assumes))


def orders_of(invoices: TableGuess, columns: Mapping[str, str]) -> TableGuess | None:
    """Return invoices as orders, for sources without contracts; None if a required column is missing.

    Parameters
    ----------
    invoices : what the table is as billing.
    columns : its columns with their types.
    """
    known = {c: invoices.matched[c] for c in ("account_id", "amount") if c in invoices.matched}
    dates = [c for c in columns if is_instant(plain_name(c))]
    if dates:
        known["occurred_at"] = dates[0]
    guess = guess_columns("orders", invoices.name, columns, None, known)
    if guess.missing:
        return None
    assumed = (
        f"No table has contracts, so that every invoice of {invoices.name} counts as an order on the day of "
        f"{guess.matched['occurred_at']}"
    )
    status = {plain_name(column): column for column in columns}.get("status")
    if status is None:
        return replace(guess, assumes=(assumed, *guess.assumes))
    listed = ", ".join(map(sql_literal, NOT_DUE))
    where = f"{folded_sql(status)} NOT IN ({listed})"
    left_out = f"Invoices whose {status} says that nothing is due, such as void or cancelled, are left out"
    return replace(guess, where=where, assumes=(assumed, left_out, *guess.assumes))


def users_of(name: str, columns: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the columns with user and account of a table of users; None if it is none.

    Parameters
    ----------
    name : the name of the table.
    columns : its columns with their types.
    """
    if core_name(plain_name(name)) not in USERS:
        return None
    given = {plain_name(column): column for column in columns}
    user = next((given[each] for each in ("user_id", "userid", "uid", "id", "uuid", "email") if each in given), None)
    account = own_column("usage", "account_id", columns, {})
    return (user, account) if user is not None and account is not None and user != account else None


def likely_tables(columns: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the tables of the contract that a table without a usual name might be, each with what it lacks.

    Parameters
    ----------
    columns : its columns with their types.
    """
    result = []
    for table in ("subscriptions", "orders", "usage", "support"):
        guess = guess_columns(table, "", columns)
        lacks = tuple(c for c in guess.missing if c != "kind")
        found = [c for c in TABLES[table].required if c in guess.matched]
        if len(lacks) <= 1 and len(found) >= 2 and (table != "support" or "severity" in guess.matched):
            result.append((table, lacks))
    return sorted(result, key=lambda each: len(each[1]))


def _paid(columns: Mapping[str, str], matched: dict[str, str]) -> tuple[str, list[str]]:
    """Return the condition of the invoices that are paid, and what is assumed; the day of payment is the instant."""
    given = {plain_name(column): column for column in columns}
    paid = next((given[name] for name in PAID_COLUMNS if name in given), None)
    if paid is not None:
        matched["occurred_at"] = paid
        return (
            f"coalesce(trim(CAST({sql_identifier(paid)} AS VARCHAR)), '') <> ''",
            [f"Invoices with {paid} are paid on that day; others are left out"],
        )
    if "status" in given:
        listed = ", ".join(map(sql_literal, SPELLINGS["invoice_paid"]))
        return (
            f"{folded_sql(given['status'])} IN ({listed})",
            ["No column says when an invoice was paid: those with a paid status count as paid on their own date"],
        )
    return "", ["No column says which invoices are paid: all count as paid on their own date"]


def _term_end(matched: dict[str, str]) -> list[str]:
    """Use the end of a contract as its renewal date if no column has one, and return what is assumed."""
    end = matched.get("ended_at")
    if end is None or "renewal_at" in matched or plain_name(end) not in TERM_ENDS:
        return []
    matched["renewal_at"] = end
    return [f"{end} is the end of each contract and also the day of its renewal"]


def _units(column: str, name: str) -> tuple[str, ...]:
    found = tuple(unit for unit, pattern in _UNITS.items() if re.search(pattern, plain_name(name)))
    if column != "arr":
        return found
    period = period_of_name(plain_name(name))
    if (field_of(name) or ("", False))[0] == "mrr":
        period = "monthly"
    return (*found, period) if period in YEARLY else found
