"""What a review proposes, as plain facts: weights and band limits, old and new, and the evidence for each."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

Verdict = Literal["keep", "change", "not_enough_evidence"]
WeightDirection = Literal["up", "down"]
CoefficientSign = Literal["with_staying", "with_churn", "not_clear"]


class Estimate(NamedTuple):
    """A figure with its interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


class EvidenceCount(NamedTuple):
    """What stands behind a figure: rows, accounts, and accounts with a churn."""

    rows: int
    accounts: int
    churned: int


@dataclass(frozen=True)
class ScoringEvaluation:
    """How one way to score did on the later rows, calibrated on the earlier ones alone.

    Parameters
    ----------
    name : "in force", "target" (what the evidence points to, shrunk but not capped), "proposed" (the capped step),
        "equal weights", "without <dimension>" or "model".
    brier, log_loss : mean loss, lower is better. auc : 0.5 is guessing, 1 perfect. With 90% intervals.
    brier_change, log_loss_change, auc_change : less those of the weights or limits in force on the same rows, paired.
        Below 0 is better for the losses, above 0 for the AUC.
    evidence : the rows that it was judged on. For the model those on which it has a probability; its changes are
        against the weights in force on these.
    """

    name: str
    brier: Estimate
    log_loss: Estimate
    auc: Estimate
    brier_change: Estimate
    log_loss_change: Estimate
    auc_change: Estimate
    evidence: EvidenceCount


@dataclass(frozen=True)
class DimensionFinding:
    """One dimension of the score in a weight proposal. Weights are in points of 100.

    Parameters
    ----------
    name : the dimension's.
    old : its weight in force.
    fitted : what the earlier rows alone point to: at least 0, neither shrunk nor capped. With a 90% interval that is
        meant to hold the true weight in nine reviews of ten. NaN where it cannot be judged.
    shrunk : the fitted weight drawn towards the one in force; what is aimed at over several quarters.
    candidate : a step towards the shrunk weight: at most the cap from the old, in whole points.
    candidate_range : where 90% of the resamples put the candidate, before rounding.
    new : the weight that is proposed; the old one unless the decision is to change.
    clear : whether the interval clears the weight in force, all dimensions minded together, and which way.
    evidence : earlier rows on which the dimension is known.
    known : their share of the earlier rows, 0 to 1.
    alone : by how much the log-odds of staying rise with ten of its points, by itself; with a 90% interval.
    beside : the same beside the other dimensions.
    sign : whether its points go with staying or, clearly, with churn, by itself or beside the others.
    without : the later rows judged without the dimension (its weight spread over the others); None without later rows.
    not_judged : why its weight is held as it is, empty where it is judged.
    """

    name: str
    old: float
    fitted: Estimate
    shrunk: float
    candidate: float
    candidate_range: tuple[float, float]
    new: float
    clear: WeightDirection | None
    evidence: EvidenceCount
    known: float
    alone: Estimate
    beside: Estimate
    sign: CoefficientSign
    without: ScoringEvaluation | None
    not_judged: str


@dataclass(frozen=True)
class WeightProposal:
    """What to do about the weights, and why.

    Parameters
    ----------
    decision, reasons : the answer, and its reasons in words, the weightiest first.
    dimensions : one finding each, in the rubric's order.
    judged : on the later rows; empty where there are none. The weights in force come first.
    earlier, later : the rows that the proposal was made of, and those that it was judged on.
    events : churns behind the fit; overlapping rows of one churn count as one.
    prior_events : how many churns the weights in force are worth in the shrinkage.
    shrinkage : the share of the way from the fitted weights back to those in force that this makes, about:
        prior_events / (prior_events + events).
    chance : of a false alarm: how often a dimension or more would clear if all weights in force were right.
    cap : the most that a weight may change, in points.
    level : of the intervals.
    """

    decision: Verdict
    reasons: tuple[str, ...]
    dimensions: tuple[DimensionFinding, ...]
    judged: tuple[ScoringEvaluation, ...]
    earlier: EvidenceCount
    later: EvidenceCount
    events: float
    prior_events: float
    shrinkage: float
    chance: float
    cap: float
    level: float

    @property
    def old(self) -> dict[str, float]:
        """The weights in force, by dimension."""
        return {d.name: d.old for d in self.dimensions}

    @property
    def candidate(self) -> dict[str, float]:
        """The weights that were judged against them."""
        return {d.name: d.candidate for d in self.dimensions}

    @property
    def new(self) -> dict[str, float]:
        """The weights proposed: the old ones unless the decision is to change. They sum to 100."""
        return {d.name: d.new for d in self.dimensions}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; figures that are not defined are None."""
        return dict(_plain(asdict(self)))


@dataclass(frozen=True)
class LimitFinding:
    """Where one band begins.

    Parameters
    ----------
    band : "green" or "yellow"; red begins at 0.
    old : the score at which it begins now.
    fitted : what separates churn best on the earlier rows, neither shrunk nor capped, with a 90% interval.
    target : what the evidence points to once shrunk towards the limit in force, not capped; a change is judged by it.
    candidate : a step towards the target: at most the cap from the old, a whole point.
    new : the limit proposed; the old one unless the decision is to change.
    clear : whether the interval clears the limit in force, both limits minded together, and which way.
    """

    band: Literal["green", "yellow"]
    old: float
    fitted: Estimate
    target: float
    candidate: float
    new: float
    clear: WeightDirection | None


@dataclass(frozen=True)
class BandChurn:
    """What became of the rows of a band under some limits.

    Parameters
    ----------
    band : "green", "yellow" or "red".
    begins : the score at which it begins.
    rate_earlier, rate_later : the churn rate of the earlier and of the later rows, with 90% intervals.
    earlier, later : the rows behind them.
    """

    band: str
    begins: float
    rate_earlier: Estimate
    rate_later: Estimate
    earlier: EvidenceCount
    later: EvidenceCount


@dataclass(frozen=True)
class RedQueue:
    """The red accounts that some limits make, over the newest quarter of a year of dates, labelled or not.

    Parameters
    ----------
    typical, most : accounts that are red at a date, the median and the most.
    latest : at the newest date.
    entering : accounts that turn red a week, on average (those that were not red at their date before).
    capacity : accounts that the team can look after at a date; None if it was not told.
    over : whether the typical queue is longer than that.
    """

    typical: float
    most: int
    latest: int
    entering: float
    capacity: int | None
    over: bool


@dataclass(frozen=True)
class BandProposal:
    """What to do about the band limits, and why; the rest as in `WeightProposal`.

    Parameters
    ----------
    limits : green, then yellow.
    before, after : the bands under the limits in force and under the candidate.
    queue_before, queue_after : the queues that they make.
    """

    decision: Verdict
    reasons: tuple[str, ...]
    limits: tuple[LimitFinding, ...]
    judged: tuple[ScoringEvaluation, ...]
    before: tuple[BandChurn, ...]
    after: tuple[BandChurn, ...]
    queue_before: RedQueue
    queue_after: RedQueue
    earlier: EvidenceCount
    later: EvidenceCount
    events: float
    prior_events: float
    shrinkage: float
    cap: float
    level: float

    @property
    def new(self) -> dict[str, float]:
        """Where each band begins: the old limits unless the decision is to change."""
        return {limit.band: limit.new for limit in self.limits} | {"red": 0.0}

    @property
    def candidate(self) -> dict[str, float]:
        """The limits that were judged against those in force."""
        return {limit.band: limit.candidate for limit in self.limits} | {"red": 0.0}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON; figures that are not defined are None."""
        return dict(_plain(asdict(self)))


def _plain(value: Any) -> Any:
    if isinstance(value, Estimate | EvidenceCount):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
