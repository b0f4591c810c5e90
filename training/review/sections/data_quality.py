"""Data quality: which feeds are late, and what share of each dimension's weight had no data."""

from __future__ import annotations

import numpy as np

from models.health.rubric import INSUFFICIENT
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel

DEFAULT_PATIENCE_DAYS = 14
"""A feed that does not tell its own rhythm is called stale after so many days."""


class FeedRow(ReviewModel):
    """One table: its newest row, how many days it is silent at the end, and how long a silence its rhythm explains."""

    table: str
    rows: int
    newest: str | None
    silent_days: float
    patience_days: float | None
    stale: bool


class DimensionRow(ReviewModel):
    """One dimension: the share of its weight without data at the newest date and over the judged snapshots (0 to 1),
    and the accounts of the newest date about whom nothing at all is known in it."""

    dimension: str
    weight: float
    missing_now: float
    missing_judged: float
    empty_accounts: int


class DataQuality(ReviewModel):
    """``absent`` are tables of the contract that the source does not have; ``troubles`` what is wrong with a feed, in
    words; ``without_score`` the accounts of the newest date for whom too little is known."""

    feeds: tuple[FeedRow, ...]
    absent: tuple[str, ...]
    troubles: tuple[str, ...]
    dimensions: tuple[DimensionRow, ...]
    accounts: int
    without_score: int


def data_quality(seen: ReviewData) -> DataQuality:
    """The feeds up to the end of the quarter, and the rubric's dimensions."""
    feeds = []
    for name, feed in seen.feeds.tables.items():
        owes = name not in ("accounts", "interventions", "subscriptions")
        patience = feed.patience_days if owes else None
        stale = owes and feed.silent_days > (patience if patience is not None else DEFAULT_PATIENCE_DAYS)
        feeds.append(
            FeedRow(
                table=name,
                rows=feed.rows,
                newest=feed.last.date().isoformat() if feed.last else None,
                silent_days=round(float(feed.silent_days), 1),
                patience_days=None if patience is None else round(float(patience), 1),
                stale=bool(stale),
            )
        )
    dimensions, health, start = [], seen.health, 0
    unknown = np.isnan(health.points)
    for dimension in seen.champion.rubric.rules.dimensions:
        columns = slice(start, start + len(dimension.signals))
        start += len(dimension.signals)
        share = np.array([signal.weight for signal in dimension.signals])
        missing = unknown[:, columns] @ (share / share.sum())
        dimensions.append(
            DimensionRow(
                dimension=dimension.name,
                weight=weight_of(seen, dimension.name),
                missing_now=float(missing[seen.newest].mean()),
                missing_judged=float(missing[seen.judged].mean()),
                empty_accounts=int((missing[seen.newest] > 1 - 1e-9).sum()),
            )
        )
    return DataQuality(
        feeds=tuple(feeds),
        absent=seen.feeds.absent,
        troubles=tuple(seen.feeds.troubles()),
        dimensions=tuple(dimensions),
        accounts=int(seen.newest.sum()),
        without_score=int((seen.band[seen.newest] == INSUFFICIENT).sum()),
    )


def weight_of(seen: ReviewData, dimension: str) -> float:
    """The weight in force of a dimension, learned ones included."""
    return weights_in_force(seen)[dimension]


def weights_in_force(seen: ReviewData) -> dict[str, float]:
    """The weights in force by dimension, learned ones included; of profiles for segments nothing is said."""
    rubric = seen.champion.rubric
    return {d.name: float((rubric.learned or {}).get(d.name, d.weight)) for d in rubric.rules.dimensions}
