"""Effects of plays per account: a doubly robust learner, and its validation on accounts it was not fitted on.

The learner is EconML's ``LinearDRLearner`` (Kennedy, Electronic Journal of Statistics 17, 2023): a linear model of
doubly robust outcomes, with the recorded probabilities of the assignment in place of a propensity model. The
covariates are few and fixed in advance, because trials of plays have hundreds of accounts: the churn probability at the
assignment, and the logarithm of the ARR.

Validation is out of fold. The doubly robust outcomes are regressed on the predicted effects (the best linear predictor
of Chernozhukov, Demirer, Duflo and Fernandez-Val, Econometrica 93, 2025). A slope whose 95% interval lies above zero
supports that accounts differ; without that, every account has the average effect. The slope, at most 1, is the weight
of the differences from the average.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from statistics import NormalDist

import numpy as np

from features.utils.arrays import Bools, Floats, Ints
from features.utils.formatting import interval_text, number
from models.rules.intervention_effects import AFTER_DAYS, InterventionRecord, compared_records, first_of_accounts
from models.rules.intervention_effects import trial_outcomes as outcomes_of
from models.uplift.account_effects import AccountEffectModel, EffectGroup, EffectsFile
from models.uplift.average_effect import TrialOutcomes, estimate_effect
from models.uplift.power import CONFIDENCE

#: Minimum accounts per arm and lost held-out accounts for effects per account. Differences between accounts take
#: several times as many accounts as an average.
MIN_ACCOUNTS = 100
MIN_LOST = 30
FOLDS = 5
#: The out-of-fold predictions are averaged over this many divisions into folds.
DIVISIONS = 5
GROUPS = 3
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


def fit_effects(interventions: Sequence[InterventionRecord], as_of: datetime) -> tuple[EffectsFile, tuple[str, ...]]:
    """Fit effects per account, for all plays and for each play with enough accounts.

    Parameters
    ----------
    interventions : the interventions known before ``as_of``.
    as_of : the date.

    Returns
    -------
    EffectsFile, tuple of str
        The models, and why others are missing.
    """
    records = [r for r in compared_records(interventions) if r.occurred_at < as_of]
    records.sort(key=lambda record: (record.occurred_at, record.account_id))
    plays: list[str | None] = [None, *sorted({record.play for record in records if record.play is not None})]
    models, notes = [], []
    for play in plays:
        first = first_of_accounts(record for record in records if play is None or record.play == play)
        trial = outcomes_of(record for record in first if record.churn_probability is not None and record.arr)
        if play is not None and not trial.held_out.any():
            continue
        why = _why_not(trial)
        if why is None:
            models.append(fit_model(trial, play))
        else:
            notes.append(f"no effects per account for {play or 'all plays'}: {why}")
    return EffectsFile(as_of=as_of, models=tuple(models)), tuple(notes)


def _why_not(trial: TrialOutcomes) -> str | None:
    """Return why a trial does not allow effects per account."""
    held, treated = int(trial.held_out.sum()), int((~trial.held_out).sum())
    lost = int((trial.held_out & ~trial.stayed).sum())
    if min(held, treated) < MIN_ACCOUNTS or lost < MIN_LOST:
        return (
            f"{held} held-out and {treated} treated accounts have a recorded churn probability, an ARR and a known "
            f"outcome, and {lost} of the held-out ones left; {MIN_ACCOUNTS} of each and {MIN_LOST} that left are "
            "needed"
        )
    if min(len(set(trial.covariates[:, column].tolist())) for column in range(2)) < GROUPS:
        return "the accounts do not differ in churn probability and ARR"
    effect, why = estimate_effect(trial, AFTER_DAYS)
    return why if effect is None else None


def fit_model(trial: TrialOutcomes, play: str | None = None, seed: int = 0) -> AccountEffectModel:
    """Fit and validate the effects per account of one trial.

    Parameters
    ----------
    trial : accounts with complete covariates.
    play : the play; None for all plays.
    seed : of the division into folds.
    """
    lost, treated = (~trial.stayed).astype(np.float64), ~trial.held_out
    shares = np.where(np.isfinite(trial.shares), trial.shares, trial.held_out.mean())
    values = trial.covariates
    means, spread = values.mean(axis=0), values.std(axis=0)
    scaled = (values - means) / spread
    average, coefficients = _fit(lost, treated, scaled, shares, seed)
    predicted, outcomes = _out_of_fold(lost, treated, scaled, shares, seed)
    slope, slope_error = _slope(outcomes, predicted)
    qini, qini_error = _qini(outcomes, predicted)
    interval = (slope - _Z * slope_error, slope + _Z * slope_error)
    supported = interval[0] > 0
    error = float(outcomes.std(ddof=1)) / len(outcomes) ** 0.5
    shrinkage = min(max(slope, 0.0), 1.0) if supported else 0.0
    return AccountEffectModel(
        play=play,
        accounts=len(lost),
        held_out_accounts=int(trial.held_out.sum()),
        average=average,
        average_interval=(average - _Z * error, average + _Z * error),
        means=(float(means[0]), float(means[1])),
        coefficients=(float(coefficients[0] / spread[0]), float(coefficients[1] / spread[1])),
        lows=(float(values[:, 0].min()), float(values[:, 1].min())),
        highs=(float(values[:, 0].max()), float(values[:, 1].max())),
        slope=slope,
        slope_interval=interval,
        qini=qini,
        qini_interval=(qini - _Z * qini_error, qini + _Z * qini_error),
        groups=_groups(outcomes, predicted),
        supported=supported,
        shrinkage=shrinkage,
        words=_words(supported, shrinkage, slope, interval),
    )


def _words(supported: bool, shrinkage: float, slope: float, interval: tuple[float, float]) -> str:
    measured = f"slope {number(slope, 2)}, 95% interval {interval_text(*interval)}"
    if supported:
        return f"accounts differ measurably ({measured}); differences from the average count by {shrinkage:.0%}"
    return f"no measurable differences between accounts ({measured}), so every account has the average save rate"


def _fit(lost: Floats, treated: Bools, covariates: Floats, shares: Floats, seed: int) -> tuple[float, Floats]:
    """Return the average reduction of churn and its coefficients on standardized covariates."""
    # Imported here because it takes seconds.
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LinearRegression

    learner = LinearDRLearner(
        model_propensity=_recorded_shares(),
        model_regression=LinearRegression(),
        min_propensity=1e-6,
        cv=FOLDS,
        random_state=seed,
    )
    learner.fit(lost, treated.astype(np.int64), X=covariates, W=shares[:, None])
    return -float(learner.intercept_(T=1)), -np.asarray(learner.coef_(T=1), dtype=np.float64).ravel()


def _recorded_shares() -> object:
    """Return a classifier that answers with the recorded probability, its last column, instead of fitting one."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class RecordedShares(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def fit(self, X: Floats, y: Floats) -> RecordedShares:
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, X: Floats) -> Floats:
            return np.column_stack([X[:, -1], 1.0 - X[:, -1]])

        def predict(self, X: Floats) -> Floats:
            return np.asarray(self.classes_[(X[:, -1] < 0.5).astype(np.int64)])

    return RecordedShares()


def _out_of_fold(lost: Floats, treated: Bools, covariates: Floats, shares: Floats, seed: int) -> tuple[Floats, Floats]:
    """Return predicted reductions and doubly robust outcomes of each account, both from fits on other accounts."""
    from sklearn.model_selection import StratifiedKFold

    predicted, outcomes = np.zeros(len(lost)), np.zeros(len(lost))
    for division in range(DIVISIONS):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed + division)
        for train, test in folds.split(covariates, 2 * treated + lost):
            average, coefficients = _fit(lost[train], treated[train], covariates[train], shares[train], seed)
            predicted[test] += (average + covariates[test] @ coefficients) / DIVISIONS
            outcomes[test] += _doubly_robust(lost, treated, covariates, shares, train, test) / DIVISIONS
    return predicted, outcomes


def _doubly_robust(lost: Floats, treated: Bools, covariates: Floats, shares: Floats, train: Ints, test: Ints) -> Floats:
    """Return outcomes whose mean is the reduction of churn, with regressions of each arm on the accounts ``train``."""
    design = np.column_stack([np.ones(len(lost)), covariates])
    rates = []
    for arm in (~treated, treated):
        rows = np.zeros(len(lost), dtype=bool)
        rows[train] = True
        rows &= arm
        rates.append(design[test] @ np.linalg.lstsq(design[rows], lost[rows], rcond=None)[0])
    held, t, share = lost[test] - rates[0], treated[test], shares[test]
    corrected = np.where(t, -(lost[test] - rates[1]) / (1.0 - share), held / share)
    return np.asarray(rates[0] - rates[1] + corrected, dtype=np.float64)


def _slope(outcomes: Floats, predicted: Floats) -> tuple[float, float]:
    """Return the slope of the outcomes on the predictions, with its robust standard error (HC1)."""
    centered = predicted - predicted.mean()
    total = float(centered @ centered)
    if total <= 1e-12 * len(centered):
        return 0.0, 1e6
    slope = float(centered @ outcomes) / total
    residuals = outcomes - outcomes.mean() - slope * centered
    n = len(outcomes)
    return slope, float(np.sqrt(np.sum((centered * residuals) ** 2) * n / (n - 2))) / total


def _qini(outcomes: Floats, predicted: Floats) -> tuple[float, float]:
    """Return the area between the Qini curve and that of a random order, per account, with its standard error.

    Treating the top share of the accounts gains the sum of their outcomes; a random order gains that share of the
    total. The area is a mean of centered ranks times outcomes.
    """
    n = len(outcomes)
    ranks = np.empty(n)
    ranks[np.argsort(-predicted, kind="stable")] = np.arange(1, n + 1)
    weights = (n + 1 - ranks) / n - (n + 1) / (2 * n)
    terms = weights * (outcomes - outcomes.mean())
    return float(terms.mean()), float(terms.std(ddof=1)) / n**0.5


def _groups(outcomes: Floats, predicted: Floats) -> tuple[EffectGroup, ...]:
    """Return the mean outcome by groups of predicted reductions, smallest first."""
    groups = []
    for rows in np.array_split(np.argsort(predicted, kind="stable"), GROUPS):
        mean, error = float(outcomes[rows].mean()), float(outcomes[rows].std(ddof=1)) / len(rows) ** 0.5
        groups.append(
            EffectGroup(
                accounts=len(rows),
                predicted=float(predicted[rows].mean()),
                observed=mean,
                interval=(mean - _Z * error, mean + _Z * error),
            )
        )
    return tuple(groups)
