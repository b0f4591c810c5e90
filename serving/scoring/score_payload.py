"""Scoring of one account from the signals in a request."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from features.contract.current_contract import current_tables
from features.contract.schema import ID_COLUMNS, TABLES, Column
from features.contract.settings import subscription_settings
from features.custom.current_catalogue import current_catalogue
from features.errors import SignalsError
from features.families.peers import FEATURES as PEER_FEATURES
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.snapshots.snapshot import computable
from features.sources.base import Source, from_tables
from features.sources.memory.columns import UnsupportedError
from features.sources.memory.engine import MemoryEngine
from models.artifacts.champion import Champion
from models.peer_groups.rule_files import read_rules
from models.predictions.payload import account_answer
from models.predictions.target_predictions import OUT_OF_SCOPE
from models.rules.plays import CSM, PlaysFile
from serving.common.errors import Fault, InvalidBody, TooSlow
from serving.schemas.signal_rows import SignalRow, printable_names
from serving.scoring.score_portfolio import score_weeks
from serving.snapshots.published_peer_totals import read_peer_totals

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

    from serving.schemas.predictions import PredictionRequest
    from serving.snapshots.live_state import LiveState

ORIGIN = "the body"
OTHER_FIELDS = "fields that are not in the contract"
"""The column for the fields of a row that are not part of the contract."""

_ARROW = {
    "string": pa.string(),
    "instant": pa.timestamp("us"),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
}


class SignalsScorer:
    """The scoring of one account from a request with signals.

    The signals count as complete up to ``as_of``: a table in the request is known, all others are unknown. What the
    source of the portfolio cannot record (`LiveState.records`) is unknown here too, not zero. Feeds are never stale,
    because the events of one account say nothing about a feed. The account is compared with the peers of the latest
    snapshot, which also gives the churn rates of these peers. It has no percentile. Executives act if its ARR at risk
    is at least that of the last account in the latest snapshot for which they have capacity. Without a snapshot the CSM
    acts, and there is a warning.

    Parameters
    ----------
    body : a request with signals and as_of.
    state : the champion to score with, and the portfolio to compare the account with.
    rows_limit : the maximum number of rows in all tables together.
    """

    def __init__(self, body: PredictionRequest, state: LiveState, *, rows_limit: int) -> None:
        assert body.as_of is not None
        assert body.signals is not None
        self._body, self._as_of, self._state, self._rows_limit = body, body.as_of, state, rows_limit
        self._tables: dict[str, Sequence[SignalRow]] = {
            name: rows for name in current_tables() if (rows := body.signals.rows(name)) is not None
        }
        self._interrupted = threading.Event()
        self._connection: Backend | None = None

    @property
    def rows(self) -> int:
        """The number of rows of the signals in all tables together."""
        return sum(map(len, self._tables.values()))

    def interrupt(self) -> None:
        """Interrupt the scoring, from another thread."""
        self._interrupted.set()
        if (connection := self._connection) is not None:
            with suppress(duckdb.Error):
                connection.con.interrupt()

    def __call__(self) -> dict[str, Any]:
        """Score the account and return the answer of `models.predictions.payload.account_answer`.

        Raises
        ------
        NotReady : there is no champion.
        InvalidBody : the signals break the contract, or there are too many rows.
        TooSlow : `interrupt` was called.
        """
        champion = self._state.scorer()
        self._refuse_unusable()
        account_id = self._body.account_id
        tables = {name: _arrow(name, rows, account_id) for name, rows in self._tables.items()}
        try:
            return self._scored(self._source(tables, MemoryEngine()), champion)
        except (UnsupportedError, SignalsError):
            # The database computes everything, and finds the places of errors.
            return self._scored_by_database(tables, champion)

    def _source(self, tables: dict[str, pa.Table], connection: MemoryEngine | None = None) -> Source:
        source = from_tables(tables, ORIGIN, connection=connection)
        records = self._state.records.items()
        return replace(source, records={t: {c: frozenset(v) for c, v in of.items()} for t, of in records})

    def _scored_by_database(self, tables: dict[str, pa.Table], champion: Champion) -> dict[str, Any]:
        source = self._source(tables)
        self._connection = source.connection
        try:
            return self._scored(source, champion)
        except SignalsError as error:
            raise self._with_pointers(source, error) from None
        except duckdb.InterruptException:
            raise _too_slow() from None
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            # The engine's message would reveal the number.
            raise InvalidBody("a number in the signals is too large to compute with", [], "smaller numbers") from None
        finally:
            self._connection = None
            source.connection.disconnect()

    def _scored(self, source: Source, champion: Champion) -> dict[str, Any]:
        signals = read_signals(source, self._as_of, self._body.history_from, self._check_interrupt)
        catalogue = current_catalogue()
        kinds = {b.manifest.portfolio.kind for b in champion.bundles.values() if b.manifest.portfolio}
        other_kind = bool(kinds) and ("contractual" if signals.contractual else "orders") not in kinds
        unknown = {f.name for f in catalogue.values()} - {f.name for f in computable(signals, catalogue)}
        latest = self._state.latest
        # Only the portfolio knows the rates of an account's peers.
        totals = None if latest is None else read_peer_totals(latest)
        if totals is None:
            unknown |= {f.name for f in PEER_FEATURES}
        playbook = None if latest is None else latest.assessment.rule_results.playbook
        scored = score_weeks(
            signals,
            self._as_of,
            champion,
            catalogue,
            inactive=self._body.account_id,
            progress=self._check_interrupt,
            peers=self._state.peers,
            peer_totals=totals,
            withheld=OUT_OF_SCOPE if other_kind else None,
            executives_from=None if playbook is None else playbook.executives_from,
            assignments=None if playbook is None else playbook.assignments,
            is_unknown=unknown.__contains__,
        )
        assessment, warnings = scored.assessment, self._warnings()
        if not scored.active:
            warnings = [
                {"code": "not_active", "table": "subscriptions" if signals.contractual else "orders"},
                *warnings,
            ]
        else:
            results = assessment.rule_results
            executives = read_rules("plays", PlaysFile).executives
            if (
                latest is None
                and executives.act_for(results.segments[0])
                and any(p.severity == "high" and p.who == CSM for p in results.plays_of(0))
            ):
                # Executives have capacity for few accounts, and without a portfolio this account cannot be ranked.
                warnings = [{"code": "executives_room_not_known"}, *warnings]
            if other_kind:
                # Portfolios with contracts and those with orders need different models.
                warnings = [{"code": "another_kind_of_business", "kind": sorted(kinds)[0]}, *warnings]
        answer = account_answer(
            assessment, self._body.account_id, scored_at=datetime.now(UTC), data_through=self._as_of
        )
        answer["warnings"] += warnings
        return answer

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
            if current_tables()[name].of_accounts
            for i, row in enumerate(rows_of_table)
            if getattr(row, "account_id") not in (None, self._body.account_id)  # noqa: B009 its model is created at run time
        ]
        if "fx_rates" not in self._tables and not subscription_settings().currency:
            # One currency of one account does not show what the portfolio is in.
            faults += [
                Fault(f"/signals/subscriptions/{i}/currency", "no_rate", "fx_rates are needed, or no currency")
                for i, row in enumerate(self._tables.get("subscriptions", ()))
                if getattr(row, "currency")  # noqa: B009
            ]
        if not {"subscriptions", "orders"} & set(self._tables):
            faults.append(Fault("/signals", "missing", "subscriptions or orders are needed"))
        if getattr(self._tables["accounts"][0], "created_at") >= self._as_of:  # noqa: B009
            faults.append(Fault("/signals/accounts/0/created_at", "not_before_as_of", "should be before as_of"))
        if faults:
            raise InvalidBody("the signals cannot be used", faults)

    def _with_pointers(self, source: Source, error: SignalsError) -> InvalidBody:
        """Return the error with JSON pointers to the rows that break the contract."""
        faults = [
            Fault(
                f"/signals/{violation.table}/{position - 1}/{violation.column}",
                "breaks_contract",
                f"{violation.problem}; expected {violation.expected}",
            )
            for violation in check_source(source, self._as_of).errors
            for position in violation.positions
        ]
        return InvalidBody("the signals violate the data contract", faults, error.expected)

    def _warnings(self) -> list[dict[str, Any]]:
        warnings: list[dict[str, Any]] = []
        for name, rows in self._tables.items():
            if ignored := sorted(set().union(*(row.ignored for row in rows))):
                fields = printable_names(ignored)
                warnings.append({"code": "ignored_fields", "table": name, "fields": fields, "count": len(ignored)})
        if self._body.history_from is None:
            warnings.append({"code": "history_from_not_given"})
        return warnings

    def _check_interrupt(self, _share: float, _what: str) -> None:
        if self._interrupted.is_set():
            raise _too_slow()


def _too_slow() -> TooSlow:
    return TooSlow("the signals took too long to process", cure="send fewer rows, or try again later")


def _arrow(name: str, rows: Sequence[SignalRow], account_id: str) -> pa.Table:
    """Return the rows with all columns of the contract, so that every request is processed by the same query.

    Ids that only distinguish rows are left out if the request has none, because they need further steps.
    """
    contract = current_tables()[name]
    ids = ID_COLUMNS if name in TABLES else (contract.identity,)
    columns = [c for c in contract.columns if c.name not in ids or any(getattr(r, c.name) for r in rows)]
    table = pa.table({column.name: _column(column, rows, account_id) for column in columns})
    if contract.event and any(row.ignored for row in rows):
        # Rows that differ in a field outside the contract are different events.
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
