"""What to do about the band limits: in the same spirit as the weights, with the queue that they would make."""

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
    ScoringEvaluation,
    Verdict,
)
from training.review.recalibration.score_comparison import (
    IN_FORCE,
    INTERVAL_LEVEL,
    PROPOSED,
    TARGET,
    ScoringComparison,
    evidence_count,
)
from training.review.recalibration.weight_verdict import changes_text, confirmation_text, rejection_reason
from training.statistics.account_bootstrap import AccountBootstrap, interval

CAP = 5.0
"""The most that a limit moves in a quarter, in points of score."""
FALSE_ALARM_RATE = 0.05
"""Of a false alarm in either limit, where both are right."""
PRIOR_EVENTS = 20.0
"""What the limits in force are worth, in churns: ten for each."""
MINIMUM_CHURNED, MINIMUM_LATER = 50, 20
"""Accounts with a churn among the earlier and the later rows, fewer than which say nothing of limits."""
WIDE_INTERVAL_CAPS = 2.0
"""In caps: where both intervals reach further than this to either side, nothing could have been seen."""
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
    """Propose where green and yellow begin, or to leave them.

    The limits looked for are those whose three bands tell churn best: the likeliest three churn rates, never rising
    with the band (a step function with two jumps, fitted by its likelihood). They are drawn towards those in force,
    and judged on the later rows by the churn rates that the earlier ones give each band. They move only if an interval
    clears the limit in force, the whole interval of the change of log loss on the later rows lies below zero, and the
    red queue does not grow beyond what the team can look after; and then by a step of at most the cap.

    Parameters
    ----------
    rows : scored by the weights in force; made of the earlier rows, judged on the later ones.
    bands : the limits in force.
    capacity : accounts that the team can look after at a date; None if nobody has said.
    cap : the most that a limit may move, in points. seed, resamples : of the account bootstrap.
    """
    old = np.array([bands.yellow, bands.green], dtype=np.float64)
    past, later = rows.only(rows.earlier), rows.only(rows.judged_on)
    enough, court = evidence_count(past.churned, past.accounts), evidence_count(later.churned, later.accounts)
    weight = overlap_weights(past.accounts, past.as_of, past.horizon_days)
    events = float(weight @ past.churned)
    found = _fit_limits(past, weight, old, cap, resamples, seed)
    judged = _evaluate_limits(past, weight, later, old, found, resamples, seed)
    queues = [red_queue(rows, float(limits[0]), capacity) for limits in (old, found.candidate)]
    decision, reasons = _decide(old, found, judged, enough, court, queues, cap)
    new = found.candidate if decision == "change" else old
    limits = tuple(
        LimitFinding(
            band="yellow" if i == 0 else "green",
            old=float(old[i]),
            fitted=Estimate(float(found.fitted[i]), float(found.low[i]), float(found.high[i])),
            target=float(found.target[i]),
            candidate=float(found.candidate[i]),
            new=float(new[i]),
            clear=None if found.clear[i] == 0 else "up" if found.clear[i] > 0 else "down",
        )
        for i in (1, 0)
    )
    before, after = (_churn_by_band(past, later, limit, resamples, seed) for limit in (old, found.candidate))
    return BandProposal(
        decision=decision,
        reasons=reasons,
        limits=limits,
        judged=judged,
        before=before,
        after=after,
        queue_before=queues[0],
        queue_after=queues[1],
        earlier=enough,
        later=court,
        events=events,
        prior_events=PRIOR_EVENTS,
        shrinkage=PRIOR_EVENTS / (PRIOR_EVENTS + events),
        cap=cap,
        level=INTERVAL_LEVEL,
    )


@dataclass(frozen=True)
class _LimitFit:
    """Limits, yellow then green: fitted, their 90% intervals, which way they clear, the target (shrunk, not capped) and
    the candidate (a capped step towards it)."""

    fitted: Floats
    low: Floats
    high: Floats
    clear: Ints
    target: Floats
    candidate: Floats


def _fit_limits(past: ReviewRows, weight: Floats, old: Floats, cap: float, resamples: int, seed: int) -> _LimitFit:
    blank = np.full(2, np.nan)
    nothing = _LimitFit(blank, blank, blank, np.zeros(2, np.int64), old, old)
    if not 0 < past.churned.sum() < len(past):
        return nothing
    whole, drawn = ScoreHistogram.of(past.score, past.churned, weight, AccountBootstrap(past.accounts, resamples, seed))
    fitted, draws = whole.best()[0], drawn.best()
    if np.isnan(fitted).any():
        return nothing
    ends = np.array([interval(draws[:, i], INTERVAL_LEVEL) for i in range(2)])
    # Two limits share the chance of a false alarm.
    wide = np.array([interval(draws[:, i], 1 - FALSE_ALARM_RATE / 2) for i in range(2)])
    clear = np.where(wide[:, 0] > old, 1, np.where(wide[:, 1] < old, -1, 0)).astype(np.int64)
    # What is clearly too low may only rise, what is clearly too high only fall; where neither is, both may move.
    free = not clear.any()
    prior = whole.with_prior(float(old[0]), float(old[1]), PRIOR_EVENTS)

    def best(reach: float, least: Floats, most: Floats) -> Floats:
        """The likeliest limits that are at most so far from those in force."""
        low = np.maximum(np.where(free | (clear < 0), old - reach, old), least)
        high = np.minimum(np.where(free | (clear > 0), old + reach, old), most)
        # A limit that is no whole point stays where it is, or moves to one.
        low = np.where(low < old, np.ceil(low), np.floor(old))
        high = np.where(high > old, np.floor(high), np.floor(old))
        # A band in force may be small; the way to a larger one must not be barred for that.
        likeliest = prior.best((low[0], low[1]), (high[0], high[1]), share=0.0)[0]
        return old if np.isnan(likeliest).any() else np.where(likeliest == np.floor(old), old, likeliest)

    target = best(100.0, np.zeros(2), np.full(2, 100.0))
    candidate = best(cap, np.minimum(old, target), np.maximum(old, target))
    return _LimitFit(fitted, np.minimum(ends[:, 0], fitted), np.maximum(ends[:, 1], fitted), clear, target, candidate)


def _band_of(score: Floats, limits: Floats) -> Ints:
    """0 red, 1 yellow, 2 green."""
    return np.asarray((score >= limits[0]).astype(np.int64) + (score >= limits[1]), dtype=np.int64)


def _evaluate_limits(
    past: ReviewRows, weight: Floats, later: ReviewRows, old: Floats, found: _LimitFit, resamples: int, seed: int
) -> tuple[ScoringEvaluation, ...]:
    if not 0 < later.churned.sum() < len(later) or not 0 < past.churned.sum() < len(past):
        return ()
    overall = float(weight @ past.churned / weight.sum())

    def chances(limits: Floats) -> Floats:
        band = _band_of(past.score, limits)
        rows, churned = np.bincount(band, weight, 3), np.bincount(band, weight * past.churned, 3)
        # One account more in each band, of the average chance: an empty band has a rate.
        rates: Floats = (churned + overall) / (rows + 1.0)
        return rates[_band_of(later.score, limits)]

    ways = {IN_FORCE: chances(old)}
    if (found.candidate != old).any():
        ways[TARGET], ways[PROPOSED] = chances(found.target), chances(found.candidate)
    return ScoringComparison(later.churned, later.accounts, resamples, seed).judge(ways)


def _decide(
    old: Floats,
    found: _LimitFit,
    judged: tuple[ScoringEvaluation, ...],
    earlier: EvidenceCount,
    later: EvidenceCount,
    queues: list[RedQueue],
    cap: float,
) -> tuple[Verdict, tuple[str, ...]]:
    lacking = []
    if earlier.churned < MINIMUM_CHURNED:
        lacking.append(f"{earlier.churned} accounts churned in the earlier period; {MINIMUM_CHURNED} are needed")
    if later.churned < MINIMUM_LATER:
        lacking.append(f"{later.churned} accounts churned in the later period; {MINIMUM_LATER} are needed to judge")
    if np.isnan(found.fitted).any():
        lacking.append("no three bands of a fair size have churn rates that fall from red to green")
    if lacking:
        return "not_enough_evidence", tuple(lacking)
    if not found.clear.any():
        reach = ((found.high - found.low) / 2).min()
        if reach > WIDE_INTERVAL_CAPS * cap:
            least = f"even the better-known limit is known to within {reach:.0f} points only"
            return "not_enough_evidence", (f"no interval clears its limit in force, and {least}",)
        return "keep", ("no interval clears its limit in force, both taken together",)
    clear = [
        f"{_NAMES[i + 1]} begins at {old[i]:g}, which is clearly too {'low' if found.clear[i] > 0 else 'high'}"
        f" (90% interval {found.low[i]:.0f} to {found.high[i]:.0f})"
        for i in (1, 0)
        if found.clear[i]
    ]
    target, step = (next((each for each in judged if each.name == name), None) for name in (TARGET, PROPOSED))
    if target is None or step is None:
        return "keep", ("the move that shrinkage and cap leave is none", *clear)
    points_to = f"the evidence points to {changes_text(('yellow', 'green'), old, found.target)}"
    failed = rejection_reason(target, step)
    worse = [f"{points_to}, but {failed}"] if failed else []
    before, after = queues
    if after.over and after.typical > before.typical:
        worse.append(
            f"the red queue would be {after.typical:g} accounts long, {before.typical:g} as it is, and the team can"
            f" look after {after.capacity}"
        )
    if worse:
        return "keep", (*worse, *clear)
    return "change", (*clear, f"{points_to}; {confirmation_text(target)}")


def _churn_by_band(
    past: ReviewRows, later: ReviewRows, limits: Floats, resamples: int, seed: int
) -> tuple[BandChurn, ...]:
    out = []
    for each in (2, 1, 0):
        inside = [_band_of(rows.score, limits) == each for rows in (past, later)]
        rates = [_churn_rate(rows, mask, resamples, seed) for rows, mask in zip((past, later), inside, strict=True)]
        told = [
            evidence_count(rows.churned[mask], rows.accounts[mask])
            for rows, mask in zip((past, later), inside, strict=True)
        ]
        begins = 0.0 if each == 0 else float(limits[each - 1])
        out.append(BandChurn(_NAMES[each], begins, rates[0], rates[1], told[0], told[1]))
    return tuple(out)


def _churn_rate(rows: ReviewRows, inside: Bools, resamples: int, seed: int) -> Estimate:
    """The churn rate of some rows, by resamples of all accounts."""
    if not inside.any():
        return Estimate(float("nan"), float("nan"), float("nan"))
    bootstrap = AccountBootstrap(rows.accounts, resamples, seed)
    of, there = (
        bootstrap.counts @ np.bincount(bootstrap.codes, values, bootstrap.accounts)
        for values in (inside * rows.churned, inside.astype(np.float64))
    )
    drawn = np.divide(of, there, out=np.full(len(there), np.nan), where=there > 0)
    return Estimate(float(rows.churned[inside].mean()), *interval(drawn, INTERVAL_LEVEL))
