"""Share of churn that is caused by nonpayment: a small logistic regression among churned accounts, and its evaluation.

Voluntary and involuntary churn add up to churn. The involuntary part is a share of it, so one calibrated probability
serves both (competing risks with a common total; docs/explanation/method.md, "Involuntary churn"). An account that
fails to pay needs a different play from one that wants to leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import scipy.special

from features.definitions.feature import Feature
from features.utils.arrays import Floats, Objects
from models.peer_groups.segments import ARR_FEATURE
from training.dataset.design_matrix import Design
from training.estimators.logistic_regression import LinearModel, fit_linear, search_ridge
from training.evaluation import test_predictions
from training.evaluation.comparison import Comparison, compare_candidates
from training.evaluation.test_predictions import PartMetrics, part_metrics

# Accounts of either kind. With fewer, a share per account would be arbitrary.
MINIMUM_ACCOUNTS = 15
KINDS = ("involuntary", "voluntary")
BY_ACCOUNT: Final = "share_by_account"
CONSTANT: Final = "constant_share"
"""The baseline: the share in the training data, the same for every account."""

Ships = Literal["share_by_account", "constant_share", "nothing"]


@dataclass(frozen=True)
class InvoluntaryChurn:
    """Model of the involuntary share of churn, evaluated on the churned rows on the predicted dates.

    Parameters
    ----------
    known_share : share of the churned training rows that ended by nonpayment, 0 to 1.
    trained_on, tested_on : churned accounts by kind, in the training rows and on the predicted dates.
    model : fitted on every churn known before the test; None with fewer than `MINIMUM_ACCOUNTS` accounts of either
        kind.
    figures : observed and predicted share of nonpayment on the predicted dates.
    judgement : comparison of the model with the constant share, by every metric. Both are None where there is no model,
        or where the predicted dates have fewer than `training.evaluation.test_predictions.MINIMUM_ACCOUNTS` accounts of
        either kind.
    """

    known_share: float
    trained_on: Mapping[str, int]
    tested_on: Mapping[str, int]
    model: LinearModel | None
    figures: PartMetrics | None
    judgement: Comparison | None

    @property
    def ships(self) -> Ships:
        """What ships: the model, unless it was significantly worse than the constant share by log loss.

        A model that could not be evaluated ships, and `words` says so: its ridge was chosen on held-out accounts, so
        with little data it predicts nearly the constant share anyway.
        """
        if self.model is None:
            return "nothing"
        difference = None if self.judgement is None else self.judgement.difference(CONSTANT)
        return CONSTANT if difference is not None and difference.worse else BY_ACCOUNT

    @property
    def words(self) -> str:
        """What ships, and why, in one sentence."""
        if self.model is None:
            counts = _account_counts(self.trained_on, MINIMUM_ACCOUNTS)
            return f"involuntary churn is not estimated: too few accounts to learn from ({counts})"
        if self.judgement is None or (difference := self.judgement.difference(CONSTANT)) is None:
            counts = _account_counts(self.tested_on, test_predictions.MINIMUM_ACCOUNTS)
            return f"estimated per account, but not evaluated: too few accounts on the predicted dates ({counts})"
        if difference.worse:
            return (
                f"a constant {self.known_share:.0%} of each churn probability is attributed to nonpayment: a share per "
                "account had a significantly worse log loss on the predicted dates"
            )
        relation = "better than" if difference.better else "not measurably different from"
        loss = f"log loss on the predicted dates {relation} that of a constant share"
        return f"the share is estimated per account: {loss}"

    def scorer_parameters(self) -> dict[str, Any] | None:
        """What ships, in the form that the scorer reads (`models.scorer.scorer`, "involuntary"); None for nothing."""
        if self.model is None:
            return None
        if self.ships == BY_ACCOUNT:
            return self.model.scorer_parameters()
        return self.model.scorer_parameters(0.0) | {"intercept": float(scipy.special.logit(self.known_share))}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "ships": self.ships,
            "words": self.words,
            "known_share": self.known_share,
            "trained_on": dict(self.trained_on),
            "tested_on": dict(self.tested_on),
            "figures": None if self.figures is None else self.figures.as_dict(),
            "judgement": None if self.judgement is None else self.judgement.as_dict(),
        }


def evaluate_involuntary(
    design: Design,
    kind: Objects,
    features: Mapping[str, Feature],
    later: pd.DataFrame,
    later_kind: Objects,
    resamples: int,
    seed: int = 0,
    final: tuple[Design, Objects] | None = None,
) -> InvoluntaryChurn:
    """Fit the model of the involuntary share and evaluate it out of time.

    Parameters
    ----------
    design, kind, features : as in `fit_involuntary`.
    later, later_kind : churned snapshots of later dates, whose label windows begin after all training windows have
        ended, and the kind of each, shape (n,).
    resamples, seed : of the account bootstrap.
    final : training rows and kinds of the model that ships, fitted after the evaluation; None for those of ``design``.

    Returns
    -------
    InvoluntaryChurn
    """
    churned = design.main & (design.y == 1)
    share = float((kind[churned] == "involuntary").mean())
    accounts = later["account_id"].to_numpy(dtype=object)
    tested_on = _by_kind(accounts, later_kind)
    model, figures, comparison = fit_involuntary(design, kind, features), None, None
    if model is not None and min(tested_on.values()) >= test_predictions.MINIMUM_ACCOUNTS:
        y = (later_kind == "involuntary").astype(np.float64)
        p: Floats = scipy.special.expit(model.raw(later))
        arr = later[ARR_FEATURE].fillna(0.0).to_numpy(dtype=np.float64)
        figures = part_metrics("involuntary", y, p, accounts, seed, resamples)
        candidates = {BY_ACCOUNT: p, CONSTANT: np.full(len(y), share)}
        comparison = compare_candidates(y, candidates, accounts, arr, share, BY_ACCOUNT, resamples, seed)
    if final is not None:
        design, kind = final
        churned = design.main & (design.y == 1)
        share, model = float((kind[churned] == "involuntary").mean()), fit_involuntary(design, kind, features)
    return InvoluntaryChurn(
        share, _by_kind(design.accounts[churned], kind[churned]), tested_on, model, figures, comparison
    )


def fit_involuntary(design: Design, kind: Objects, features: Mapping[str, Feature]) -> LinearModel | None:
    """Fit the model of the involuntary share on the churned rows of the main horizon.

    Parameters
    ----------
    design : the training rows for churn, m of them.
    kind : "voluntary", "involuntary" or None for each row, shape (m,).
    features : the catalogue.

    Returns
    -------
    LinearModel or None
        None with fewer than `MINIMUM_ACCOUNTS` accounts of either kind.
    """
    churned = design.main & (design.y == 1)
    if min(_by_kind(design.accounts[churned], kind[churned]).values()) < MINIMUM_ACCOUNTS:
        return None
    unpaid = (kind == "involuntary").astype(np.float64)
    rows = replace(design, y=unpaid).subset(churned)
    return fit_linear(rows, search_ridge(rows), features)


def _by_kind(accounts: Objects, kind: Objects) -> dict[str, int]:
    return {name: len(set(accounts[kind == name])) for name in KINDS}


def _account_counts(accounts: Mapping[str, int], minimum: int) -> str:
    return f"{accounts['involuntary']} by nonpayment, {accounts['voluntary']} otherwise; at least {minimum} of each"
