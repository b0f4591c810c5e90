"""The part of the public Python API that reads signals: sources, snapshots and the feature catalogue.

`renewcast` exports it. Users import it from there.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from itertools import pairwise
from typing import Any, NoReturn, TypeAlias

import numpy as np
import pandas as pd

from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest
from features.signals.signals import OpenSignals
from features.signals.signals import open_signals as read
from features.snapshots.snapshot import snapshot as build
from features.sources.base import DUCKDB
from features.sources.file_stamp import file_stamp
from features.utils.dates import DAY, Grid, parse_cutoff, to_iso
from features.utils.open_questions import uncertainty

Instant: TypeAlias = str | date | datetime | np.datetime64
"""A date or an instant. Text is ISO 8601; without a time zone it is UTC; a date is its midnight."""
Address: TypeAlias = str | os.PathLike[str]
"""A folder, a pattern of files, a database or object store address, or a TOML mapping file."""


def to_instant(value: Instant) -> datetime:
    """The UTC instant that ``value`` names.

    Raises
    ------
    RenewcastError
        If it is missing, is not a date, or is text that is not ISO 8601.
    """
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if not isinstance(value, (str, date)) or pd.isna(value):
        raise BadRequest(
            f"a date of type {type(value).__name__}",
            "ISO 8601 text, datetime.date, datetime.datetime or pandas.Timestamp",
        )
    instant = parse_cutoff(value)
    return instant.to_pydatetime(warn=False) if isinstance(instant, pd.Timestamp) else instant


class Signals:
    """An open signals source. `open_signals` returns it.

    It holds the checked tables in memory until it is closed. Use it in a ``with`` statement, or call `close`.

    Several threads may use it; their calls run one after another. It cannot be pickled or copied, or used in a process
    that was forked after it was opened: open the source again there. If a file of the source changes while it is open,
    the next call raises an error, so that results never mix old and new rows.

    Attributes
    ----------
    data_through : datetime
        The source is complete up to this instant (UTC). Nothing at or after it is read.
    origin : str
        The address of the source, without a password.
    rows : dict of str to int
        The number of rows of each table, each event counted once. Large tables that are read in place are left out.
    notes : tuple of str
        What was skipped when the source was read.
    open_questions : tuple of str
        What a mapping has not answered. Until it is, figures are uncertain.
    """

    def __init__(self, address: Address, data_through: datetime | None, engine: str) -> None:
        self.address, self.engine, self.cutoff = os.fspath(address), engine, data_through
        # The engine's connection has state, such as temporary views, that calls change.
        self._lock, self._process = threading.RLock(), os.getpid()
        self._stamp = file_stamp(self.address)
        self._opened: OpenSignals = read(self.address, data_through, engine=engine)
        self._closed = False

    @property
    def opened(self) -> OpenSignals:
        """The tables. Within one thread at a time; see `exclusive`.

        Raises
        ------
        BadRequest
            As `exclusive` says.
        """
        with self.exclusive() as opened:
            return opened

    @contextmanager
    def exclusive(self) -> Iterator[OpenSignals]:
        """The tables, for this thread alone while the block runs.

        Raises
        ------
        BadRequest
            If the source was closed, a file of it has changed, or this is another process.
        """
        if os.getpid() != self._process:
            # The lock may be held by a thread that does not exist in this process.
            raise BadRequest(
                f"the signals {self.origin} were opened in another process",
                "signals that this process opened",
                "open them in each process: renewcast.open_signals(address)",
            )
        with self._lock:
            if self._closed:
                raise BadRequest(
                    f"the signals {self.origin} are closed",
                    "an open source",
                    "use them before close, or open them again",
                )
            if file_stamp(self.address) != self._stamp:
                raise BadRequest(
                    f"files of the signals {self.origin} have changed since they were opened",
                    "files that do not change while they are open",
                    "close the signals and open them again",
                )
            yield self._opened

    @property
    def data_through(self) -> datetime:
        """The source is complete up to this instant (UTC)."""
        return self._opened.data_through

    @property
    def origin(self) -> str:
        """The address of the source, without a password."""
        return self._opened.origin

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each table, each event counted once."""
        return self.opened.rows

    @property
    def notes(self) -> tuple[str, ...]:
        """What was skipped when the source was read."""
        return self._opened.notes

    @property
    def open_questions(self) -> tuple[str, ...]:
        """What a mapping has not answered. Until it is, figures are uncertain."""
        return self._opened.open_questions

    def close(self) -> None:
        """Release the memory that the tables use. Closing twice has no effect."""
        if os.getpid() != self._process:
            return
        with self._lock:
            if not self._closed:
                self._closed = True
                self._opened.close()

    def __enter__(self) -> Signals:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise BadRequest(
            f"the signals {self.origin} cannot be pickled or copied, because they are an open connection",
            "an address, or a DataFrame",
            "pass the address, and open it in each process: renewcast.open_signals(address)",
        )

    def __repr__(self) -> str:
        return f"<Signals {self.origin!r}, data through {to_iso(self.data_through)}>"

    @contextmanager
    def known_before(self, as_of: datetime) -> Iterator[OpenSignals]:
        """The tables, read at least up to ``as_of``.

        Without a ``data_through`` of the user's, a later date is read from the source again: rows between the end of
        the data and that date count, as they do in ``renewcast score --as-of``.

        Raises
        ------
        BadRequest
            If ``as_of`` is after the ``data_through`` that the user gave, or as `exclusive` says.
        """
        with self.exclusive() as opened:
            if as_of <= self.data_through:
                yield opened
                return
            if self.cutoff is not None:
                raise BadRequest(
                    f"as_of {to_iso(as_of)} is after data_through {to_iso(self.cutoff)}",
                    "a date up to data_through",
                    "open the signals with a later data_through, or without one",
                )
            later = read(self.address, as_of, engine=self.engine)
            try:
                yield later
            finally:
                later.close()


def open_signals(source: Address, *, data_through: Instant | None = None, engine: str = DUCKDB) -> Signals:
    """Open and validate a signals source.

    Parameters
    ----------
    source : str or path-like
        A folder of Parquet, CSV or JSON files, a pattern of files, a database address (``duckdb:///FILE``,
        ``sqlite:///FILE``, ``postgresql://USER:PASSWORD@HOST/DATABASE``), an object store address
        (``s3://BUCKET/PREFIX``, ``gs://BUCKET/PREFIX``) or a TOML mapping file.
    data_through : str, date, datetime or pandas.Timestamp, optional
        Nothing at or after this instant (UTC) is read. By default, the source counts as complete through its newest
        event.
    engine : str, default "duckdb"
        ``"duckdb"``; for folders also ``"spark"`` or ``"spark://HOST:PORT"``.

    Returns
    -------
    Signals
        The open source. Close it when it is no longer needed, or use a ``with`` statement.

    Raises
    ------
    RenewcastError
        If the source cannot be read or breaks the data contract. The message names table, column and row positions,
        never a value. `check` lists every problem without raising.

    Warns
    -----
    UserWarning
        If figures are uncertain, because the mapping has open questions.

    Examples
    --------
    >>> import renewcast
    >>> with renewcast.open_signals("signals", data_through="2026-09-30") as signals:
    ...     signals.data_through.isoformat(), signals.rows["accounts"]
    ('2026-09-30T00:00:00+00:00', 30)
    """
    signals = Signals(source, None if data_through is None else to_instant(data_through), engine)
    if (uncertain := uncertainty(signals.open_questions)) is not None:
        warnings.warn(uncertain, stacklevel=2)
    return signals


def snapshot(signals: Signals, as_of: Instant | Iterable[Instant], *, horizon_days: int = 90) -> pd.DataFrame:
    """Compute the features of every active account, as of one date or several.

    A row of the signals counts only if it had happened and arrived before ``as_of``.

    Parameters
    ----------
    signals : Signals
        The open source.
    as_of : date or iterable of dates
        ISO 8601 text, date, datetime or pandas.Timestamp, in UTC; or several of them, such as a
        `pandas.DatetimeIndex`. Dates at equal steps of whole days are computed together and much faster.
    horizon_days : int, default 90
        In a business without subscriptions, an account is active if it ordered within this number of days before
        ``as_of``.

    Returns
    -------
    pandas.DataFrame
        One row per active account and date, sorted by ``as_of`` and ``account_id``. Columns: ``account_id`` (str),
        ``as_of`` (datetime64[us, UTC]), then the features in the order of `features`. Numbers are float64 and NaN where
        unknown, never zero; categories are str and None where unknown. `features` gives the unit of each.

    Raises
    ------
    RenewcastError
        If no date is given, one is after a ``data_through`` that was passed to `open_signals`, or ``signals`` is
        closed.

    Examples
    --------
    >>> import pandas as pd
    >>> import renewcast
    >>> signals = renewcast.open_signals("signals")
    >>> now = renewcast.snapshot(signals, "2026-09-30")
    >>> now["contract.arr"].dtype
    dtype('float64')
    >>> months = renewcast.snapshot(signals, pd.date_range("2026-07-01", periods=3, freq="28D"))
    >>> [str(date.date()) for date in months["as_of"].unique()]
    ['2026-07-01', '2026-07-29', '2026-08-26']
    >>> signals.close()
    """
    single = isinstance(as_of, (str, date, np.datetime64)) or not isinstance(as_of, Iterable)
    given: Iterable[Any] = [as_of] if single else as_of  # type: ignore[assignment]
    dates = sorted({to_instant(each) for each in given})
    if not dates:
        raise BadRequest("no date was given", "at least one as_of")
    with signals.known_before(dates[-1]) as known:
        catalogue = current_catalogue()
        frames = [build(known, grid, horizon_days=horizon_days, catalogue=catalogue) for grid in _grids(dates)]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _grids(dates: list[datetime]) -> list[Grid]:
    """One grid if the dates are equally spaced by whole days, otherwise one for each date."""
    steps = {later - earlier for earlier, later in pairwise(dates)}
    if len(steps) == 1:
        (step,) = steps
        if step % DAY == 0 * DAY:
            return [Grid(dates[0], step // DAY, len(dates))]
    return [Grid.single(each) for each in dates]


def features() -> pd.DataFrame:
    """List the feature catalogue, in the order of a snapshot's columns.

    It includes the features of the file that the environment variable RENEWCAST_FEATURES names, which is read once per
    process.

    Returns
    -------
    pandas.DataFrame
        One row per feature: ``name``; ``table`` of the data contract that it is computed from; ``dimension`` and
        ``concept`` that group features of one meaning; ``kind`` ("number" or "category"); ``unit``; ``direction`` and
        ``expansion_direction`` (what a higher value usually means for churn and for expansion); ``monotone`` (whether
        the model is held to that); and ``words``, the feature in plain words. A direction is missing where it is not
        clear.

    Raises
    ------
    RenewcastError
        If the file of custom features cannot be read or breaks a rule.

    Examples
    --------
    >>> import renewcast
    >>> catalogue = renewcast.features().set_index("name")
    >>> catalogue.loc["usage.active_users_28d", ["table", "kind", "unit"]].tolist()
    ['usage', 'number', 'users']
    """
    return pd.DataFrame(current_catalogue().dictionary())
