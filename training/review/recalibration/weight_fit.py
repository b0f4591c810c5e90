"""Fit of the weights of a score to outcomes, shrunk towards the current weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import scipy.special
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from features.utils.arrays import Floats
from training.review.recalibration.cone_projection import constrained_minimum, share_cone
from training.review.recalibration.linearized_score import LinearizedScore, linearized_score, weighted_score

PRIOR_EVENTS_PER_DIMENSION = 10.0
"""Number of churns that the current weights count for, per dimension: the usual minimum to estimate a coefficient
(Peduzzi et al., J. Clin. Epidemiol. 49, 1996). With as many churns, data and current weights count half each."""
_RIDGE_EVENTS = 0.01
"""Prior events in favor of a slope of 0: too few to matter, but they keep the slope finite under perfect separation."""
_NEXT_TO_OPTIMUM = 1e-6
_SMALLEST_STEP = 2.0**-20


class WeightFit(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression of staying on the points of dimensions, as one slope times weights that sum to 100.

    The log-odds of the second class are ``intercept_ + slope_ * score``, where the score is the weighted mean of the
    points with weights of 0 or more. The weight of a dimension without points is distributed over the others in
    proportion (the health score of ``models/health/rubric.py``). So the score is easy to add up by hand, and its true
    weights are proportional to the true coefficients of the points.

    The weights are shrunk towards the current ones by a prior that counts for ``prior_events`` outcomes: as if this
    many more accounts had left as the current weights predict, with points of the observed spread that are independent
    between dimensions (a catalytic prior: Huang, Stein, Rubin and Kou, PNAS 117, 2020; here in its quadratic form).
    With ``events_`` outcomes the fit goes about ``events_ / (events_ + prior_events)`` of the way from the current
    weights to those suggested by the data, and less if two dimensions are correlated and hard to separate. The common
    slope is not shrunk.

    Parameters
    ----------
    incumbent : the current weights of the dimensions, in any unit; all equal if None.
    prior_events : number of outcomes of the rarer class that they count for; 0 means no shrinkage, infinity fixes the
        weights. If None, `PRIOR_EVENTS_PER_DIMENSION` for each dimension.
    cap : largest difference of a weight from the current one, in points of 100; None for no limit.
    bounds : lowest and highest value of each weight in points of 100, instead of ``cap``, shape (dimensions, 2).
    max_iter : maximum number of Newton steps; a `ConvergenceWarning` if they do not converge.
    tol : largest change of a slope at convergence, in log-odds per standard deviation.

    Attributes
    ----------
    weights_ : the weights, with a sum of 100, shape (dimensions,).
    slope_ : log-odds of the second class per point of score, 0 or more. If it is 0, points have no effect, and
        ``weights_`` are the current weights.
    intercept_ : log-odds at a score of 0.
    coef_ : slope times share of weight, shape (1, dimensions): the log-odds per point of a dimension if none is
        missing.
    events_ : weighted number of outcomes of the rarer class.
    classes_ : the two classes; higher scores mean the second.
    n_iter_, n_features_in_, feature_names_in_ : as in scikit-learn.

    Notes
    -----
    Rows of one account overlap. Pass `training.review.labelled_rows.overlap_weights` as ``sample_weight``, otherwise
    repeated information outweighs the prior. Intervals need accounts; see
    `training.review.recalibration.weight_evidence`.

    Without missing points the problem is convex. It is solved by Newton's method, with each step projected on the cone
    of the allowed weights (a non-negative least squares problem). Missing points make the score a ratio, which is
    linearized again at every step (Gauss-Newton), and the solution is a local one.

    The estimator passes scikit-learn's checks for two classes. It does not support three classes, and it scores poorly
    by design if points predict the first class, because no slope is below 0.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> points = rng.uniform(0, 100, (5000, 2))
    >>> stayed = rng.random(5000) < 1 / (1 + np.exp(-(points @ [0.03, 0.01] - 1)))
    >>> WeightFit(prior_events=0).fit(points, stayed).weights_.round(-1)
    array([80., 20.])
    """

    def __init__(
        self,
        incumbent: Sequence[float] | Floats | None = None,
        prior_events: float | None = None,
        cap: float | None = None,
        bounds: npt.ArrayLike | None = None,
        max_iter: int = 100,
        tol: float = 1e-8,
    ) -> None:
        self.incumbent = incumbent
        self.prior_events = prior_events
        self.cap = cap
        self.bounds = bounds
        self.max_iter = max_iter
        self.tol = tol

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True
        tags.input_tags.allow_nan = True
        return cast(Tags, tags)

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """Fit the weights.

        Parameters
        ----------
        X : points of each dimension, NaN if missing, shape (n, dimensions). Rows without any points are left out.
        y : two classes; higher scores mean the second: 0 churned, 1 stayed. Shape (n,).
        sample_weight : weight of each row, shape (n,).

        Raises
        ------
        ValueError
            There are not exactly two classes, or the parameters are contradictory.
        """
        checked = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        points, y = cast(tuple[Floats, npt.NDArray[Any]], checked)
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        weight = _check_sample_weight(sample_weight, points, dtype=np.float64, ensure_non_negative=True)
        used = (weight > 0) & ~np.isnan(points).all(axis=1)
        self.classes_, codes = np.unique(y, return_inverse=True)
        points, stayed, weight = points[used], (codes == len(self.classes_) - 1).astype(np.float64)[used], weight[used]
        if len(self.classes_) != 2 or not 0 < weight @ stayed < weight.sum():
            raise ValueError("WeightFit needs two classes with weight; the data contains only one class.")
        own, low, high = self._limits()
        rate = float(weight @ stayed / weight.sum())
        self.events_ = float(weight.sum() * min(rate, 1 - rate))
        # Information of one event about a coefficient of points of unit variance: p (1 - p) summed over its rows.
        each = max(rate, 1 - rate)
        variance = points_variance(points, weight)
        prior = PRIOR_EVENTS_PER_DIMENSION * len(own) if self.prior_events is None else float(self.prior_events)
        if np.isinf(prior):
            low = high = own
            prior = 0.0
        penalty = prior * each * prior_quadratic_form(own, variance) + _RIDGE_EVENTS * each * np.diag(variance)
        theta, self.n_iter_ = self._newton(points, stayed, weight, own, penalty, share_cone(low, high))
        slope = theta[1:].sum()
        self.weights_ = 100.0 * (theta[1:] / slope if slope > 0 else own)
        self.slope_, self.intercept_ = float(slope), float(theta[0])
        self.coef_ = (slope * self.weights_ / 100.0)[None]
        return self

    def decision_function(self, X: npt.ArrayLike) -> Floats:
        """Compute the log-odds of the second class. Rows without points get the log-odds of the mean score.

        Parameters
        ----------
        X : points of each dimension, NaN if missing, shape (n, dimensions).

        Returns
        -------
        Log-odds, shape (n,).
        """
        check_is_fitted(self)
        points = cast(Floats, validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"))
        score = weighted_score(points, self.weights_)
        log_odds: Floats = self.intercept_ + self.slope_ * np.where(np.isnan(score), self.mean_score_, score)
        return log_odds

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Compute the probabilities of both classes.

        Parameters
        ----------
        X : points of each dimension, NaN if missing, shape (n, dimensions).

        Returns
        -------
        Probabilities, shape (n, 2).
        """
        p = scipy.special.expit(self.decision_function(X))
        return np.column_stack([1.0 - p, p])

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Predict the more likely class.

        Parameters
        ----------
        X : points of each dimension, NaN if missing, shape (n, dimensions).

        Returns
        -------
        Classes, shape (n,).
        """
        second = self.decision_function(X) > 0
        predicted: npt.NDArray[Any] = self.classes_[second.astype(np.int64)]
        return predicted

    def _limits(self) -> tuple[Floats, Floats, Floats]:
        """The current weights as shares, and the smallest and largest share of each."""
        k = self.n_features_in_
        own = np.ones(k) if self.incumbent is None else np.asarray(self.incumbent, dtype=np.float64)
        if own.shape != (k,) or not np.isfinite(own).all() or (own < 0).any() or own.sum() <= 0:
            raise ValueError(f"incumbent needs {k} weights, 0 or more, with a sum above 0")
        own = own / own.sum()
        if self.bounds is not None:
            low, high = np.asarray(self.bounds, dtype=np.float64).reshape(k, 2).T / 100.0
        else:
            reach = 1.0 if self.cap is None else float(self.cap) / 100.0
            low, high = own - reach, own + reach
        low, high = np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0)
        if (low > high).any() or low.sum() > 1 + 1e-9 or high.sum() < 1 - 1e-9:
            raise ValueError("bounds leave no weights that sum to 100")
        return own, low, high

    def _newton(
        self, X: Floats, y: Floats, weight: Floats, own: Floats, penalty: Floats, cone: Floats
    ) -> tuple[Floats, int]:
        """Intercept and log-odds per point of each dimension, shape (1 + dimensions,), and the number of steps."""
        # With points of unit variance, the Hessian is of the order of the number of events.
        unit = float(np.sqrt(points_variance(X, weight).mean())) or 1.0
        middle = float(weight @ np.nan_to_num(weighted_score(X, own)) / weight.sum())
        X, penalty = (X - middle) / unit, penalty / unit**2
        rate = weight @ y / weight.sum()
        theta = np.concatenate([[scipy.special.logit(rate)], own])
        available = ~np.isnan(X)

        def at(theta: Floats) -> tuple[float, LinearizedScore]:
            view = linearized_score(X, available, theta[1:], own)
            eta = theta[0] + view.value
            loss = float(weight @ (np.logaddexp(0.0, eta) - y * eta) + theta[1:] @ penalty @ theta[1:] / 2)
            return loss / self.events_, view

        loss, view = at(theta)
        steps = 0
        for steps in range(1, self.max_iter + 1):  # noqa: B007
            p = scipy.special.expit(theta[0] + view.value)
            design = np.column_stack([np.ones(len(y)), view.slopes])
            gradient = design.T @ (weight * (p - y))
            hessian = (design.T * (weight * p * (1 - p))) @ design
            gradient[1:] += penalty @ theta[1:]
            hessian[1:, 1:] += penalty
            solution = constrained_minimum(theta, gradient, hessian, cone)
            share, (new_loss, new_view) = 1.0, at(solution)
            if np.abs(solution - theta).max() <= _NEXT_TO_OPTIMUM:
                # The decrease of the loss is below rounding, but the whole step is exact to its square.
                theta, loss, view = solution, new_loss, new_view
                break
            while not new_loss <= loss and share > _SMALLEST_STEP:
                share /= 2
                new_loss, new_view = at(theta + share * (solution - theta))
            if not new_loss <= loss:
                break
            moved = share * float(np.abs(solution - theta).max())
            theta, loss, view = theta + share * (solution - theta), new_loss, new_view
            if moved <= self.tol:
                break
        else:
            warnings.warn(f"WeightFit did not converge in {self.max_iter} steps", ConvergenceWarning, stacklevel=3)
        slopes = np.where(np.abs(theta[1:]) < 1e-12, 0.0, theta[1:]) / unit
        if slopes.sum() * unit <= 1e-9:
            slopes = np.zeros_like(slopes)
        score = weighted_score(X * unit + middle, slopes if slopes.any() else own)
        self.mean_score_ = float(weight @ score / weight.sum())
        return np.concatenate([[theta[0] - slopes.sum() * middle], slopes]), steps


def prior_quadratic_form(own: Floats, variance: Floats) -> Floats:
    """Build the quadratic form that one event adds in favor of the current weights: slopes @ form @ slopes.

    Parameters
    ----------
    own : shares of the current weights, shape (k,).
    variance : variance of the points of each dimension, shape (k,).

    Returns
    -------
    The form, shape (k, k): the sum over dimensions of variance times the squared distance of the slope from its share
    of the total.
    """
    away = np.eye(len(own)) - np.outer(own, np.ones(len(own)))
    form: Floats = (away.T * variance) @ away
    return form


def points_variance(X: Floats, weight: Floats) -> Floats:
    """Compute the variance of the points of each dimension; 0 for a dimension without points.

    Parameters
    ----------
    X : points of each dimension, NaN if missing, shape (n, dimensions).
    weight : of each row, shape (n,).

    Returns
    -------
    Variances, shape (dimensions,).
    """
    available = ~np.isnan(X)
    filled = np.nan_to_num(X)
    total_weight = weight @ available
    total_weight = np.where(total_weight > 0, total_weight, 1.0)
    mean = weight @ filled / total_weight
    variance: Floats = np.maximum(weight @ (available * (filled - mean) ** 2) / total_weight, 0.0)
    return variance
