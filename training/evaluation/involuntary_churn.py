"""Which churns come about by nonpayment: a small logistic regression among the churned, and how well it tells.

Voluntary and involuntary churn add up to churn, and are told apart by a share of it, so that one calibrated probability
serves both (competing risks with a common total; docs/explanation/method.md, "Involuntary churn"). An account that
fails to pay needs another play than one that wants to leave.
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
from training.estimators.logistic_regression import Linear, fit_linear
from training.evaluation import test_predictions
from training.evaluation.comparison import Judgement, judge
from training.evaluation.test_predictions import Part, part

# Accounts of either kind; below, a share of its own for each account would be made up.
LEAST = 15
KINDS = ("involuntary", "voluntary")
BY_ACCOUNT: Final = "share_by_account"
CONSTANT: Final = "constant_share"
"""What the model has to beat: the share that was known when training, the same for every account."""

Ships = Literal["share_by_account", "constant_share", "nothing"]


@dataclass(frozen=True)
class Involuntary:
    """What tells how a churn comes about, judged on the churned of the test dates, which it has not seen.

    Parameters
    ----------
    known_share : the share of the churned training rows that ended by nonpayment, 0 to 1.
    trained_on, tested_on : churned accounts by kind, of the training rows and of the test dates.
    model : fitted on every churn known before the test; None with fewer than `LEAST` accounts of either kind.
    figures : how often it was nonpayment on the test dates, and what the model said.
    judgement : the model by every metric, beside the constant share. Both are None where there is no model, or where
        fewer than `training.evaluation.test_predictions.LEAST` accounts of either kind are there.
    """

    known_share: float
    trained_on: Mapping[str, int]
    tested_on: Mapping[str, int]
    model: Linear | None
    figures: Part | None
    judgement: Judgement | None

    @property
    def ships(self) -> Ships:
        """What answers: the model unless it was clearly worse than the constant share, by log loss.

        One that could not be judged ships, and is said not to be judged: its ridge was chosen on accounts that it had
        not seen, so that with little to go by it says nearly the constant share itself.
        """
        if self.model is None:
            return "nothing"
        apart = None if self.judgement is None else self.judgement.difference(CONSTANT)
        return CONSTANT if apart is not None and apart.worse else BY_ACCOUNT

    @property
    def words(self) -> str:
        """What ships, and why."""
        if self.model is None:
            return f"not told apart: too few accounts to learn from ({_counted(self.trained_on, LEAST)})"
        if self.judgement is None or (apart := self.judgement.difference(CONSTANT)) is None:
            return (
                f"told, but not judged: too few on the test dates ({_counted(self.tested_on, test_predictions.LEAST)})"
            )
        if apart.worse:
            return (
                f"a constant {self.known_share:.0%} of each probability is told to be by nonpayment: a share for each "
                "account was clearly worse by log loss on the test dates"
            )
        relation = "clearly better than" if apart.better else "not clearly apart from"
        return f"a share is told for each account: on the test dates {relation} a constant share by log loss"

    def plain(self) -> dict[str, Any] | None:
        """What ships, as the scorer reads it (`models.scorer.scorer`, "involuntary"); None for nothing."""
        if self.model is None:
            return None
        if self.ships == BY_ACCOUNT:
            return self.model.plain()
        return self.model.plain(0.0) | {"intercept": float(scipy.special.logit(self.known_share))}

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


def involuntary(
    design: Design,
    kind: Objects,
    features: Mapping[str, Feature],
    later: pd.DataFrame,
    later_kind: Objects,
    resamples: int,
    seed: int = 0,
) -> Involuntary:
    """Fit it, and judge it out of time.

    Parameters
    ----------
    design, kind, features : as in `fit_involuntary`.
    later, later_kind : the churned snapshots of later dates, whose label windows begin when all of the training's have
        ended, and the kind of each, shape (n,).
    resamples, seed : of the account bootstrap.
    """
    churned = design.main & (design.y == 1)
    share = float((kind[churned] == "involuntary").mean())
    accounts = later["account_id"].to_numpy(dtype=object)
    tested_on = _by_kind(accounts, later_kind)
    model, figures, judged = fit_involuntary(design, kind, features), None, None
    if model is not None and min(tested_on.values()) >= test_predictions.LEAST:
        y = (later_kind == "involuntary").astype(np.float64)
        p: Floats = scipy.special.expit(model.raw(later))
        arr = later[ARR_FEATURE].fillna(0.0).to_numpy(dtype=np.float64)
        figures = part("involuntary", y, p, accounts, seed, resamples)
        said = {BY_ACCOUNT: p, CONSTANT: np.full(len(y), share)}
        judged = judge(y, said, accounts, arr, share, BY_ACCOUNT, resamples, seed)
    return Involuntary(share, _by_kind(design.accounts[churned], kind[churned]), tested_on, model, figures, judged)


def fit_involuntary(design: Design, kind: Objects, features: Mapping[str, Feature]) -> Linear | None:
    """Fit it on the churned rows of the main horizon; None with fewer than `LEAST` accounts of either kind.

    Parameters
    ----------
    design : the training rows for churn, m of them.
    kind : "voluntary", "involuntary" or None of each of them, shape (m,).
    features : the catalogue.
    """
    churned = design.main & (design.y == 1)
    if min(_by_kind(design.accounts[churned], kind[churned]).values()) < LEAST:
        return None
    unpaid = (kind == "involuntary").astype(np.float64)
    return fit_linear(replace(design, y=unpaid).only(churned), features)


def _by_kind(accounts: Objects, kind: Objects) -> dict[str, int]:
    return {name: len(set(accounts[kind == name])) for name in KINDS}


def _counted(accounts: Mapping[str, int], least: int) -> str:
    return f"{accounts['involuntary']} by nonpayment, {accounts['voluntary']} otherwise; it takes {least} of each"
