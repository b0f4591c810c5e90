"""Proposal for the weights: fitted on the earlier rows, evaluated on the later ones, unchanged unless both agree."""

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
"""Largest change of a weight per quarter, in points (docs/reference/review.md, "Weights")."""
FALSE_ALARM_RATE = 0.05
"""Probability of a false alarm in any dimension if all current weights are right."""
MAX_EARLIER_ROWS, MAX_LATER_ROWS = 200_000, 50_000
"""Maximum numbers of rows. With more rows, only every second date is used, or every third, and so on."""
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
    """Propose weights, or no change.

    A change needs two conditions. The earlier rows clearly show that a weight is wrong (all dimensions tested together,
    with a false alarm in at most one of twenty quarters). And the weights suggested by the data, shrunk but not capped,
    have a lower log loss on the later rows than the current ones, with the whole interval of the change below zero. The
    proposal is then a step of at most the cap towards them. A dimension that is not clearly wrong moves only as far as
    needed for a sum of 100.

    Parameters
    ----------
    rows : rows with outcomes; weights are fitted on the earlier rows and evaluated on the later ones.
    incumbent : the current weights by dimension, 0 or more, with a sum of 100.
    cap : largest change of a weight, in points.
    seed, resamples : of the account bootstrap.
    sets : number of sets of weights in the review; they share the probability of a false alarm.
    prior_events : number of churns that the current weights count for; ten per dimension if None.

    Returns
    -------
    The proposal.

    Raises
    ------
    BadRequest
        The weights do not match the dimensions of the rows, or do not sum to 100.
    """
    old = _checked_weights(rows, incumbent)
    has_points = rows.points.notna().any(axis=1).to_numpy(dtype=bool)
    earlier = thin_dates(rows, rows.earlier & has_points, MAX_EARLIER_ROWS)
    later = thin_dates(rows, rows.judged_on & has_points, MAX_LATER_ROWS)
    prior = PRIOR_EVENTS_PER_DIMENSION * len(old) if prior_events is None else float(prior_events)
    past = EarlierRows.of(rows, earlier, old)
    estimates = estimate_weights(past, prior, cap, FALSE_ALARM_RATE / sets, resamples, seed)
    evaluations = _evaluate_weights(past, rows, earlier, later, estimates, resamples, seed)
    without = {each.name: each for each in evaluations}
    later_count = evidence_count(rows.churned[later], rows.accounts[later])
    decision, reasons = decide_weights(
        rows.dimensions, old, estimates, evaluations, past.behind, later_count, prior, cap
    )
    new = estimates.candidate if decision == "change" else old
    dimensions = []
    for j, name in enumerate(rows.dimensions):
        evidence = past.rows_with_data(j)
        is_fitted = bool(estimates.judged[j])
        alone = single_dimension_slope(past, j, resamples, seed) if is_fitted else _UNDEFINED
        dimensions.append(
            DimensionFinding(
                name=name,
                old=float(old[j]),
                fitted=Estimate(float(estimates.fitted[j]), float(estimates.low[j]), float(estimates.high[j])),
                shrunk=float(estimates.shrunk[j]),
                candidate=float(estimates.candidate[j]),
                candidate_range=(float(estimates.range[j, 0]), float(estimates.range[j, 1])),
                new=float(new[j]),
                clear=_DIRECTIONS[int(estimates.clear[j])],
                evidence=evidence,
                known=evidence.rows / max(len(past.churned), 1),
                alone=alone,
                beside=estimates.beside[j],
                sign=_coefficient_sign(alone, estimates.beside[j]),
                without=without.get(_without_name(name)),
                not_judged=estimates.lacking[j],
            )
        )
    reasons += tuple(
        f"{d.name}: more points mean more churn, {'taken alone' if d.alone.high < 0 else 'given the other dimensions'};"
        " check how the dimension is computed before you change its weight"
        for d in dimensions
        if d.sign == "with_churn"
    )
    return WeightProposal(
        decision=decision,
        reasons=reasons,
        dimensions=tuple(dimensions),
        judged=tuple(each for each in evaluations if not each.name.startswith(_without_name(""))),
        earlier=past.behind,
        later=later_count,
        events=estimates.events,
        prior_events=prior,
        shrinkage=prior / (prior + estimates.events),
        chance=FALSE_ALARM_RATE / sets,
        cap=cap,
        level=INTERVAL_LEVEL,
    )


_UNDEFINED = Estimate(float("nan"), float("nan"), float("nan"))


def _checked_weights(rows: ReviewRows, incumbent: Mapping[str, float]) -> Floats:
    if set(incumbent) != set(rows.dimensions):
        raise BadRequest(
            f"the weights are for {', '.join(incumbent)}",
            f"weights for the dimensions of the rows: {', '.join(rows.dimensions)}",
        )
    old = np.array([float(incumbent[name]) for name in rows.dimensions])
    if not (old >= 0).all() or abs(old.sum() - 100.0) > WEIGHT_TOLERANCE:
        raise BadRequest(f"the weights sum to {old.sum():g}", "weights of at least 0 that sum to 100")
    return old


def _evaluate_weights(
    past: EarlierRows,
    rows: ReviewRows,
    earlier: Bools,
    later: Bools,
    estimates: WeightEstimates,
    resamples: int,
    seed: int,
) -> tuple[ScoringEvaluation, ...]:
    """Evaluate all scorings on the later rows; empty if an outcome is missing on either side."""
    churned = rows.churned[later]
    if not 0 < past.churned.sum() < len(past.churned) or not 0 < churned.sum() < len(churned):
        return ()
    points = rows.points.to_numpy(dtype=np.float64)[later]

    def chances(weights: Floats, used: Bools) -> Floats:
        scores = [weighted_score(np.where(used, of, np.nan), weights) for of in (past.points, points)]
        # A row with data only for the omitted dimension gets the average score.
        average = np.nanmean(scores[1])
        return calibrated_by_score(
            scores[0], past.churned, past.weight, np.where(np.isnan(scores[1]), average, scores[1])
        )

    k = len(past.old)
    all_dimensions = np.ones(k, dtype=bool)
    ways = {IN_FORCE: chances(past.old, all_dimensions)}
    if (estimates.candidate != past.old).any():
        ways[TARGET] = chances(estimates.shrunk, all_dimensions)
        ways[PROPOSED] = chances(estimates.candidate, all_dimensions)
    ways[EQUAL] = chances(np.full(k, 100.0 / k), all_dimensions)
    for j, name in enumerate(rows.dimensions):
        if k > 1 and not past.lacking(j):
            ways[_without_name(name)] = chances(past.old, np.arange(k) != j)
    assert rows.model is not None
    ways[MODEL] = calibrated_by_model(rows.model[earlier], past.churned, past.weight, past.accounts, rows.model[later])
    return ScoringComparison(churned, rows.accounts[later], resamples, seed).compare(ways)


def _without_name(name: str) -> str:
    return f"without {name}"


def _coefficient_sign(alone: Estimate, joint: Estimate) -> CoefficientSign:
    if alone.high < 0 or joint.high < 0:
        return "with_churn"
    return "with_staying" if alone.low > 0 else "not_clear"
