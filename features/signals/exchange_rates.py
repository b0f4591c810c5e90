"""Rates of exchange: what amounts in other currencies are worth in the base currency.

Amounts at a date are converted at the rate known before it: the newest one with ``occurred_at < as_of``. Changes are
measured at constant rates, so that a movement of a rate is neither expansion nor contraction. Each currency has one
reference rate for this: its first rate, to three significant digits, so that whole amounts stay exact in fixed-point
arithmetic. Later rates never change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import ibis
import numpy as np
import pyarrow as pa

from features.contract.current_contract import current_tables
from features.signals.casting import SourceSchema, conformed_columns, source_schema, source_table
from features.sources.base import Source
from features.sources.engine import CUTOFF, collect
from features.sources.sql_functions import epoch_us
from features.utils.arrays import Floats, Ints

RATES = ibis.table({"code": "string", "rate": "float64"}, name="signals_rates")
"""One row per currency with its reference rate."""
SIGNIFICANT_DIGITS = 3


@dataclass(frozen=True)
class ExchangeRates:
    """The rates of a source.

    Parameters
    ----------
    base : the code of the base currency; empty if it has no name. Amounts without a currency are in it.
    series : the instants (microseconds, ascending) and the rates of each other currency.
    """

    base: str = ""
    series: Mapping[str, tuple[Ints, Floats]] = field(default_factory=dict)

    @property
    def currencies(self) -> tuple[str, ...]:
        """The codes, the base currency included, sorted."""
        return tuple(sorted({*self.series, self.base} - {""}))

    def at(self, currency: str, instants: Ints) -> Floats:
        """Return the rate of a currency known before each instant; NaN if there is none.

        Parameters
        ----------
        currency : its code; empty for the base currency.
        instants : microseconds since 1970.
        """
        if currency in ("", self.base):
            return np.ones(len(instants))
        times, rates = self.series.get(currency, (np.zeros(0, dtype=np.int64), np.zeros(0)))
        place = np.searchsorted(times, instants, side="left")
        return np.append(np.nan, rates)[place]

    def reference(self, currency: str) -> float:
        """Return the constant rate at which changes are measured; NaN if there is none."""
        if currency in ("", self.base):
            return 1.0
        _, rates = self.series.get(currency, (None, np.zeros(0)))
        return float(f"{rates[0]:.{SIGNIFICANT_DIGITS}g}") if len(rates) else float("nan")

    def reference_table(self) -> pa.Table:
        """Return the rows of `RATES`."""
        return _table({code: self.reference(code) for code in self.currencies})

    def table_at(self, instant: int) -> pa.Table:
        """Return the rates known before an instant (microseconds), in the columns of `RATES`."""
        at = np.array([instant], dtype=np.int64)
        return _table({code: float(self.at(code, at)[0]) for code in self.currencies})


def _table(rates: Mapping[str, float]) -> pa.Table:
    known = {code: rate for code, rate in rates.items() if not np.isnan(rate)}
    return pa.table({"code": pa.array(known, pa.string()), "rate": pa.array(known.values(), pa.float64())})


def read_rates(source: Source, base: str) -> ExchangeRates:
    """Read the rates of a source that were known before `features.sources.engine.CUTOFF`.

    Parameters
    ----------
    source : the source tables, with valid columns.
    base : the code of the base currency, as set; empty if it is not set. Then a source whose amounts are all in one
        currency, without rates, has that base currency.
    """
    codes = _currencies(source)
    if "fx_rates" not in source.tables:
        return ExchangeRates(base or (codes[0] if len(codes) == 1 else ""))
    rows = collect(source.connection, _rates, source_schema(source, "fx_rates"), "fx_rates" in source.text).to_pandas()
    rows = rows.sort_values(["code", "at"], kind="stable")
    series = {
        str(code): (own["at"].to_numpy(dtype=np.int64), own["rate"].to_numpy(dtype=np.float64))
        for code, own in rows.groupby("code")
        if code != base
    }
    return ExchangeRates(base, series)


def currency_code(rows: ibis.Table) -> ibis.Value:
    """Return the currency of each row as a code in capital letters; null for the base currency."""
    return rows.currency.strip().upper().nullif("")


def missing_rates(source: Source, base: str) -> tuple[int, tuple[int, ...]]:
    """Find subscriptions whose currency has no rate at their start.

    Parameters
    ----------
    source, base : as in `read_rates`. The tables must have valid columns.

    Returns
    -------
    int, tuple of int
        The number of rows, and their positions from 1.
    """
    if "currency" not in dict(source_schema(source, "subscriptions")):
        return 0, ()
    rates = read_rates(source, base)
    schema, text = source_schema(source, "subscriptions"), "subscriptions" in source.text
    rows = collect(source.connection, _amounts, schema, text).to_pandas()
    missing = np.zeros(len(rows), dtype=bool)
    for code, own in rows.groupby("code"):
        # The rate must be known at every date at which the row is, that is at every date after its start.
        missing[own.index] = np.isnan(rates.at(str(code), own["started"].to_numpy(dtype=np.int64) + 1))
    positions = np.sort(rows["_row"].to_numpy(dtype=np.int64)[missing])
    return int(missing.sum()), tuple(positions.tolist())


def wrong_base_rates(source: Source, base: str) -> tuple[int, tuple[int, ...]]:
    """Find rates of the base currency other than 1: all rates are what one unit of a currency is worth in it.

    Parameters
    ----------
    source, base : as in `read_rates`. The tables must have valid columns.

    Returns
    -------
    int, tuple of int
        The number of rows, and their positions from 1.
    """
    if not base or "fx_rates" not in source.tables:
        return 0, ()
    about = source_schema(source, "fx_rates"), "fx_rates" in source.text
    positions = collect(source.connection, _wrong_base_rates, *about, base)["_row"].to_pylist()
    return len(positions), tuple(sorted(int(row) for row in positions))


def _wrong_base_rates(schema: SourceSchema, text: bool, base: str) -> ibis.Table:
    rows = _usable_rates(schema, text)
    return rows.filter((currency_code(rows) == base) & (rows.rate != 1)).select("_row")


def _currencies(source: Source) -> list[str]:
    if "subscriptions" not in source.tables or "currency" not in dict(source_schema(source, "subscriptions")):
        return []
    about = source_schema(source, "subscriptions"), "subscriptions" in source.text
    codes = collect(source.connection, _codes, *about)["code"].to_pylist()
    return sorted(code for code in codes if code is not None)


def _codes(schema: SourceSchema, text: bool) -> ibis.Table:
    given, contract = source_table("subscriptions", schema), current_tables()["subscriptions"]
    rows = given.select(**conformed_columns(given, contract, text))
    return rows.select(code=currency_code(rows)).distinct()


def _rates(schema: SourceSchema, text: bool) -> ibis.Table:
    rows = _usable_rates(schema, text)
    return rows.select(code=currency_code(rows), at=epoch_us(rows.occurred_at), rate=rows.rate).distinct()


def _usable_rates(schema: SourceSchema, text: bool) -> ibis.Table:
    """Return the typed rates before the cut-off, each with its position from 1 as ``_row``."""
    given, contract = source_table("fx_rates", schema), current_tables()["fx_rates"]
    rows = given.mutate(_row=ibis.row_number() + 1)
    rows = rows.select("_row", **conformed_columns(rows, contract, text)).cross_join(CUTOFF)
    return rows.filter(rows.cutoff.isnull() | (rows.occurred_at < rows.cutoff))


def _amounts(schema: SourceSchema, text: bool) -> ibis.Table:
    given, contract = source_table("subscriptions", schema), current_tables()["subscriptions"]
    rows = given.mutate(_row=ibis.row_number() + 1)
    rows = rows.select("_row", **conformed_columns(rows, contract, text)).cross_join(CUTOFF)
    rows = rows.filter(rows.cutoff.isnull() | (rows.started_at < rows.cutoff))
    rows = rows.mutate(code=currency_code(rows)).filter(lambda t: t.code.notnull())
    return rows.select("_row", "code", started=epoch_us(rows.started_at))
