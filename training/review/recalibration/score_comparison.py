"""Comparison of scorings on the later rows, each calibrated on the earlier rows."""

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
"""Values suggested by the data, shrunk but not capped. A change is evaluated by them."""
INTERVAL_LEVEL = 0.9
"""Confidence level of the intervals of a proposal."""
MINIMUM_CALIBRATED = 10
"""Minimum number of churned and of other accounts for calibrating the model; with fewer it is used as it is."""
_PRIOR = 1e-3


@dataclass(frozen=True)
class ScoringComparison:
    """Compares probabilities of churn on the n later rows of a review.

    Parameters
    ----------
    churned : 0 or 1, shape (n,).
    accounts : the account of each row, shape (n,).
    resamples, seed : of the account bootstrap for the intervals.
    """

    churned: Floats
    accounts: Objects
    resamples: int
    seed: int

    def compare(self, chances: Mapping[str, Floats]) -> tuple[ScoringEvaluation, ...]:
        """Evaluate probabilities of churn, and compare each with the first one.

        Parameters
        ----------
        chances : probabilities by name, NaN if missing, shape (n,).

        Returns
        -------
        One evaluation per name.
        """
        if not len(self.churned):
            return ()
        first = next(iter(chances.values()))
        bootstrap, own = AccountBootstrap(self.accounts, self.resamples, self.seed), self._losses(first)
        out = []
        for name, p in chances.items():
            available = ~np.isnan(p)
            if available.all():
                out.append(self._evaluate(name, self._losses(p), own, bootstrap, self))
            elif available.any():
                part = ScoringComparison(self.churned[available], self.accounts[available], self.resamples, self.seed)
                fewer = AccountBootstrap(part.accounts, self.resamples, self.seed)
                out.append(
                    self._evaluate(name, part._losses(p[available]), part._losses(first[available]), fewer, part)
                )
        return tuple(out)

    def _losses(self, p: Floats) -> _Losses:
        data = Predictions(self.churned, p, np.zeros(len(p)))
        return _Losses(data, (data.p - data.y) ** 2, newton_logistic.row_log_loss(data.log_odds, data.y))

    def _evaluate(
        self, name: str, one: _Losses, other: _Losses, bootstrap: AccountBootstrap, rows: ScoringComparison
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
            evidence_count(rows.churned, rows.accounts),
        )


class _Losses:
    """Losses of one scoring; its AUCs are computed once."""

    def __init__(self, data: Predictions, brier: Floats, log_loss: Floats) -> None:
        self.data, self.brier, self.log_loss = data, brier, log_loss
        self._auc: tuple[float, Floats] | None = None

    def auc(self, bootstrap: AccountBootstrap) -> tuple[float, Floats]:
        """Return the AUC of all rows and of every resample."""
        if self._auc is None:
            whole = float(roc_auc(self.data, np.ones((1, len(self.data.y))))[0])
            self._auc = whole, bootstrap.values(lambda weights: roc_auc(self.data, weights))
        return self._auc


def evidence_count(churned: Floats, accounts: Objects) -> EvidenceCount:
    """Count rows, accounts and churned accounts.

    Parameters
    ----------
    churned, accounts : of each row, shape (n,).
    """
    return EvidenceCount(len(churned), len(np.unique(accounts)), len(np.unique(accounts[churned == 1])))


def calibrated_by_score(score: Floats, churned: Floats, weight: Floats, later: Floats) -> Floats:
    """Convert later scores to probabilities of churn with a logistic curve fitted on the earlier ones.

    Parameters
    ----------
    score, churned, weight : of the earlier rows, shape (n,).
    later : scores of the later rows, shape (m,).

    Returns
    -------
    Probabilities, NaN without a score, shape (m,).
    """
    available = ~np.isnan(score)
    x, y, w = score[available], churned[available], weight[available]
    middle, spread = float(w @ x / w.sum()), float(x.std()) or 1.0
    design = np.column_stack([(x - middle) / spread, np.ones(len(x))])
    slope, level = newton_logistic.fit(design, y, w[None], np.zeros(2), np.full(2, _PRIOR))[0]
    probability: Floats = scipy.special.expit(level + slope * (later - middle) / spread)
    return probability


def calibrated_by_model(p: Floats, churned: Floats, weight: Floats, accounts: Objects, later: Floats) -> Floats:
    """Calibrate the probabilities of the champion on the later rows, if there are enough earlier ones.

    Parameters
    ----------
    p, churned, weight, accounts : of the earlier rows, shape (n,).
    later : probabilities on the later rows, shape (m,).

    Returns
    -------
    Probabilities, shape (m,).
    """
    available: Bools = ~np.isnan(p)
    count = evidence_count(churned[available], accounts[available])
    if min(count.churned, count.accounts - count.churned) < MINIMUM_CALIBRATED:
        return later
    return calibrated_by_score(
        log_odds(p[available]),
        churned[available],
        weight[available],
        np.where(np.isnan(later), np.nan, log_odds(later)),
    )


def _mean_loss(bootstrap: AccountBootstrap, losses: Floats) -> Estimate:
    return Estimate(*bootstrap.mean_interval(losses, INTERVAL_LEVEL))
