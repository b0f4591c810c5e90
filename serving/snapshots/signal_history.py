"""The weeks before a snapshot: each signal of the health score over time, and what has changed in a week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import RenewcastError
from models.health.rubric import HealthScores
from models.predictions.columns import number_or_null
from models.predictions.payload import instant_words
from serving.common.json_logs import error_location, log_event
from serving.snapshots.scored_snapshot import ScoredSnapshot

Floats = npt.NDArray[np.float32]
#: Changes of the score smaller than this (points) are not worth telling.
MIN_CHANGE = 0.05


@dataclass(frozen=True)
class SignalHistory:
    """The signals of the health score at d dates, the last being the snapshot's, for its n accounts.

    Parameters
    ----------
    dates : in order, ISO.
    signals : the features, in the rubric's order.
    values : in each signal's unit, NaN unknown; shape (d, n, signals).
    adds : points of the score that each signal added about a week before; NaN where there was no score; shape
        (n, signals). None where that week is not known.
    before : the place of that week among the dates.
    """

    dates: tuple[str, ...]
    signals: tuple[str, ...]
    values: Floats
    adds: Floats | None
    before: int

    def of(self, row: int) -> list[dict[str, Any]]:
        """Each signal of one account over the dates: ``feature`` and ``values``."""
        return [
            {"feature": name, "values": [number_or_null(float(v)) for v in self.values[:, row, j]]}
            for j, name in enumerate(self.signals)
        ]

    def changes(self, row: int, health: HealthScores) -> list[dict[str, Any]]:
        """What has moved one account's score in a week, the largest first: ``feature``, ``before`` and ``now`` in its
        unit, and ``points`` of the score. What all have moved together is the change of the score, to its rounding."""
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
    """The weeks before ``scored``, as they were kept beside its snapshot; only its own date where they were not, or
    cannot be read."""
    seen = scored.assessment
    rubric = seen.champion.rubric
    signals = tuple(signal.feature for _, signal in rubric.signals)
    past = _past(scored)
    place = pd.Index(seen.account_ids, dtype=object)
    dates: list[str] = []
    values: list[Floats] = []
    adds: Floats | None = None
    before = 0
    for then, rows in _by_date(past):
        # As `models.rules.evaluate.judge` does: an account is compared with all that were active then.
        scores = rubric.score(rows, None)
        at = place.get_indexer(pd.Index(rows["account_id"].to_numpy(dtype=object))).astype(np.int64)
        dates.append(instant_words(then.to_pydatetime()))
        values.append(_placed(scores.values, at, len(place)))
        if 6 <= (seen.as_of - then) / pd.Timedelta(days=1) <= 8:
            before, adds = len(dates) - 1, _placed(_adds(scores), at, len(place))
    dates.append(instant_words(seen.as_of.to_pydatetime()))
    values.append(seen.health.values.astype(np.float32))
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


def _placed(values: npt.NDArray[np.float64], at: npt.NDArray[np.int64], n: int) -> Floats:
    out = np.full((n, values.shape[1]), np.nan, dtype=np.float32)
    out[at[at >= 0]] = values[at >= 0]
    return out


def _adds(health: HealthScores) -> npt.NDArray[np.float64]:
    adds = health.weights * np.nan_to_num(health.points) / 100.0
    adds[np.isnan(health.score.to_numpy())] = np.nan
    return adds
