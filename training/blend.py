"""The model that ships: so much of the logistic regression, so much of the trees, in log-odds.

The two err differently, and their mean errs less than either (Perrone and Cooper 1993; Breiman 1996, stacked
regressions). On every data set at hand it ranked at least as well as the better of the two, or nearly so
(bench/RESULTS.md). A sum of log-odds is explained by the sum of the two explanations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from training.boosted import Boosted
from training.bootstrap import clearly_better
from training.design import Design
from training.linear import Linear
from training.logistic import log_loss
from training.matrix import Encoding
from training.steps import Floats

# The trees' shares to choose from; the even one is taken unless another is clearly better.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
EVEN = 0.5


@dataclass(frozen=True)
class Blend:
    """A linear model and trees that read the same columns.

    Parameters
    ----------
    share : of the trees, 0 to 1; the linear model has the rest.
    """

    linear: Linear
    trees: Boosted
    share: float

    @property
    def encoding(self) -> Encoding:
        """How a frame is read."""
        return self.trees.encoding

    def raw(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Log-odds of n snapshots at a horizon (the main one if None), shape (n,), not calibrated."""
        return (1.0 - self.share) * self.linear.raw(frame, days) + self.share * self.trees.raw(frame, days)

    def plain(self) -> dict[str, Any]:
        """What the scorer reads besides the booster (`models.scorer`): the linear part, the trees' share, horizons."""
        encoding = self.encoding
        told: dict[str, Any] = {"start": self.linear.plain(1.0 - self.share), "trees_share": self.share}
        if encoding.horizons:
            told["horizons"] = {"days": list(encoding.horizons), "main": encoding.main_horizon}
        return told


def blended(linear: Linear, trees: Boosted, design: Design) -> Blend:
    """Choose the share on the rows that both searches held out: later ones, of accounts that the fits had not seen.

    Parameters
    ----------
    linear, trees : fitted on ``design``.
    """
    thin = design.thin()
    held = [fold.held for fold in thin.folds()]
    if not held:
        return Blend(linear, trees, EVEN)
    y, accounts = (np.concatenate([of[rows] for rows in held]) for of in (thin.y, thin.accounts))
    straight, bent = np.concatenate(linear.held), np.concatenate(trees.held)
    losses = {share: log_loss((1.0 - share) * straight + share * bent, y) for share in SHARES}
    best = min(SHARES, key=lambda share: (losses[share].sum(), abs(share - EVEN)))
    gain = losses[EVEN] - losses[best]
    return Blend(linear, trees, best if clearly_better(gain, accounts) else EVEN)
