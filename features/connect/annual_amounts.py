"""Amounts of contracts as amounts per year: by the interval at which they are due, the term, and the quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from features.connect.amount_columns import AmountColumns
from features.connect.column_names import plain_name
from features.connect.row_marks import utc_instant
from features.connect.table_guesses import TableGuess
from features.connect.value_spellings import folded_sql
from features.connect.values import count_each, count_rows
from features.contract.schema import TABLES
from features.sources.mapping.units import DECIMAL_COMMA, DECIMAL_POINT, YEARLY, in_contract_unit
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier, sql_literal
from features.utils.sql_types import is_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_INTERVALS = {
    YEARLY["monthly"]: (
        "month", "months", "monthly", "mo", "mth", "m", "p1m", "1_month", "every_month", "per_month",
        "monat", "monatlich", "mois", "mensuel", "mensuelle", "mes", "mensual",
    ),
    YEARLY["quarterly"]: (
        "quarter", "quarters", "quarterly", "qtr", "q", "p3m", "3_months", "every_3_months", "three_months",
        "quartal", "quartalsweise", "vierteljährlich", "vierteljaehrlich", "trimestre", "trimestriel", "trimestrielle",
        "trimestral",
    ),
    "2": (
        "semiannual", "semiannually", "semi_annual", "semi_annually", "half_year", "half_yearly", "biannual",
        "biannually", "six_months", "p6m", "6_months", "every_6_months",
        "halbjährlich", "halbjaehrlich", "semestriel", "semestrielle", "semestral",
    ),
    "1": (
        "year", "years", "yearly", "yr", "y", "annual", "annually", "annum", "p1y", "p12m", "1_year", "12_months",
        "every_year", "per_year", "every_12_months",
        "jahr", "jährlich", "jaehrlich", "année", "annee", "annuel", "annuelle", "año", "anual",
    ),
    "1.0 / 2": ("2_years", "two_years", "biennial", "biennially", "every_2_years", "p2y", "p24m", "24_months"),
    "1.0 / 3": ("3_years", "three_years", "triennial", "triennially", "every_3_years", "p3y", "p36m", "36_months"),
    YEARLY["weekly"]: ("week", "weeks", "weekly", "wk", "w", "p1w", "1_week", "every_week"),
    YEARLY["daily"]: ("day", "days", "daily", "d", "p1d", "1_day", "every_day"),
}  # fmt: skip
"""How intervals are written, by how often a year they begin."""
_SOLD_UNITS = ("quantity", "qty", "units")
"""Names of what is sold at a price each. Seats may also be the size of an account with a flat price."""
_YEAR_MONTHS = 12
_MONTH_DAYS = 30.4375
LEAST_ENDS = 0.9
"""The ends of contracts are those of their terms if at least this share of the rows has one."""
_LEAST_MONTHS, _MOST_YEARS = 6, 5
"""A term without a unit is in months if none is below the first, and in years if none is above the second."""


@dataclass(frozen=True)
class AnnualAmounts:
    """How the amounts of contracts become amounts per year.

    Parameters
    ----------
    guess : what the table looks like, with the computed column as its ARR.
    column : the name of the computed column; empty if the amount is read as it is.
    expression : its SQL, with the rows as ``q``.
    read : the columns that it reads.
    notes : what is assumed, in sentences.
    gaps : what a person must say.
    """

    guess: TableGuess
    column: str = ""
    expression: str = ""
    read: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


def annual_amounts(engine: Backend, relation: str, guess: TableGuess, types: Mapping[str, str]) -> AnnualAmounts:
    """Return how the amounts of contracts become amounts per year.

    Parameters
    ----------
    engine, relation : the engine and the rows.
    guess : what the table looks like.
    types : its columns with their types.
    """
    amounts = guess.amounts
    if guess.table != "subscriptions" or amounts is None or "arr" not in guess.matched:
        return AnnualAmounts(guess)
    return _Amounts(engine, relation, guess, types, amounts).result()


class _Amounts:
    """The amounts of one table."""

    def __init__(
        self, engine: Backend, relation: str, guess: TableGuess, types: Mapping[str, str], columns: AmountColumns
    ) -> None:
        self._engine, self._relation, self._guess, self._types, self._columns = engine, relation, guess, types, columns
        self._notes: list[str] = []
        self._gaps: list[str] = []

    def result(self) -> AnnualAmounts:
        of_year, units = self._per_year(), self._of_units()
        if not of_year and not units:
            return AnnualAmounts(self._guess, notes=tuple(self._notes), gaps=tuple(self._gaps))
        amount = self._columns.amount
        expression = self._money() + of_year + units
        wanted = "annual_amount" if of_year else "full_amount"
        taken = {name.lower() for name in self._types}
        column = next(n for n in (wanted, f"{wanted}_2", f"{wanted}_3") if n not in taken)
        unknown = self._count(f"{self._money()} IS NOT NULL AND ({expression}) IS NULL")
        if unknown:
            said = self._said_by(of_year, units)
            self._gaps.append(
                f"subscriptions.arr: {count_of(unknown, 'row')} with {amount} whose {said} is empty or not clear: "
                "their amount per year is unknown, and the check refuses them. Say in the query what they are, or "
                "leave them out with `where`"
            )
        kept = tuple(u for u in self._guess.units.get("arr", ()) if u not in (DECIMAL_COMMA, DECIMAL_POINT))
        given_units = {**self._guess.units, "arr": kept}
        guess = replace(
            self._guess,
            matched={**self._guess.matched, "arr": column},
            columns={**self._guess.columns, "arr": column},
            units={name: some for name, some in given_units.items() if some},
        )
        notes = (f"{column} is computed from {amount}.", *self._notes)
        read = tuple(own for own in self._types if sql_identifier(own) in expression)
        return AnnualAmounts(guess, column, expression, read, notes, tuple(self._gaps))

    def _said_by(self, of_year: str, units: str) -> str:
        c = self._columns
        names = [c.interval or c.months or c.term or c.term_years or c.end] if of_year else []
        return " or ".join([*names, *([c.quantity] if units else [])])

    def _per_year(self) -> str:
        """Return SQL of the factor that makes an amount one of a year, with its sign; empty for none."""
        c = self._columns
        if not c.varies:
            return ""
        if c.period == "" and not c.maybe_term and (c.interval or c.months):
            return self._by_interval()
        months = self._term_months()
        if not months:
            return self._of_unknown_period()
        other = self._count(f"{months} <> {_YEAR_MONTHS}")
        unclear = c.period != "term"
        if unclear and not other:
            self._notes.append(f"{c.amount} is an amount per year, because every term has twelve months.")
            return ""
        source = c.term or c.term_years or f"{c.start} to {c.end}"
        self._notes.append(
            f"{c.amount} is the amount of the whole term ({source}): times twelve, divided by its months."
        )
        if unclear:
            self._gaps.append(
                f"subscriptions.arr: {c.amount} may be the amount of the whole term or of one period, and "
                f"{count_of(other, 'row')} {'has' if other == 1 else 'have'} a term of other than twelve months: it is "
                f'read as that of the whole term. If it is not, use columns.arr = "{c.amount}", with units.arr if it '
                "is an amount per month or quarter"
            )
        return f" * {_YEAR_MONTHS} / nullif({months}, 0)"

    def _by_interval(self) -> str:
        c = self._columns
        if c.months and not c.interval:
            self._notes.append(
                f"{c.months} has the months after which {c.amount} is due again: times twelve, divided by it."
            )
            return f" * {_YEAR_MONTHS} / nullif({self._number(c.months)}, 0)"
        text = folded_sql(c.interval)
        known = {value: times for times, values in _INTERVALS.items() for value in values}
        listed = ", ".join(map(sql_literal, known))
        rows = self._engine.con.execute(
            f"SELECT {text} AS value, count(*) FROM {self._relation} WHERE {text} IN ({listed}) GROUP BY 1 "
            "ORDER BY 2 DESC, 1"
        ).fetchall()
        if not rows:
            return self._without_interval()
        times: dict[str, list[str]] = {}
        for value, _ in rows:
            times.setdefault(known[value], []).append(value)
        cases = " ".join(
            f"WHEN {folded_sql(c.interval)} IN ({', '.join(map(sql_literal, some))}) THEN {per_year}"
            for per_year, some in times.items()
        )
        parts = ", ".join(f"{value} {count:,}" for value, count in rows)
        per = f" / nullif({self._number(c.count)}, 0)" if c.count else ""
        counted = f", divided by {c.count}" if c.count else ""
        self._notes.append(
            f"{c.interval} is the interval at which {c.amount} is due ({parts}): times the intervals of a "
            f"year{counted}."
        )
        return f" * CASE {cases} END{per}"

    def _without_interval(self) -> str:
        """Say that no value of the interval is clear."""
        c = self._columns
        self._gaps.append(
            f"subscriptions.arr: {c.interval} should say how often {c.amount} is due, but none of its values is clear "
            f"(a number of months, perhaps): {c.amount} is read as an amount per year until units.arr, or a query, "
            "says more"
        )
        return ""

    def _of_unknown_period(self) -> str:
        """Say that nothing says for which period an amount is."""
        c = self._columns
        if c.period == "":
            self._gaps.append(
                f"subscriptions.arr: no column says whether {c.amount} is for a month, a quarter, a year or the whole "
                'term: it is read as an amount per year. If it is not, add units.arr = "monthly", or "quarterly"'
            )
        elif c.period == "term":
            self._gaps.append(
                f"subscriptions.arr: {c.amount} is for the whole term, and no column has its length: it is read as an "
                "amount per year until a query divides it by the years of the term"
            )
        return ""

    def _of_units(self) -> str:
        """Return SQL of the factor for amounts of one unit; empty for none."""
        c = self._columns
        if c.per_unit and not c.quantity:
            self._gaps.append(
                f"subscriptions.arr: {c.amount} is for one unit, and no column has their number: it is read as if "
                "there were one until a query multiplies it"
            )
        if not c.quantity or c.per_unit is False:
            return ""
        quantity = self._number(c.quantity)
        several = self._count(f"{quantity} IS NOT NULL AND {quantity} <> 1")
        if not several:
            return ""
        per_unit: bool | None = c.per_unit
        if not c.per_unit:
            per_unit = self._is_per_unit(quantity)
            if per_unit is None:
                self._gaps.append(
                    f"subscriptions.arr: {c.amount} may be for one of {c.quantity} or for all of them "
                    f"({count_of(several, 'row')} with more or less than one): it is read as for all. If it is for "
                    f"one, multiply it in a query by try_cast({sql_identifier(c.quantity)} AS DOUBLE)"
                )
                return ""
            why = "the same" if per_unit else f"in proportion to {c.quantity}"
            self._notes.append(
                f"{c.amount} is for {'one' if per_unit else 'all'} of {c.quantity}, because it is {why} in contracts "
                f"of the same kind with another {c.quantity}."
            )
        else:
            self._notes.append(f"{c.amount} is for one of {c.quantity}: times {c.quantity}.")
        return f" * {quantity}" if per_unit else ""

    def _is_per_unit(self, quantity: str) -> bool | None:
        """Return whether amounts are for one unit; None if the rows show neither."""
        c = self._columns
        plan = [self._guess.matched[name] for name in ("plan", "product", "currency") if name in self._guess.matched]
        same = [folded_sql(each) for each in (*plan, c.interval, c.count, c.months) if each]
        money = self._money()
        kinds = f"""SELECT count(DISTINCT {money}) AS amounts,
            count(DISTINCT round({money} / {quantity}, 4)) AS ratios
            FROM {self._relation} AS q WHERE {quantity} > 0 AND {money} > 0
            GROUP BY {", ".join(same) or "true"} HAVING count(DISTINCT {quantity}) > 1"""
        groups, alike, proportional = count_each(
            self._engine,
            f"SELECT count(*), count(*) FILTER (amounts = 1), count(*) FILTER (ratios = 1) FROM ({kinds})",
        )
        if groups and alike == groups:
            # A flat price does not depend on the number of seats either.
            return True if plain_name(c.quantity) in _SOLD_UNITS else None
        return False if groups and proportional == groups else None

    def _money(self) -> str:
        """Return SQL of the amount as a number, in the unit of its column."""
        own = self._columns.amount
        text = f"q.{sql_identifier(own)}"
        decimal = tuple(u for u in self._guess.units.get("arr", ()) if u in (DECIMAL_COMMA, DECIMAL_POINT))
        if decimal and is_text(self._types[own]):
            text = in_contract_unit(
                text, self._types[own], "subscriptions", TABLES["subscriptions"]["arr"], decimal, ""
            )
        return _as_number(text)

    def _term_months(self) -> str:
        """Return SQL of the length of the term in months; empty if it is not known."""
        c = self._columns
        if c.term_years and not c.term:
            return f"({self._number(c.term_years)} * {_YEAR_MONTHS})"
        if c.term:
            return self._months_of(c.term)
        if c.start and c.end:
            first, last = (
                utc_instant(self._engine, self._relation, each, self._types[each]) for each in (c.start, c.end)
            )
            months = f"round(date_diff('day', {first}, {last}) / {_MONTH_DAYS})"
            rows, ends = count_each(self._engine, f"SELECT count(*), count({months}) FROM {self._relation} AS q")
            # If only contracts that were lost have an end, it is not that of a term. The last day may be part of it.
            return months if ends >= LEAST_ENDS * rows else ""
        return ""

    def _months_of(self, column: str) -> str:
        """Return SQL of a length with or without a unit, such as 12, 12 months or 1 year."""
        text = f"lower(CAST(q.{sql_identifier(column)} AS VARCHAR))"
        number = f"try_cast(regexp_extract({text}, '([0-9]+([.][0-9]+)?)', 1) AS DOUBLE)"
        years = f"{text} LIKE '%y%' OR {text} LIKE '%annual%'"
        if "month" in plain_name(column):
            return number
        plain = f"{number} IS NOT NULL AND NOT ({years}) AND {text} NOT LIKE '%m%'"
        rows, least, most = count_each(
            self._engine,
            f"SELECT count(*), coalesce(min({number}), 0), coalesce(max({number}), 0) FROM {self._relation} AS q "
            f"WHERE {plain}",
        )
        unit = "1"
        if rows:
            if most <= _MOST_YEARS:
                unit = str(_YEAR_MONTHS)
                self._notes.append(f"{column} is in years, because none is above {_MOST_YEARS}.")
            elif least >= _LEAST_MONTHS:
                self._notes.append(f"{column} is in months, because none is below {_LEAST_MONTHS}.")
            else:
                self._gaps.append(
                    f"subscriptions.arr: {column} is read in months, but some of its values may be years: write them "
                    "in one unit, or change the query"
                )
        return (
            f"CASE WHEN {years} THEN {number} * {_YEAR_MONTHS} WHEN {text} LIKE '%m%' THEN {number} "
            f"ELSE {number} * {unit} END"
        )

    def _number(self, column: str) -> str:
        return _as_number(f"q.{sql_identifier(column)}")

    def _count(self, condition: str) -> int:
        return count_rows(self._engine, f"SELECT count(*) FROM {self._relation} AS q WHERE {condition}")


def _as_number(text: str) -> str:
    return f"try_cast(trim(CAST({text} AS VARCHAR)) AS DOUBLE)"
