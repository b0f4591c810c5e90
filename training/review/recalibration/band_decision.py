"""Proposal for the band limits, by the same rule as the weights, with a limit on the length of the red queue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from models.health.rubric_schema import Bands
from training.review.labelled_rows import ReviewRows, overlap_weights
from training.review.recalibration.band_likelihood import ScoreHistogram
from training.review.recalibration.red_queue import red_queue
from training.review.recalibration.schemas import (
    BandChurn,
    BandProposal,
    Estimate,
    EvidenceCount,
    LimitFinding,
    RedQueue,
    ReviewVerdict,
    ScoringEvaluation,
)
from training.review.recalibration.score_comparison import (
    IN_FORCE,
    INTERVAL_LEVEL,
    PROPOSED,
    TARGET,
    ScoringComparison,
    evidence_count,
)
from training.review.recalibration.weight_verdict import (
    changes_text,
    confirmation_text,
    data_alone_text,
    rejection_reason,
)
from training.statistics.account_bootstrap import AccountBootstrap, interval

CAP = 5.0
"""Largest change of a limit per quarter, in points of score."""
FALSE_ALARM_RATE = 0.05
"""Probability of a false alarm in either limit if both are right."""
PRIOR_EVENTS = 20.0
"""Number of churns that the current limits count for: ten for each limit."""
MINIMUM_CHURNED, MINIMUM_LATER = 50, 20
"""Minimum number of churned accounts among the earlier and the later rows."""
WIDE_INTERVAL_CAPS = 2.0
"""If both intervals reach further than this many caps to either side, the evidence is insufficient."""
_NAMES = ("red", "yellow", "green")


def propose_bands(
    rows: ReviewRows,
    bands: Bands,
    *,
    capacity: int | None,
    cap: float = CAP,
    seed: int = 0,
    resamples: int = 200,
) -> BandProposal:
    """Propose limits for yellow and green, or no change.

    The fitted limits maximize the likelihood of three churn rates that do not rise with the band (a step function with
    two jumps). They are shrunk towards the current limits, and evaluated on the later rows with the churn rates of the
    earlier ones. A change is proposed only if an interval excludes the current limit, the whole interval of the change
    of log loss on the later rows is below zero, and the red queue does not grow beyond the capacity of the team. The
    proposed change is at most the cap.

    Parameters
    ----------
    rows : rows scored by the current weights; limits are fitted on the earlier and evaluated on the later ones.
    bands : the current limits.
    capacity : accounts that the team can look after on a date; None if unknown.
    cap : largest change of a limit, in points.
    seed, resamples : of the account bootstrap.

    Returns
    -------
    The proposal.
    """
    old = np.array([bands.yellow, bands.green], dtype=np.float64)
    past, later = rows.only(rows.earlier), rows.only(rows.judged_on)
    earlier_count, later_count = (
        evidence_count(past.churned, past.accounts),
        evidence_count(later.churned, later.accounts),
    )
    weight = overlap_weights(past.accounts, past.as_of, past.horizon_days)
    events = float(weight @ past.churned)
    fit = _fit_limits(past, weight, old, cap, resamples, seed)
    evaluations = _evaluate_limits(past, weight, later, old, fit, resamples, seed)
    queues = [red_queue(rows, float(limits[0]), capacity) for limits in (old, fit.candidate)]
    decision, reasons = _decide(old, fit, evaluations, earlier_count, later_count, queues, cap)
    new = fit.candidate if decision == "change" else old
    limits = tuple(
        LimitFinding(
            band="yellow" if i == 0 else "green",
            old=float(old[i]),
            fitted=Estimate(float(fit.fitted[i]), float(fit.low[i]), float(fit.high[i])),
            target=float(fit.target[i]),
            candidate=float(fit.candidate[i]),
            new=float(new[i]),
            clear=None if fit.clear[i] == 0 else "up" if fit.clear[i] > 0 else "down",
        )
        for i in (1, 0)
    )
    before, after = (_churn_by_band(past, later, limit, resamples, seed) for limit in (old, fit.candidate))
    return BandProposal(
        decision=decision,
        reasons=reasons,
        limits=limits,
        judged=evaluations,
        before=before,
        after=after,
        queue_before=queues[0],
        queue_after=queues[1],
        earlier=earlier_count,
        later=later_count,
        events=events,
        prior_events=PRIOR_EVENTS,
        shrinkage=PRIOR_EVENTS / (PRIOR_EVENTS + events),
        cap=cap,
        level=INTERVAL_LEVEL,
    )


@dataclass(frozen=True)
class _LimitFit:
    """Limits of yellow, then green: fitted, their 90% intervals, direction of clear errors, target and candidate.

    The target is shrunk but not capped; the candidate is a capped step towards it.
    """

    fitted: Floats
    low: Floats
    high: Floats
    clear: Ints
    target: Floats
    candidate: Floats


def _fit_limits(past: ReviewRows, weight: Floats, old: Floats, cap: float, resamples: int, seed: int) -> _LimitFit:
    blank = np.full(2, np.nan)
    unchanged = _LimitFit(blank, blank, blank, np.zeros(2, np.int64), old, old)
    if not 0 < past.churned.sum() < len(past):
        return unchanged
    whole, drawn = ScoreHistogram.of(past.score, past.churned, weight, AccountBootstrap(past.accounts, resamples, seed))
    fitted, draws = whole.best()[0], drawn.best()
    if np.isnan(fitted).any():
        return unchanged
    ends = np.array([interval(draws[:, i], INTERVAL_LEVEL) for i in range(2)])
    # The two limits share the probability of a false alarm.
    wide = np.array([interval(draws[:, i], 1 - FALSE_ALARM_RATE / 2) for i in range(2)])
    clear = np.where(wide[:, 0] > old, 1, np.where(wide[:, 1] < old, -1, 0)).astype(np.int64)
    # A limit that is clearly too low may only rise, and one that is clearly too high only fall. If neither is, both may
    # move.
    free = not clear.any()
    prior = whole.with_prior(float(old[0]), float(old[1]), PRIOR_EVENTS)

    def best(reach: float, least: Floats, most: Floats) -> Floats:
        """The most likely limits within ``reach`` of the current ones."""
        low = np.maximum(np.where(free | (clear < 0), old - reach, old), least)
        high = np.minimum(np.where(free | (clear > 0), old + reach, old), most)
        # A fractional limit stays, or moves to a whole point.
        low = np.where(low < old, np.ceil(low), np.floor(old))
        high = np.where(high > old, np.floor(high), np.floor(old))
        # A current band may be small, so no minimum share applies to the way to a larger one.
        likeliest = prior.best((low[0], low[1]), (high[0], high[1]), share=0.0)[0]
        return old if np.isnan(likeliest).any() else np.where(likeliest == np.floor(old), old, likeliest)

    target = best(100.0, np.zeros(2), np.full(2, 100.0))
    candidate = best(cap, np.minimum(old, target), np.maximum(old, target))
    return _LimitFit(fitted, np.minimum(ends[:, 0], fitted), np.maximum(ends[:, 1], fitted), clear, target, candidate)


def _band_of(score: Floats, limits: Floats) -> Ints:
    """0 red, 1 yellow, 2 green."""
    return np.asarray((score >= limits[0]).astype(np.int64) + (score >= limits[1]), dtype=np.int64)


def _evaluate_limits(
    past: ReviewRows, weight: Floats, later: ReviewRows, old: Floats, fit: _LimitFit, resamples: int, seed: int
) -> tuple[ScoringEvaluation, ...]:
    if not 0 < later.churned.sum() < len(later) or not 0 < past.churned.sum() < len(past):
        return ()
    overall = float(weight @ past.churned / weight.sum())

    def chances(limits: Floats) -> Floats:
        band = _band_of(past.score, limits)
        rows, churned = np.bincount(band, weight, 3), np.bincount(band, weight * past.churned, 3)
        # One more account with the average rate in each band, so that an empty band has a rate.
        rates: Floats = (churned + overall) / (rows + 1.0)
        return rates[_band_of(later.score, limits)]

    ways = {IN_FORCE: chances(old)}
    if (fit.candidate != old).any():
        ways[TARGET], ways[PROPOSED] = chances(fit.target), chances(fit.candidate)
    return ScoringComparison(later.churned, later.accounts, resamples, seed).compare(ways)


def _decide(
    old: Floats,
    fit: _LimitFit,
    evaluations: tuple[ScoringEvaluation, ...],
    earlier: EvidenceCount,
    later: EvidenceCount,
    queues: list[RedQueue],
    cap: float,
) -> tuple[ReviewVerdict, tuple[str, ...]]:
    lacking = []
    if earlier.churned < MINIMUM_CHURNED:
        lacking.append(
            f"{earlier.churned} accounts churned in the earlier period; at least {MINIMUM_CHURNED} are needed"
        )
    if later.churned < MINIMUM_LATER:
        lacking.append(f"{later.churned} accounts churned in the later period; at least {MINIMUM_LATER} are needed")
    if np.isnan(fit.fitted).any():
        lacking.append("no split into three bands of sufficient size has churn rates that fall from red to green")
    if lacking:
        return "not_enough_evidence", tuple(lacking)
    if not fit.clear.any():
        reach = ((fit.high - fit.low) / 2).min()
        if reach > WIDE_INTERVAL_CAPS * cap:
            margin = f"even the more precise estimate has a margin of ±{reach:.0f} points"
            return "not_enough_evidence", (f"the data do not clearly contradict either current limit, but {margin}",)
        return "keep", ("the data do not clearly contradict either current limit",)
    clear = [
        f"{_NAMES[i + 1]}: the current limit, {old[i]:g}, is clearly too {'low' if fit.clear[i] > 0 else 'high'}"
        f" ({data_alone_text(fit.low[i], fit.high[i])})"
        for i in (1, 0)
        if fit.clear[i]
    ]
    target, step = (next((each for each in evaluations if each.name == name), None) for name in (TARGET, PROPOSED))
    if target is None or step is None:
        return "keep", ("after shrinkage and cap, no change of a whole point remains", *clear)
    suggestion = f"the data suggest {changes_text(('yellow', 'green'), old, fit.target)}"
    failed = rejection_reason(target, step)
    objections = [f"{suggestion}, but {failed}"] if failed else []
    before, after = queues
    if after.over and after.typical > before.typical:
        objections.append(
            f"the red queue would grow from {before.typical:g} to {after.typical:g} accounts, and the team has capacity"
            f" for {after.capacity}"
        )
    if objections:
        return "keep", (*objections, *clear)
    return "change", (*clear, f"{suggestion}; {confirmation_text(target)}")


def _churn_by_band(
    past: ReviewRows, later: ReviewRows, limits: Floats, resamples: int, seed: int
) -> tuple[BandChurn, ...]:
    out = []
    for each in (2, 1, 0):
        inside = [_band_of(rows.score, limits) == each for rows in (past, later)]
        rates = [_churn_rate(rows, mask, resamples, seed) for rows, mask in zip((past, later), inside, strict=True)]
        counts = [
            evidence_count(rows.churned[mask], rows.accounts[mask])
            for rows, mask in zip((past, later), inside, strict=True)
        ]
        begins = 0.0 if each == 0 else float(limits[each - 1])
        out.append(BandChurn(_NAMES[each], begins, rates[0], rates[1], counts[0], counts[1]))
    return tuple(out)


def _churn_rate(rows: ReviewRows, inside: Bools, resamples: int, seed: int) -> Estimate:
    """The churn rate of the masked rows, with an interval from resampling all accounts."""
    if not inside.any():
        return Estimate(float("nan"), float("nan"), float("nan"))
    bootstrap = AccountBootstrap(rows.accounts, resamples, seed)
    churned, all_rows = (
        bootstrap.counts @ np.bincount(bootstrap.codes, values, bootstrap.accounts)
        for values in (inside * rows.churned, inside.astype(np.float64))
    )
    drawn = np.divide(churned, all_rows, out=np.full(len(all_rows), np.nan), where=all_rows > 0)
    return Estimate(float(rows.churned[inside].mean()), *interval(drawn, INTERVAL_LEVEL))
