"""The average effect of a play: the share that stays among treated accounts, minus that among held-out accounts.

The difference is adjusted for what was known at the assignment by a regression with interactions (Lin, Annals of
Applied Statistics 7, 2013), with heteroscedasticity-consistent standard errors (HC2). Accounts are weighted by the
inverse probability of their arm if that differs. Without covariates the estimate is the plain difference, with
Newcombe's interval (1998, method 10); intervals of a share are Wilson's (1927).

There is no effect, but a reason, if the arms are too small, if the assignment does not look random, or if not even a
play that saves every account would have been detected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.utils.arrays import Bools, Floats
from models.uplift.power import CONFIDENCE, MIN_ACCOUNTS, MIN_LOST, smallest_effect

#: Below this p-value the assignment does not look random.
BALANCE_LEVEL = 0.001
#: Accounts per arm that each covariate needs.
ACCOUNTS_PER_COVARIATE = 10


@dataclass(frozen=True)
class RateEstimate:
    """A share of ``of`` accounts, with its 95% interval."""

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True)
class InterventionEffect:
    """The effect of interventions, measured with randomly held-out accounts.

    ``treated`` and ``held_out`` are the shares that stayed; ``uplift`` is their difference, adjusted for the covariates
    in ``adjusted_for``, with the 95% interval ``low`` to ``high``. ``save_rate`` is the share of the accounts that
    would have left but stayed because of the intervention: uplift divided by the share of held-out accounts that left,
    0 to 1. ``ratio`` is the same without the limits, and ``ratio_error`` its standard error. ``detectable`` is the
    smallest uplift that would have been detected with a power of 80%; None if even a play that saves every account
    could go unnoticed, which leaves only a measured harm.
    """

    treated: RateEstimate
    held_out: RateEstimate
    uplift: float
    low: float
    high: float
    save_rate: float
    detectable: float | None
    ratio: float
    ratio_error: float
    adjusted_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialOutcomes:
    """Accounts that were assigned at random, and whether they stayed.

    Parameters
    ----------
    stayed, held_out : of each account, shape (n,).
    shares : the probability with which each account was held out; NaN if it was not recorded.
    covariates : what was known at the assignment, shape (n, k); NaN is unknown.
    names : the names of the covariates.
    """

    stayed: Bools
    held_out: Bools
    shares: Floats
    covariates: Floats
    names: tuple[str, ...] = ()

    @property
    def weights(self) -> Floats:
        """The inverse probability of each account's arm, with a mean of 1 within each arm."""
        probability = np.where(self.held_out, self.shares, 1.0 - self.shares)
        probability = np.where(np.isfinite(probability) & (probability > 0), probability, np.nan)
        weights = np.ones(len(probability))
        for arm in (self.held_out, ~self.held_out):
            if arm.any() and np.isfinite(probability[arm]).all():
                weights[arm] = (1.0 / probability[arm]) / np.mean(1.0 / probability[arm])
        return weights

    def complete_covariates(self) -> tuple[Floats, tuple[str, ...]]:
        """Return the covariates that vary and are mostly known. Unknown values are replaced by the mean."""
        columns: list[Floats] = []
        names: list[str] = []
        smallest = min(int(self.held_out.sum()), int((~self.held_out).sum()))
        for values, name in zip(self.covariates.T, self.names, strict=True):
            known = np.isfinite(values)
            if len(names) + 1 > smallest / ACCOUNTS_PER_COVARIATE - 1 or known.mean() < 0.5:
                continue
            if np.ptp(values[known]) > 0:
                columns.append(np.where(known, values, values[known].mean()))
                names.append(name)
        return (np.column_stack(columns) if columns else np.zeros((len(self.stayed), 0))), tuple(names)


def estimate_share(part: int, of: int) -> RateEstimate:
    """Return a share with Wilson's interval."""
    # Imported here because it takes longer to import than everything else.
    from scipy.stats import binomtest

    interval = binomtest(part, of).proportion_ci(CONFIDENCE, method="wilson")
    return RateEstimate(part / of, float(interval.low), float(interval.high), of)


def estimate_effect(trial: TrialOutcomes, days: int) -> tuple[InterventionEffect | None, str | None]:
    """Return the average effect, or the reason why there is none.

    Parameters
    ----------
    trial : the accounts.
    days : after how many days it was checked whether they stayed, for the reason.
    """
    arms = {held: trial.stayed[trial.held_out == held] for held in (False, True)}
    left = int((~arms[True]).sum())
    if min(map(len, arms.values())) < MIN_ACCOUNTS or left < MIN_LOST:
        return None, (
            f"{len(arms[True])} held-out and {len(arms[False])} treated accounts were observed for {days} days, "
            f"and {left} of the held-out ones left; {MIN_ACCOUNTS} of each and {MIN_LOST} that left are needed"
        )
    covariates, names = trial.complete_covariates()
    if (why := _share_mismatch(trial) or _imbalance(trial, covariates, names)) is not None:
        return None, why
    treated, held = (estimate_share(int(arms[which].sum()), len(arms[which])) for which in (False, True))
    weights = trial.weights
    values, variances = _regress(trial.stayed.astype(np.float64), ~trial.held_out, covariates, weights)
    stays, uplift = float(values[0]), float(values[1])
    churn = min(max(1.0 - stays, 0.5 / len(arms[True])), 1.0)
    unadjusted = not names and float(np.ptp(weights)) == 0.0
    plain = held.value * (1.0 - held.value) / (held.of - 1)
    residual = 1.0 if unadjusted else min(float(variances[0, 0]) / plain, 1.0) if plain > 0 else 1.0

    def variance(effect: float) -> float:
        return residual * ((churn - effect) * (1.0 - churn + effect) / treated.of + churn * (1.0 - churn) / held.of)

    if unadjusted:
        low = uplift - ((treated.value - treated.low) ** 2 + (held.high - held.value) ** 2) ** 0.5
        high = uplift + ((treated.high - treated.value) ** 2 + (held.value - held.low) ** 2) ** 0.5
    else:
        half = _t_quantile(len(trial.stayed) - 2 - 2 * len(names)) * float(variances[1, 1]) ** 0.5
        low, high = uplift - half, uplift + half
    detectable = smallest_effect(churn, variance)
    if detectable is None and high >= 0:
        return None, (
            f"{held.of} held-out and {treated.of} treated accounts, with {left} held-out accounts that have left, are "
            "too few: even plays that save every account could go unnoticed"
        )
    ratio = uplift / churn
    # The delta method: the ratio depends on the held-out arm's share that stays and on the uplift.
    slope = np.array([ratio / churn, 1.0 / churn])
    # If every treated account stayed, the terms cancel, and the rate would seem certain. It is as uncertain as if half
    # an account had left.
    lost = 0.5 / treated.of
    least = lost * (1.0 - lost) / treated.of / churn**2
    error = max(float(slope @ variances @ slope), least) ** 0.5
    save_rate = min(max(ratio, 0.0), 1.0)
    return InterventionEffect(treated, held, uplift, low, high, save_rate, detectable, ratio, error, names), None


def _regress(y: Floats, treated: Bools, covariates: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the share that stays if held out, the uplift, and the (2, 2) covariance of both (HC2)."""
    centered = covariates - covariates.mean(axis=0)
    arm = treated.astype(np.float64)[:, None]
    root = np.sqrt(weights)[:, None]
    design = root * np.hstack([np.ones_like(arm), arm, centered, arm * centered])
    inverse = np.linalg.pinv(design.T @ design)
    values = inverse @ (design.T @ (root[:, 0] * y))
    leverage = np.minimum(np.einsum("ij,jk,ik->i", design, inverse, design), 1.0 - 1e-9)
    residuals = (root[:, 0] * y - design @ values) / np.sqrt(1.0 - leverage)
    bread = inverse @ design.T * residuals
    return values[:2], (bread @ bread.T)[:2, :2]


def _t_quantile(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1), 0.5 + CONFIDENCE / 2))


def _share_mismatch(trial: TrialOutcomes) -> str | None:
    """Return what is wrong if the number of held-out accounts does not agree with the recorded probabilities."""
    known = np.isfinite(trial.shares)
    shares = trial.shares[known]
    spread = float(np.sum(shares * (1.0 - shares))) ** 0.5
    if spread == 0.0:
        return None
    held = int(trial.held_out[known].sum())
    from scipy.special import ndtr

    if 2.0 * float(ndtr(-abs(held - float(shares.sum())) / spread)) >= BALANCE_LEVEL:
        return None
    return (
        f"{held} of {int(known.sum())} accounts were held out, but {shares.sum():.0f} were to be held out: records are "
        "missing, or the assignment was not followed, so this is no random comparison"
    )


def _imbalance(trial: TrialOutcomes, covariates: Floats, names: tuple[str, ...]) -> str | None:
    """Return what is wrong if the arms differed before the trial by more than chance."""
    if not names:
        return None
    from scipy.special import chdtrc

    held = trial.held_out
    difference = covariates[held].mean(axis=0) - covariates[~held].mean(axis=0)
    spread = np.atleast_2d(np.cov(covariates.T)) * (1.0 / held.sum() + 1.0 / (~held).sum())
    statistic = float(difference @ np.linalg.pinv(spread) @ difference)
    if float(np.ptp(trial.weights)) > 0.0 or float(chdtrc(len(names), statistic)) >= BALANCE_LEVEL:
        # With unequal probabilities the arms differ by design, and the weights account for it.
        return None
    scaled = np.abs(difference) / np.sqrt(np.diag(spread))
    worst = int(np.argmax(scaled))
    return (
        f"the arms differed before the plays ({names[worst]}: {covariates[held, worst].mean():.3g} on average if held "
        f"out, {covariates[~held, worst].mean():.3g} if treated), more than by chance, so the accounts were not held "
        "out at random"
    )
