"""Usual spellings of the contract's values, and of instants, in tables that no pack knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from features.connect.column_names import TableGuess
from features.contract.schema import TABLES
from features.utils.sql_text import sql_identifier
from features.utils.sql_types import is_number, is_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

MAX_VALUES = 30
"""Columns with more different values are not those of a list."""
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "urgent": ("urgent", "critical", "blocker", "p1", "p0", "sev1", "1"),
    "high": ("high", "major", "p2", "sev2", "2"),
    "normal": ("normal", "medium", "moderate", "p3", "sev3", "3"),
    "low": ("low", "minor", "trivial", "p4", "sev4", "4"),
    "cancelled": ("cancelled", "canceled", "churned", "terminated", "customer_request"),
    "nonpayment": ("nonpayment", "non-payment", "unpaid", "payment_failed", "payment failure"),
    "renewed": ("renewed", "renewal"),
    "upgraded": ("upgraded", "upgrade"),
    "downgraded": ("downgraded", "downgrade"),
    "active": ("active", "live", "current", "signed"),
    "trial": ("trial", "trialing", "trialling", "in_trial"),
    "paused": ("paused", "on_hold", "suspended"),
    "past_due": ("past_due", "past due", "overdue"),
}
"""How values of the contract are often written."""
_EPOCHS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))
"""The least number of each unit since 1970 for instants after 1973."""
_FORMATS = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M")


def guess_values(connection: Backend, relation: str, guess: TableGuess) -> dict[str, dict[str, str]]:
    """Return, for columns with a list of values in the contract, each given value and what it probably means.

    An empty meaning is unknown. Columns whose values are all in the contract's list are left out.
    """
    result = {}
    for column in TABLES[guess.table].columns:
        given = guess.matched.get(column.name)
        if not column.values or given is None:
            continue
        text = f"lower(trim(CAST({sql_identifier(given)} AS VARCHAR)))"
        rows = connection.con.execute(
            f"SELECT {text} AS value FROM {relation} WHERE {text} <> '' GROUP BY 1 ORDER BY count(*) DESC, 1 "
            f"LIMIT {MAX_VALUES + 1}"
        ).fetchall()
        values = [value for (value,) in rows]
        if len(values) <= MAX_VALUES and set(values) - set(column.values):
            result[column.name] = {value: _meaning(value, column.values) for value in values}
    return result


def _meaning(value: str, allowed: tuple[str, ...]) -> str:
    if value in allowed:
        return value
    return next((a for a in allowed if value in _SPELLINGS.get(a, ())), "")


def guess_time(
    connection: Backend, relation: str, guess: TableGuess, types: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Return how the instants of each column are written, for columns that are not ISO 8601."""
    result = {}
    for column in TABLES[guess.table].columns:
        given = guess.matched.get(column.name)
        if column.kind != "instant" or given is None:
            continue
        if rule := _time_rule(connection, relation, sql_identifier(given), types[given]):
            result[column.name] = rule
    return result


def _time_rule(connection: Backend, relation: str, column: str, sql_type: str) -> dict[str, str]:
    if not is_number(sql_type) and not is_text(sql_type):
        return {}
    number = f"try_cast({column} AS DOUBLE)"
    row = connection.con.execute(
        f"SELECT count({column}), count({number}), median({number}) FROM {relation} "
        f"WHERE CAST({column} AS VARCHAR) <> ''"
    ).fetchone()
    filled, numbers, middle = row or (0, 0, None)
    if numbers and numbers == filled:
        unit = next((u for least, u in _EPOCHS if float(middle or 0) >= least), "")
        return {"epoch": unit} if unit else {}
    if not filled or is_number(sql_type):
        return {}
    parsed = [f"count(try_strptime(trim({column}), '{each}'))" for each in _FORMATS]
    iso = f"count(try_cast({column} AS TIMESTAMPTZ))"
    row = connection.con.execute(f"SELECT {iso}, {', '.join(parsed)} FROM {relation}").fetchone()
    counts = [int(each) for each in row or ()]
    if not counts or counts[0] == filled:
        return {}
    fitting = [each for each, n in zip(_FORMATS, counts[1:], strict=True) if n == filled]
    # Two formats fit if no day is after the twelfth: then nothing is certain.
    return {"format": fitting[0]} if len(fitting) == 1 else {}
