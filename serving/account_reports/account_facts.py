"""The data about one account that its reports use, and how to read it from a published snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd

from features.definitions.feature import Feature
from features.utils.dates import to_iso
from models.explain.reason_text import value_words
from models.predictions.columns import number_or_null
from models.predictions.payload import account_row
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar

FactRow = Mapping[str, Any]


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
    rows : its own rows by table; None without signals. A table that the source lacks is missing.
    one_date : whether the source is one picture of the accounts, such as a spreadsheet, without any history.
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
        }

    def has(self, table: str) -> bool:
        """Return whether a table has data: rows, or a known feature computed from it."""
        if self.rows is not None:
            return table in self.rows or any(self._value(f) for f in self.catalogue.values() if f.table == table)
        return any(self._value(f) for f in self.catalogue.values() if f.table == table)

    def _value(self, feature: Feature) -> bool:
        return self.values.get(feature.name) is not None


def published_account_facts(scored: ScoredSnapshot, account_id: str) -> AccountFacts:
    """Read the facts from a published snapshot.

    It has no rows of tables, and of the weeks before only the health scores in the prediction.

    Raises
    ------
    UnknownAccount : the snapshot does not contain it.
    """
    prediction = scored.answer(account_id)
    frame = scored.assessment.frame
    now = plain_row(frame.iloc[account_row(scored.assessment, account_id)].to_dict())
    accounts = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS)
    contract = None if accounts is None else accounts["accounts"].get(account_id)
    return AccountFacts(
        account_id, scored.as_of, scored.data_through, prediction, now, (now,), contract, None, None, scored.catalogue
    )


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
