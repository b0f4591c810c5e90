"""Comparison of all candidates on the same rows of the backtest, with intervals by account bootstrap.

The results are typed values; other code prints them, stores them or applies gates to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from features.errors import InsufficientData
from features.utils.arrays import Floats
from training.evaluation.baselines import BLEND
from training.statistics import metrics
from training.statistics.account_bootstrap import AccountBootstrap, interval
from training.statistics.metrics import Predictions
from training.statistics.newton_logistic import row_log_loss

Grade = Literal["none", "weak", "fair", "good"]
RESAMPLES = 500

# Grades use the bounds of 95% intervals, so a lucky estimate from few outcomes is not graded higher than it proves.
# From a lower bound of this AUC on, a ranking counts as useful. With 0.65, the riskiest tenth has about two and a half
# times its share of the outcomes; with 0.75, about four times.
FAIR_AUC = 0.65
GOOD_AUC = 0.75
# Bounds of the whole interval of the slope: log-odds are off by at most half.
GOOD_SLOPE = (0.67, 1.5)

GRADE_WORDS: dict[Grade, str] = {
    "none": "not measurably better than the average rate; do not act on it",
    "weak": "better than the average rate, but may rank little better than chance; use it as one hint among others",
    "fair": "ranks usefully; good enough to decide which accounts to look at first",
    "good": "ranks well, and its probabilities can be used as they are",
}


@dataclass(frozen=True)
class Metric:
    """One metric: its value, a 95% interval (NaN if undefined), and a description of a good value."""

    name: str
    value: float
    low: float
    high: float
    good: str


@dataclass(frozen=True)
class ComparisonRow:
    """All metrics of one candidate."""

    candidate: str
    metrics: tuple[Metric, ...]

    def __getitem__(self, name: str) -> Metric:
        """Return the metric of that name; KeyError if there is none."""
        return {m.name: m for m in self.metrics}[name]


@dataclass(frozen=True)
class Difference:
    """Mean loss of `candidate` minus that of `against`, on the same resamples. Below 0, the candidate is better."""

    candidate: str
    against: str
    loss: Literal["brier", "log_loss"]
    value: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether the candidate is significantly better: the whole interval is below 0."""
        return self.high < 0

    @property
    def worse(self) -> bool:
        """Whether the candidate is significantly worse: the whole interval is above 0."""
        return self.low > 0


@dataclass(frozen=True)
class Comparison:
    """Comparison of all candidates on the same rows, usually those that the backtest predicts.

    Parameters
    ----------
    subject : the evaluated candidate.
    rows : metrics per candidate, in the given order.
    differences : loss differences between the subject and every other candidate, by both losses.
    size : number of rows, accounts, rows with the outcome, and accounts with it.
    known_rate, window_rate : mean of the outcome rates known at the origins, and rate of the predicted rows.
    grade, words : grade of the subject by interval bounds, and what it means.
    ranking : ROC AUC of the subject among rows of the same date; None if dates were not given.
    """

    subject: str
    rows: tuple[ComparisonRow, ...]
    differences: tuple[Difference, ...]
    size: dict[str, int]
    known_rate: float
    window_rate: float
    grade: Grade
    words: str
    ranking: Metric | None = None

    def __getitem__(self, candidate: str) -> ComparisonRow:
        """Return the metrics of a candidate; KeyError if there are none."""
        return {row.candidate: row for row in self.rows}[candidate]

    def difference(self, against: str, loss: str = "log_loss") -> Difference | None:
        """Return the difference between the subject and another candidate.

        Parameters
        ----------
        against : the other candidate.
        loss : log_loss or brier.

        Returns
        -------
        Difference or None
            None if the two were not compared.
        """
        matches = (d for d in self.differences if d.against == against and d.loss == loss)
        return next(matches, None)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values; undefined metrics are None."""
        return dict(json_safe(asdict(self)))


_SINGLE: dict[str, tuple[Callable[..., Floats], str]] = {
    "roc_auc": (metrics.roc_auc, "higher; 0.5 is guessing, 0.7 useful, 0.8 good"),
    "pr_auc": (metrics.pr_auc, "higher; the base rate is guessing, twice the base rate is useful"),
    "brier": (metrics.brier, "lower than the base rate's"),
    "brier_skill": (metrics.brier_skill, "above 0; 0.05 is useful for rare outcomes"),
    "brier_skill_in_hindsight": (metrics.brier_skill_in_hindsight, "above 0; a harder reference"),
    "log_loss": (metrics.log_loss, "lower than the base rate's"),
    "calibration_error": (metrics.calibration_error, "near 0; under a fifth of the base rate"),
    "calibration_slope": (metrics.calibration_slope, "near 1; 0.8 to 1.25"),
    "calibration_intercept": (metrics.calibration_intercept, "near 0; within 0.2"),
}
_BY_SHARE = {
    "lift": "higher; 1 is guessing, 3 good",
    "captured": "higher; its share of the rows is guessing",
    "captured_arr": "higher; its share of the rows is guessing",
}


def compare_candidates(
    y: npt.ArrayLike,
    candidates: Mapping[str, npt.ArrayLike],
    accounts: Sequence[str] | npt.NDArray[np.object_],
    arr: npt.ArrayLike,
    known_rate: float | Floats,
    subject: str = BLEND,
    resamples: int = RESAMPLES,
    seed: int = 0,
    dates: npt.ArrayLike | None = None,
) -> Comparison:
    """Compare all candidates on the same predicted rows.

    Parameters
    ----------
    y : labels of the predicted rows, 0 or 1, shape (n,).
    candidates : probabilities by candidate, shape (n,) each; at least those of the subject.
    accounts : account of each row; accounts are resampled whole.
    arr : ARR at as_of, currency.
    known_rate : outcome rate known when the predictions were made, 0 to 1, of each row (n,) or of all.
    subject : the evaluated candidate.
    resamples, seed : settings of the bootstrap; all candidates share its resamples, so differences are paired.
    dates : date of each row, shape (n,), to measure the ranking among rows of the same date.

    Returns
    -------
    Comparison

    Raises
    ------
    InsufficientData
        If only one of the two outcomes occurs.
    """
    return compare_subjects(y, candidates, accounts, arr, known_rate, [subject], resamples, seed, dates)[subject]


def compare_subjects(
    y: npt.ArrayLike,
    candidates: Mapping[str, npt.ArrayLike],
    accounts: Sequence[str] | npt.NDArray[np.object_],
    arr: npt.ArrayLike,
    known_rate: float | Floats,
    subjects: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
    dates: npt.ArrayLike | None = None,
) -> dict[str, Comparison]:
    """Compare all candidates on the same test rows, once for each of several subjects.

    Parameters are those of `compare_candidates`.

    Returns
    -------
    dict of str to Comparison
        By subject.
    """
    happened = np.asarray(y, dtype=np.float64)
    if not 0 < happened.sum() < len(happened):
        raise InsufficientData(["only one outcome occurs on the predicted dates; both are needed"])
    money = np.asarray(arr, dtype=np.float64)
    data = {name: Predictions(happened, np.asarray(p, dtype=np.float64), money) for name, p in candidates.items()}
    bootstrap = AccountBootstrap(accounts, resamples, seed)
    rows = tuple(
        ComparisonRow(name, _measure(predictions, bootstrap, known_rate)) for name, predictions in data.items()
    )
    size = {
        "rows": len(happened),
        "accounts": bootstrap.accounts,
        "rows_with_outcome": int(happened.sum()),
        "accounts_with_outcome": len(np.unique(bootstrap.codes[happened == 1])),
    }
    average = Predictions(happened, np.full(len(happened), known_rate), money)
    known, window = float(np.mean(known_rate)), float(happened.mean())
    comparisons = {}
    for subject in subjects:
        differences = tuple(
            _difference(subject, other, loss, data, bootstrap)
            for other in data
            if other != subject
            for loss in ("log_loss", "brier")
        )
        against_average = _difference(subject, "", "log_loss", data | {"": average}, bootstrap)
        row = {row.candidate: row for row in rows}[subject]
        ranking = None if dates is None else _ranking(data[subject], bootstrap, dates)
        grade = _grade(row, against_average, ranking)
        words = _grade_words(grade, row)
        comparisons[subject] = Comparison(subject, rows, differences, size, known, window, grade, words, ranking)
    return comparisons


def metric_names() -> dict[str, str]:
    """Return the description of a good value of each metric, by name, in the order of `metric_values`."""
    goods = {name: good for name, (_, good) in _SINGLE.items()}
    return goods | {
        f"{name}_{share * 100:.0f}": good for name, good in _BY_SHARE.items() for share in metrics.TOP_SHARES
    }


def metric_values(data: Predictions, weights: Floats, known_rate: float | Floats) -> Floats:
    """Return all metrics of some predictions.

    Parameters
    ----------
    data : n predictions.
    weights : weights of the rows in b resamples, shape (b, n).
    known_rate : outcome rate known when the predictions were made, 0 to 1, of each row (n,) or of all.

    Returns
    -------
    array of shape (b, metrics)
        In the order of `metric_names`.
    """
    together = metrics.ranking_metrics(data, weights) | metrics.calibration_metrics(data, weights)
    skill = partial(metrics.brier_skill, known_rate=known_rate)
    columns = [
        together[name] if name in together else (skill if name == "brier_skill" else measure)(data, weights)
        for name, (measure, _) in _SINGLE.items()
    ]
    return np.column_stack([*columns, *(together[name] for name in _BY_SHARE)])


def _measure(data: Predictions, bootstrap: AccountBootstrap, known_rate: float | Floats) -> tuple[Metric, ...]:
    def measured(weights: Floats) -> Floats:
        return metric_values(data, weights, known_rate)

    point, resampled = measured(np.ones((1, len(data.y))))[0], bootstrap.values(measured)
    return tuple(
        Metric(name, float(point[i]), *interval(resampled[:, i]), good)
        for i, (name, good) in enumerate(metric_names().items())
    )


def _ranking(data: Predictions, bootstrap: AccountBootstrap, dates: npt.ArrayLike) -> Metric:
    groups = np.unique(np.asarray(dates), return_inverse=True)[1].astype(np.int64)
    measured = partial(metrics.roc_auc_within, data, groups=groups)
    point = float(measured(np.ones((1, len(data.y))))[0])
    return Metric("roc_auc_within_dates", point, *interval(bootstrap.values(measured)), "higher; 0.5 is guessing")


def _difference(
    subject: str,
    other: str,
    loss: Literal["brier", "log_loss"],
    data: Mapping[str, Predictions],
    bootstrap: AccountBootstrap,
) -> Difference:
    def losses(of: Predictions) -> Floats:
        return row_log_loss(of.log_odds, of.y) if loss == "log_loss" else (of.p - of.y) ** 2

    differences = losses(data[subject]) - losses(data[other])
    return Difference(subject, other, loss, *bootstrap.mean_interval(differences))


def beats_rate(difference: Difference, ranking: Metric | None) -> bool:
    """Return whether predictions are measurably better than the known rate.

    Either their log loss is, or their ranking is measurably better than chance while the estimate of their log loss is
    better as well. With few outcomes, the ranking is the more sensitive test: the log loss of one unexpected outcome
    can outweigh the gain of many. Without signal, each of the two is true with a probability of at most 2.5%.

    Parameters
    ----------
    difference : log loss minus that of the known rate.
    ranking : ROC AUC among rows of the same date, so that changes of the rate over time do not count; or None.

    Returns
    -------
    bool
    """
    return difference.better or (ranking is not None and ranking.low > 0.5 and difference.value < 0)


def _grade(row: ComparisonRow, against_average: Difference, ranking: Metric | None) -> Grade:
    """Return the grade of a candidate, by the bounds of its intervals.

    It must first beat the known rate (`beats_rate`). Then the ranking counts, and then the probabilities.
    """
    auc, slope = row["roc_auc"], row["calibration_slope"]
    if not (beats_rate(against_average, ranking) and auc.low > 0.5):
        return "none"
    if auc.low < FAIR_AUC:
        return "weak"
    if auc.low >= GOOD_AUC and GOOD_SLOPE[0] <= slope.low and slope.high <= GOOD_SLOPE[1]:
        return "good"
    return "fair"


def _grade_words(grade: Grade, row: ComparisonRow) -> str:
    """Return what a grade means, with the bound that decided it."""
    low = row["roc_auc"].low
    if grade == "none" or not np.isfinite(low):
        return GRADE_WORDS[grade]
    return f"{GRADE_WORDS[grade]} (ROC AUC at least {low:.2f}, the lower end of its 95% interval)"


def json_safe(value: Any) -> Any:
    """Return a value in JSON form, with None for undefined numbers."""
    if isinstance(value, dict):
        return {k: json_safe(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
