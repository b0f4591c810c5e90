"""Invoices that were not paid in time, in tables that no pack knows: one event on the day after the due date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from features.connect.column_names import plain_name
from features.connect.row_marks import utc_instant
from features.connect.table_guesses import PAID_COLUMNS, TableGuess, guess_columns
from features.connect.value_spellings import DUE, NOT_DUE, folded_sql
from features.connect.values import count_rows
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier, sql_literal

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

KIND = "invoice_overdue"
_DUE = ("due_date", "due_at", "due_on", "date_due", "due", "payment_due", "payment_due_date", "invoice_due_date")
_DATES = (
    "invoice_date", "issued_at", "issue_date", "created_at", "created", "date", "invoiced_at", "timestamp",
    "occurred_at",
)  # fmt: skip
"""Names of columns that say how far a table of invoices reaches."""
_AT, _ID = "overdue_at", "overdue_id"


def overdue_of(invoices: TableGuess, columns: Mapping[str, str]) -> TableGuess | None:
    """Return the overdue invoices of a table of invoices.

    None if nothing says when they are due, what was paid, or how far the table reaches.

    Parameters
    ----------
    invoices : what the table is as billing.
    columns : its columns with their types.
    """
    given = {plain_name(column): column for column in columns}
    due = next((given[name] for name in _DUE if name in given), None)
    if due is None or not _reach(given) or invoices.constants.get("kind") != "invoice_paid" or not invoices.where:
        return None
    known = {c: invoices.matched[c] for c in ("account_id", "amount", "event_id") if c in invoices.matched}
    guess = guess_columns("billing", invoices.name, columns, {"kind": KIND}, {**known, "occurred_at": due})
    return None if guess.missing else guess


@dataclass(frozen=True)
class OverdueInvoices:
    """How rows of invoices become events of overdue ones.

    Parameters
    ----------
    guess : what the table looks like, with the computed columns.
    columns : the computed columns as SQL, with the rows as ``q``.
    where : the condition of the overdue invoices.
    notes : what is assumed, in sentences.
    """

    guess: TableGuess
    columns: tuple[str, ...]
    where: str
    notes: tuple[str, ...]


def overdue_invoices(
    engine: Backend, relation: str, guess: TableGuess, types: Mapping[str, str]
) -> OverdueInvoices | None:
    """Return how rows become events of overdue invoices; None for other tables.

    An invoice is overdue if it was not paid by the day after its due date, and the table reaches further than that.

    Parameters
    ----------
    engine, relation : the engine and the rows.
    guess : what the table looks like.
    types : its columns with their types.
    """
    if guess.constants.get("kind") != KIND:
        return None
    given = {plain_name(column): column for column in types}
    due = guess.matched["occurred_at"]
    paid = next((given[name] for name in PAID_COLUMNS if name in given), None)
    day = f"{utc_instant(engine, relation, due, types[due])} + INTERVAL 1 DAY"
    columns = [f"CAST({day} AS VARCHAR) AS {_AT}"]
    matched = {**guess.matched, "occurred_at": _AT}
    renamed = {**guess.columns, "occurred_at": _AT}
    if own := guess.matched.get("event_id"):
        # The payment of the same invoice is another event.
        columns.append(f"'overdue-' || CAST(q.{sql_identifier(own)} AS VARCHAR) AS {_ID}")
        matched["event_id"] = renamed["event_id"] = _ID
    instants = [utc_instant(engine, relation, column, types[column]) for column in _reach(given)]
    columns.append(f"max({_latest(instants)}) OVER () AS table_end")
    over = f"try_cast({_AT} AS TIMESTAMP)"
    until = f"coalesce({utc_instant(engine, relation, paid, types[paid])}, table_end)" if paid else "table_end"
    where = [f"{over} < {until}"]
    if "status" in given:
        # What a status may mean that is not known is neither paid nor overdue.
        text = folded_sql(given["status"])
        where.append(
            f"{text} NOT IN ({', '.join(map(sql_literal, NOT_DUE))})"
            if paid
            else f"{text} IN ('', {', '.join(map(sql_literal, DUE))})"
        )
    condition = " AND ".join(where)
    notes = [f"Invoices that were not paid by the day after {due} are overdue then, as far as the table reaches."]
    if paid:
        rows = f"(SELECT q.*, {', '.join(columns)} FROM {relation} AS q)"
        settled = utc_instant(engine, relation, paid, types[paid])
        notes += _paid_since(engine, rows, guess.matched["account_id"], settled, f"{settled} IS NULL AND {condition}")
    changed = replace(guess, matched=matched, columns=renamed)
    return OverdueInvoices(changed, tuple(columns), condition, tuple(notes))


def _paid_since(engine: Backend, rows: str, account: str, settled: str, unpaid: str) -> list[str]:
    """Return how many accounts with an unpaid overdue invoice have paid another one since: they are not overdue."""
    hidden = count_rows(
        engine,
        f"SELECT count(*) FROM (SELECT {sql_identifier(account)} FROM {rows} GROUP BY 1\n"
        f"HAVING max({settled}) > max(try_cast({_AT} AS TIMESTAMP)) FILTER ({unpaid}))",
    )
    if not hidden:
        return []
    return [
        f"{count_of(hidden, 'account')} with an unpaid overdue invoice and a later payment of another one: not overdue "
        "for the early warnings, because no event says which invoice a payment is for."
    ]


def _reach(given: Mapping[str, str]) -> list[str]:
    """Return the columns that say how far a table reaches: the day of payment first."""
    paid = [given[name] for name in PAID_COLUMNS if name in given]
    return [*paid[:1], *(given[name] for name in _DATES if name in given)]


def _latest(instants: list[str]) -> str:
    return f"greatest({', '.join(instants)})" if len(instants) > 1 else instants[0]
