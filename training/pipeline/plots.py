"""Pictures of a judged model, for the run: reliability, gain, ARR seen at capacity, what features and dimensions add.

Drawn with Matplotlib's figures alone, without its global state, so that two trainings cannot disturb each other.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from features.definitions.feature import Feature
from features.utils.arrays import Floats
from models.scorer.scorer import Scorer
from models.targets import Target
from training.dataset.labelled_snapshots import LabelledSnapshots
from training.evaluation.baselines import BASE_RATE, BLEND, HEALTH_SCORE, LIGHTGBM, LOGISTIC_REGRESSION
from training.evaluation.capacity_value import CapacityValue
from training.evaluation.test_predictions import ScoredTestRows
from training.pipeline.candidate import Candidate
from training.statistics.metrics import BINS, Predictions

OURS, OTHERS = "#1f5fbf", ("#9a9a9a", "#c98a2b", "#5b9e6f", "#9b6bb0", "#b3564b", "#6aa5b8")
BESIDE = (HEALTH_SCORE, LOGISTIC_REGRESSION, LIGHTGBM)
"""The rivals whose curves are drawn; with all of them no curve could be followed."""
SHOWN = 15
#: Accounts of the latest snapshot that are explained for the pictures.
EXPLAINED = 500


def pictures(candidate: Candidate, scorer: Scorer, prepared: LabelledSnapshots) -> dict[str, Figure]:
    """All pictures of one target, by file name without its ending.

    Parameters
    ----------
    candidate : how it did on the test rows, and what each ranking is worth.
    scorer : the model that ships.
    prepared : the snapshots; a few hundred accounts of the newest one are explained.
    """
    target, tested, latest, catalogue = candidate.target, candidate.tested, prepared.latest, prepared.catalogue
    rows = latest.sample(min(EXPLAINED, len(latest)), random_state=0)
    encoded = scorer.encode(rows).matrix
    parts = scorer.contributions(encoded)[:, :-1]
    return {
        "reliability": reliability(target, tested),
        "gain": gain(target, tested),
        "capacity": at_capacity(target, candidate.work),
        "beeswarm": beeswarm(target, parts, encoded, scorer.features, catalogue),
        "dimensions": by_dimension(target, parts, scorer.features, catalogue),
    }


def reliability(target: Target, tested: ScoredTestRows) -> Figure:
    """What was said against what happened, by tenths of the probabilities; a dot's size is its number of outcomes."""
    figure, axes = _blank(f"{target}: said and happened")
    most = 0.0
    for name, colour in _colours(tested):
        data = Predictions(tested.y, tested.p[name], tested.arr)
        sums = [np.bincount(data.bins, v, BINS) for v in (np.ones(len(data.y)), data.p, data.y)]
        there = sums[0] > 0
        said, happened = sums[1][there] / sums[0][there], sums[2][there] / sums[0][there]
        size = 12 + 60 * sums[2][there] / max(sums[2].max(), 1.0)
        width = 2.5 if name == BLEND else 1.0
        axes.plot(said, happened, color=colour, linewidth=width, label=_words(name), zorder=3 if name == BLEND else 2)
        axes.scatter(said, happened, s=size, color=colour, zorder=3)
        most = max(most, said.max(), happened.max())
    axes.plot([0, most], [0, most], color="#444444", linewidth=0.8, linestyle=":")
    axes.set_xlabel("probability")
    axes.set_ylabel("share to which it happened")
    axes.legend(frameon=False, fontsize=8)
    return figure


def gain(target: Target, tested: ScoredTestRows) -> Figure:
    """The share of the outcomes among the highest ranked, candidate by candidate."""
    figure, axes = _blank(f"{target}: found among the highest ranked")
    for name, colour in _colours(tested):
        order = np.argsort(-tested.p[name], kind="stable")
        found = np.cumsum(tested.y[order]) / max(tested.y.sum(), 1.0)
        width = 2.5 if name == BLEND else 1.0
        axes.plot(np.arange(1, len(found) + 1) / len(found), found, color=colour, linewidth=width, label=_words(name))
    axes.plot([0, 1], [0, 1], color="#444444", linewidth=0.8, linestyle=":", label="random")
    axes.set_xlabel("share of the portfolio looked at")
    axes.set_ylabel("share of the outcomes found")
    axes.legend(frameon=False, fontsize=8)
    return figure


def at_capacity(target: Target, work: Sequence[CapacityValue]) -> Figure:
    """The ARR with the outcome that a team sees at its capacity."""
    capacity = work[0].capacity if work else 0
    figure, axes = _blank(f"{target}: ARR seen by a team that looks after {capacity} accounts")
    shown = [w for w in work if w.candidate != BASE_RATE]
    values = np.array([w.caught_arr for w in shown]) * 100
    places = np.arange(len(shown))[::-1]
    colours = [OURS if w.candidate == BLEND else OTHERS[0] for w in shown]
    axes.barh(places, values[:, 0], color=colours, height=0.6)
    spread = np.clip(np.abs(values[:, [0]] - values[:, 1:]).T, 0, None)
    axes.errorbar(values[:, 0], places, xerr=np.nan_to_num(spread), fmt="none", ecolor="#222222", elinewidth=1)
    axes.set_yticks(places, [_words(w.candidate) for w in shown])
    axes.set_xlabel("% of the ARR to which it happened, with 95% interval")
    return figure


def beeswarm(
    target: Target, parts: Floats, matrix: Floats, names: Sequence[str], catalogue: Mapping[str, Feature]
) -> Figure:
    """What the weightiest features add to the log-odds, an account a dot, its colour the feature's value (SHAP)."""
    with warnings.catch_warnings():
        # Its colours are made by a way that Matplotlib will drop some day.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        import shap

    ranked = np.argsort(-np.abs(parts).mean(axis=0))[:SHOWN]
    figure, axes = _blank(f"{target}: what features add to the log-odds", width=9.0, height=6.0)
    explained = shap.Explanation(
        values=parts[:, ranked],
        data=matrix[:, ranked],
        feature_names=[catalogue[names[i]].words for i in ranked],
    )
    # It shuffles by NumPy's global generator, which is put back as it was.
    state = np.random.get_state()
    try:
        np.random.seed(0)
        shap.plots.beeswarm(explained, max_display=SHOWN, ax=axes, show=False, plot_size=None, color_bar=False)
    finally:
        np.random.set_state(state)
    axes.set_xlabel("log-odds (red: a high value, blue: a low one)", fontsize=9)
    axes.tick_params(labelsize=8)
    return figure


def by_dimension(target: Target, parts: Floats, names: Sequence[str], catalogue: Mapping[str, Feature]) -> Figure:
    """How much each dimension moves the log-odds of an account, on average."""
    figure, axes = _blank(f"{target}: what moves the prediction, by dimension")
    dimensions = [catalogue[name].dimension for name in names]
    sums = {
        d: parts[:, [i for i, own in enumerate(dimensions) if own == d]].sum(axis=1) for d in sorted(set(dimensions))
    }
    ranked = sorted(sums, key=lambda d: float(np.abs(sums[d]).mean()))
    axes.barh(ranked, [float(np.abs(sums[d]).mean()) for d in ranked], color=OURS, height=0.6)
    axes.set_xlabel("mean absolute contribution, log-odds")
    return figure


def _blank(title: str, width: float = 7.0, height: float = 4.0) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _colours(tested: ScoredTestRows) -> list[tuple[str, str]]:
    others = [name for name in BESIDE if name in tested.p]
    return [*((name, OTHERS[i % len(OTHERS)]) for i, name in enumerate(others)), (BLEND, OURS)]


def _words(name: str) -> str:
    return "Renewcast's blend" if name == BLEND else name.replace("_", " ").replace("-", " ")
