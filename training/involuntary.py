"""Which churns come about by nonpayment: a small logistic regression among the churned.

Voluntary and involuntary churn add up to churn, and are told apart by a share of it, so that one calibrated probability
serves both (competing risks with a common total; method.md, "Models"). An account that fails to pay needs another play
than one that wants to leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from features.feature import Feature
from training.design import Design
from training.linear import Linear, fit_linear
from training.steps import Objects

# Accounts of either kind; below, a share of its own for each account would be made up.
LEAST = 15


def fit_involuntary(design: Design, kind: Objects, features: Mapping[str, Feature]) -> Linear | None:
    """Fit it on the churned rows of the main horizon; None with fewer than `LEAST` accounts of either kind.

    Parameters
    ----------
    design : the training rows for churn, m of them.
    kind : "voluntary", "involuntary" or None of each of them, shape (m,).
    features : the catalogue.
    """
    churned = design.main & (design.y == 1)
    unpaid = (kind == "involuntary").astype(np.float64)
    for happened in (0.0, 1.0):
        if len(set(design.accounts[churned & (unpaid == happened)])) < LEAST:
            return None
    return fit_linear(replace(design, y=unpaid).only(churned), features)
