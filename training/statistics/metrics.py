"""How good predictions of a yes or no are. Each metric says what a good value is.

Every metric has the same form: predictions and row weights of shape (b, n) in, b values out, so that one pass gives
the point value (weights of one) or hundreds of resamples. A metric that is not defined (one class only) is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special

from features.utils.arrays import Floats, Ints
from training.statistics import newton_logistic

MINIMUM_PROBABILITY = 1e-6
BINS = 10
TOP_SHARES = (0.05, 0.10, 0.20)


@dataclass(frozen=True)
class Predictions:
    """Probabilities beside what happened.

    Parameters
    ----------
    y : labels, 0 or 1, shape (n,).
    p : probabilities, shape (n,); kept within 1e-6 of 0 and 1.
    arr : ARR at as_of, shape (n,), currency; NaN counts as 0.
    """

    y: Floats
    p: Floats
    arr: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", np.clip(self.p, MINIMUM_PROBABILITY, 1 - MINIMUM_PROBABILITY))
        object.__setattr__(self, "arr", np.nan_to_num(self.arr))

    @cached_property
    def log_odds(self) -> Floats:
        """Of the probabilities."""
        return log_odds(self.p)

    @cached_property
    def ranking(self) -> tuple[Ints, Ints]:
        """The order from the highest probability down, and where each group of equal ones begins in it."""
        order = np.argsort(-self.p, kind="stable")
        starts = np.flatnonzero(np.diff(self.p[order], prepend=np.inf))
        return order.astype(np.int64), starts.astype(np.int64)

    @cached_property
    def bins(self) -> Ints:
        """Which tenth of the rows, by probability, each row belongs to; equal probabilities share one."""
        edges = np.quantile(self.p, np.linspace(0, 1, BINS + 1)[1:-1])
        return np.searchsorted(edges, self.p, side="left").astype(np.int64)

    def ranked(self, weights: Floats, *values: Floats) -> list[Floats]:
        """Sums of weight x value per group of equal probabilities, from the top down: (b, groups) for each value."""
        order, starts = self.ranking
        sorted_weights = weights[:, order]
        return [np.add.reduceat(sorted_weights * value[order], starts, axis=1) for value in values]


def log_odds(p: Floats) -> Floats:
    """Of probabilities, kept within 1e-6 of 0 and 1."""
    return np.asarray(scipy.special.logit(np.clip(p, MINIMUM_PROBABILITY, 1 - MINIMUM_PROBABILITY)), dtype=np.float64)


def base_rate(data: Predictions, weights: Floats) -> Floats:
    """The share of rows with the outcome: neither good nor bad, but what everything else is held against."""
    return _ratio(weights @ data.y, weights.sum(axis=1))


def roc_auc(data: Predictions, weights: Floats) -> Floats:
    """The chance that a row with the outcome ranks above one without. 0.5 is guessing, 0.7 useful, 0.8 good."""
    return _roc_auc(*data.ranked(weights, data.y, np.ones_like(data.y)))


def pr_auc(data: Predictions, weights: Floats) -> Floats:
    """Average precision down the ranking. The base rate is guessing, twice the base rate useful, 1 perfect."""
    return _pr_auc(*data.ranked(weights, data.y, np.ones_like(data.y)))


def brier(data: Predictions, weights: Floats) -> Floats:
    """The mean squared error of the probabilities. Lower is better; the base rate p alone scores p (1 - p)."""
    return _ratio(weights @ (data.p - data.y) ** 2, weights.sum(axis=1))


def brier_skill(data: Predictions, weights: Floats, known_rate: float) -> Floats:
    """The share of the Brier score of a constant `known_rate` that the model saves. Above 0 is better than knowing only
    the rate from training; 0.05 is useful where outcomes are rare, 1 perfect."""
    return 1 - _ratio(brier(data, weights), _ratio(weights @ (known_rate - data.y) ** 2, weights.sum(axis=1)))


def brier_skill_in_hindsight(data: Predictions, weights: Floats) -> Floats:
    """The same against the test's own rate, which nobody could know then: a harder mark. Above 0 is good."""
    rate = base_rate(data, weights)
    return 1 - _ratio(brier(data, weights), rate * (1 - rate))


def log_loss(data: Predictions, weights: Floats) -> Floats:
    """The mean surprise in nats. Lower is better; confident mistakes cost most. Compare it with the base rate's."""
    return _ratio(weights @ newton_logistic.row_log_loss(data.log_odds, data.y), weights.sum(axis=1))


def calibration_error(data: Predictions, weights: Floats) -> Floats:
    """How far the predicted and the actual rate lie apart, on average over tenths of the rows. 0 is perfect, under a
    fifth of the base rate good. It never comes out at quite 0, for small tenths scatter."""
    inside = np.eye(BINS)[data.bins]
    gaps = np.abs(weights @ (inside * (data.p - data.y)[:, None]))
    return _ratio(gaps.sum(axis=1), weights.sum(axis=1))


def calibration_slope(data: Predictions, weights: Floats) -> Floats:
    """How the true log-odds rise with the predicted ones (Cox 1958). 1 is right, below 1 too extreme, above 1 too
    timid; 0.8 to 1.25 is good."""
    if np.ptp(data.log_odds) < 1e-9:
        return np.full(len(weights), np.nan)
    # On a scale of unit spread, so that Newton's steps have a common size.
    spread = data.log_odds.std()
    design = np.column_stack([(data.log_odds - data.log_odds.mean()) / spread, np.ones_like(data.y)])
    found = newton_logistic.fit(design, data.y, weights, np.array([spread, 0.0]), np.array([1e-6, 1e-6]))
    return np.where(_has_both_classes(data, weights), found[:, 0] / spread, np.nan)


def calibration_intercept(data: Predictions, weights: Floats) -> Floats:
    """The log-odds to add to every prediction to meet the actual rate (calibration in the large). 0 is right, above 0
    the predictions are too low; within 0.2 is good."""
    design = np.ones((len(data.y), 1))
    found = newton_logistic.fit(design, data.y, weights, np.zeros(1), np.full(1, 1e-6), offset=data.log_odds)
    return np.where(_has_both_classes(data, weights), found[:, 0], np.nan)


def captured(data: Predictions, weights: Floats) -> Floats:
    """The share of the outcomes found among the top 5, 10 and 20% of the rows, shape (b, 3). As much as the share of
    rows is guessing; three times as much is good. A group of equal probabilities is taken in proportion."""
    return _captured_shares(*data.ranked(weights, data.y, np.ones_like(data.y)))


def captured_arr(data: Predictions, weights: Floats) -> Floats:
    """The same, counted in the ARR of the rows with the outcome: the share of the money at stake that is seen. Again
    the share of rows is guessing, and three times as much is good."""
    return _captured_shares(*data.ranked(weights, data.y * data.arr, np.ones_like(data.y)))


def lift(data: Predictions, weights: Floats) -> Floats:
    """How many times more frequent the outcome is among the top 5, 10 and 20% than overall, shape (b, 3). 1 is
    guessing, 2 useful, 3 good."""
    found: Floats = captured(data, weights) / np.array(TOP_SHARES)
    return found


def ranking_metrics(data: Predictions, weights: Floats) -> dict[str, Floats]:
    """All metrics of the ranking by name, as each alone would tell them: to put the weights in its order is most of
    their work, and is done once."""
    happened, money, every = data.ranked(weights, data.y, data.y * data.arr, np.ones_like(data.y))
    seen = _captured_shares(happened, every)
    return {
        "roc_auc": _roc_auc(happened, every),
        "pr_auc": _pr_auc(happened, every),
        "lift": seen / np.array(TOP_SHARES),
        "captured": seen,
        "captured_arr": _captured_shares(money, every),
    }


def _roc_auc(happened: Floats, every: Floats) -> Floats:
    others = every - happened
    below = others.sum(axis=1, keepdims=True) - np.cumsum(others, axis=1)
    wins = (happened * (below + others / 2)).sum(axis=1)
    return _ratio(wins, happened.sum(axis=1) * others.sum(axis=1))


def _pr_auc(happened: Floats, every: Floats) -> Floats:
    precision = _ratio(np.cumsum(happened, axis=1), np.cumsum(every, axis=1))
    return _ratio(np.nansum(happened * precision, axis=1), happened.sum(axis=1))


def _captured_shares(caught: Floats, every: Floats) -> Floats:
    rows = np.pad(np.cumsum(every, axis=1), ((0, 0), (1, 0)))
    found = np.pad(np.cumsum(caught, axis=1), ((0, 0), (1, 0)))
    shares = [np.interp(np.array(TOP_SHARES) * r[-1], r, f) for r, f in zip(rows, found, strict=True)]
    return _ratio(np.array(shares).reshape(-1, len(TOP_SHARES)), found[:, -1:])


def _has_both_classes(data: Predictions, weights: Floats) -> Floats:
    return np.asarray((weights @ data.y > 0) & (weights @ (1 - data.y) > 0))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Part over whole, NaN where the whole is nothing."""
    nothing = whole == 0
    return np.asarray(np.where(nothing, np.nan, part / np.where(nothing, 1.0, whole)), dtype=np.float64)
