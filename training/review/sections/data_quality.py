"""Data quality: late feeds, and the share of each dimension's weight without data."""

from __future__ import annotations

import numpy as np

from features.utils.open_questions import uncertainty
from models.health.rubric import INSUFFICIENT
from training.review.dataset import ReviewData
from training.review.figure import ReviewModel

DEFAULT_PATIENCE_DAYS = 14
"""Days without a row after which a feed is stale if its usual interval is unknown."""


class FeedRow(ReviewModel):
    """One table: its newest row, the days since then, and how many days are normal for this table."""

    table: str
    rows: int
    newest: str | None
    silent_days: float
    patience_days: float | None
    stale: bool


class DimensionRow(ReviewModel):
    """One dimension: the share of its weight without data on the newest date and in the evaluated snapshots (0 to 1).

    ``empty_accounts`` is the number of accounts without any data for it on the newest date.
    """

    dimension: str
    weight: float
    missing_now: float
    missing_judged: float
    empty_accounts: int


class DataQuality(ReviewModel):
    """Feeds and dimensions.

    ``absent`` lists the tables of the data contract that the source lacks, and ``troubles`` describes problems of
    feeds, and says whether figures are uncertain because the mapping has open questions. ``without_score`` is the
    number of accounts with too little data for a score on the newest date.
    """

    feeds: tuple[FeedRow, ...]
    absent: tuple[str, ...]
    troubles: tuple[str, ...]
    dimensions: tuple[DimensionRow, ...]
    accounts: int
    without_score: int


def data_quality(data: ReviewData) -> DataQuality:
    """Assess the feeds up to the end of the quarter, and the dimensions of the rubric.

    Parameters
    ----------
    data : the data of the review.
    """
    feeds = []
    for name, feed in data.feeds.tables.items():
        regular = name not in ("accounts", "interventions", "subscriptions")
        patience = feed.patience_days if regular else None
        stale = regular and feed.silent_days > (patience if patience is not None else DEFAULT_PATIENCE_DAYS)
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
    dimensions, health, start = [], data.health, 0
    unknown = np.isnan(health.points)
    for dimension in data.champion.rubric.rules.dimensions:
        columns = slice(start, start + len(dimension.signals))
        start += len(dimension.signals)
        share = np.array([signal.weight for signal in dimension.signals])
        missing = unknown[:, columns] @ (share / share.sum())
        dimensions.append(
            DimensionRow(
                dimension=dimension.name,
                weight=weight_of(data, dimension.name),
                missing_now=float(missing[data.newest].mean()),
                missing_judged=float(missing[data.judged].mean()),
                empty_accounts=int((missing[data.newest] > 1 - 1e-9).sum()),
            )
        )
    uncertain = uncertainty(data.signals.open_questions)
    return DataQuality(
        feeds=tuple(feeds),
        absent=data.feeds.absent,
        troubles=(*data.feeds.troubles(), *([] if uncertain is None else [uncertain])),
        dimensions=tuple(dimensions),
        accounts=int(data.newest.sum()),
        without_score=int((data.band[data.newest] == INSUFFICIENT).sum()),
    )


def weight_of(data: ReviewData, dimension: str) -> float:
    """The current weight of a dimension, also if it is learned."""
    return weights_in_force(data)[dimension]


def weights_in_force(data: ReviewData) -> dict[str, float]:
    """The current weights by dimension, also if they are learned, without the profiles for segments."""
    rubric = data.champion.rubric
    return {d.name: float((rubric.learned or {}).get(d.name, d.weight)) for d in rubric.rules.dimensions}
