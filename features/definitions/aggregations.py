"""Measures: what is counted, summed or looked up in a table, before windows and ratios make features of it.

A measure says which rows and which value; the roll-up (`features.aggregation.passes`) turns it into one number per
account, window
and `as_of`. Terms are arithmetic over measures; a feature is a term with a name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from features.utils.dates import DAY_SECONDS

Rows: TypeAlias = Any
"""An Ibis table: its columns are beyond the type checker."""
Pick = Callable[[Rows], Any]
"""Picks a value or a condition from a table's rows."""
Floats: TypeAlias = npt.NDArray[np.float64]
Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Rolled-up columns by name, one value per account and ``as_of``; NaN is unknown."""

FIXED_POINT = 10_000
"""Sums are taken over whole ten-thousandths: exact, so neither the rows' order nor the number of threads can change
them."""

EVER = 0
"""The window of a measure that looks back over everything known."""


def every(rows: Rows) -> Any:
    """All rows."""
    # Only here: who reads features that were made before needs no query engine.
    import ibis

    return ibis.literal(True)


@dataclass(frozen=True, eq=False)
class Measure:
    """Something to be rolled up from one table.

    Parameters
    ----------
    table : contract table.
    name : unique within the table; part of the rolled-up column's name.
    where : which rows count.
    at : the instant column that places a row in a window.
    known : the instant column from which a row may be used; rows are visible where it is before ``as_of``.
    ago : look at things as they stood this many days earlier, from what was known then.
    column : the optional column that it rests on; where the feed has not yet carried it, the measure is unknown.
    """

    table: str
    name: str
    where: Pick = every
    at: str = "occurred_at"
    known: str = "known_at"
    ago: int = 0
    column: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measure) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, str, str, int]:
        return (type(self).__name__, self.table, self.name, self.ago)

    def over(self, days: int) -> Term:
        """This measure over the window ``[as_of - days, as_of)``; unknown where the feed does not reach back so far."""
        column, reach = column_name(self, days), days + self.ago
        return Term(
            frozenset({(self, days)}), lambda t: np.where(_covered(t, self, reach), self.read(t[column]), np.nan)
        )

    def back(self, ago: int) -> Self:
        """The same measure, as it stood ``ago`` days earlier."""
        return self if ago == self.ago else replace(self, ago=ago)

    def seen(self, days: int) -> Term:
        """This measure over the window as far as the feed reaches, which may be less than the whole; unknown as long as
        it has not begun."""
        return self._begun(days)

    def ever(self) -> Term:
        """This measure over everything known at ``as_of``; unknown as long as the feed has not begun."""
        return self._begun(EVER)

    def _begun(self, days: int) -> Term:
        column, start = column_name(self, days), start_column(self.table, self.column)
        return Term(frozenset({(self, days)}), lambda t: np.where(np.isnan(t[start]), np.nan, self.read(t[column])))

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """The measure's value from its rolled-up column."""
        return stored.astype(np.float64)


@dataclass(frozen=True, eq=False)
class Count(Measure):
    """The number of rows."""


@dataclass(frozen=True, eq=False)
class Sum(Measure):
    """The sum of a value; rows where it is null add nothing."""

    value: Pick = every

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """The measure's value from its rolled-up column, which holds whole ten-thousandths."""
        return stored.astype(np.float64) / FIXED_POINT


@dataclass(frozen=True, eq=False)
class Distinct(Measure):
    """The number of different keys, exact at every window."""

    key: Pick = every


@dataclass(frozen=True, eq=False)
class ActiveDays(Measure):
    """The number of days with a row; with ``of``, of (key, day) pairs: user days, say.

    A day is one of the 24 hours' spans that end at ``as_of``: the calendar's days (UTC) where that is a midnight.
    """

    of: Distinct | None = None


@dataclass(frozen=True, eq=False)
class Newest(Measure):
    """The instant of the latest row known, in seconds since 1970; read it with `days_since`."""

    def days_since(self) -> Term:
        """Days from the latest row to ``as_of``; unknown where there has been none."""
        column = column_name(self, EVER)
        return Term(frozenset({(self, EVER)}), lambda t: (t["as_of_s"] - t[column]) / DAY_SECONDS)


@dataclass(frozen=True, eq=False)
class Oldest(Newest):
    """The instant of the earliest row known."""


@dataclass(frozen=True, eq=False)
class Latest(Measure):
    """A value as it stands: that of the latest row known."""

    value: Pick = every

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """The measure's value from its rolled-up column, which holds whole ten-thousandths."""
        return stored.astype(np.float64) / FIXED_POINT


@dataclass(frozen=True, eq=False)
class Holding(Measure):
    """The number of keys whose latest row known fulfils ``holds``: champions in place, say.

    With ``by``, a column, a key has a latest row for each value there and holds if one of them does.
    """

    key: tuple[str, ...] = ()
    by: str = ""
    holds: Pick = every


@dataclass(frozen=True, eq=False)
class Standing(Measure):
    """The sum of a value over the rows that stand at ``as_of``: from ``at`` until ``end``."""

    value: Pick = every
    end: str = "ended_at"

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """The measure's value from its rolled-up column, which holds whole ten-thousandths."""
        return stored.astype(np.float64) / FIXED_POINT


@dataclass(frozen=True)
class Term:
    """A number per account and ``as_of``, computed from measures: what it needs, and how it is built from their
    columns.

    A quotient whose denominator is not above zero, and anything computed from an unknown, is unknown.
    """

    needs: frozenset[tuple[Measure, int]]
    build: Callable[[Columns], Floats]

    def _with(self, other: Term | float, combine: Callable[[Floats, Any], Any]) -> Term:
        if isinstance(other, Term):
            return Term(self.needs | other.needs, lambda t: combine(self.build(t), other.build(t)))
        return Term(self.needs, lambda t: combine(self.build(t), other))

    def __add__(self, other: Term | float) -> Term:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Term | float) -> Term:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Term | float) -> Term:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Term | float) -> Term:
        if isinstance(other, Term):
            return self._with(other, lambda a, b: a / np.where(b > 0.0, b, np.nan))
        return self._with(other, lambda a, b: a / b)

    def __lt__(self, other: Term | float) -> Term:
        return self._with(other, lambda a, b: np.where(np.isnan(a) | np.isnan(b), np.nan, a < b))

    def at_most(self, other: Term | float) -> Term:
        """The smaller of the two; unknown where either is."""
        return self._with(other, np.minimum)

    def at_least(self, other: Term | float) -> Term:
        """The larger of the two; unknown where either is."""
        return self._with(other, np.maximum)

    def where(self, condition: Term) -> Term:
        """Unknown where ``condition`` is zero or unknown."""
        return self._with(condition, lambda a, c: np.where(c > 0, a, np.nan))

    def otherwise(self, other: Term | float) -> Term:
        """``other`` where this is unknown."""
        return self._with(other, lambda a, b: np.where(np.isnan(a), b, a))


def column_name(measure: Measure, days: int) -> str:
    """The rolled-up column that holds ``measure`` over ``days``."""
    return f"{measure.table}__{measure.name}__{days}" + (f"__ago{measure.ago}" if measure.ago else "")


def from_column(name: str) -> Term:
    """A term that reads a column of the panel (``as_of_s``, ``tenure_days``, …)."""
    return Term(frozenset(), lambda t: t[name].astype(np.float64))


TENURE = from_column("tenure_days")
"""Days from ``created_at`` to ``as_of``."""

MIN_BASELINE_DAYS = 14
"""A trend needs at least this much of the account's own past to compare with."""
MAX_RATIO = 10.0
"""Ratios are cut off here: from nothing to something has no size."""


def trend(measure: Measure, recent: int, back_to: int) -> Term:
    """Rate over the last ``recent`` days divided by the rate from ``back_to`` to ``recent`` days ago; 1 is unchanged.

    The earlier period counts only the days on which the account was a customer. Unknown where those are fewer than 14
    or nothing happened in them.
    """
    now, whole = measure.over(recent), measure.over(back_to)
    lived = TENURE.at_most(back_to) - recent
    long_enough = Term(lived.needs, lambda t: (lived.build(t) >= MIN_BASELINE_DAYS).astype(np.float64))
    before = (whole - now) / lived
    return ((now / recent) / before).where(long_enough).at_most(MAX_RATIO)


def against(measure: Measure, days: int, ago: int) -> Term:
    """The last ``days`` divided by the same span ``ago`` days earlier; 1 is unchanged, unknown where there was
    nothing."""
    return (measure.over(days) / measure.back(ago).over(days)).at_most(MAX_RATIO)


def start_column(table: str, column: str = "") -> str:
    """The column that holds the instant (seconds) from which a feed, or a column of it, reaches back."""
    return f"{table}__{column}__from" if column else f"{table}__from"


def _covered(t: Columns, measure: Measure, days: int) -> npt.NDArray[np.bool_]:
    """Whether the feed reaches back over the window (or the account is younger than the feed)."""
    since = np.maximum(t["as_of_s"] - days * DAY_SECONDS, t["created_s"])
    return np.asarray(since >= t[start_column(measure.table, measure.column)], dtype=np.bool_)
