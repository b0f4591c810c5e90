"""What is known of one account, gathered for a document; here from what was published."""

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
from models.predictions.payload import row_of
from serving.snapshots.scored_snapshot import ScoredSnapshot
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """What is known of one account at ``as_of``.

    Parameters
    ----------
    answer : what is said of it (`models.predictions.payload.answer`).
    values : its features by name; None is unknown. ``before`` are those of the first of the ``weeks``, as far as kept.
    weeks : its rows of the weeks before and of ``as_of``, oldest first, with what was kept of them.
    facts : what the ledger says of its contracts; None where it was not kept.
    moved : how its ARR moved over the period; None where it is not known.
    rows : its own rows by table; None where there are no signals at hand. A table that the source lacks is missing.
    """

    account_id: str
    as_of: datetime
    data_through: datetime
    answer: dict[str, Any]
    values: Row
    weeks: tuple[Row, ...]
    facts: Row | None
    moved: Row | None
    rows: Mapping[str, list[dict[str, Any]]] | None
    catalogue: Mapping[str, Feature]

    @property
    def before(self) -> Row:
        """The features of the first week that is kept."""
        return self.weeks[0] if len(self.weeks) > 1 else {}

    def figure(self, feature: str, label: str = "") -> dict[str, Any]:
        """A feature as a document tells it: label, value, unit, words, and then (the value when the weeks began)."""
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
        """Whether anything of a table is known: its rows, or a feature that rests on it."""
        if self.rows is not None:
            return table in self.rows or any(self._value(f) for f in self.catalogue.values() if f.table == table)
        return any(self._value(f) for f in self.catalogue.values() if f.table == table)

    def _value(self, feature: Feature) -> bool:
        return self.values.get(feature.name) is not None


def known_from_published(scored: ScoredSnapshot, account_id: str) -> Known:
    """What was published: no single rows, and of the weeks before the health scores only, which the answer holds.

    Raises
    ------
    UnknownAccount : the snapshot does not hold it.
    """
    told = scored.answer(account_id)
    frame = scored.assessment.frame
    now = cells_of(frame.iloc[row_of(scored.assessment, account_id)].to_dict())
    kept = read_sidecar(scored.snapshots, scored.as_of, ACCOUNTS)
    fact = None if kept is None else kept["accounts"].get(account_id)
    return Known(account_id, scored.as_of, scored.data_through, told, now, (now,), fact, None, None, scored.catalogue)


def cells_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row of a snapshot as plain data: None for unknown, as_of as text."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if name == "as_of":
            plain["as_of"] = to_iso(pd.Timestamp(value).to_pydatetime())
        else:
            plain[str(name)] = (
                value if isinstance(value, str) else None if pd.isna(value) else number_or_null(float(value))
            )
    return plain
