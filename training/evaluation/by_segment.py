"""Metrics of every candidate per segment, where a segment has enough accounts.

A model may rank a whole portfolio well only because it separates large accounts from small ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.evaluation.capacity_value import CapacityCapture, capacity_capture
from training.evaluation.comparison import Comparison, compare_candidates
from training.evaluation.test_predictions import PartMetrics, ScoredTestRows, part_metrics

# Every candidate by every metric, per segment, costs as much as the whole comparison again: with eight candidates and
# 20,000 rows it takes seven seconds.
RESAMPLES = 200


@dataclass(frozen=True)
class SegmentMetrics(PartMetrics):
    """One candidate in a segment, with the comparison of all candidates there.

    Parameters
    ----------
    judgement : comparison of every candidate, as for the whole portfolio. Its ``known_rate`` is the rate of the whole
        portfolio, the only one that the base-rate baseline uses. None if fewer than
        `training.evaluation.test_predictions.MINIMUM_ACCOUNTS` accounts have the outcome, or do not have it.
    at_capacity : share of this segment's outcomes that a team working the whole portfolio covers; empty where
        ``judgement`` is None.
    """

    judgement: Comparison | None
    at_capacity: tuple[CapacityCapture, ...]


def evaluate_by_segment(
    tested: ScoredTestRows, candidate: str, capacity: int, seed: int = 0
) -> tuple[SegmentMetrics, ...]:
    """Evaluate each segment of the test rows, in the order of the segment names.

    Parameters
    ----------
    tested : scored test rows.
    candidate : name of the evaluated candidate.
    capacity : accounts of the whole portfolio that a team can look after per date.
    seed : seed of the intervals.

    Returns
    -------
    tuple of SegmentMetrics
    """
    segments = []
    for name in sorted(set(tested.segment)):
        rows = tested.segment == name
        y, accounts = tested.y[rows], tested.accounts[rows]
        own = {each: p[rows] for each, p in tested.p.items()}
        metrics = part_metrics(str(name), y, own[candidate], accounts, seed, RESAMPLES)
        comparison: Comparison | None = None
        captured: tuple[CapacityCapture, ...] = ()
        if metrics.enough:
            comparison = compare_candidates(
                y, own, accounts, tested.arr[rows], tested.known_rate[rows], candidate, RESAMPLES, seed
            )
            captured = capacity_capture(tested, capacity, seed, rows)
        segments.append(SegmentMetrics(**vars(metrics), judgement=comparison, at_capacity=captured))
    return tuple(segments)
