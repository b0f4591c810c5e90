"""Calibration: raw log-odds to probabilities, fitted on predictions of accounts that the model has not seen.

There are three kinds, stored as JSON in the form that `models.scorer.scorer` reads:

- sigmoid (Platt 1999): log-odds ``a z + b``;
- beta (Kull, Silva Filho and Flach 2017): log-odds ``c + a log p - b log(1 - p)``, with ``p`` the raw probability;
- isotonic (Zadrozny and Elkan 2002): a nondecreasing line through points. It overfits few rows (Niculescu-Mizil and
  Caruana 2005), even if a comparison on a part of them favors it, so it needs a hundred accounts of either outcome.

All are nondecreasing: a negative slope would reverse the model's ranking, so ``a`` and ``b`` are at least 0.

With few accounts, slopes are shrunk toward 1 (`training.estimators.slope_shrinkage`).

The level is halfway, in log-odds, between that of all rows and that of the newest ones (``shift``). The rate of a
quarter is specific to it (after Christmas, half of a shop's customers pause) and does not last, and neither does the
rate of earlier years. Compared with the newest rows alone, the log loss on later dates was 0.541 instead of 0.581
(wholesaler, churn), 0.546 instead of 0.604 (its expansion), and no different where the rate was steady (simulated CRM).

It is also halfway between what the model expects of the accounts of today and what known outcomes do (``drift``).

The resamples reflect three uncertainties: the accounts, which are resampled; the position of the level between these
ends, which is uniform; and the change of the level until the prediction (``move``, a standard deviation), which is
normal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.special
from sklearn.isotonic import IsotonicRegression

from features.errors import InsufficientData
from features.utils.arrays import Floats
from training.dataset.inner_folds import FOLDS, fold_numbers
from training.estimators.slope_shrinkage import retained_share
from training.statistics import newton_logistic
from training.statistics.account_bootstrap import AccountBootstrap, significantly_better

CalibratorKind = Literal["sigmoid", "beta", "isotonic"]
Calibrator = dict[str, Any]
"""``{"kind": ..., "parameters": {...}, "resamples": [{...}, ...]}``, parameters by name."""

RESAMPLES = 200
# Share of the dates, the earlier ones, on which the kinds are fitted before they are compared on the others.
EARLIER_SHARE = 0.6
# Share of the way from the level of all rows to that of the newest ones.
HALFWAY = 0.5
# Minimum number of accounts with the rarer outcome for isotonic calibration.
_ISOTONIC_ACCOUNTS = 100
# Weight of the prior (slope 1: the model is already calibrated), in rows. Negligible compared with real data, but it
# keeps the slope finite in a resample whose few positives all rank on top.
_PRIOR_ROWS = 0.1
# Probabilities are clipped to this distance from 0 and 1 before log-odds are computed.
_EDGE = 1e-9
_QUANTILES = 2_000
_NO_PRIOR = np.zeros(1)
_NAMES: dict[CalibratorKind, tuple[str, ...]] = {"sigmoid": ("a", "b"), "beta": ("a", "b", "c")}


def calibrate(
    raw: Floats,
    y: Floats,
    accounts: Sequence[str] | npt.NDArray[np.object_],
    as_of: pd.Series[pd.Timestamp],
    shift: float = 0.0,
    resamples: int = RESAMPLES,
    seed: int = 0,
    scaled: bool = True,
    move: float = 0.0,
    drift: float = 0.0,
) -> Calibrator:
    """Fit a calibrator: choose its kind, fit it, shrink its slopes, set its level, and resample the accounts.

    Parameters
    ----------
    raw : the model's log-odds on the calibration rows, shape (n,), finite.
    y : the labels, 0 or 1, shape (n,).
    accounts, as_of : account and date of each row.
    shift : how far the level of the newest rows is above that of all rows, in log-odds.
    resamples : account bootstrap resamples of the parameters, from which the interval of a probability is computed.
    scaled : whether ``raw`` are log-odds of a model, so that a slope of 1 is likely; False for a score.
    move : change of the level until the prediction, a standard deviation in log-odds
        (`training.estimators.level_shift.estimate_level_move`).
    drift : how far the level of known outcomes is above that of the model for the accounts of today, in log-odds
        (`training.estimators.population_drift`). The level is halfway between them, too.
    seed : seed of the resamples.

    Returns
    -------
    Calibrator
        The kind is the sigmoid, unless another kind, fitted on the earlier dates, has a significantly lower
        log loss on the later dates of other accounts.

    Raises
    ------
    InsufficientData
        If there is one class only, or too few accounts of one class to resample.
    """
    if not 0 < y.sum() < len(y):
        raise InsufficientData(["both outcomes among the calibration dates: only one of them occurs there"])
    kind = _choose(raw, y, np.asarray(accounts, dtype=object), as_of)
    retained = retained_share(raw, y, accounts) if scaled and kind != "isotonic" else 1.0
    (point,) = _fit(kind, raw, y, np.ones((1, len(y))))
    fits: list[dict[str, Any]] = []
    for weights in AccountBootstrap(accounts, resamples, seed).passes():
        positive, total = weights @ y, weights.sum(axis=1)
        fits += _fit(kind, raw, y, weights[(positive > 0) & (positive < total)])
    if len(fits) < resamples / 2:
        raise InsufficientData(["too few accounts with an outcome at the calibration dates to estimate an interval"])
    rng = np.random.default_rng(seed)
    shares = rng.permutation(np.linspace(0, 1, len(fits)))
    moves = move * rng.permutation(scipy.special.ndtri((np.arange(len(fits)) + 0.5) / max(len(fits), 1)))
    outcomes = rng.permutation(np.linspace(0, 1, len(fits)))
    # The mean over a few thousand quantiles equals the mean over all rows, and is faster.
    spread = np.sort(raw)[np.linspace(0, len(raw) - 1, min(len(raw), _QUANTILES)).round().astype(np.int64)]
    shrunk = _shrink_slopes(kind, point, retained)
    resampled = []
    for parameters, share, trusted, later in zip(fits, shares, outcomes, moves, strict=True):
        # The posterior spread of the slope scales with the root of the retained share.
        drawn = _recenter_slopes(kind, shrunk, parameters, point, np.sqrt(retained))
        by = shift * share + drift * trusted + later
        resampled.append(_set_level(kind, drawn, spread, _mean(kind, parameters, spread), by))
    final = _set_level(kind, shrunk, raw, _mean(kind, point, raw), (shift + drift) * HALFWAY)
    return {"kind": kind, "parameters": final, "resamples": resampled}


def apply_calibrator(calibrator: Mapping[str, Any], raw: Floats) -> Floats:
    """Calibrate log-odds. The scorer computes the intervals.

    Parameters
    ----------
    calibrator : the calibrator.
    raw : log-odds, shape (n,).

    Returns
    -------
    array of shape (n,)
        The probabilities.
    """
    return _apply(calibrator["kind"], calibrator["parameters"], raw)


def _choose(
    raw: Floats, y: Floats, accounts: npt.NDArray[np.object_], as_of: pd.Series[pd.Timestamp]
) -> CalibratorKind:
    """Return the kind with the lowest log loss on the later dates, the sigmoid if none is significantly better.

    Label windows overlap, so the same churn affects earlier and later dates. Therefore each account is evaluated with a
    calibrator fitted on the earlier dates of other accounts.
    """
    dates, fold = np.sort(as_of.unique()), fold_numbers(accounts)
    later = (as_of >= dates[min(int(len(dates) * EARLIER_SHARE), len(dates) - 1)]).to_numpy(dtype=bool)
    halves = [(~later & (fold != i), later & (fold == i)) for i in range(FOLDS)]
    halves = [(fit, held) for fit, held in halves if 0 < y[fit].sum() < fit.sum() and held.any()]
    rarer = y == (1.0 if y.mean() < 0.5 else 0.0)
    few = len(set(accounts[rarer])) < _ISOTONIC_ACCOUNTS
    best: CalibratorKind = "sigmoid"
    if not halves:
        return best
    losses: dict[CalibratorKind, Floats] = {}
    for kind in get_args(CalibratorKind):
        if not (kind == "isotonic" and few):
            losses[kind] = np.concatenate([_held_loss(kind, raw, y, fit, held) for fit, held in halves])
    held_out_accounts = np.concatenate([accounts[held] for _, held in halves])
    for kind, loss in losses.items():
        if significantly_better(losses["sigmoid"] - loss, held_out_accounts) and loss.sum() < losses[best].sum():
            best = kind
    return best


def _held_loss(
    kind: CalibratorKind, raw: Floats, y: Floats, fit: npt.NDArray[np.bool_], held: npt.NDArray[np.bool_]
) -> Floats:
    """Return the log loss of the held-out rows with a calibrator fitted on the others."""
    (parameters,) = _fit(kind, raw[fit], y[fit], np.ones((1, int(fit.sum()))))
    p = np.clip(_apply(kind, parameters, raw[held]), 1e-6, 1 - 1e-6)
    return -np.log(np.where(y[held] == 1, p, 1 - p))


def _fit(kind: CalibratorKind, raw: Floats, y: Floats, weights: Floats) -> list[dict[str, Any]]:
    """Return one set of parameters per row of weights (b, n)."""
    if kind == "isotonic":
        return [_isotonic(raw, y, w) for w in weights]
    design = _design(kind, raw)
    parameters = _nonnegative_fit(design, y, weights)
    return [{name: float(v) for name, v in zip(_NAMES[kind], row, strict=True)} for row in parameters]


def _design(kind: CalibratorKind, raw: Floats) -> Floats:
    """Return the columns whose weights are the parameters; the last one is the constant."""
    slopes = [raw] if kind == "sigmoid" else [-np.logaddexp(0.0, -raw), np.logaddexp(0.0, raw)]
    return np.column_stack([*slopes, np.ones_like(raw)]).astype(np.float64)


def _nonnegative_fit(design: Floats, y: Floats, weights: Floats) -> Floats:
    """Fit parameters (b, k) with nonnegative slopes: if one is negative, the best fit without some of the slopes."""
    slopes = design.shape[1] - 1
    parameters = _unbounded_fit(design, y, weights)
    rows = np.flatnonzero((parameters[:, :slopes] < 0).any(axis=1))
    if not len(rows):
        return parameters
    lowest = np.full(len(rows), np.inf)
    for included in product([True, False], repeat=slopes):
        columns = [i for i in range(slopes) if included[i]] + [slopes]
        if all(included):
            continue
        fewer = np.zeros((len(rows), slopes + 1))
        fewer[:, columns] = _unbounded_fit(design[:, columns], y, weights[rows])
        loss = (weights[rows] * newton_logistic.row_log_loss(fewer @ design.T, y)).sum(axis=1)
        better = (fewer[:, :slopes] >= 0).all(axis=1) & (loss < lowest)
        parameters[rows[better]], lowest[better] = fewer[better], loss[better]
    return parameters


def _unbounded_fit(design: Floats, y: Floats, weights: Floats) -> Floats:
    """Fit without bounds, on columns of unit spread, so that Newton steps and the prior have one scale."""
    slopes = design.shape[1] - 1
    middle = np.append(design[:, :slopes].mean(axis=0), 0.0)
    spread = np.append(design[:, :slopes].std(axis=0), 1.0)
    spread[spread == 0] = 1.0
    prior = np.append(spread[:slopes], 0.0)
    strength = np.append(np.full(slopes, _PRIOR_ROWS), 0.0)
    parameters: Floats = newton_logistic.fit((design - middle) / spread, y, weights, prior, strength) / spread
    parameters[:, slopes] -= parameters @ middle
    return parameters


def _isotonic(raw: Floats, y: Floats, weights: Floats) -> dict[str, Any]:
    """Return the points of the isotonic line; never 0 or 1, since n rows cannot distinguish 1 / n from 0."""
    edge = 1 / (weights.sum() + 2)
    line = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(raw, y, sample_weight=weights)
    return {"x": line.X_thresholds_.tolist(), "y": line.y_thresholds_.tolist()}


def _shrink_slopes(kind: CalibratorKind, parameters: dict[str, Any], retained: float) -> dict[str, Any]:
    """Return the calibrator with its slopes shrunk toward 1, retaining a share of their distance from it."""
    return parameters | {name: 1 + retained * (parameters[name] - 1) for name in _slopes(kind)}


def _recenter_slopes(
    kind: CalibratorKind, shrunk: dict[str, Any], parameters: dict[str, Any], point: dict[str, Any], share: float
) -> dict[str, Any]:
    """Return a resample with its slopes centered on the shrunk ones, at a share of their distance from the estimate."""
    return parameters | {
        name: max(shrunk[name] + share * (parameters[name] - point[name]), 0.0) for name in _slopes(kind)
    }


def _slopes(kind: CalibratorKind) -> tuple[str, ...]:
    return () if kind == "isotonic" else _NAMES[kind][:-1]


def _mean(kind: CalibratorKind, parameters: dict[str, Any], raw: Floats) -> float:
    return float(np.clip(_apply(kind, parameters, raw), _EDGE, 1 - _EDGE).mean())


def _set_level(kind: CalibratorKind, parameters: dict[str, Any], raw: Floats, mean: float, by: float) -> dict[str, Any]:
    """Return the calibrator with its mean probability on these rows set to ``mean``, shifted ``by`` log-odds."""
    p = np.clip(_apply(kind, parameters, raw), _EDGE, 1 - _EDGE)
    log_odds = scipy.special.logit(p)
    rate = np.full((1, len(p)), scipy.special.expit(scipy.special.logit(mean) + by))
    shift = float(
        newton_logistic.fit(np.ones((len(p), 1)), rate[0], np.ones_like(rate), _NO_PRIOR, _NO_PRIOR, log_odds)[0, 0]
    )
    if kind == "isotonic":
        y = scipy.special.expit(scipy.special.logit(np.array(parameters["y"])) + shift)
        return {"x": parameters["x"], "y": y.tolist()}
    constant = _NAMES[kind][-1]
    return parameters | {constant: parameters[constant] + shift}


def _apply(kind: CalibratorKind, parameters: Mapping[str, Any], raw: Floats) -> Floats:
    if kind == "isotonic":
        return np.asarray(np.interp(raw, parameters["x"], parameters["y"]), dtype=np.float64)
    log_odds = _design(kind, raw) @ np.array([parameters[name] for name in _NAMES[kind]])
    return np.asarray(scipy.special.expit(log_odds), dtype=np.float64)
