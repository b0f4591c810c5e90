"""The data about one account that its reports use, and how to read it from a published snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pandas as pd

from features.definitions.feature import Feature
from features.utils.dates import to_iso
from features.utils.periods import Period
from models.explain.reason_text import value_words
from models.peer_groups.peers import Peers
from models.peer_groups.segments import MINIMUM_COMPARABLE, WHOLE_PORTFOLIO
from models.predictions.columns import number_or_null
from models.predictions.payload import account_row
from models.rules.business_reviews import business_reviews_file
from serving.snapshots.report_tables import read_report_rows
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar

FactRow = Mapping[str, Any]
TENURE = "contract.tenure_days"
"""The feature with the time since the account became a customer."""


@dataclass(frozen=True)
class AccountFacts:
    """The data about one account at ``as_of``.

    Parameters
    ----------
    prediction : its prediction (`models.predictions.payload.account_answer`).
    values : its features by name; None is unknown. ``before`` are those of the first of the ``weeks``, if stored.
    weeks : its rows of the weeks before and of ``as_of``, oldest first, with the columns that were stored.
    contract : its contract details; None if they were not stored.
    arr_movements : how its ARR changed over the period; None if unknown.
    rows : the rows of `serving.snapshots.report_tables.REPORT_TABLES` of the last year by table, oldest first; None if
        they were not stored. A table that the source lacks is missing.
    one_date : whether the source is one picture of the accounts, such as a spreadsheet, without any history.
    tables : the tables that the source has; None if unknown.
    benchmarks : by feature, the median of comparable accounts.
    start : where the period of the report begins.
    """

    account_id: str
    as_of: datetime
    data_through: datetime
    prediction: dict[str, Any]
    values: FactRow
    weeks: tuple[FactRow, ...]
    contract: FactRow | None
    arr_movements: FactRow | None
    rows: Mapping[str, list[dict[str, Any]]] | None
    catalogue: Mapping[str, Feature]
    one_date: bool = False
    tables: frozenset[str] | None = None
    benchmarks: Mapping[str, float] = field(default_factory=dict)
    start: datetime | None = None

    @property
    def before(self) -> FactRow:
        """The features of the first stored week."""
        return self.weeks[0] if len(self.weeks) > 1 else {}

    def figure(self, feature: str, label: str = "") -> dict[str, Any]:
        """Return a feature as a report figure.

        Parameters
        ----------
        feature : the name of the feature.
        label : by default the description of the feature.

        Returns
        -------
        dict for JSON
            label, value, unit, words, and then (its value in the first week).
        """
        about = self.catalogue[feature]
        value, then = self.values.get(feature), self.before.get(feature)
        return {
            "label": label or about.words,
            "value": value,
            "unit": about.unit,
            "words": value_words(value, about.unit, about.words),
            "then": then,
            "then_words": None if then is None else value_words(then, about.unit, about.words),
            "feature": feature,
            "internal": False,
        }

    def events(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table in the period of the report, oldest first."""
        begin = "" if self.start is None else to_iso(self.start)
        return [row for row in (self.rows or {}).get(table, ()) if row["occurred_at"] >= begin]

    def has(self, table: str) -> bool:
        """Return whether a table has data: rows, or a known feature computed from it."""
        if self.tables is not None and table in self.tables:
            return True
        return any(self._value(f) for f in self.catalogue.values() if f.table == table)

    def _value(self, feature: Feature) -> bool:
        return self.values.get(feature.name) is not None


def published_account_facts(scored: ScoredSnapshot, account_id: str, period: Period) -> AccountFacts:
    """Read the facts from a published snapshot.

    A snapshot of an earlier release has no rows of tables, and of the weeks before only the health scores in the
    prediction.

    Parameters
    ----------
    scored : the snapshot.
    account_id : the account.
    period : the period of the report: the quarter of the snapshot, or the year that ends with it.

    Raises
    ------
    UnknownAccount : the snapshot does not contain it.
    HomeError : a file of the snapshot is broken.
    """
    prediction = scored.answer(account_id)
    frame = scored.assessment.frame
    now = plain_row(frame.iloc[account_row(scored.assessment, account_id)].to_dict())
    accounts = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS)
    contract = None if accounts is None else accounts["accounts"].get(account_id)
    stored = read_report_rows(scored.snapshots, scored.as_of, account_id)
    metrics = [metric.feature for metric in business_reviews_file().metrics]
    peers: Peers = scored.cache.get(f"report_peers {metrics}", lambda: Peers.of(frame, metrics))
    facts = AccountFacts(
        account_id,
        scored.as_of,
        scored.data_through,
        prediction,
        now,
        (now,),
        contract,
        None,
        None,
        scored.catalogue,
        benchmarks=medians_of_peers(peers, prediction["segment"]),
        start=period.start,
    )
    if stored is None:
        return facts
    return replace(
        facts,
        weeks=(*stored.weeks, now),
        contract=dated_contract(contract, stored.one_date, now),
        arr_movements=stored.movements.get("year" if period.name == "year" else "quarter"),
        rows=stored.events,
        one_date=stored.one_date,
        tables=stored.tables,
    )


def medians_of_peers(peers: Peers, segment: str | None) -> dict[str, float]:
    """Return the medians of comparable accounts by feature, of those that enough accounts have to tell nothing about
    any of them."""
    spreads = {name: peers.spread(name, segment) for name in peers.spreads[WHOLE_PORTFOLIO]}
    return {name: s.median for name, s in spreads.items() if s is not None and s.known >= MINIMUM_COMPARABLE}


def dated_contract(contract: FactRow | None, one_date: bool, values: FactRow) -> FactRow | None:
    """Return the contract details without the date at which a source of one date first saw the account."""
    if contract is not None and one_date and values.get(TENURE) is None:
        # The table of accounts needs a date; this one only says when the account was first seen.
        return {**contract, "created_at": None, "since": None}
    return contract


def plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Convert a snapshot row to plain data: None for unknown, as_of as text."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if name == "as_of":
            plain["as_of"] = to_iso(pd.Timestamp(value).to_pydatetime())
        else:
            plain[str(name)] = (
                value if isinstance(value, str) else None if pd.isna(value) else number_or_null(float(value))
            )
    return plain
