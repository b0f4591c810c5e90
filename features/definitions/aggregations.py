"""Measures: what is counted, summed or looked up in a table, before windows and ratios make features of it.

A measure says which rows and which value; the roll-up (`features.aggregation`) turns it into one number per account,
window and `as_of`. Terms are arithmetic over measures; a feature is a term with a name.

A new aggregation is one subclass of `Measure`. It says what a bucket of rows holds of it (`Measure.reductions`, or
another `Measure.layout`), how the number over a window follows from that (`Measure.evaluate`), and how a file of custom
features names it (`Measure.kind`). Every way of computing features follows from these: the SQL of the engines, the
grouping of large feeds, the state that is kept between runs, and the rows of events that have several versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

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

Reduction: TypeAlias = Literal["count", "sum", "least", "greatest", "days", "keys"]
"""What a bucket holds of the rows of a measure that are in it, one whole number each; those of two buckets merge:

``count``, ``sum``
    How many rows there are, and the sum of their numbers; they add up. Without a number, all rows are counted.
``least``, ``greatest``
    Of their numbers; of their instants, in seconds, where the measure has no number.
``days``, ``keys``
    The days on which there is a row, and the different keys, as bits.
"""
Layout: TypeAlias = Literal["buckets", "states", "intervals"]
"""How the rows of a measure are held: in buckets; as states, each in force until a later row of the same key; or as
intervals, each in force from ``at`` until ``end``."""
Values: TypeAlias = npt.NDArray[Any]

KINDS: dict[str, type[Measure]] = {}
"""The measures that a file of custom features may use, by the name that they have there."""


def every(rows: Rows) -> Any:
    """All rows."""
    # Only here: who reads features that were made before needs no query engine.
    import ibis

    return ibis.literal(True)


class Window:
    """A measure over one window: one value per account and date asked for, shape (n,), from what was known then.

    A measure may ask for its own reductions, or for what belongs to its layout. Whatever holds rows, buckets or states
    offers what can be told from these.
    """

    def count(self) -> Values:
        """The number of rows, int64."""
        raise _undeclared(self, "count")

    def sum(self) -> Values:
        """The sum of the rows' numbers, int64, whole ten-thousandths."""
        raise _undeclared(self, "sum")

    def least(self) -> Values:
        """The least number (whole ten-thousandths) or instant (seconds), float64; NaN where there is no row."""
        raise _undeclared(self, "least")

    def greatest(self) -> Values:
        """The greatest number (whole ten-thousandths) or instant (seconds), float64; NaN where there is no row."""
        raise _undeclared(self, "greatest")

    def days(self) -> Values:
        """The number of days with a row; of pairs of a key and a day, where the measure has a key; int64."""
        raise _undeclared(self, "days")

    def keys(self) -> Values:
        """The number of different keys, int64."""
        raise _undeclared(self, "keys")

    def state(self) -> Values:
        """The number of the latest row, float64, whole ten-thousandths; NaN where there is no row."""
        raise _undeclared(self, "state")

    def keys_in_state(self) -> Values:
        """The number of keys whose latest row fulfils the measure's condition, int64."""
        raise _undeclared(self, "keys_in_state")

    def in_force(self) -> Values:
        """The sum of the numbers of the intervals that are in force, int64, whole ten-thousandths."""
        raise _undeclared(self, "in_force")


def _undeclared(window: Window, what: str) -> TypeError:
    return TypeError(f"{type(window).__name__} has no {what}: the measure does not declare it in reductions or layout")


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

    Attributes
    ----------
    layout : how its rows are held.
    reductions : what a bucket holds of its rows.
    kind : its name in a file of custom features; empty: it has none there.
    takes : the keys that an entry of such a file needs, of value, key and holds.
    windowed : whether it is taken over windows there, or over everything known.
    additive : whether its values over two windows, one after the other, add up to that over both.
    custom_unit : its unit there, where the entry gives none; empty: the entry has to.
    """

    table: str
    name: str
    where: Pick = every
    at: str = "occurred_at"
    known: str = "known_at"
    ago: int = 0
    column: str = ""

    layout: ClassVar[Layout] = "buckets"
    reductions: ClassVar[tuple[Reduction, ...]] = ()
    kind: ClassVar[str] = ""
    takes: ClassVar[tuple[str, ...]] = ()
    windowed: ClassVar[bool] = True
    additive: ClassVar[bool] = False
    custom_unit: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):
            KINDS[cls.kind] = cls

    @property
    def number(self) -> Pick | None:
        """The number that it looks at in each row; None: it looks at none."""
        return None

    @property
    def counted_key(self) -> Distinct | None:
        """Whose keys it counts; None: it counts none."""
        return None

    @property
    def state_key(self) -> tuple[str, ...]:
        """The columns that tell its states apart; without them, an account has a single state."""
        return ()

    @property
    def state_part(self) -> str:
        """The column whose values have states of their own within a key; empty: there is none."""
        return ""

    @property
    def condition(self) -> Pick | None:
        """What a state has to fulfil; None: its number counts."""
        return None

    @property
    def end_column(self) -> str:
        """The instant column at which an interval ends."""
        return ""

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, int64 or float64 with NaN for unknown."""
        raise NotImplementedError(type(self).__name__)

    @classmethod
    def custom(cls, about: Mapping[str, Any], columns: Mapping[str, str], holds: Pick) -> Measure:
        """The measure of an entry in a file of custom features.

        Parameters
        ----------
        about : the fields that all measures have.
        columns : the columns that the entry names, by its key: value, key.
        holds : the condition of its key holds.
        """
        own: dict[str, Any] = {key: column_pick(columns[key]) for key in cls.takes}
        return cls(**about, **own)

    def bucket_columns(self) -> dict[str, Reduction]:
        """The columns of its buckets, and what each holds."""
        if len(self.reductions) == 1:
            return {self.name: self.reductions[0]}
        return {f"{self.name}__{reduction}": reduction for reduction in self.reductions}

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

    def unwindowed(self) -> Term:
        """What it says where no window is given."""
        return self.ever()

    def _begun(self, days: int) -> Term:
        column, start = column_name(self, days), start_column(self.table, self.column)
        return Term(frozenset({(self, days)}), lambda t: np.where(np.isnan(t[start]), np.nan, self.read(t[column])))

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """The measure's value from its rolled-up column."""
        return stored.astype(np.float64)


@dataclass(frozen=True, eq=False)
class OfNumber(Measure):
    """A measure of a number in each row, ``value``; rows where it is null do not count."""

    value: Pick = every

    @property
    def number(self) -> Pick:
        """The number that it looks at in each row."""
        return self.value

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """The measure's value from its rolled-up column, which holds whole ten-thousandths."""
        return stored.astype(np.float64) / FIXED_POINT


@dataclass(frozen=True, eq=False)
class Count(Measure):
    """The number of rows."""

    kind = "count"
    reductions = ("count",)
    additive = True

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, int64."""
        return window.count()


@dataclass(frozen=True, eq=False)
class Sum(OfNumber):
    """The sum of a value; rows where it is null add nothing."""

    kind = "sum"
    takes = ("value",)
    reductions = ("sum",)
    additive = True

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, int64."""
        return window.sum()


@dataclass(frozen=True, eq=False)
class Distinct(Measure):
    """The number of different keys, exact at every window."""

    kind = "distinct"
    takes = ("key",)
    reductions = ("keys",)

    key: Pick = every

    @property
    def counted_key(self) -> Distinct:
        """Whose keys it counts."""
        return self

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, int64."""
        return window.keys()


@dataclass(frozen=True, eq=False)
class ActiveDays(Measure):
    """The number of days with a row; with ``of``, of (key, day) pairs: user days, say.

    A day is one of the 24 hours' spans that end at ``as_of``: the calendar's days (UTC) where that is a midnight.
    """

    reductions = ("days",)

    of: Distinct | None = None

    @property
    def counted_key(self) -> Distinct | None:
        """Whose keys it counts; None: it counts days alone."""
        return self.of

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, int64."""
        return window.days()


@dataclass(frozen=True, eq=False)
class Newest(Measure):
    """The instant of the latest row known, in seconds since 1970; read it with `days_since`."""

    kind = "newest"
    reductions: ClassVar[tuple[Reduction, ...]] = ("greatest",)
    windowed = False
    custom_unit = "days"

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, float64."""
        return window.greatest()

    def days_since(self) -> Term:
        """Days from the latest row to ``as_of``; unknown where there has been none."""
        column = column_name(self, EVER)
        return Term(frozenset({(self, EVER)}), lambda t: (t["as_of_s"] - t[column]) / DAY_SECONDS)

    def unwindowed(self) -> Term:
        """Days from the row to ``as_of``."""
        return self.days_since()


@dataclass(frozen=True, eq=False)
class Oldest(Newest):
    """The instant of the earliest row known."""

    kind = "oldest"
    reductions = ("least",)

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, float64."""
        return window.least()


@dataclass(frozen=True, eq=False)
class Latest(OfNumber):
    """A value as it stands: that of the latest row known."""

    kind = "latest"
    takes = ("value",)
    windowed = False
    layout = "states"

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, float64."""
        return window.state()


@dataclass(frozen=True, eq=False)
class Holding(Measure):
    """The number of keys whose latest row known fulfils ``holds``: champions in place, say.

    With ``by``, a column, a key has a latest row for each value there and holds if one of them does.
    """

    kind = "holding"
    takes = ("key", "holds")
    windowed = False
    layout = "states"

    key: tuple[str, ...] = ()
    by: str = ""
    holds: Pick = every

    @property
    def state_key(self) -> tuple[str, ...]:
        """The columns that tell its states apart."""
        return self.key

    @property
    def state_part(self) -> str:
        """The column whose values have states of their own within a key; empty: there is none."""
        return self.by

    @property
    def condition(self) -> Pick:
        """What a state has to fulfil."""
        return self.holds

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, int64."""
        return window.keys_in_state()

    @classmethod
    def custom(cls, about: Mapping[str, Any], columns: Mapping[str, str], holds: Pick) -> Measure:
        """The measure of an entry in a file of custom features; see `Measure.custom`."""
        return cls(**about, key=(columns["key"],), holds=holds)


@dataclass(frozen=True, eq=False)
class Standing(OfNumber):
    """The sum of a value over the rows that stand at ``as_of``: from ``at`` until ``end``."""

    layout = "intervals"

    end: str = "ended_at"

    @property
    def end_column(self) -> str:
        """The instant column at which an interval ends."""
        return self.end

    def evaluate(self, window: Window) -> Values:
        """Its rolled-up column, int64."""
        return window.in_force()


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


def column_pick(column: str) -> Pick:
    """Picks a column of a table's rows."""
    return lambda rows: rows[column]


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
