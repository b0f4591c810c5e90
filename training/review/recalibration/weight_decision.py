"""What to do about the weights: fitted on the earlier rows, judged on the later ones, and kept unless both agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.errors import BadRequest
from features.utils.arrays import Bools, Floats
from models.health.rubric_schema import WEIGHT_TOLERANCE
from training.review.labelled_rows import ReviewRows, thin_dates
from training.review.recalibration.linearized_score import weighted_score
from training.review.recalibration.schemas import (
    CoefficientSign,
    DimensionFinding,
    Estimate,
    ScoringEvaluation,
    WeightDirection,
    WeightProposal,
)
from training.review.recalibration.score_comparison import (
    EQUAL,
    IN_FORCE,
    INTERVAL_LEVEL,
    MODEL,
    PROPOSED,
    TARGET,
    ScoringComparison,
    calibrated_by_model,
    calibrated_by_score,
    evidence_count,
)
from training.review.recalibration.weight_estimates import (
    EarlierRows,
    WeightEstimates,
    estimate_weights,
    single_dimension_slope,
)
from training.review.recalibration.weight_fit import PRIOR_EVENTS_PER_DIMENSION
from training.review.recalibration.weight_verdict import decide_weights

CAP = 5.0
"""The most that a weight changes in a quarter, in points (docs/reference/review.md, "Weights")."""
FALSE_ALARM_RATE = 0.05
"""Of a false alarm in any dimension, where all weights in force are right."""
MAX_EARLIER_ROWS, MAX_LATER_ROWS = 200_000, 50_000
"""Rows; of more, those of every second date, or every third, and so on."""
_DIRECTIONS: dict[int, WeightDirection | None] = {1: "up", 0: None, -1: "down"}


def propose_weights(
    rows: ReviewRows,
    incumbent: Mapping[str, float],
    *,
    cap: float = CAP,
    seed: int = 0,
    resamples: int = 200,
    sets: int = 1,
    prior_events: float | None = None,
) -> WeightProposal:
    """Propose weights, or to keep those in force.

    They change only if two things hold. The earlier rows clearly say that a weight is wrong (all dimensions taken
    together, a false alarm in one of twenty quarters at most). And the weights that the evidence points to, shrunk but
    not capped, have a lower log loss on the later rows than those in force, with the whole interval of the change below
    zero. What is proposed then is a step of at most the cap towards them; a dimension that is not clearly wrong moves
    only as far as the others need for a sum of 100.

    Parameters
    ----------
    rows : what happened; a proposal is made of the earlier rows and judged on the later ones.
    incumbent : the weights in force by dimension, 0 or more, summing to 100.
    cap : the most that a weight may change, in points.
    seed, resamples : of the account bootstrap.
    sets : how many sets of weights are reviewed at once (one for each profile); they share the chance of a false alarm.
    prior_events : what the weights in force are worth, in churns; ten for each dimension if None.

    Raises
    ------
    BadRequest : the weights are not those of the rows' dimensions, or do not sum to 100.
    """
    old = _checked_weights(rows, incumbent)
    something = rows.points.notna().any(axis=1).to_numpy(dtype=bool)
    earlier = thin_dates(rows, rows.earlier & something, MAX_EARLIER_ROWS)
    later = thin_dates(rows, rows.judged_on & something, MAX_LATER_ROWS)
    prior = PRIOR_EVENTS_PER_DIMENSION * len(old) if prior_events is None else float(prior_events)
    past = EarlierRows.of(rows, earlier, old)
    found = estimate_weights(past, prior, cap, FALSE_ALARM_RATE / sets, resamples, seed)
    judged = _evaluate_weights(past, rows, earlier, later, found, resamples, seed)
    without = {each.name: each for each in judged}
    court = evidence_count(rows.churned[later], rows.accounts[later])
    decision, reasons = decide_weights(rows.dimensions, old, found, judged, past.behind, court, prior, cap)
    new = found.candidate if decision == "change" else old
    dimensions = []
    for j, name in enumerate(rows.dimensions):
        told = past.known(j)
        possible = bool(found.judged[j])
        by_itself = single_dimension_slope(past, j, resamples, seed) if possible else _UNDEFINED
        dimensions.append(
            DimensionFinding(
                name=name,
                old=float(old[j]),
                fitted=Estimate(float(found.fitted[j]), float(found.low[j]), float(found.high[j])),
                shrunk=float(found.shrunk[j]),
                candidate=float(found.candidate[j]),
                candidate_range=(float(found.range[j, 0]), float(found.range[j, 1])),
                new=float(new[j]),
                clear=_DIRECTIONS[int(found.clear[j])],
                evidence=told,
                known=told.rows / max(len(past.churned), 1),
                alone=by_itself,
                beside=found.beside[j],
                sign=_coefficient_sign(by_itself, found.beside[j]),
                without=without.get(_without_name(name)),
                not_judged=found.lacking[j],
            )
        )
    reasons += tuple(
        f"{d.name}: more points go with more churn, {'by itself' if d.alone.high < 0 else 'beside the others'}; look at"
        " how it is made before its weight"
        for d in dimensions
        if d.sign == "with_churn"
    )
    return WeightProposal(
        decision=decision,
        reasons=reasons,
        dimensions=tuple(dimensions),
        judged=tuple(each for each in judged if not each.name.startswith(_without_name(""))),
        earlier=past.behind,
        later=court,
        events=found.events,
        prior_events=prior,
        shrinkage=prior / (prior + found.events),
        chance=FALSE_ALARM_RATE / sets,
        cap=cap,
        level=INTERVAL_LEVEL,
    )


_UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"))


def _checked_weights(rows: ReviewRows, incumbent: Mapping[str, float]) -> Floats:
    if set(incumbent) != set(rows.dimensions):
        raise BadRequest(
            f"weights of {', '.join(incumbent)}", f"those of the rows' dimensions: {', '.join(rows.dimensions)}"
        )
    old = np.array([float(incumbent[name]) for name in rows.dimensions])
    if not (old >= 0).all() or abs(old.sum() - 100.0) > WEIGHT_TOLERANCE:
        raise BadRequest(f"weights that sum to {old.sum():g}", "each 0 or more, with a sum of 100")
    return old


def _evaluate_weights(
    past: EarlierRows, rows: ReviewRows, earlier: Bools, later: Bools, found: WeightEstimates, resamples: int, seed: int
) -> tuple[ScoringEvaluation, ...]:
    """All ways to score on the later rows; none where an outcome lacks on either side."""
    churned = rows.churned[later]
    if not 0 < past.churned.sum() < len(past.churned) or not 0 < churned.sum() < len(churned):
        return ()
    points = rows.points.to_numpy(dtype=np.float64)[later]

    def chances(weights: Floats, used: Bools) -> Floats:
        scores = [weighted_score(np.where(used, of, np.nan), weights) for of in (past.points, points)]
        # A row of which only the dimension left out was known has the average score.
        average = np.nanmean(scores[1])
        return calibrated_by_score(
            scores[0], past.churned, past.weight, np.where(np.isnan(scores[1]), average, scores[1])
        )

    k = len(past.old)
    every = np.ones(k, dtype=bool)
    ways = {IN_FORCE: chances(past.old, every)}
    if (found.candidate != past.old).any():
        ways[TARGET] = chances(found.shrunk, every)
        ways[PROPOSED] = chances(found.candidate, every)
    ways[EQUAL] = chances(np.full(k, 100.0 / k), every)
    for j, name in enumerate(rows.dimensions):
        if k > 1 and not past.lacking(j):
            ways[_without_name(name)] = chances(past.old, np.arange(k) != j)
    assert rows.model is not None
    ways[MODEL] = calibrated_by_model(rows.model[earlier], past.churned, past.weight, past.accounts, rows.model[later])
    return ScoringComparison(churned, rows.accounts[later], resamples, seed).judge(ways)


def _without_name(name: str) -> str:
    return f"without {name}"


def _coefficient_sign(by_itself: Estimate, beside: Estimate) -> CoefficientSign:
    if by_itself.high < 0 or beside.high < 0:
        return "with_churn"
    return "with_staying" if by_itself.low > 0 else "not_clear"
