"""From a model's raw log-odds to probabilities: fitted on a later slice than the model, and chosen out of time.

Three kinds, stored as plain JSON in the form that `models.scorer.scorer` reads (parameters there, fitting here):

- sigmoid (Platt 1999): log-odds ``a z + b``;
- beta (Kull, Silva Filho and Flach 2017): log-odds ``c + a log p - b log(1 - p)``, with ``p`` the raw probability;
- isotonic (Zadrozny and Elkan 2002): a rising line through points. It overfits small slices (Niculescu-Mizil and
  Caruana 2005), whatever a comparison on a part of them says, and is looked at from a hundred accounts of either
  outcome on.

All never fall: a negative slope would turn the model's ranking round, so ``a`` and ``b`` are held at 0 or above.

How far they stretch the log-odds is drawn towards 1 as far as few accounts tell it
(`training.estimators.slope_shrinkage`).

The level needs more than one slice. A quarter's rate is that quarter's (after Christmas half of a shop's customers
pause), and it does not last; nor does that of training. So the calibrated level lies halfway, in log-odds, between what
the slice has seen and what training would have expected of it (`training.estimators.level_shift`). Halfway against the
slice alone, log
loss on later dates: 0.541 against 0.581 (wholesaler, churn), 0.546 against 0.604 (its expansion), no difference where
the rate was steady (simulated CRM).

The resamples hold three things that are not known of it: the slice's accounts, which are resampled; where between the
two levels it lies, which is spread evenly; and how far levels move until the answer (``move``, a standard deviation),
which is spread normally.
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
# The earlier part of the slice, on which the kinds are fitted to be compared on the rest.
EARLIER_SHARE = 0.6
HALFWAY = 0.5
# Accounts of the rarer outcome below which isotonic is not looked at.
_ISOTONIC_ACCOUNTS = 100
# The weight of the prior (slope 1, "the model is right as it is"), in rows: nothing beside real data, but it keeps
# the slope finite in a resample whose few positives all rank on top.
_PRIOR_ROWS = 0.1
# Probabilities are kept this far from 0 and 1 where their log-odds are needed.
_EDGE = 1e-9
_QUANTILES = 2_000
_NO_PRIOR = np.zeros(1)
_NAMES: dict[CalibratorKind, tuple[str, ...]] = {"sigmoid": ("a", "b"), "beta": ("a", "b", "c")}


def calibrate(
    raw: Floats,
    y: Floats,
    accounts: Sequence[str] | npt.NDArray[np.object_],
    as_of: pd.Series[pd.Timestamp],
    expected_rate: float | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    scaled: bool = True,
    move: float = 0.0,
) -> Calibrator:
    """Choose a kind, fit it on the whole slice, hold its stretch, set its level, and resample its accounts.

    Parameters
    ----------
    raw : the model's log-odds on the calibration slice, shape (n,), finite.
    y : the labels, 0 or 1, shape (n,).
    accounts, as_of : of each row.
    expected_rate : the rate that training would expect of the slice, 0 to 1; by default that of the slice itself.
    resamples : account bootstraps of the parameters; the interval of a probability is read from them.
    scaled : the log-odds are a model's, so that a slope of 1 is likely; not so for a score.
    move : how far the level may have moved by the time of the answer, a standard deviation in log-odds
        (`training.estimators.level_shift.estimate_level_move`).

    Returns
    -------
    The calibrator. The kind is the sigmoid unless another one, fitted on the earlier dates of the slice, has a
    clearly lower log loss on the later ones of accounts that it has not seen.

    Raises
    ------
    InsufficientData
        The slice holds one class only, or too few accounts of one to resample.
    """
    if not 0 < y.sum() < len(y):
        raise InsufficientData(["both outcomes among the calibration dates: only one of them occurs there"])
    expected = y.mean() if expected_rate is None else expected_rate
    apart = float(scipy.special.logit(np.clip(expected, 1e-6, 1 - 1e-6)) - scipy.special.logit(y.mean()))
    kind = _choose(raw, y, np.asarray(accounts, dtype=object), as_of)
    kept = retained_share(raw, y, accounts) if scaled and kind != "isotonic" else 1.0
    (point,) = _fit(kind, raw, y, np.ones((1, len(y))))
    found: list[dict[str, Any]] = []
    for weights in AccountBootstrap(accounts, resamples, seed).passes():
        positive, total = weights @ y, weights.sum(axis=1)
        found += _fit(kind, raw, y, weights[(positive > 0) & (positive < total)])
    if len(found) < resamples / 2:
        raise InsufficientData(["accounts with an outcome among the calibration dates: too few to give an interval"])
    rng = np.random.default_rng(seed)
    shares = rng.permutation(np.linspace(0, 1, len(found)))
    moves = move * rng.permutation(scipy.special.ndtri((np.arange(len(found)) + 0.5) / max(len(found), 1)))
    # The mean over a few thousand quantiles is the mean over all rows, sooner.
    spread = np.sort(raw)[np.linspace(0, len(raw) - 1, min(len(raw), _QUANTILES)).round().astype(np.int64)]
    held = _held(kind, point, kept)
    resampled = []
    for parameters, share, later in zip(found, shares, moves, strict=True):
        # What is left unknown of the slope is the root of the share that is believed: a posterior's spread.
        drawn = _about(kind, held, parameters, point, np.sqrt(kept))
        by = apart * share + later
        resampled.append(_levelled(kind, drawn, spread, _mean(kind, parameters, spread), by))
    whole = _levelled(kind, held, raw, _mean(kind, point, raw), apart * HALFWAY)
    return {"kind": kind, "parameters": whole, "resamples": resampled}


def halfway(rate: float, other: float) -> float:
    """The rate halfway between two, in log-odds, 0 to 1 both excluded."""
    return float(scipy.special.expit((scipy.special.logit(rate) + scipy.special.logit(other)) / 2))


def apply_calibrator(calibrator: Mapping[str, Any], raw: Floats) -> Floats:
    """The calibrator's probabilities for log-odds, shape (n,). No interval: that is the scorer's."""
    return _apply(calibrator["kind"], calibrator["parameters"], raw)


def _choose(
    raw: Floats, y: Floats, accounts: npt.NDArray[np.object_], as_of: pd.Series[pd.Timestamp]
) -> CalibratorKind:
    """The kind with the lowest log loss on the later dates, the sigmoid if none is clearly better.

    The slice is shorter than a label window, so that one churn is seen from earlier and from later dates: each account
    is judged by what was fitted on the earlier dates of others.
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
    judged = np.concatenate([accounts[held] for _, held in halves])
    for kind, loss in losses.items():
        if significantly_better(losses["sigmoid"] - loss, judged) and loss.sum() < losses[best].sum():
            best = kind
    return best


def _held_loss(
    kind: CalibratorKind, raw: Floats, y: Floats, fit: npt.NDArray[np.bool_], held: npt.NDArray[np.bool_]
) -> Floats:
    """The log loss of the held rows by what is fitted on the others."""
    (parameters,) = _fit(kind, raw[fit], y[fit], np.ones((1, int(fit.sum()))))
    p = np.clip(_apply(kind, parameters, raw[held]), 1e-6, 1 - 1e-6)
    return -np.log(np.where(y[held] == 1, p, 1 - p))


def _fit(kind: CalibratorKind, raw: Floats, y: Floats, weights: Floats) -> list[dict[str, Any]]:
    """One set of parameters per row of weights (b, n)."""
    if kind == "isotonic":
        return [_isotonic(raw, y, w) for w in weights]
    design = _design(kind, raw)
    found = _not_negative(design, y, weights)
    return [{name: float(v) for name, v in zip(_NAMES[kind], row, strict=True)} for row in found]


def _design(kind: CalibratorKind, raw: Floats) -> Floats:
    """The columns whose weights are the parameters; the last one is the constant."""
    slopes = [raw] if kind == "sigmoid" else [-np.logaddexp(0.0, -raw), np.logaddexp(0.0, raw)]
    return np.column_stack([*slopes, np.ones_like(raw)]).astype(np.float64)


def _not_negative(design: Floats, y: Floats, weights: Floats) -> Floats:
    """Fit (b, k) with every slope at 0 or above: where one wants to be negative, the best fit without some of them."""
    slopes = design.shape[1] - 1
    found = _free(design, y, weights)
    rows = np.flatnonzero((found[:, :slopes] < 0).any(axis=1))
    if not len(rows):
        return found
    least = np.full(len(rows), np.inf)
    for kept in product([True, False], repeat=slopes):
        columns = [i for i in range(slopes) if kept[i]] + [slopes]
        if all(kept):
            continue
        fewer = np.zeros((len(rows), slopes + 1))
        fewer[:, columns] = _free(design[:, columns], y, weights[rows])
        loss = (weights[rows] * newton_logistic.row_log_loss(fewer @ design.T, y)).sum(axis=1)
        better = (fewer[:, :slopes] >= 0).all(axis=1) & (loss < least)
        found[rows[better]], least[better] = fewer[better], loss[better]
    return found


def _free(design: Floats, y: Floats, weights: Floats) -> Floats:
    """Fit without bounds, on slopes of unit spread so that Newton's steps and the prior mean the same for each."""
    slopes = design.shape[1] - 1
    middle = np.append(design[:, :slopes].mean(axis=0), 0.0)
    spread = np.append(design[:, :slopes].std(axis=0), 1.0)
    spread[spread == 0] = 1.0
    prior = np.append(spread[:slopes], 0.0)
    strength = np.append(np.full(slopes, _PRIOR_ROWS), 0.0)
    found: Floats = newton_logistic.fit((design - middle) / spread, y, weights, prior, strength) / spread
    found[:, slopes] -= found @ middle
    return found


def _isotonic(raw: Floats, y: Floats, weights: Floats) -> dict[str, Any]:
    """Points of the rising step line; never certain, for n rows cannot tell a chance below one in n from none."""
    edge = 1 / (weights.sum() + 2)
    line = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(raw, y, sample_weight=weights)
    return {"x": line.X_thresholds_.tolist(), "y": line.y_thresholds_.tolist()}


def _held(kind: CalibratorKind, parameters: dict[str, Any], kept: float) -> dict[str, Any]:
    """The same calibrator with that share of its slopes' distance from 1."""
    return parameters | {name: 1 + kept * (parameters[name] - 1) for name in _slopes(kind)}


def _about(
    kind: CalibratorKind, held: dict[str, Any], parameters: dict[str, Any], point: dict[str, Any], share: float
) -> dict[str, Any]:
    """A resample's slopes, with that share of their distance from the slice's own, about the slopes that are held."""
    return parameters | {
        name: max(held[name] + share * (parameters[name] - point[name]), 0.0) for name in _slopes(kind)
    }


def _slopes(kind: CalibratorKind) -> tuple[str, ...]:
    return () if kind == "isotonic" else _NAMES[kind][:-1]


def _mean(kind: CalibratorKind, parameters: dict[str, Any], raw: Floats) -> float:
    return float(np.clip(_apply(kind, parameters, raw), _EDGE, 1 - _EDGE).mean())


def _levelled(kind: CalibratorKind, parameters: dict[str, Any], raw: Floats, mean: float, by: float) -> dict[str, Any]:
    """The same calibrator with its mean probability on the slice at ``mean`` moved by so much log-odds."""
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
