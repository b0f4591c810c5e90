"""Drift of signals and score: the current portfolio compared with the evaluated one."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.monitoring.drift import SHIFT_LIMIT, expected_psi, psi
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel

STABLE = 0.1


class SignalDrift(ReviewModel):
    """Drift of one signal of the rubric, or of the score.

    ``psi`` is the population stability index (0 or more; null if either side is empty). ``unknown_then`` and
    ``unknown_now`` are the shares without a value. ``state`` is ``stable``, ``moved``, ``another population`` or
    ``no data``.
    """

    name: str
    words: str
    psi: float | None
    unknown_then: float
    unknown_now: float
    state: str


class DriftSection(ReviewModel):
    """Drift of the score and of each signal between the newest evaluated date and the newest date.

    ``limit`` is the index above which a shift is large: 0.25 plus the index expected by chance for this number of
    accounts.
    """

    then: str
    now: str
    limit: float
    score: SignalDrift
    signals: tuple[SignalDrift, ...]


def signal_drift(data: ReviewData) -> DriftSection:
    """Compare the newest evaluated date with the newest date, signal by signal.

    Parameters
    ----------
    data : the data of the review.
    """
    then_at = max(date for date in data.dates if data.judged[data.at(date)].any())
    then, now = data.at(then_at), data.newest
    limit = SHIFT_LIMIT + expected_psi(int(then.sum()), int(now.sum()))
    values = {signal.feature: data.frame[signal.feature] for _, signal in data.champion.rubric.signals}

    def drift_of(name: str, column: pd.Series) -> SignalDrift:
        index = psi(column[then], column[now])
        state = "another population" if index > limit else "moved" if index > STABLE + limit - SHIFT_LIMIT else "stable"
        feature = data.catalogue.get(name)
        return SignalDrift(
            name=name,
            words=feature.words if feature else "health score",
            psi=float(index) if np.isfinite(index) else None,
            unknown_then=float(column[then].isna().mean()),
            unknown_now=float(column[now].isna().mean()),
            state=state if column[then].notna().any() or column[now].notna().any() else "no data",
        )

    signals = sorted((drift_of(name, column) for name, column in values.items()), key=lambda each: -(each.psi or 0.0))
    return DriftSection(
        then=str(then_at.date()),
        now=str(data.dates[-1].date()),
        limit=limit,
        score=drift_of("health_score", pd.Series(data.score, index=data.frame.index)),
        signals=tuple(signals),
    )
