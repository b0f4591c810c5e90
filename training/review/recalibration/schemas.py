"""Proposals of a review for weights and band limits: old and new values, and the evidence for each."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

ReviewVerdict = Literal["keep", "change", "not_enough_evidence"]
WeightDirection = Literal["up", "down"]
CoefficientSign = Literal["with_staying", "with_churn", "not_clear"]


class Estimate(NamedTuple):
    """A value with its interval; NaN if undefined."""

    value: float
    low: float
    high: float


class EvidenceCount(NamedTuple):
    """Numbers of rows, accounts, and churned accounts behind a figure."""

    rows: int
    accounts: int
    churned: int


@dataclass(frozen=True)
class ScoringEvaluation:
    """Evaluation of one scoring on the later rows, calibrated on the earlier ones.

    Parameters
    ----------
    name : "in force", "target" (suggested by the data, shrunk but not capped), "proposed" (the capped step),
        "equal weights", "without <dimension>" or "model".
    brier, log_loss : mean loss, lower is better. auc : 0.5 is guessing, 1 perfect. With 90% intervals.
    brier_change, log_loss_change, auc_change : paired difference from the current weights or limits on the same rows.
        Below 0 is better for the losses, above 0 for the AUC.
    evidence : the evaluated rows. For the model, those with a probability; its changes are relative to the current
        weights on these rows.
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
    name : name of the dimension.
    old : the current weight.
    fitted : the weight from the earlier rows alone, at least 0, neither shrunk nor capped. Its 90% interval should
        contain the true weight in nine of ten reviews. NaN if it cannot be fitted.
    shrunk : the fitted weight shrunk towards the current one; the target over several quarters.
    candidate : a step towards the shrunk weight, in whole points and at most the cap.
    candidate_range : range of the candidate in 90% of the resamples, before rounding.
    new : the proposed weight; the old one unless the verdict is to change.
    clear : direction in which the current weight is clearly wrong, all dimensions tested together; None if it is not.
    evidence : earlier rows with data for the dimension.
    known : their share of the earlier rows, 0 to 1.
    alone : increase of the log-odds of staying per ten points, for this dimension alone, with a 90% interval.
    beside : the same with all dimensions together.
    sign : whether more points mean staying or, clearly, churn, alone or with all dimensions together.
    without : evaluation on the later rows without the dimension (its weight distributed over the others); None without
        later rows.
    not_judged : reason why the weight is not fitted; empty if it is.
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
    """The proposal for one set of weights.

    Parameters
    ----------
    decision, reasons : the verdict and its reasons, the most important first.
    dimensions : one finding per dimension, in the order of the rubric.
    judged : evaluations on the later rows, the current weights first; empty without later rows.
    earlier, later : the rows used for the fit, and those used for the evaluation.
    events : churns behind the fit; overlapping rows of one churn count as one.
    prior_events : number of churns that the current weights count for in the shrinkage.
    shrinkage : approximate share of the current weights in the shrunk ones: prior_events / (prior_events + events).
    chance : probability of a false alarm, that is, that a dimension is clear although all current weights are right.
    cap : largest change of a weight, in points.
    level : confidence level of the intervals.
    """

    decision: ReviewVerdict
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
        """The current weights by dimension."""
        return {d.name: d.old for d in self.dimensions}

    @property
    def candidate(self) -> dict[str, float]:
        """The tested weights by dimension."""
        return {d.name: d.candidate for d in self.dimensions}

    @property
    def new(self) -> dict[str, float]:
        """The proposed weights by dimension: the old ones unless the verdict is to change. They sum to 100."""
        return {d.name: d.new for d in self.dimensions}

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; undefined figures are None."""
        return dict(_plain(asdict(self)))


@dataclass(frozen=True)
class LimitFinding:
    """The lower limit of one band.

    Parameters
    ----------
    band : "green" or "yellow"; red starts at 0.
    old : the current limit.
    fitted : the limit that separates churn best on the earlier rows, neither shrunk nor capped, with a 90% interval.
    target : the fitted limit shrunk towards the current one, not capped; a change is evaluated by it.
    candidate : a step towards the target, a whole point and at most the cap from the old limit.
    new : the proposed limit; the old one unless the verdict is to change.
    clear : direction in which the current limit is clearly wrong, both limits tested together; None if it is not.
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
    """Churn rates of a band under some limits.

    Parameters
    ----------
    band : "green", "yellow" or "red".
    begins : its lower limit.
    rate_earlier, rate_later : churn rates of the earlier and of the later rows, with 90% intervals.
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
    """The number of red accounts under some limits, on the dates of the newest 91 days.

    Parameters
    ----------
    typical, most : median and maximum number of red accounts on a date.
    latest : number of red accounts on the newest date.
    entering : average number of accounts per week that turn red (they were not red on their previous date).
    capacity : accounts that the team can look after on a date; None if unknown.
    over : whether the typical queue is longer than the capacity.
    """

    typical: float
    most: int
    latest: int
    entering: float
    capacity: int | None
    over: bool


@dataclass(frozen=True)
class BandProposal:
    """The proposal for the band limits; other fields as in `WeightProposal`.

    Parameters
    ----------
    limits : green, then yellow.
    before, after : the bands under the current limits and under the candidate.
    queue_before, queue_after : the red queues under the current limits and under the candidate.
    """

    decision: ReviewVerdict
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
        """The proposed limits by band: the old ones unless the verdict is to change."""
        return {limit.band: limit.new for limit in self.limits} | {"red": 0.0}

    @property
    def candidate(self) -> dict[str, float]:
        """The tested limits by band."""
        return {limit.band: limit.candidate for limit in self.limits} | {"red": 0.0}

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; undefined figures are None."""
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
