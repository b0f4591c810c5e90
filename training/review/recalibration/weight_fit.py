"""The weights of a score's dimensions, fitted to what happened and drawn towards those in force."""

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
"""What the weights in force are worth, in churns: those that one coefficient takes to be told at all (Peduzzi et al.,
J. Clin. Epidemiol. 49, 1996). With as many churns as this the past and the weights in force count half each."""
_RIDGE_EVENTS = 0.01
"""Events behind the belief that points mean nothing: too few to be seen, but where points separate the outcomes they
keep the slope finite."""
_SMALLEST_STEP = 2.0**-20


class WeightFit(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression of staying on the points of dimensions, as one slope times weights that sum to 100.

    The log-odds of the second class are ``intercept_ + slope_ * score``, where the score is the weighted mean of the
    points with weights of 0 or more, a dimension without points leaving its weight to the others in proportion (the
    health score of ``models/health/rubric.py``). So the weights are those of a score that a person can add up, and the
    true
    ones are in proportion to the true coefficients of the points.

    They are drawn towards the weights in force by a prior worth ``prior_events`` outcomes: as if so many accounts more
    had left just as the weights in force say, with points of the spread seen but independent between dimensions (a
    catalytic prior: Huang, Stein, Rubin and Kou, PNAS 117, 2020; here in its quadratic form). At ``events_`` outcomes
    the fit therefore goes about ``events_ / (events_ + prior_events)`` of the way from the weights in force to those
    that the data point to, and further back where two dimensions go together and cannot be told apart. The common
    slope is not shrunk.

    Parameters
    ----------
    incumbent : the weights in force, of each dimension, in any unit; all equal if None.
    prior_events : what they are worth, in outcomes of the rarer class; 0: no shrinkage, infinity: none but these.
        If None, `PRIOR_EVENTS_PER_DIMENSION` for each dimension.
    cap : the most that a weight may differ from the one in force, in points of 100; None for no limit.
    bounds : instead, the least and the most of each weight in points of 100, shape (dimensions, 2).
    max_iter : Newton steps at most; a `ConvergenceWarning` if they do not do.
    tol : the longest move of a slope, in log-odds per standard deviation, after which they end.

    Attributes
    ----------
    weights_ : shape (dimensions,), summing to 100.
    slope_ : log-odds of the second class per point of score, never below 0. At 0 points say nothing, and ``weights_``
        are those in force.
    intercept_ : log-odds at a score of 0.
    coef_ : slope times share of weight, shape (1, dimensions): the log-odds per point of a dimension where all are
        known.
    events_ : outcomes of the rarer class, weighted.
    classes_ : the two classes; points go with the second.
    n_iter_, n_features_in_, feature_names_in_ : as scikit-learn has them.

    Notes
    -----
    Rows of one account overlap: give `training.review.labelled_rows.overlap_weights` as ``sample_weight``, or the
    prior is
    outweighed by rows that say the same thing again. Intervals need accounts, and come from
    `training.review.recalibration.weight_evidence`.

    Without unknown points the problem is convex, and is solved by Newton's method, each step projected on the cone of
    the allowed weights (a non-negative least squares problem). Unknown points make the score a ratio; it is then
    linearised anew at every step (Gauss-Newton), and the solution is a local one.

    Of scikit-learn's estimator checks those for two classes are passed. It is not for three; and it scores poorly by
    design where points go against the second class, for no slope is below 0.

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
        X : points of each dimension, NaN unknown, shape (n, dimensions). A row without any is left out.
        y : two classes, of which points go with the second: 0 left, 1 stayed. Shape (n,).
        sample_weight : what each row counts for, shape (n,).

        Raises
        ------
        ValueError : one class only or more than two, or parameters that cannot be met.
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
        # What one event tells of a coefficient of points of unit variance: p (1 - p) summed over the rows for each.
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
        """Log-odds of the second class, shape (n,). A row without any points has those of the mean row."""
        check_is_fitted(self)
        points = cast(Floats, validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan"))
        score = weighted_score(points, self.weights_)
        found: Floats = self.intercept_ + self.slope_ * np.where(np.isnan(score), self.mean_score_, score)
        return found

    def predict_proba(self, X: npt.ArrayLike) -> Floats:
        """Probabilities of both classes, shape (n, 2)."""
        p = scipy.special.expit(self.decision_function(X))
        return np.column_stack([1.0 - p, p])

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """The likelier class, shape (n,)."""
        second = self.decision_function(X) > 0
        found: npt.NDArray[Any] = self.classes_[second.astype(np.int64)]
        return found

    def _limits(self) -> tuple[Floats, Floats, Floats]:
        """The weights in force as shares, and the least and the most share of each."""
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
        """Intercept and log-odds per point of each dimension, shape (1 + dimensions,), and the steps that it took."""
        # Unit points: Newton's matrix is then of the order of the events.
        unit = float(np.sqrt(points_variance(X, weight).mean())) or 1.0
        middle = float(weight @ np.nan_to_num(weighted_score(X, own)) / weight.sum())
        X, penalty = (X - middle) / unit, penalty / unit**2
        rate = weight @ y / weight.sum()
        theta = np.concatenate([[scipy.special.logit(rate)], own])
        known = ~np.isnan(X)

        def at(theta: Floats) -> tuple[float, LinearizedScore]:
            view = linearized_score(X, known, theta[1:], own)
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
            goal = constrained_minimum(theta, gradient, hessian, cone)
            share, (new_loss, new_view) = 1.0, at(goal)
            while not new_loss <= loss and share > _SMALLEST_STEP:
                share /= 2
                new_loss, new_view = at(theta + share * (goal - theta))
            if not new_loss <= loss:
                break
            moved = share * float(np.abs(goal - theta).max())
            theta, loss, view = theta + share * (goal - theta), new_loss, new_view
            if moved <= self.tol:
                break
        else:
            warnings.warn(f"WeightFit did not settle in {self.max_iter} steps", ConvergenceWarning, stacklevel=3)
        slopes = np.where(np.abs(theta[1:]) < 1e-12, 0.0, theta[1:]) / unit
        if slopes.sum() * unit <= 1e-9:
            slopes = np.zeros_like(slopes)
        score = weighted_score(X * unit + middle, slopes if slopes.any() else own)
        self.mean_score_ = float(weight @ score / weight.sum())
        return np.concatenate([[theta[0] - slopes.sum() * middle], slopes]), steps


def prior_quadratic_form(own: Floats, variance: Floats) -> Floats:
    """The quadratic form that one event adds in favour of the weights in force: slopes @ form @ slopes.

    Parameters
    ----------
    own : their shares, shape (k,). variance : of the points of each dimension, shape (k,).

    Returns
    -------
    Shape (k, k): the sum over dimensions of variance times the squared distance of its slope from its share of all.
    """
    away = np.eye(len(own)) - np.outer(own, np.ones(len(own)))
    found: Floats = (away.T * variance) @ away
    return found


def points_variance(X: Floats, weight: Floats) -> Floats:
    """Of the known points of each dimension, shape (dimensions,); 0 where none are known."""
    known = ~np.isnan(X)
    filled = np.nan_to_num(X)
    there = weight @ known
    there = np.where(there > 0, there, 1.0)
    mean = weight @ filled / there
    found: Floats = np.maximum(weight @ (known * (filled - mean) ** 2) / there, 0.0)
    return found
