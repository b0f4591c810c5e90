"""Drift of signals and score: the portfolio as it stands against the one that the quarter judges."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.monitoring.drift import ANOTHER, by_chance, psi
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel

STABLE = 0.1


class SignalDrift(ReviewModel):
    """One signal of the rubric, or the score: its population stability index (0 or more; null where either side is
    empty), the share that is unknown then and now, and whether it is stable, has moved, or is another population."""

    name: str
    words: str
    psi: float | None
    unknown_then: float
    unknown_now: float
    state: str


class DriftSection(ReviewModel):
    """``then`` is the date that stands for the judged snapshots, ``now`` the newest. ``limit`` is the index above
    which a population is another one: 0.25, and what chance gives on so many accounts."""

    then: str
    now: str
    limit: float
    score: SignalDrift
    signals: tuple[SignalDrift, ...]


def signal_drift(seen: ReviewData) -> DriftSection:
    """The newest judged date against the newest date, signal by signal."""
    then_at = max(date for date in seen.dates if seen.judged[seen.at(date)].any())
    then, now = seen.at(then_at), seen.newest
    limit = ANOTHER + by_chance(int(then.sum()), int(now.sum()))
    values = {signal.feature: seen.frame[signal.feature] for _, signal in seen.champion.rubric.signals}

    def one(name: str, column: pd.Series) -> SignalDrift:
        index = psi(column[then], column[now])
        moved = "another population" if index > limit else "moved" if index > STABLE + limit - ANOTHER else "stable"
        feature = seen.catalogue.get(name)
        return SignalDrift(
            name=name,
            words=feature.words if feature else "health score",
            psi=float(index) if np.isfinite(index) else None,
            unknown_then=float(column[then].isna().mean()),
            unknown_now=float(column[now].isna().mean()),
            state=moved if column[then].notna().any() or column[now].notna().any() else "no data",
        )

    signals = sorted((one(name, column) for name, column in values.items()), key=lambda each: -(each.psi or 0.0))
    return DriftSection(
        then=str(then_at.date()),
        now=str(seen.dates[-1].date()),
        limit=limit,
        score=one("health_score", pd.Series(seen.score, index=seen.frame.index)),
        signals=tuple(signals),
    )
