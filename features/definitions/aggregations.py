"""Measures: counts, sums and latest values of a table's rows, from which features are computed.

A measure defines the rows and the value. The roll-up (`features.aggregation`) computes one number per account, window
and `as_of`. Terms are arithmetic over measures; a feature is a term with a name.

A new aggregation is one subclass of `Measure`. It defines what a bucket stores (`Measure.reductions`, or another
`Measure.layout`), how to compute the number over a window from that (`Measure.evaluate`), and its name in a file of
custom features (`Measure.kind`). Every way of computing features uses these definitions: the SQL of the engines, the
grouping of large feeds, the state stored between runs, and the rows of events that have several versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from features.utils.arrays import Bools, Floats
from features.utils.dates import DAY_SECONDS

Rows: TypeAlias = Any
"""An Ibis table: its columns are beyond the type checker."""
Selector = Callable[[Rows], Any]
"""Selects a value or a condition from a table's rows."""
Columns: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Rolled-up columns by name, with one value per account and ``as_of``; NaN means unknown."""

FIXED_POINT = 10_000
"""Sums are computed in whole ten-thousandths. They are exact: the order of rows and the number of threads cannot change
them."""

ALL_TIME = 0
"""The window that covers all rows known by the date."""

Reduction: TypeAlias = Literal["count", "sum", "least", "greatest", "days", "keys"]
"""What a bucket stores of a measure's rows, as one whole number. The values of two buckets can be merged:

``count``, ``sum``
    The number of rows and the sum of their numbers. A measure without a number counts all rows.
``least``, ``greatest``
    The least and the greatest number, or instant in seconds if the measure has no number.
``days``, ``keys``
    The days with a row and the distinct keys, as bits.
"""
Layout: TypeAlias = Literal["buckets", "states", "intervals"]
"""How the rows of a measure are stored: in buckets; as states, each valid until a later row of the same key; or as
intervals, each valid from ``at`` until ``end``."""
Values: TypeAlias = npt.NDArray[Any]

MEASURE_KINDS: dict[str, type[Measure]] = {}
"""The measures available in files of custom features, by their name there."""


def all_rows(rows: Rows) -> Any:
    """Select all rows."""
    # Imported here because reading computed features needs no query engine.
    import ibis

    return ibis.literal(True)


class MeasureWindow:
    """The rows of one measure in one window, as one value per requested account and date, shape (n,).

    Only rows known by the date are used. A measure may call the methods of its reductions or of its layout. Subclasses
    implement the methods that rows, buckets or states can answer.
    """

    def count(self) -> Values:
        """The number of rows, int64."""
        raise _undeclared(self, "count")

    def sum(self) -> Values:
        """The sum of the rows' numbers, int64, whole ten-thousandths."""
        raise _undeclared(self, "sum")

    def least(self) -> Values:
        """The least number (whole ten-thousandths) or instant (seconds), float64; NaN if there is no row."""
        raise _undeclared(self, "least")

    def greatest(self) -> Values:
        """The greatest number (whole ten-thousandths) or instant (seconds), float64; NaN if there is no row."""
        raise _undeclared(self, "greatest")

    def days(self) -> Values:
        """The number of days with a row, or of (key, day) pairs if the measure has a key, int64."""
        raise _undeclared(self, "days")

    def keys(self) -> Values:
        """The number of distinct keys, int64."""
        raise _undeclared(self, "keys")

    def state(self) -> Values:
        """The number of the latest row, float64, whole ten-thousandths; NaN if there is no row."""
        raise _undeclared(self, "state")

    def keys_in_state(self) -> Values:
        """The number of keys whose latest row meets the measure's condition, int64."""
        raise _undeclared(self, "keys_in_state")

    def interval_sum(self) -> Values:
        """The sum of the numbers of the intervals that contain the date, int64, whole ten-thousandths."""
        raise _undeclared(self, "interval_sum")


def _undeclared(window: MeasureWindow, name: str) -> TypeError:
    return TypeError(f"{type(window).__name__} has no {name}: the measure does not declare it in reductions or layout")


@dataclass(frozen=True, eq=False)
class Measure:
    """An aggregation of the rows of one table.

    Parameters
    ----------
    table : contract table.
    name : unique within the table; part of the rolled-up column's name.
    where : the condition that rows must meet.
    at : the instant column that assigns a row to a window.
    known_at : the instant column from which a row may be used: it must be before ``as_of``.
    ago : compute the measure as of this many days earlier, from what was known then.
    column : the optional column that the measure depends on. The measure is unknown until the feed has this column.
    counts : for each of some columns, its values that ``where`` selects. If a source never records any of them, the
        measure is unknown (`Measure.is_recorded`).

    Attributes
    ----------
    layout : how its rows are stored.
    reductions : what a bucket stores of its rows.
    kind : its name in a file of custom features; empty if it is not available there.
    required_keys : the keys that an entry of such a file needs: some of value, key and holds.
    windowed : whether custom features compute it over windows (True) or over all rows known (False).
    additive : whether the values of two consecutive windows add up to the value over both.
    custom_unit : the default unit of a custom feature; empty if the entry must give one.
    """

    table: str
    name: str
    where: Selector = all_rows
    at: str = "occurred_at"
    known_at: str = "known_at"
    ago: int = 0
    column: str = ""
    counts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    layout: ClassVar[Layout] = "buckets"
    reductions: ClassVar[tuple[Reduction, ...]] = ()
    kind: ClassVar[str] = ""
    required_keys: ClassVar[tuple[str, ...]] = ()
    windowed: ClassVar[bool] = True
    additive: ClassVar[bool] = False
    custom_unit: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):
            MEASURE_KINDS[cls.kind] = cls

    @property
    def number(self) -> Selector | None:
        """The number that it reads from each row; None if it reads none."""
        return None

    @property
    def counted_key(self) -> Distinct | None:
        """The measure whose keys it counts; None if it counts no keys."""
        return None

    @property
    def state_key(self) -> tuple[str, ...]:
        """The columns that identify a state; empty if an account has a single state."""
        return ()

    @property
    def state_part(self) -> str:
        """The column whose values have separate states within a key; empty if there is none."""
        return ""

    @property
    def condition(self) -> Selector | None:
        """The condition that a state must meet; None if its number is used."""
        return None

    @property
    def end_column(self) -> str:
        """The instant column that ends an interval."""
        return ""

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, int64 or float64 with NaN for unknown."""
        raise NotImplementedError(type(self).__name__)

    @classmethod
    def custom(cls, about: Mapping[str, Any], columns: Mapping[str, str], holds: Selector) -> Measure:
        """Create the measure of an entry in a file of custom features.

        Parameters
        ----------
        about : the fields that all measures have.
        columns : the columns that the entry names, by key: value, key.
        holds : the condition of the entry's key holds.
        """
        own: dict[str, Any] = {key: column_selector(columns[key]) for key in cls.required_keys}
        return cls(**about, **own)

    def bucket_columns(self) -> dict[str, Reduction]:
        """The columns of its buckets, and what each stores."""
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

    def is_recorded(self, records: Mapping[str, frozenset[str]]) -> bool:
        """Return whether a table with only these values of some columns can have a row that the measure counts."""
        return all(column not in records or records[column] & set(values) for column, values in self.counts)

    def over(self, days: int) -> Term:
        """This measure over the window ``[as_of - days, as_of)``; unknown if the feed starts later than the window."""
        column, reach = column_name(self, days), days + self.ago
        return Term(
            frozenset({(self, days)}), lambda t: np.where(_covered(t, self, reach), self.read(t[column]), np.nan)
        )

    def lagged(self, ago: int) -> Self:
        """The same measure as of ``ago`` days earlier."""
        return self if ago == self.ago else replace(self, ago=ago)

    def covering(self, term: Term, days: int) -> Term:
        """``term`` where the feed of this measure covers ``days``; otherwise unknown."""
        needs = term.needs | {(self, days)}
        return Term(needs, lambda t: np.where(_covered(t, self, days + self.ago), term.build(t), np.nan))

    def over_available(self, days: int) -> Term:
        """This measure over the part of the window that the feed covers; unknown before the feed starts."""
        return self._since_feed_start(days)

    def all_time(self) -> Term:
        """This measure over all rows known at ``as_of``; unknown before the feed starts."""
        return self._since_feed_start(ALL_TIME)

    def default_term(self) -> Term:
        """The term of a custom feature without windows."""
        return self.all_time()

    def _since_feed_start(self, days: int) -> Term:
        column, start = column_name(self, days), start_column(self.table, self.column)
        return Term(frozenset({(self, days)}), lambda t: np.where(np.isnan(t[start]), np.nan, self.read(t[column])))

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """Convert the rolled-up column to the measure's values."""
        return stored.astype(np.float64)


@dataclass(frozen=True, eq=False)
class NumericMeasure(Measure):
    """A measure of a number in each row, ``value``; rows without a value do not count."""

    value: Selector = all_rows

    @property
    def number(self) -> Selector:
        """The number that it reads from each row."""
        return self.value

    def read(self, stored: npt.NDArray[Any]) -> Floats:
        """Convert the rolled-up column, in whole ten-thousandths, to the measure's values."""
        return stored.astype(np.float64) / FIXED_POINT


@dataclass(frozen=True, eq=False)
class Count(Measure):
    """The number of rows."""

    kind = "count"
    reductions = ("count",)
    additive = True

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, int64."""
        return window.count()


@dataclass(frozen=True, eq=False)
class Sum(NumericMeasure):
    """The sum of a value; rows without a value add nothing."""

    kind = "sum"
    required_keys = ("value",)
    reductions = ("sum",)
    additive = True

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, int64."""
        return window.sum()


@dataclass(frozen=True, eq=False)
class Distinct(Measure):
    """The number of distinct keys, exact for every window."""

    kind = "distinct"
    required_keys = ("key",)
    reductions = ("keys",)

    key: Selector = all_rows

    @property
    def counted_key(self) -> Distinct:
        """The measure whose keys it counts."""
        return self

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, int64."""
        return window.keys()


@dataclass(frozen=True, eq=False)
class ActiveDays(Measure):
    """The number of days with a row; with ``of``, the number of (key, day) pairs, such as user days.

    A day is 24 hours, counted back from ``as_of``: a calendar day (UTC) if ``as_of`` is a midnight.
    """

    reductions = ("days",)

    of: Distinct | None = None

    @property
    def counted_key(self) -> Distinct | None:
        """The measure whose keys it counts; None if it counts days only."""
        return self.of

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, int64."""
        return window.days()


@dataclass(frozen=True, eq=False)
class Newest(Measure):
    """The instant of the latest row known, in seconds since 1970; use `days_since` for a feature."""

    kind = "newest"
    reductions: ClassVar[tuple[Reduction, ...]] = ("greatest",)
    windowed = False
    custom_unit = "days"

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, float64."""
        return window.greatest()

    def days_since(self) -> Term:
        """Days from the latest row to ``as_of``; unknown if there is no row."""
        column = column_name(self, ALL_TIME)
        return Term(frozenset({(self, ALL_TIME)}), lambda t: (t["as_of_s"] - t[column]) / DAY_SECONDS)

    def default_term(self) -> Term:
        """Days from the row to ``as_of``."""
        return self.days_since()


@dataclass(frozen=True, eq=False)
class Oldest(Newest):
    """The instant of the earliest row known."""

    kind = "oldest"
    reductions = ("least",)

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, float64."""
        return window.least()


@dataclass(frozen=True, eq=False)
class Latest(NumericMeasure):
    """The value of the latest row known."""

    kind = "latest"
    required_keys = ("value",)
    windowed = False
    layout = "states"

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, float64."""
        return window.state()


@dataclass(frozen=True, eq=False)
class Holding(Measure):
    """The number of keys whose latest row known meets ``holds``, such as champions in place.

    With ``by``, a column, a key has a latest row for each value of that column, and counts if one of them meets
    ``holds``.
    """

    kind = "holding"
    required_keys = ("key", "holds")
    windowed = False
    layout = "states"

    key: tuple[str, ...] = ()
    by: str = ""
    holds: Selector = all_rows

    @property
    def state_key(self) -> tuple[str, ...]:
        """The columns that identify a state."""
        return self.key

    @property
    def state_part(self) -> str:
        """The column whose values have separate states within a key; empty if there is none."""
        return self.by

    @property
    def condition(self) -> Selector:
        """The condition that a state must meet."""
        return self.holds

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, int64."""
        return window.keys_in_state()

    @classmethod
    def custom(cls, about: Mapping[str, Any], columns: Mapping[str, str], holds: Selector) -> Measure:
        """Create the measure of an entry in a file of custom features; see `Measure.custom`."""
        return cls(**about, key=(columns["key"],), holds=holds)


@dataclass(frozen=True, eq=False)
class IntervalSum(NumericMeasure):
    """The sum of a value over the rows whose interval, from ``at`` until ``end``, contains ``as_of``."""

    layout = "intervals"

    end: str = "ended_at"

    @property
    def end_column(self) -> str:
        """The instant column that ends an interval."""
        return self.end

    def evaluate(self, window: MeasureWindow) -> Values:
        """Compute the rolled-up column, int64."""
        return window.interval_sum()


@dataclass(frozen=True)
class Term:
    """A number per account and ``as_of``, computed from measures.

    A quotient is unknown if its denominator is zero or negative. Anything computed from an unknown value is unknown.

    Parameters
    ----------
    needs : the measures that it needs, each with its window in days.
    build : the function that computes it from their columns.
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
        """The smaller of the two; unknown if either is unknown."""
        return self._with(other, np.minimum)

    def at_least(self, other: Term | float) -> Term:
        """The larger of the two; unknown if either is unknown."""
        return self._with(other, np.maximum)

    def where(self, condition: Term) -> Term:
        """Replace the value by unknown if ``condition`` is zero or unknown."""
        return self._with(condition, lambda a, c: np.where(c > 0, a, np.nan))

    def otherwise(self, other: Term | float) -> Term:
        """Replace an unknown value by ``other``."""
        return self._with(other, lambda a, b: np.where(np.isnan(a), b, a))


def column_selector(column: str) -> Selector:
    """Return a selector of one column."""
    return lambda rows: rows[column]


def column_name(measure: Measure, days: int) -> str:
    """Return the name of the rolled-up column of ``measure`` over ``days``."""
    return f"{measure.table}__{measure.name}__{days}" + (f"__ago{measure.ago}" if measure.ago else "")


def from_column(name: str) -> Term:
    """Return a term that reads a column of the panel (``as_of_s``, ``tenure_days``, …)."""
    return Term(frozenset(), lambda t: t[name].astype(np.float64))


TENURE = from_column("tenure_days")
"""Days from ``created_at`` to ``as_of``."""

MIN_BASELINE_DAYS = 14
"""Minimum length of the account's own past that a trend is compared with."""
MAX_RATIO = 10.0
"""Maximum of ratios: growth from almost zero has no meaningful size."""


def trend(measure: Measure, recent: int, back_to: int) -> Term:
    """Return the rate over the last ``recent`` days divided by the rate from ``back_to`` to ``recent`` days ago.

    1 means unchanged. The earlier period counts only the days on which the account was a customer. The ratio is unknown
    if these are fewer than 14 or if nothing happened in them.

    Parameters
    ----------
    measure : what is compared.
    recent : the days of the recent period.
    back_to : the days ago at which the earlier period starts.

    Returns
    -------
    Term
    """
    now, whole = measure.over(recent), measure.over(back_to)
    customer_days = TENURE.at_most(back_to) - recent
    long_enough = Term(customer_days.needs, lambda t: (customer_days.build(t) >= MIN_BASELINE_DAYS).astype(np.float64))
    before = (whole - now) / customer_days
    return ((now / recent) / before).where(long_enough).at_most(MAX_RATIO)


def compared_with_earlier(measure: Measure, days: int, ago: int) -> Term:
    """Return the last ``days`` divided by the same span ``ago`` days earlier.

    1 means unchanged. The ratio is unknown if nothing happened in the earlier span.

    Parameters
    ----------
    measure : what is compared.
    days : the days of each period.
    ago : how many days before the recent period the earlier one ends.

    Returns
    -------
    Term
    """
    return (measure.over(days) / measure.lagged(ago).over(days)).at_most(MAX_RATIO)


def start_column(table: str, column: str = "") -> str:
    """Return the name of the column with the instant (seconds) at which a feed, or a column of it, starts."""
    return f"{table}__{column}__from" if column else f"{table}__from"


def _covered(t: Columns, measure: Measure, days: int) -> Bools:
    """Check that the feed covers the window (or started before the account)."""
    since = np.maximum(t["as_of_s"] - days * DAY_SECONDS, t["created_s"])
    return np.asarray(since >= t[start_column(measure.table, measure.column)], dtype=np.bool_)
