"""Scoring one account from the signals that its caller sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from features.contract.schema import ID_COLUMNS, TABLES, Column
from features.custom.current_catalogue import current_catalogue
from features.errors import SignalsError
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.snapshots.snapshot import computable
from features.sources.base import Source, from_tables
from models.artifacts.champion import Champion
from models.predictions.payload import account_answer
from models.predictions.target_predictions import OUT_OF_SCOPE
from models.rules.plays import CSM
from serving.common.errors import Fault, InvalidBody, TooSlow
from serving.schemas.signal_rows import SignalRow, printable_names
from serving.scoring.score_portfolio import score_weeks

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

    from serving.schemas.predictions import PredictionRequest
    from serving.snapshots.live_state import LiveState

ORIGIN = "the body"
OTHER_FIELDS = "fields outside the contract"
"""The column that holds the fields of a row which the contract does not have."""

_ARROW = {
    "string": pa.string(),
    "instant": pa.timestamp("us"),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
}


class SignalsScorer:
    """One account, to be scored from a body with signals.

    The body counts as complete up to its ``as_of``: a table that it holds is known, one that it does not hold is not.
    Feeds are not judged stale, since one account's silence says nothing of a feed. The account is compared with
    the peers of what stands, and has no percentile, being no portfolio. Executives act where its ARR at risk is at
    least that of the last account of the latest snapshot that they have room for; without a snapshot the CSM acts, and
    a warning says so.

    Parameters
    ----------
    asked : with signals and as_of.
    state : the champion that scores, and the portfolio to compare the account with.
    rows_limit : more rows than this, over all tables, are refused.
    """

    def __init__(self, asked: PredictionRequest, state: LiveState, *, rows_limit: int) -> None:
        assert asked.as_of is not None
        assert asked.signals is not None
        self._asked, self._as_of, self._state, self._rows_limit = asked, asked.as_of, state, rows_limit
        self._tables: dict[str, Sequence[SignalRow]] = {
            name: rows for name in TABLES if (rows := asked.signals.rows(name)) is not None
        }
        self._interrupted = threading.Event()
        self._connection: Backend | None = None

    @property
    def rows(self) -> int:
        """The rows of the signals, over all tables."""
        return sum(map(len, self._tables.values()))

    def interrupt(self) -> None:
        """End the work soon, from another thread."""
        self._interrupted.set()
        if (connection := self._connection) is not None:
            with suppress(duckdb.Error):
                connection.con.interrupt()

    def __call__(self) -> dict[str, Any]:
        """The answer, as `models.predictions.payload.account_answer` makes it.

        Raises
        ------
        NotReady : there is nothing to score with.
        InvalidBody : the signals break the contract, or are too many.
        TooSlow : `interrupt` was called.
        """
        champion = self._state.scorer()
        self._refuse_unusable()
        account_id = self._asked.account_id
        source = from_tables({name: _arrow(name, rows, account_id) for name, rows in self._tables.items()}, ORIGIN)
        self._connection = source.connection
        try:
            return self._scored(source, champion)
        except duckdb.InterruptException:
            raise _too_slow() from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            # The engine's message repeats the number.
            raise InvalidBody("a number in the signals is too large to count with", [], "smaller numbers") from None
        finally:
            self._connection = None
            source.connection.disconnect()

    def _scored(self, source: Source, champion: Champion) -> dict[str, Any]:
        try:
            signals = read_signals(source, self._as_of, self._asked.history_from, self._go_on)
        except SignalsError as error:
            raise self._at_their_places(source, error) from None
        catalogue = current_catalogue()
        kinds = {b.manifest.portfolio.kind for b in champion.bundles.values() if b.manifest.portfolio}
        foreign = bool(kinds) and ("contractual" if signals.contractual else "orders") not in kinds
        lacking = {f.name for f in catalogue.values()} - {f.name for f in computable(signals, catalogue)}
        latest = self._state.latest
        book = None if latest is None else latest.assessment.judged.playbook
        scored = score_weeks(
            signals,
            self._as_of,
            champion,
            catalogue,
            inactive=self._asked.account_id,
            progress=self._go_on,
            peers=self._state.peers,
            withheld=OUT_OF_SCOPE if foreign else None,
            executives_from=None if book is None else book.executives_from,
            assignments=None if book is None else book.assignments,
            is_unknown=lacking.__contains__,
        )
        assessment, warnings = scored.assessment, self._warnings()
        if not scored.active:
            warnings = [
                {"code": "not_active", "table": "subscriptions" if signals.contractual else "orders"},
                *warnings,
            ]
        else:
            if latest is None and any(p.severity == "high" and p.who == CSM for p in assessment.judged.plays_of(0)):
                # Executives have room for few accounts, and there is no portfolio to rank this one in.
                warnings = [{"code": "executives_room_not_known"}, *warnings]
            if foreign:
                # Contracts and orders are judged by different models.
                warnings = [{"code": "another_kind_of_business", "kind": sorted(kinds)[0]}, *warnings]
        told = account_answer(assessment, self._asked.account_id, scored_at=datetime.now(UTC), data_through=self._as_of)
        told["warnings"] += warnings
        return told

    def _refuse_unusable(self) -> None:
        if self.rows > self._rows_limit:
            limit = f"at most {self._rows_limit} rows"
            raise InvalidBody(
                f"the signals hold {self.rows} rows",
                [Fault("/signals", "too_many_rows", limit)],
                limit,
                "send fewer rows",
            )
        faults = [
            Fault(f"/signals/{name}/{i}/account_id", "another_account", "should be the body's account_id, or left out")
            for name, rows_of_table in self._tables.items()
            for i, row in enumerate(rows_of_table)
            if getattr(row, "account_id") not in (None, self._asked.account_id)  # noqa: B009 its model is made at run time
        ]
        if not {"subscriptions", "orders"} & set(self._tables):
            faults.append(Fault("/signals", "missing", "subscriptions or orders are needed"))
        if getattr(self._tables["accounts"][0], "created_at") >= self._as_of:  # noqa: B009
            faults.append(Fault("/signals/accounts/0/created_at", "not_before_as_of", "it should be before as_of"))
        if faults:
            raise InvalidBody("the signals cannot be used", faults)

    def _at_their_places(self, source: Source, error: SignalsError) -> InvalidBody:
        """A break of the contract with pointers to the rows that break it."""
        faults = [
            Fault(
                f"/signals/{found.table}/{place - 1}/{found.column}",
                "breaks_contract",
                f"{found.problem}; expected {found.expected}",
            )
            for found in check_source(source, self._as_of).errors
            for place in found.positions
        ]
        return InvalidBody("the signals break the data contract", faults, error.expected)

    def _warnings(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        for name, rows in self._tables.items():
            if ignored := sorted(set().union(*(row.ignored for row in rows))):
                fields = printable_names(ignored)
                told.append({"code": "ignored_fields", "table": name, "fields": fields, "count": len(ignored)})
        if self._asked.history_from is None:
            told.append({"code": "history_from_not_given"})
        return told

    def _go_on(self, _share: float, _what: str) -> None:
        if self._interrupted.is_set():
            raise _too_slow()


def _too_slow() -> TooSlow:
    return TooSlow("the signals took too long to work through", cure="send fewer rows, or try again later")


def _arrow(name: str, rows: Sequence[SignalRow], account_id: str) -> pa.Table:
    """The rows in all of the contract's columns, whatever was sent, so that one preparation serves every body; ids that
    only tell rows apart just where one was sent, for they take further steps."""
    columns = [c for c in TABLES[name].columns if c.name not in ID_COLUMNS or any(getattr(r, c.name) for r in rows)]
    table = pa.table({column.name: _column(column, rows, account_id) for column in columns})
    if TABLES[name].event and any(row.ignored for row in rows):
        # Rows that differ in a field of their own are different events.
        others = [json.dumps(row.model_extra or {}, sort_keys=True, default=str) for row in rows]
        table = table.append_column(OTHER_FIELDS, pa.array(others, pa.string()))
    return table


def _column(column: Column, rows: Sequence[SignalRow], account_id: str) -> pa.Array:
    values: list[Any] = [getattr(row, column.name) for row in rows]
    if column.name == "account_id":
        values = [account_id] * len(rows)
    elif column.kind == "instant":
        values = [None if value is None else value.replace(tzinfo=None) for value in values]
    return pa.array(values, _ARROW[column.kind])
