"""The judgement segment by segment: every contender by every metric where there are accounts enough, for a model may
rank a portfolio well by telling large accounts from small ones alone."""

from __future__ import annotations

from dataclasses import dataclass

from training.evaluation.capacity_value import Seen, seen
from training.evaluation.comparison import Judgement, judge
from training.evaluation.test_predictions import JudgedRows, Part, part

# Every contender by every metric, segment by segment, is the whole judgement once more: with eight of them and 20,000
# rows it takes seven seconds.
RESAMPLES = 200


@dataclass(frozen=True)
class Segment(Part):
    """One candidate in a segment, beside all others.

    Parameters
    ----------
    judgement : of every contender, as of the whole portfolio; its ``known_rate`` is the whole portfolio's, the only one
        that the base rate as a contender knows. None with fewer than `training.evaluation.test_predictions.LEAST`
        accounts with the outcome,
        or without it.
    at_capacity : what a team of the whole portfolio sees of this segment's outcomes; empty where ``judgement`` is None.
    """

    judgement: Judgement | None
    at_capacity: tuple[Seen, ...]


def by_segment(tested: JudgedRows, candidate: str, capacity: int, seed: int = 0) -> tuple[Segment, ...]:
    """The test rows segment by segment, in the order of their names.

    Parameters
    ----------
    candidate : the one on trial.
    capacity : accounts of the whole portfolio that a team can look after at a date.
    """
    found = []
    for name in sorted(set(tested.segment)):
        rows = tested.segment == name
        y, accounts = tested.y[rows], tested.accounts[rows]
        own = {each: p[rows] for each, p in tested.p.items()}
        piece = part(str(name), y, own[candidate], accounts, seed, RESAMPLES)
        judged: Judgement | None = None
        sight: tuple[Seen, ...] = ()
        if piece.enough:
            judged = judge(y, own, accounts, tested.arr[rows], tested.known_rate, candidate, RESAMPLES, seed)
            sight = seen(tested, capacity, seed, rows)
        found.append(Segment(**vars(piece), judgement=judged, at_capacity=sight))
    return tuple(found)
