"""Columns of a snapshot that Python functions compute: one call for each date, with rows known before it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import ibis
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.aggregation.account_date_grid import Panel, Values
from features.contract.current_contract import current_tables
from features.contract.python_file import error_place
from features.contract.schema import known_at_column
from features.definitions.feature_function import FeatureFunction
from features.errors import FeatureError
from features.signals.event_versions import EXTRA_PREFIX
from features.signals.signals import OpenSignals
from features.sources.engine import collect, contract_table, create_table, known_before
from features.utils.arrays import Floats
from features.utils.dates import DAY, to_iso
from features.utils.progress import Progress, no_progress

MAX_ROWS = 5_000_000
"""Maximum number of rows of a table that a function gets for one date."""
WINDOW = ibis.table({"_as_of": "timestamp", "_since": "timestamp"}, name="function_window")
"""One row: the date, and the start of the window. No column of a table begins with an underscore."""
ACCOUNTS = ibis.table({"account_id": "string"}, name="function_accounts")
"""The accounts of the date."""
_EXPECTED = "a pandas Series of numbers by account_id, NaN where unknown"
_CALLS = threading.RLock()
"""Functions are called by one thread at a time: they need not be safe for several."""


def function_columns(
    signals: OpenSignals, functions: Sequence[FeatureFunction], panel: Panel, progress: Progress = no_progress
) -> dict[str, Values]:
    """Compute the values of ``functions`` for every cell of ``panel``.

    Parameters
    ----------
    signals : the signals, with every table that the functions read.
    functions : the functions.
    panel : the accounts and dates.
    progress : progress callback.

    Returns
    -------
    dict of str to array of shape (n,)
        By `FeatureFunction.column`, float64, NaN where unknown.

    Raises
    ------
    FeatureError
        If a function raises an error, or returns something else than one number for each account.
    """
    columns: dict[str, Values] = {f.column: np.full(len(panel.cells), np.nan) for f in functions}
    account, date = panel.place
    ids = np.asarray(panel.accounts.to_numpy(zero_copy_only=False), dtype=object)
    for position, as_of in enumerate(panel.grid.as_ofs):
        cells = np.flatnonzero(date == position)
        if not len(cells):
            continue
        active = ids[account[cells]]
        create_table(signals.connection, ACCOUNTS.get_name(), pa.table({"account_id": pa.array(active, pa.string())}))
        cached: dict[tuple[str, tuple[str, ...], int | None], pd.DataFrame] = {}
        for f in functions:
            progress(position / panel.grid.n, f"{f.name}: date {position + 1} of {panel.grid.n}")
            rows = {}
            for name, names in f.reads.items():
                key = name, names, f.days if current_tables()[name].event else None
                if key not in cached:
                    cached[key] = _rows_known(signals, f, *key, as_of)
                # A function may change its rows.
                rows[name] = cached[key].copy()
            if any(len(frame) for frame in rows.values()):
                columns[f.column][cells] = _values(f, rows, as_of, active)
    return columns


def _rows_known(
    signals: OpenSignals, f: FeatureFunction, name: str, names: tuple[str, ...], days: int | None, as_of: datetime
) -> pd.DataFrame:
    """Return the rows of a table that were known before ``as_of``, sorted so that their order is always the same."""
    end = as_of.astimezone(UTC).replace(tzinfo=None)
    window = {"_as_of": [end], "_since": [end - DAY * (days or 0)]}
    instants = pa.schema([("_as_of", pa.timestamp("us")), ("_since", pa.timestamp("us"))])
    create_table(signals.connection, WINDOW.get_name(), pa.table(window, schema=instants))
    feed = signals.feeds.get(name)
    extras = -1 if feed is None else len(feed.extras)
    table = collect(signals.connection, _known_rows, name, names, days is not None, extras)
    if len(table) > MAX_ROWS:
        raise FeatureError(
            f.name,
            f"{f.file}: feature {f.name}: more than {MAX_ROWS:,} rows of {name} in {days} days",
            "fewer rows for each date",
            "read fewer days, or measure the table in place of a function",
        )
    contract = current_tables()[name]
    values = {"account_id": table["account_id"].to_pandas().astype("str")}
    for column in names:
        series = table[column].to_pandas()
        match contract[column].kind:
            case "instant":
                values[column] = series.astype("datetime64[us]").dt.tz_localize("UTC")
            case "string":
                values[column] = series.astype("str")
            case "bool":
                values[column] = series.astype("boolean")
            case _:
                values[column] = series.astype("float64")
    return pd.DataFrame(values)


def _known_rows(name: str, names: tuple[str, ...], windowed: bool, extras: int) -> ibis.Table:
    """Return the rows known before the date; ``extras`` is the number of other columns of a feed, -1 if copied."""
    contract, table = current_tables()[name], contract_table(name)
    if extras > 0:
        more = {f"{EXTRA_PREFIX}{i}": "string" for i in range(extras)}
        table = ibis.table(dict(table.schema()) | more, name=table.get_name())
    rows = table.semi_join(ACCOUNTS, "account_id").cross_join(WINDOW)
    if contract.event:
        rows = rows.filter(known_before(rows, rows["_as_of"]))
    elif name != "accounts":
        # Attributes of accounts have no date.
        rows = rows.filter(rows[contract.at] < rows["_as_of"])
    if windowed:
        rows = rows.filter(rows[contract.at] >= rows["_since"])
    if extras >= 0:
        # A feed may contain an event several times.
        others = [c for c in table.columns if c not in ("known_at", "until_at")]
        rows = rows.select(*others, "_as_of").distinct()
    values = {"account_id": rows.account_id}
    for column in names:
        values[column] = rows[column]
        if contract[column].known_from is not None:
            filled = known_at_column(contract[column])
            instant = rows[filled if filled in rows.columns else contract[column].known_from]
            values[column] = ibis.ifelse(instant < rows["_as_of"], rows[column], None)
    selected = rows.select(**values)
    order = ["account_id", *sorted(names, key=lambda c: c != contract.at)]
    return selected.order_by(order).limit(MAX_ROWS + 1)


def _values(
    f: FeatureFunction, rows: dict[str, pd.DataFrame], as_of: datetime, active: npt.NDArray[np.object_]
) -> Floats:
    """Call the function, and return its value for each of the ``active`` accounts."""
    place = f"{f.file}: feature {f.name}"
    try:
        # What it prints must not become part of a command's output.
        with _CALLS, redirect_stdout(sys.stderr):
            result = f.call(rows, pd.Timestamp(as_of))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 a function may raise anything
        code = getattr(f.call, "__code__", None)
        where = error_place(error, Path(code.co_filename if code is not None else f.file))
        cure = "correct the function; a table may have few rows or none"
        raise FeatureError(f.name, f"{place}: {where}, as of {to_iso(as_of)}", _EXPECTED, cure) from None
    if problem := next(_problems(result, active), ""):
        found = f"{place}: returned {problem}, as of {to_iso(as_of)}"
        raise FeatureError(f.name, found, _EXPECTED, "correct the function")
    numbers = pd.Series(result.to_numpy(dtype=np.float64, na_value=np.nan), index=result.index.to_numpy(dtype=object))
    values: Floats = numbers.reindex(active).to_numpy(dtype=np.float64)
    return values


def _problems(result: object, active: npt.NDArray[np.object_]) -> Iterator[str]:
    """Yield what is wrong with the result of a function. Later problems assume that there are no earlier ones."""
    if not isinstance(result, pd.Series):
        yield f"a {type(result).__name__}"
        return
    if not pd.api.types.is_numeric_dtype(result.dtype) or pd.api.types.is_complex_dtype(result.dtype):
        yield f"values of type {result.dtype}"
        return
    if isinstance(result.index, pd.MultiIndex):
        yield f"an index with {result.index.nlevels} levels"
        return
    if not result.index.isin(active).all():
        yield "an index with something else than the account_id of the rows"
    if result.index.has_duplicates:
        yield "an account more than once"
    if np.isinf(result.to_numpy(dtype=np.float64, na_value=np.nan)).any():
        yield "an infinite value"
