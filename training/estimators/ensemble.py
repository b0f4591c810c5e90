"""Cross-fitted ensemble: the model that ships.

The accounts are divided into folds. Each member is fitted on the other folds, and holds three models that make
different errors: a logistic regression, small trees and large trees (`training.estimators.gradient_boosting`). The
members also use different dates (`training.dataset.design_matrix.Design.member_rows`). The log-odds of the ensemble are
the mean of the members (as in bagging, Breiman 1996), so they vary less from one sample of accounts to the next than
those of one model, and the contributions to them can be added up.

Each account is predicted by the member that has not seen it. These out-of-fold predictions choose the weights of the
three models (stacked regressions, Breiman 1996, with weights that are not negative), and the calibrator is fitted on
them (`training.estimators.fitted_model`). The weights are shrunk to equal ones by a normal prior: with few outcomes the
best weights are partly chance (Smith and Wallis 2009).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd

from features.definitions.feature import Feature
from features.utils.arrays import Bools, Floats, Ints, Objects
from models.scorer.members import jackknife_variance
from models.targets import Target
from training.dataset.design_matrix import Design
from training.dataset.encoding import Encoding
from training.dataset.inner_folds import balanced_folds
from training.estimators.booster_text import merge_boosters
from training.estimators.gradient_boosting import (
    TRIALS,
    BoostedTrees,
    TreeSearch,
    TreeSettings,
    binned_rows,
    fit_boosted_trees,
)
from training.estimators.logistic_regression import LinearModel, RidgeSettings, fit_linear, search_ridge
from training.statistics import newton_logistic

FOLDS = 5
LINEAR, SMALL_TREES, LARGE_TREES = "linear", "small_trees", "large_trees"
MODELS = (LINEAR, SMALL_TREES, LARGE_TREES)
#: Standard deviation of the prior of each weight around an equal share. Chosen on the third-party CRM, the retailer
#: and two simulated portfolios; see bench/RESULTS.md.
WEIGHT_SPREAD = 0.3


@dataclass(frozen=True)
class EnsembleSettings:
    """What a search chooses: the ridge of the linear model, and the settings of both kinds of trees."""

    linear: RidgeSettings
    small_trees: TreeSettings
    large_trees: TreeSettings

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values: the ridge, and the settings and number of trees of both kinds."""
        both = {SMALL_TREES: self.small_trees, LARGE_TREES: self.large_trees}
        return {"ridge": self.linear.strength} | {
            name: dict(settings.chosen) | {"trees": settings.trees} for name, settings in both.items()
        }


@dataclass(frozen=True)
class MemberModels:
    """The three models of one member, fitted on the same rows."""

    linear: LinearModel
    small_trees: BoostedTrees
    large_trees: BoostedTrees

    def raw_of(self, matrix: Floats) -> Floats:
        """Return the log-odds of each model.

        Parameters
        ----------
        matrix : an encoded matrix, shape (n, columns).

        Returns
        -------
        array of shape (n, 3)
            In the order of `MODELS`.
        """
        return np.column_stack([model.raw_of(matrix) for model in (self.linear, self.small_trees, self.large_trees)])


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of r training rows, each by the member that was fitted without the row's account.

    The rows are those of the main horizon at dates about four weeks apart (`Design.search_mask`).

    Parameters
    ----------
    raw : log-odds of each model, shape (r, 3), in the order of `MODELS`.
    y, accounts, as_of : label, account and date of each row.
    weight : weight of each row; together they count independent label windows.
    row_index : position of each row in the frame from which the design was built.
    """

    raw: Floats
    y: Floats
    accounts: Objects
    as_of: pd.Series[pd.Timestamp]
    weight: Floats
    row_index: np.ndarray[Any, np.dtype[np.int64]]


class Settings(Protocol):
    """The settings of a recipe."""

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""


class FittedMember(Protocol):
    """One member of an ensemble."""

    def raw_of(self, matrix: Floats) -> Floats:
        """Return the log-odds of each of m models, (n, columns) -> (n, m)."""


M = TypeVar("M", bound=FittedMember)


@dataclass(frozen=True)
class CrossFitted(ABC):
    """Members that were each fitted without one fold of the accounts.

    Parameters
    ----------
    members : one per fold of the accounts.
    weights : weight of each model of a member in the log-odds, nonnegative, shape (m,).
    settings : the settings of the models.
    out_of_fold : predictions of training rows.
    fitted_share : the smallest share of its rows that a member was fitted on, 0 to 1; less than 1 if there are too many
        (`training.dataset.row_limit`).
    """

    members: tuple[FittedMember, ...]
    weights: Floats
    settings: Settings
    out_of_fold: OutOfFold
    fitted_share: float

    @property
    @abstractmethod
    def models(self) -> tuple[str, ...]:
        """The names of the models of a member."""

    @property
    @abstractmethod
    def encoding(self) -> Encoding:
        """Encoding of the snapshots."""

    @property
    @abstractmethod
    def trees(self) -> int:
        """The number of trees of all members that count."""

    @property
    @abstractmethod
    def leaves(self) -> int:
        """The largest number of leaves of a tree."""

    @property
    @abstractmethod
    def trees_share(self) -> float:
        """The share of the trees in the weights, 0 to 1."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The trees of all members in LightGBM's text format, scaled by their weights, one member after another."""

    @property
    def onnx(self) -> dict[str, bytes]:
        """The members in the ONNX format by file name, if they have it."""
        return {}

    @abstractmethod
    def scorer_parameters(self) -> dict[str, Any]:
        """Return what the scorer needs besides the booster, as JSON values."""

    def raw(self, frame: pd.DataFrame, days: int | None = None, weights: Floats | None = None) -> Floats:
        """Return uncalibrated log-odds: the mean of the members.

        Parameters
        ----------
        frame : n snapshots.
        days : the horizon; None for the main one.
        weights : replaces the weights of the models, shape (m,), to compare the ensemble with its parts.

        Returns
        -------
        array of shape (n,)
        """
        answer: Floats = self.member_raw(frame, days, weights).mean(axis=0)
        return answer

    def member_raw(self, frame: pd.DataFrame, days: int | None = None, weights: Floats | None = None) -> Floats:
        """Return the uncalibrated log-odds of each of k members.

        Parameters are those of `raw`.

        Returns
        -------
        array of shape (k, n)
        """
        return self.model_raw(frame, days) @ (self.weights if weights is None else weights)

    def model_raw(self, frame: pd.DataFrame, days: int | None = None) -> Floats:
        """Return the uncalibrated log-odds of each model of each of k members.

        Parameters
        ----------
        frame : n snapshots.
        days : the horizon; None for the main one.

        Returns
        -------
        array of shape (k, n, 3)
            The last axis is in the order of `MODELS`.
        """
        matrix = self.encoding.matrix(frame, days)
        return np.stack([member.raw_of(matrix) for member in self.members])

    def error_variance(self, frame: pd.DataFrame) -> float:
        """Return the mean jackknife variance of the log-odds (`models.scorer.members.jackknife_variance`).

        Parameters
        ----------
        frame : n snapshots.

        Returns
        -------
        float
            0 without snapshots.
        """
        return float(jackknife_variance(self.member_raw(frame)).mean()) if len(frame) else 0.0


@dataclass(frozen=True)
class Ensemble(CrossFitted):
    """The product's own ensemble; its models are `MODELS`."""

    members: tuple[MemberModels, ...]
    settings: EnsembleSettings

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models."""
        return MODELS

    @property
    def encoding(self) -> Encoding:
        """Encoding of the snapshots."""
        return self.members[0].linear.encoding

    @property
    def trees(self) -> int:
        """The number of trees of all members that count."""
        return sum(model.booster.num_trees() for member in self.members for _, model in self._weighted_trees(member))

    @property
    def leaves(self) -> int:
        """The largest number of leaves of a tree in the settings."""
        return max(int(each.chosen["leaves"]) for each in (self.settings.small_trees, self.settings.large_trees))

    @property
    def trees_share(self) -> float:
        """The share of the trees in the weights, 0 to 1."""
        return float(self.weights[1:].sum() / (self.weights.sum() or 1.0))

    @property
    def text(self) -> str:
        """The trees of all members in LightGBM's text format, scaled by their weights, one member after another."""
        boosters = [(model.text, weight) for member in self.members for weight, model in self._weighted_trees(member)]
        return merge_boosters(boosters or [(self.members[0].small_trees.text, 0.0)])

    def scorer_parameters(self) -> dict[str, Any]:
        """Return what the scorer needs besides the booster.

        Returns
        -------
        dict
            JSON values: the members (`models.scorer.members.read_members`), and the horizons if there are several.
        """
        counts = [
            sum(model.booster.num_trees() for _, model in self._weighted_trees(member)) for member in self.members
        ]
        if not sum(counts):
            counts[0] = self.members[0].small_trees.booster.num_trees()
        members = [
            {"trees": count, "start": member.linear.scorer_parameters(float(self.weights[0]))}
            for count, member in zip(counts, self.members, strict=True)
        ]
        parameters: dict[str, Any] = {"members": members}
        if self.encoding.horizons:
            parameters["horizons"] = {"days": list(self.encoding.horizons), "main": self.encoding.main_horizon}
        return parameters

    def _weighted_trees(self, member: MemberModels) -> list[tuple[float, BoostedTrees]]:
        both = zip(self.weights[1:].tolist(), (member.small_trees, member.large_trees), strict=True)
        return [(weight, model) for weight, model in both if weight > 0]


def search_ensemble(
    design: Design,
    features: Mapping[str, Feature],
    target: Target,
    trials: int = TRIALS,
    seed: int = 0,
    threads: int = 1,
    progress: Callable[[int, int, float], None] | None = None,
) -> EnsembleSettings:
    """Search the settings of the three models.

    Parameters
    ----------
    design : the training rows.
    features, target, seed, threads : see `training.estimators.gradient_boosting.TreeSearch`.
    trials, progress : see `training.estimators.gradient_boosting.TreeSearch.small_trees`.

    Returns
    -------
    EnsembleSettings
    """
    ridge, trees = search_ridge(design), TreeSearch(design, features, target, seed, threads)
    return EnsembleSettings(ridge, trees.small_trees(trials, progress), trees.large_trees())


def fit_ensemble(
    design: Design,
    settings: EnsembleSettings,
    features: Mapping[str, Feature],
    target: Target,
    folds: int = FOLDS,
    progress: Callable[[float], None] = lambda share: None,
) -> Ensemble:
    """Fit the members, and choose the weights of their models on the out-of-fold predictions.

    Parameters
    ----------
    design : the training rows.
    settings : the settings of the models, from `search_ensemble`.
    features, target : the catalogue and the target, for the constraints.
    folds : number of account folds, and of members; at least 2.
    progress : receives the share done.

    Returns
    -------
    Ensemble

    Raises
    ------
    InsufficientData
        If the accounts outside a fold have one outcome only.
    """
    members, held, share = cross_fit(
        design, folds, len(MODELS), lambda rows: _fit_member(rows, settings, features, target), progress
    )
    return Ensemble(members, stacking_weights(held.raw, held.y, held.weight), settings, held, share)


def cross_fit(
    design: Design,
    folds: int,
    models: int,
    fit: Callable[[Design], M],
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[tuple[M, ...], OutOfFold, float]:
    """Fit a member outside each account fold, and predict the accounts of the fold with it.

    Parameters
    ----------
    design : the training rows.
    folds : number of account folds, and of members; at least 2.
    models : number of models of a member.
    fit : fits a member on its rows.
    progress : receives the share done.

    Returns
    -------
    tuple of members
    OutOfFold
    float
        The smallest share of its rows that a member was fitted on.
    """
    fold, rows = _member_folds(design, folds), np.flatnonzero(design.search_mask)
    members, share, raw = [], 1.0, np.empty((len(rows), models))
    for number in range(folds):
        own = design.member_rows(number, fold != number)
        members.append(fit(own))
        share = min(share, own.share)
        held_out = fold[rows] == number
        if held_out.any():
            raw[held_out] = members[-1].raw_of(design.matrix[rows[held_out]])
        progress((number + 1) / folds)
    as_of = design.as_of.iloc[rows].reset_index(drop=True)
    accounts, row_index = design.accounts[rows], design.row_index[rows]
    held = OutOfFold(raw, design.y[rows], accounts, as_of, design.search_weight, row_index)
    return tuple(members), held, share


def _member_folds(design: Design, folds: int) -> Ints:
    """Return the fold of each row. If one fold had all accounts with an outcome, these are spread over the folds."""
    fold = balanced_folds(design.accounts, folds)
    outside = [design.y[design.main & (fold != number)] for number in range(folds)]
    if all(0 < y.sum() < len(y) for y in outside):
        return fold
    return balanced_folds(design.accounts, folds, design.y * design.main)


def _fit_member(
    design: Design, settings: EnsembleSettings, features: Mapping[str, Feature], target: Target
) -> MemberModels:
    linear, data = fit_linear(design, settings.linear, features, target), binned_rows(design)
    both = (settings.small_trees, settings.large_trees)
    return MemberModels(linear, *(fit_boosted_trees(design, each, features, target, data) for each in both))


def stacking_weights(raw: Floats, y: Floats, weight: Floats, spread: float = WEIGHT_SPREAD) -> Floats:
    """Return the weights of the models in the log-odds.

    They have the highest posterior given the labels, with a normal prior around equal weights that add up to 1. A model
    whose weight would be negative is left out, and the others are weighted again (as in `_fitted` of the linear model).

    Parameters
    ----------
    raw : out-of-fold log-odds of the models, shape (n, m).
    y, weight : label and weight of each row, shape (n,).
    spread : standard deviation of the prior of each weight.

    Returns
    -------
    array of shape (m,)
        Nonnegative; their sum is the slope of the log-odds, so it need not be 1.
    """
    count = raw.shape[1]
    used: Bools = np.ones(count, dtype=bool)
    weights = np.zeros(count)
    while used.any():
        columns = raw[:, used] - raw[:, used].mean(axis=0)
        size = int(used.sum())
        prior = np.append(np.full(size, 1 / count), 0.0)
        strength = np.append(np.full(size, spread**-2), 0.0)
        fitted = newton_logistic.fit(np.column_stack([columns, np.ones(len(y))]), y, weight[None], prior, strength)[0]
        weights = np.zeros(count)
        weights[used] = fitted[:-1]
        if (weights >= 0).all():
            return weights
        used &= weights > 0
    # No model ranks better than chance: equal weights, whose slope the calibrator corrects.
    return np.full(count, 1 / count)


def single_weights(*models: str) -> Floats:
    """Return weights that use only some models, in equal parts.

    Parameters
    ----------
    *models : names from `MODELS`.

    Returns
    -------
    array of shape (3,)
        The sum is 1.
    """
    chosen: Sequence[float] = [float(name in models) for name in MODELS]
    return np.array(chosen) / len(models)
