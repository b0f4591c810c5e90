"""Error rates of effects of plays on simulated trials, where the truth is known.

``python -m bench.uplift average`` draws trials and counts how often an effect is refused, measured, and covered by its
interval. ``python -m bench.uplift accounts`` counts how often effects per account are supported.
"""

from __future__ import annotations

import sys

import numpy as np

from models.uplift.average_effect import TrialOutcomes, estimate_effect
from models.uplift.power import RiskProfile

SHARE = 0.3
RISK = (2, 6)
AVERAGE_REPEATS, ACCOUNT_REPEATS, ACCOUNTS = 400, 24, 1_000


def draw_trial(
    accounts: int, kind: str, save_rate: float, rng: np.random.Generator
) -> tuple[TrialOutcomes, np.ndarray]:
    """A trial, and the true reduction of each account's churn probability."""
    churn, arr = rng.beta(*RISK, accounts), rng.normal(10, 1, accounts)
    held_out = rng.random(accounts) < SHARE
    reduction = {
        "none": np.zeros(accounts),
        "equal": np.full(accounts, 0.05),
        "proportional": save_rate * churn,
        "risky only": np.where(churn > 0.25, 0.6 * churn, 0.0),
    }[kind]
    reduction = np.minimum(reduction, churn)
    stayed = rng.random(accounts) > np.where(held_out, churn, churn - reduction)
    covariates = np.column_stack([churn, arr])
    shares = np.full(accounts, SHARE)
    return TrialOutcomes(stayed, held_out, shares, covariates, ("churn_probability", "log_arr")), reduction


def average() -> None:
    rng = np.random.default_rng(0)
    required = RiskProfile(rng.beta(*RISK, 100_000)).required_accounts(0.4, SHARE)
    assert required is not None
    for accounts in (150, 300, required, 2 * required):
        for save_rate in (0.0, 0.4):
            found = []
            for _ in range(AVERAGE_REPEATS):
                trial, reduction = draw_trial(accounts, "proportional", save_rate, rng)
                effect, _ = estimate_effect(trial, 90)
                if effect is not None:
                    found.append((effect.low, effect.high, reduction.mean(), effect.ratio))
            low, high, truth, ratio = np.array(found).T if found else np.zeros((4, 1))
            covered = ((low <= truth) & (truth <= high)).mean()
            print(
                f"{accounts} accounts, save rate {save_rate}: refused {1 - len(found) / AVERAGE_REPEATS:.3f}, "
                f"measured {(low > 0).mean():.3f}, covered {covered:.3f}, mean save rate {ratio.mean():.3f}",
                flush=True,
            )


def accounts() -> None:
    from training.uplift.account_effects import fit_model

    rng = np.random.default_rng(1)
    for kind in ("none", "equal", "proportional", "risky only"):
        models, errors = [], []
        for _ in range(ACCOUNT_REPEATS):
            trial, reduction = draw_trial(ACCOUNTS, kind, 0.4, rng)
            model = fit_model(trial)
            models.append(model)
            if model.supported:
                churn, log_arr = trial.covariates.T
                found = model.reduction(churn, np.expm1(log_arr))
                errors.append((np.sqrt(np.mean((found - reduction) ** 2)), reduction.std()))
        error, spread = np.array(errors).mean(axis=0) if errors else (np.nan, np.nan)
        print(
            f"{kind}: supported {np.mean([model.supported for model in models]):.3f}, "
            f"error {error:.3f} where supported (spread of the truth {spread:.3f})",
            flush=True,
        )


if __name__ == "__main__":
    {"average": average, "accounts": accounts}[sys.argv[1]]()
