"""Metrics of predicted probabilities. Each docstring says what a good value is.

Every metric takes predictions and row weights of shape (b, n) and returns b values, so one pass gives the point value
(weights of one) or hundreds of resamples. A metric that is undefined (one class only) is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special

from features.utils.arrays import Bools, Floats, Ints
from training.statistics import newton_logistic

MINIMUM_PROBABILITY = 1e-6
BINS = 10
TOP_SHARES = (0.05, 0.10, 0.20)
# Groups of similar log-odds that stand for the rows of one outcome when slope and intercept are fitted to many rows.
_GROUPS = 2_000
# Groups of similar probability that stand for the rows when resamples of many rows are ranked.
_RANKS = 10_000


@dataclass(frozen=True)
class Predictions:
    """Predicted probabilities and observed outcomes.

    Parameters
    ----------
    y : labels, 0 or 1, shape (n,).
    p : probabilities, shape (n,); clipped to [1e-6, 1 - 1e-6].
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
        """Log-odds of the probabilities."""
        return log_odds(self.p)

    @cached_property
    def ranking(self) -> tuple[Ints, Ints]:
        """Row order from the highest probability down, and the start of each group of equal probabilities in it."""
        order = np.argsort(-self.p, kind="stable")
        starts = np.flatnonzero(np.diff(self.p[order], prepend=np.inf))
        return order.astype(np.int64), starts.astype(np.int64)

    @cached_property
    def bins(self) -> Ints:
        """Tenth of the rows, by probability, to which each row belongs; equal probabilities share one."""
        edges = np.quantile(self.p, np.linspace(0, 1, BINS + 1)[1:-1])
        return np.searchsorted(edges, self.p, side="left").astype(np.int64)

    @cached_property
    def calibration_groups(self) -> tuple[Ints, Floats, Floats]:
        """Groups of rows with similar log-odds and the same outcome: group of each row, mean log-odds, outcome.

        At most `_GROUPS` per outcome, each with as many rows, so that hundreds of fits to resamples cost little. Fewer
        rows are a group each, which changes nothing.
        """
        order, group, begin = np.lexsort((self.log_odds, self.y)), np.empty(len(self.y), dtype=np.int64), 0
        for rows in np.split(order, [int((self.y == 0).sum())]):
            count = min(len(rows), _GROUPS)
            group[rows] = begin + np.arange(len(rows)) * count // max(len(rows), 1)
            begin += count
        sizes = np.bincount(group, minlength=begin)
        log_odds, y = (np.bincount(group, values, begin) / sizes for values in (self.log_odds, self.y))
        return group, log_odds, y

    @cached_property
    def _ranks(self) -> Ints:
        """Group of each row by probability from the top down; `_RANKS` groups with about as many rows each."""
        order, starts = self.ranking
        first = np.repeat(starts, np.diff(starts, append=len(order)))
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = first * _RANKS // len(order)
        return ranks

    def ranked(self, weights: Floats, *values: Floats) -> list[Floats]:
        """Return sums of weight x value per group of equal probabilities, from the top down: (b, groups) per value.

        In resamples, neighbours share a group where there are more than `_RANKS` probabilities.
        """
        order, starts = self.ranking
        if len(weights) > 1 and len(starts) > _RANKS:
            return [_sums(weights, value, self._ranks, _RANKS) for value in values]
        sorted_weights = weights[:, order]
        return [np.add.reduceat(sorted_weights * value[order], starts, axis=1) for value in values]


def _sums(weights: Floats, values: Floats, group: Ints, groups: int) -> Floats:
    """Return sums of weight x value per group, (b, groups)."""
    rows = np.flatnonzero(values)
    chosen, group = values[rows], group[rows]
    return np.array([np.bincount(group, w[rows] * chosen, groups) for w in weights])


def log_odds(p: Floats) -> Floats:
    """Return the log-odds of probabilities, clipped to [1e-6, 1 - 1e-6]."""
    return np.asarray(scipy.special.logit(np.clip(p, MINIMUM_PROBABILITY, 1 - MINIMUM_PROBABILITY)), dtype=np.float64)


def base_rate(data: Predictions, weights: Floats) -> Floats:
    """Share of rows with the outcome: the reference for every other metric.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return _ratio(weights @ data.y, weights.sum(axis=1))


def roc_auc(data: Predictions, weights: Floats) -> Floats:
    """Probability that a row with the outcome ranks above one without. 0.5 is guessing, 0.7 useful, 0.8 good.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return _roc_auc(*data.ranked(weights, data.y, np.ones_like(data.y)))


def roc_auc_within(data: Predictions, weights: Floats, groups: Ints) -> Floats:
    """Probability that a row with the outcome ranks above one without it of the same group. 0.5 is guessing.

    With dates as groups, it does not count what `roc_auc` also counts: that rates differ between dates.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).
    groups : group of each row, shape (n,).

    Returns
    -------
    array of shape (b,)
    """
    wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for group in np.unique(groups):
        rows = groups == group
        part = Predictions(data.y[rows], data.p[rows], data.arr[rows])
        more_wins, more_pairs = _wins_and_pairs(*part.ranked(weights[:, rows], part.y, np.ones_like(part.y)))
        wins += more_wins
        pairs += more_pairs
    return _ratio(wins, pairs)


def pr_auc(data: Predictions, weights: Floats) -> Floats:
    """Average precision down the ranking. The base rate is guessing, twice the base rate useful, 1 perfect.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return _pr_auc(*data.ranked(weights, data.y, np.ones_like(data.y)))


def brier(data: Predictions, weights: Floats) -> Floats:
    """Mean squared error of the probabilities. Lower is better; the base rate p alone scores p (1 - p).

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return _ratio(weights @ (data.p - data.y) ** 2, weights.sum(axis=1))


def brier_skill(data: Predictions, weights: Floats, known_rate: float | Floats) -> Floats:
    """Brier skill score against `known_rate`, the rate known when the predictions were made (of each row, or of all).

    Above 0 is better than that rate; 0.05 is useful where outcomes are rare, 1 perfect.
    """
    return 1 - _ratio(brier(data, weights), _ratio(weights @ (known_rate - data.y) ** 2, weights.sum(axis=1)))


def brier_skill_in_hindsight(data: Predictions, weights: Floats) -> Floats:
    """Brier skill score against the rate of the test rows, unknown at the time: a harder reference. Above 0 is good.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    rate = base_rate(data, weights)
    return 1 - _ratio(brier(data, weights), rate * (1 - rate))


def log_loss(data: Predictions, weights: Floats) -> Floats:
    """Mean log loss in nats. Lower is better; confident mistakes cost most. Compare it with that of the base rate.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return _ratio(weights @ newton_logistic.row_log_loss(data.log_odds, data.y), weights.sum(axis=1))


def calibration_error(data: Predictions, weights: Floats) -> Floats:
    """Expected calibration error: mean distance between predicted and observed rate over tenths of the rows.

    0 is perfect, under a fifth of the base rate good. It is never exactly 0, because small tenths scatter.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    inside = np.eye(BINS)[data.bins]
    gaps = np.abs(weights @ (inside * (data.p - data.y)[:, None]))
    return _ratio(gaps.sum(axis=1), weights.sum(axis=1))


def calibration_slope(data: Predictions, weights: Floats) -> Floats:
    """Slope of the observed log-odds on the predicted log-odds (Cox 1958).

    1 is right. Below 1, the probabilities are too extreme; above 1, too close to the average. 0.8 to 1.25 is good.
    Rows with similar probabilities are fitted together (`Predictions.calibration_groups`).

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return _slope(data, *_calibration_weights(data, weights))


def calibration_intercept(data: Predictions, weights: Floats) -> Floats:
    """Log-odds to add to every prediction to match the observed rate (calibration in the large).

    0 is right. Above 0, the predictions are too low. Within 0.2 is good.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b,)
    """
    return _intercept(data, *_calibration_weights(data, weights))


def calibration_metrics(data: Predictions, weights: Floats) -> dict[str, Floats]:
    """Compute slope and intercept of the calibration, with the same values as their functions.

    The weights of the groups of rows are summed once here.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    dict of str to array
        The metrics by name.
    """
    together = _calibration_weights(data, weights)
    return {"calibration_slope": _slope(data, *together), "calibration_intercept": _intercept(data, *together)}


def captured(data: Predictions, weights: Floats) -> Floats:
    """Share of the outcomes among the top 5, 10 and 20% of the rows.

    The share of rows is guessing; three times as much is good. A group of equal probabilities counts in proportion.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b, 3)
    """
    return _captured_shares(*data.ranked(weights, data.y, np.ones_like(data.y)))


def captured_arr(data: Predictions, weights: Floats) -> Floats:
    """Share of the ARR of the rows with the outcome that lies among the top 5, 10 and 20% of the rows.

    The share of rows is guessing; three times as much is good.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b, 3)
    """
    return _captured_shares(*data.ranked(weights, data.y * data.arr, np.ones_like(data.y)))


def lift(data: Predictions, weights: Floats) -> Floats:
    """Outcome rate among the top 5, 10 and 20% of the rows, divided by the overall rate.

    1 is guessing, 2 useful, 3 good.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    array of shape (b, 3)
    """
    ratios: Floats = captured(data, weights) / np.array(TOP_SHARES)
    return ratios


def ranking_metrics(data: Predictions, weights: Floats) -> dict[str, Floats]:
    """Compute all metrics of the ranking, with the same values as their functions.

    Sorting the weights is most of their cost, and is done once here.

    Parameters
    ----------
    data : n test rows with labels, probabilities and ARR.
    weights : weights of the rows in b resamples, shape (b, n).

    Returns
    -------
    dict of str to array
        The metrics by name.
    """
    happened, money, every = data.ranked(weights, data.y, data.y * data.arr, np.ones_like(data.y))
    shares = _captured_shares(happened, every)
    return {
        "roc_auc": _roc_auc(happened, every),
        "pr_auc": _pr_auc(happened, every),
        "lift": shares / np.array(TOP_SHARES),
        "captured": shares,
        "captured_arr": _captured_shares(money, every),
    }


def _roc_auc(happened: Floats, every: Floats) -> Floats:
    return _ratio(*_wins_and_pairs(happened, every))


def _wins_and_pairs(happened: Floats, every: Floats) -> tuple[Floats, Floats]:
    """Return how many pairs of a row with and one without the outcome are ranked correctly, and how many there are."""
    others = every - happened
    below = others.sum(axis=1, keepdims=True) - np.cumsum(others, axis=1)
    wins = (happened * (below + others / 2)).sum(axis=1)
    return wins, happened.sum(axis=1) * others.sum(axis=1)


def _pr_auc(happened: Floats, every: Floats) -> Floats:
    precision = _ratio(np.cumsum(happened, axis=1), np.cumsum(every, axis=1))
    return _ratio(np.nansum(happened * precision, axis=1), happened.sum(axis=1))


def _captured_shares(amounts: Floats, every: Floats) -> Floats:
    rows = np.pad(np.cumsum(every, axis=1), ((0, 0), (1, 0)))
    totals = np.pad(np.cumsum(amounts, axis=1), ((0, 0), (1, 0)))
    shares = [np.interp(np.array(TOP_SHARES) * r[-1], r, t) for r, t in zip(rows, totals, strict=True)]
    return _ratio(np.array(shares).reshape(-1, len(TOP_SHARES)), totals[:, -1:])


def _calibration_weights(data: Predictions, weights: Floats) -> tuple[Floats, Bools]:
    """Return the weights of the calibration groups, (b, groups), and which resamples have both classes, (b,)."""
    group, log_odds, _ = data.calibration_groups
    return _sums(weights, np.ones_like(data.y), group, len(log_odds)), _has_both_classes(data, weights)


def _slope(data: Predictions, weights: Floats, both: Bools) -> Floats:
    if np.ptp(data.log_odds) < 1e-9:
        return np.full(len(weights), np.nan)
    _, log_odds, y = data.calibration_groups
    # Scaled to unit spread, so that Newton steps have a common size.
    spread = data.log_odds.std()
    design = np.column_stack([(log_odds - data.log_odds.mean()) / spread, np.ones_like(y)])
    parameters = newton_logistic.fit(design, y, weights, np.array([spread, 0.0]), np.array([1e-6, 1e-6]))
    return np.where(both, parameters[:, 0] / spread, np.nan)


def _intercept(data: Predictions, weights: Floats, both: Bools) -> Floats:
    _, log_odds, y = data.calibration_groups
    parameters = newton_logistic.fit(np.ones((len(y), 1)), y, weights, np.zeros(1), np.full(1, 1e-6), offset=log_odds)
    return np.where(both, parameters[:, 0], np.nan)


def _has_both_classes(data: Predictions, weights: Floats) -> Bools:
    return np.asarray((weights @ data.y > 0) & (weights @ (1 - data.y) > 0))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Part over whole, NaN where the whole is 0."""
    empty = whole == 0
    return np.asarray(np.where(empty, np.nan, part / np.where(empty, 1.0, whole)), dtype=np.float64)
