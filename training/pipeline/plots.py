"""Plots of an evaluated model for its MLflow run: reliability, gain, ARR at capacity, features and dimensions.

They use Matplotlib figures without pyplot's global state, so that two trainings cannot disturb each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from features.definitions.feature import Feature
from features.utils.arrays import Floats
from models.artifacts.model_card import candidate_name
from models.scorer.scorer import Scorer
from models.targets import Target
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.evaluation.baselines import BASE_RATE, BLEND, HEALTH_SCORE, LIGHTGBM, LOGISTIC_REGRESSION
from training.evaluation.capacity_value import CapacityValue
from training.evaluation.test_predictions import ScoredTestRows
from training.pipeline.candidate import Candidate
from training.statistics.metrics import BINS, Predictions

BLEND_COLOR = "#1f5fbf"
RIVAL_COLORS = ("#9a9a9a", "#c98a2b", "#5b9e6f", "#9b6bb0", "#b3564b", "#6aa5b8")
PLOTTED_RIVALS = (HEALTH_SCORE, LOGISTIC_REGRESSION, LIGHTGBM)
"""The rivals whose curves are drawn; more curves would be unreadable."""
SHOWN = 15


def draw_plots(candidate: Candidate, scorer: Scorer, prepared: LabelledSnapshots) -> dict[str, Figure]:
    """Plot one target: reliability, gain, ARR at capacity, features and dimensions.

    Parameters
    ----------
    candidate : the candidate, with its test predictions.
    scorer : the final model.
    prepared : the snapshots; a sample of accounts of the newest one is explained.

    Returns
    -------
    dict of str to Figure
        The plots by file name without suffix.
    """
    target, tested, catalogue, subject = candidate.target, candidate.tested, prepared.catalogue, candidate.subject
    explainer = candidate.explainer
    encoded = scorer.encode(explainer.frame).matrix
    parts = explainer.contribute(np.arange(len(encoded))).mean(axis=0)[:, :-1]
    return {
        "reliability": plot_reliability(target, tested, subject),
        "gain": plot_gain(target, tested, subject),
        "capacity": plot_arr_at_capacity(target, candidate.work, subject),
        "beeswarm": plot_beeswarm(target, parts, encoded, scorer.features, catalogue),
        "dimensions": plot_dimensions(target, parts, scorer.features, catalogue),
    }


def plot_reliability(target: Target, tested: ScoredTestRows, subject: str = BLEND) -> Figure:
    """Plot observed against predicted rates by decile of the probabilities; the dot size is the number of outcomes.

    Parameters
    ----------
    target : the target, for the title.
    tested : outcomes and probabilities of the test rows, for each candidate.
    subject : the evaluated candidate.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _blank(f"{target}: predicted and observed")
    most = 0.0
    for name, color in _colors(tested, subject):
        data = Predictions(tested.y, tested.p[name], tested.arr)
        sums = [np.bincount(data.bins, v, BINS) for v in (np.ones(len(data.y)), data.p, data.y)]
        filled = sums[0] > 0
        predicted, observed = sums[1][filled] / sums[0][filled], sums[2][filled] / sums[0][filled]
        size = 12 + 60 * sums[2][filled] / max(sums[2].max(), 1.0)
        width = 2.5 if name == subject else 1.0
        axes.plot(
            predicted, observed, color=color, linewidth=width, label=_words(name), zorder=3 if name == subject else 2
        )
        axes.scatter(predicted, observed, s=size, color=color, zorder=3)
        most = max(most, predicted.max(), observed.max())
    axes.plot([0, most], [0, most], color="#444444", linewidth=0.8, linestyle=":")
    axes.set_xlabel("probability")
    axes.set_ylabel("share with the outcome")
    axes.legend(frameon=False, fontsize=8)
    return figure


def plot_gain(target: Target, tested: ScoredTestRows, subject: str = BLEND) -> Figure:
    """Plot the cumulative share of outcomes by rank, for each candidate.

    Parameters
    ----------
    target : the target, for the title.
    tested : outcomes and probabilities of the test rows, for each candidate.
    subject : the evaluated candidate.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _blank(f"{target}: outcomes among the highest ranked")
    for name, color in _colors(tested, subject):
        order = np.argsort(-tested.p[name], kind="stable")
        captured = np.cumsum(tested.y[order]) / max(tested.y.sum(), 1.0)
        width = 2.5 if name == subject else 1.0
        axes.plot(
            np.arange(1, len(captured) + 1) / len(captured), captured, color=color, linewidth=width, label=_words(name)
        )
    axes.plot([0, 1], [0, 1], color="#444444", linewidth=0.8, linestyle=":", label="random")
    axes.set_xlabel("share of the portfolio")
    axes.set_ylabel("share of the outcomes captured")
    axes.legend(frameon=False, fontsize=8)
    return figure


def plot_arr_at_capacity(target: Target, work: Sequence[CapacityValue], subject: str = BLEND) -> Figure:
    """Plot the share of ARR with the outcome that a team covers at its capacity.

    Parameters
    ----------
    target : the target, for the title.
    work : the ARR covered by each candidate, with its interval.
    subject : the evaluated candidate.

    Returns
    -------
    matplotlib.figure.Figure
    """
    capacity = work[0].capacity if work else 0
    figure, axes = _blank(f"{target}: ARR covered by a team that works on {capacity} accounts")
    shown = [w for w in work if w.candidate != BASE_RATE]
    values = np.array([w.caught_arr for w in shown]) * 100
    places = np.arange(len(shown))[::-1]
    colors = [BLEND_COLOR if w.candidate == subject else RIVAL_COLORS[0] for w in shown]
    axes.barh(places, values[:, 0], color=colors, height=0.6)
    spread = np.clip(np.abs(values[:, [0]] - values[:, 1:]).T, 0, None)
    axes.errorbar(values[:, 0], places, xerr=np.nan_to_num(spread), fmt="none", ecolor="#222222", elinewidth=1)
    axes.set_yticks(places, [_words(w.candidate) for w in shown])
    axes.set_xlabel("% of the ARR with the outcome, with 95% interval")
    return figure


def plot_beeswarm(
    target: Target, parts: Floats, matrix: Floats, names: Sequence[str], catalogue: Mapping[str, Feature]
) -> Figure:
    """Plot the SHAP values of the most important features: one dot per account, colored by feature value.

    Parameters
    ----------
    target : the target, for the title.
    parts : SHAP values in log-odds, shape (accounts, features).
    matrix : encoded values of the features, same shape; they give the colors.
    names : the feature of each column.
    catalogue : the features by name, for the labels.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with warnings.catch_warnings():
        # shap creates its colors with a deprecated Matplotlib call.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap

    ranked = np.argsort(-np.abs(parts).mean(axis=0))[:SHOWN]
    figure, axes = _blank(f"{target}: what features add to the log-odds", width=9.0, height=6.0)
    explained = shap.Explanation(
        values=parts[:, ranked],
        data=matrix[:, ranked],
        feature_names=[catalogue[names[i]].words for i in ranked],
    )
    # shap shuffles with NumPy's global generator, so its state is restored.
    state = np.random.get_state()
    try:
        np.random.seed(0)
        shap.plots.beeswarm(explained, max_display=SHOWN, ax=axes, show=False, plot_size=None, color_bar=False)
    finally:
        np.random.set_state(state)
    axes.set_xlabel("log-odds (red: high value, blue: low value)", fontsize=9)
    axes.tick_params(labelsize=8)
    return figure


def plot_dimensions(target: Target, parts: Floats, names: Sequence[str], catalogue: Mapping[str, Feature]) -> Figure:
    """Plot the mean absolute contribution of each dimension to the log-odds.

    Parameters
    ----------
    target : the target, for the title.
    parts : SHAP values in log-odds, shape (accounts, features).
    names : the feature of each column.
    catalogue : the features by name, for their dimensions.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = _blank(f"{target}: contribution to the prediction by dimension")
    dimensions = [catalogue[name].dimension for name in names]
    sums = {
        d: parts[:, [i for i, own in enumerate(dimensions) if own == d]].sum(axis=1) for d in sorted(set(dimensions))
    }
    ranked = sorted(sums, key=lambda d: float(np.abs(sums[d]).mean()))
    axes.barh(ranked, [float(np.abs(sums[d]).mean()) for d in ranked], color=BLEND_COLOR, height=0.6)
    axes.set_xlabel("mean absolute contribution, log-odds")
    return figure


def _blank(title: str, width: float = 7.0, height: float = 4.0) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colors(tested: ScoredTestRows, subject: str) -> list[tuple[str, str]]:
    others = [name for name in PLOTTED_RIVALS if name in tested.p]
    return [*((name, RIVAL_COLORS[i % len(RIVAL_COLORS)]) for i, name in enumerate(others)), (subject, BLEND_COLOR)]


def _words(name: str) -> str:
    return "Renewcast's blend" if name == BLEND else candidate_name(name).replace("-", " ")
