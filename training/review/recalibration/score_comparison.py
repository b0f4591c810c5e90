"""Ways to score, held against each other on the later rows, each calibrated on the earlier ones alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.special

from features.utils.arrays import Bools, Floats, Objects
from training.review.recalibration.schemas import Estimate, EvidenceCount, ScoringEvaluation
from training.statistics import newton_logistic
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions, log_odds, roc_auc

IN_FORCE, PROPOSED, EQUAL, MODEL = "in force", "proposed", "equal weights", "model"
TARGET = "target"
"""Where the evidence points to, shrunk but not capped: what a change is judged by."""
INTERVAL_LEVEL = 0.9
"""Of every interval of a proposal."""
MINIMUM_CALIBRATED = 10
"""Accounts with a churn, fewer than which calibrate nothing: probabilities are then taken as they come."""
_PRIOR = 1e-3


@dataclass(frozen=True)
class ScoringComparison:
    """The later rows of a review, n of them.

    Parameters
    ----------
    churned : 0 or 1, shape (n,). accounts : shape (n,).
    resamples, seed : of the account bootstrap behind every interval.
    """

    churned: Floats
    accounts: Objects
    resamples: int
    seed: int

    def judge(self, chances: Mapping[str, Floats]) -> tuple[ScoringEvaluation, ...]:
        """Judge probabilities of churn, shape (n,) each, NaN where there is none, against the first of them."""
        if not len(self.churned):
            return ()
        first = next(iter(chances.values()))
        bootstrap, own = AccountBootstrap(self.accounts, self.resamples, self.seed), self._losses(first)
        out = []
        for name, p in chances.items():
            there = ~np.isnan(p)
            if there.all():
                out.append(self._judged(name, self._losses(p), own, bootstrap, self))
            elif there.any():
                part = ScoringComparison(self.churned[there], self.accounts[there], self.resamples, self.seed)
                fewer = AccountBootstrap(part.accounts, self.resamples, self.seed)
                out.append(self._judged(name, part._losses(p[there]), part._losses(first[there]), fewer, part))
        return tuple(out)

    def _losses(self, p: Floats) -> _Losses:
        data = Predictions(self.churned, p, np.zeros(len(p)))
        return _Losses(data, (data.p - data.y) ** 2, newton_logistic.row_log_loss(data.log_odds, data.y))

    def _judged(
        self, name: str, one: _Losses, other: _Losses, bootstrap: AccountBootstrap, court: ScoringComparison
    ) -> ScoringEvaluation:
        auc, first_auc = one.auc(bootstrap), other.auc(bootstrap)
        return ScoringEvaluation(
            name,
            _mean_loss(bootstrap, one.brier),
            _mean_loss(bootstrap, one.log_loss),
            Estimate(auc[0], *interval(auc[1], INTERVAL_LEVEL)),
            _mean_loss(bootstrap, one.brier - other.brier),
            _mean_loss(bootstrap, one.log_loss - other.log_loss),
            Estimate(auc[0] - first_auc[0], *interval(auc[1] - first_auc[1], INTERVAL_LEVEL)),
            evidence_count(court.churned, court.accounts),
        )


class _Losses:
    """Of one way to score, on the rows of a court; its AUCs are taken once."""

    def __init__(self, data: Predictions, brier: Floats, log_loss: Floats) -> None:
        self.data, self.brier, self.log_loss = data, brier, log_loss
        self._auc: tuple[float, Floats] | None = None

    def auc(self, bootstrap: AccountBootstrap) -> tuple[float, Floats]:
        """Of all rows, and of every resample."""
        if self._auc is None:
            whole = float(roc_auc(self.data, np.ones((1, len(self.data.y))))[0])
            self._auc = whole, bootstrap.values(lambda weights: roc_auc(self.data, weights))
        return self._auc


def evidence_count(churned: Floats, accounts: Objects) -> EvidenceCount:
    """What stands behind a figure of these rows."""
    return EvidenceCount(len(churned), len(np.unique(accounts)), len(np.unique(accounts[churned == 1])))


def calibrated_by_score(score: Floats, churned: Floats, weight: Floats, later: Floats) -> Floats:
    """The probability of churn at later scores, by a logistic curve of the earlier ones; NaN for no score.

    Parameters
    ----------
    score, churned, weight : of the earlier rows, shape (n,). later : scores, shape (m,).
    """
    known = ~np.isnan(score)
    x, y, w = score[known], churned[known], weight[known]
    middle, spread = float(w @ x / w.sum()), float(x.std()) or 1.0
    design = np.column_stack([(x - middle) / spread, np.ones(len(x))])
    slope, level = newton_logistic.fit(design, y, w[None], np.zeros(2), np.full(2, _PRIOR))[0]
    found: Floats = scipy.special.expit(level + slope * (later - middle) / spread)
    return found


def calibrated_by_model(p: Floats, churned: Floats, weight: Floats, accounts: Objects, later: Floats) -> Floats:
    """The champion's probabilities on the later rows, calibrated where there are earlier ones enough to do it by."""
    known: Bools = ~np.isnan(p)
    told = evidence_count(churned[known], accounts[known])
    if min(told.churned, told.accounts - told.churned) < MINIMUM_CALIBRATED:
        return later
    return calibrated_by_score(
        log_odds(p[known]), churned[known], weight[known], np.where(np.isnan(later), np.nan, log_odds(later))
    )


def _mean_loss(bootstrap: AccountBootstrap, losses: Floats) -> Estimate:
    return Estimate(float(losses.mean()), *interval(bootstrap.means(losses), INTERVAL_LEVEL))
