"""Signals of the health score over the weeks before a snapshot, and the changes within a week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import RenewcastError
from models.health.rubric import HealthScores
from models.predictions.columns import number_or_null
from models.predictions.payload import format_instant
from serving.common.json_logs import error_location, log_event
from serving.snapshots.scored_snapshot import ScoredSnapshot

Floats32 = npt.NDArray[np.float32]
#: Smaller changes of the score (points) are not listed.
MIN_CHANGE = 0.05


@dataclass(frozen=True)
class SignalHistory:
    """Signals of the health score for n accounts at d dates. The last date is that of the snapshot.

    Parameters
    ----------
    dates : ISO dates in order.
    signals : features in the order of the rubric.
    values : in the unit of each signal, NaN if unknown; shape (d, n, signals).
    adds : points that each signal added to the score about a week before, NaN without a score; shape (n, signals).
        None if there is no such date.
    before : the index of that date.
    """

    dates: tuple[str, ...]
    signals: tuple[str, ...]
    values: Floats32
    adds: Floats32 | None
    before: int

    def of(self, row: int) -> list[dict[str, Any]]:
        """Return the values of each signal of one account: ``feature`` and ``values``."""
        return [
            {"feature": name, "values": [number_or_null(float(v)) for v in self.values[:, row, j]]}
            for j, name in enumerate(self.signals)
        ]

    def changes(self, row: int, health: HealthScores) -> list[dict[str, Any]]:
        """Return the signals that changed one account's score within a week, the largest change first.

        All changes add up to the change of the score, apart from rounding.

        Parameters
        ----------
        row : the account's place in the snapshot.
        health : the scores of the snapshot.

        Returns
        -------
        list of dict
            ``feature``, ``before`` and ``now`` in its unit, and ``points`` of the score.
        """
        if self.adds is None:
            return []
        now = _adds(health)[row]
        moved = now - self.adds[row]
        order = np.argsort(-np.abs(np.nan_to_num(moved)), kind="stable")
        before = self.values[self.before, row]
        return [
            {
                "feature": self.signals[j],
                "before": number_or_null(float(before[j])),
                "now": number_or_null(float(self.values[-1, row, j])),
                "points": float(moved[j]),
            }
            for j in order
            if abs(moved[j]) >= MIN_CHANGE
        ]


def read_signal_history(scored: ScoredSnapshot) -> SignalHistory:
    """Return the weeks before ``scored`` that are stored with its snapshot; only its own date if there are none that
    can be read."""
    assessment = scored.assessment
    rubric = assessment.champion.rubric
    signals = tuple(signal.feature for _, signal in rubric.signals)
    past = _past(scored)
    accounts = pd.Index(assessment.account_ids, dtype=object)
    dates: list[str] = []
    values: list[Floats32] = []
    adds: Floats32 | None = None
    before = 0
    for then, rows in _by_date(past):
        # As in `models.rules.evaluate.apply_rules`, an account is compared with all accounts active at that date.
        scores = rubric.score(rows, None)
        rows_of = accounts.get_indexer(pd.Index(rows["account_id"].to_numpy(dtype=object))).astype(np.int64)
        dates.append(format_instant(then.to_pydatetime()))
        values.append(_aligned(scores.values, rows_of, len(accounts)))
        if 6 <= (assessment.as_of - then) / pd.Timedelta(days=1) <= 8:
            before, adds = len(dates) - 1, _aligned(_adds(scores), rows_of, len(accounts))
    dates.append(format_instant(assessment.as_of.to_pydatetime()))
    values.append(assessment.health.values.astype(np.float32))
    return SignalHistory(tuple(dates), signals, np.stack(values), adds, before)


def _past(scored: ScoredSnapshot) -> pd.DataFrame | None:
    try:
        return scored.snapshots.at(scored.as_of).past
    except RenewcastError as error:
        log_event("earlier_weeks_refused", **error_location(error))
        return None


def _by_date(past: pd.DataFrame | None) -> list[tuple[pd.Timestamp, pd.DataFrame]]:
    if past is None:
        return []
    dates = sorted(pd.Timestamp(date) for date in past["as_of"].unique())
    return [(date, past[past["as_of"] == date].reset_index(drop=True)) for date in dates]


def _aligned(values: npt.NDArray[np.float64], rows: npt.NDArray[np.int64], n: int) -> Floats32:
    out = np.full((n, values.shape[1]), np.nan, dtype=np.float32)
    out[rows[rows >= 0]] = values[rows >= 0]
    return out


def _adds(health: HealthScores) -> npt.NDArray[np.float64]:
    adds = health.weights * np.nan_to_num(health.points) / 100.0
    adds[np.isnan(health.score.to_numpy())] = np.nan
    return adds
