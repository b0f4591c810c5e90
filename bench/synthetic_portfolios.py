"""Simulated worlds with known true probabilities: our model and an earlier release in each, and what is attainable.

A model is trained on the outcomes of one world that were known on `THROUGH`, and predicts the snapshots of that date
and of two later ones, four weeks apart. What the snapshots can show at most is learned from a large sample of another
seed: trees fitted on the true probabilities themselves estimate E[true probability | features].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

import lightgbm
import numpy as np
import pandas as pd
import scipy.special
from model_runs import Runs, earlier, ours
from portfolios import Portfolio, read, simulated, store, true_sample
from sklearn.model_selection import GroupKFold

from features.catalogue.catalogue import CATALOGUE
from features.utils.arrays import Floats
from features.utils.dates import parse_instant
from models.targets import TARGETS, Target
from training.estimators import fitted_model

THROUGH = "2026-04-01"
"""Twenty-six weeks before the end of the simulated data."""
OURS, EARLIER = "ours", "earlier release"
STEADY = "ours, level held"
"""Ours with intervals that assume that the level of the newest quarter lasts."""
WORLDS: Mapping[str, Mapping[str, Any]] = {
    "mixed-b2b": {},
    "smb-monthly": {"preset": "smb-monthly"},
    "usage-based": {"preset": "usage-based"},
    "enterprise-annual": {"preset": "enterprise-annual"},
    "noise-and-drift": {"noise": 0.5, "drift": 0.5, "trend": 0.3},
}
SAMPLE_SEED = 900
"""Seed of the large samples; no model is trained on them."""


def skill(p: Floats, q: Floats) -> float:
    """Return the expected Brier skill of forecasts p against the best constant one, given the true probabilities q."""
    loss = np.mean((p - q) ** 2 + q * (1 - q))
    constant = np.mean((q.mean() - q) ** 2 + q * (1 - q))
    return float(1 - loss / constant)


def expected_auc(p: Floats, q: Floats) -> float:
    """Return the probability that a row with the outcome has the higher forecast, given the true probabilities q."""
    order = np.argsort(p, kind="stable")
    ranked = pd.Series(1 - q[order]).groupby(p[order]).agg("sum").to_numpy()
    positive = pd.Series(q[order]).groupby(p[order]).agg("sum").to_numpy()
    below = np.cumsum(ranked) - ranked
    return float((positive * (below + ranked / 2)).sum() / (positive.sum() * ranked.sum()))


@dataclass(frozen=True)
class World:
    """One simulated world of a kind in `WORLDS`.

    Parameters
    ----------
    kind : a name in `WORLDS`.
    accounts, weeks, seed : of the simulation.
    work : the folder of stored results.
    """

    kind: str
    accounts: int
    weeks: int
    seed: int
    work: Path

    @cached_property
    def portfolio(self) -> Portfolio:
        """The labelled snapshots."""
        return simulated(self.work, self.kind, self.accounts, self.weeks, self.seed, WORLDS[self.kind])

    @property
    def truth(self) -> pd.DataFrame:
        """The snapshots to predict, with their true probabilities."""
        assert self.portfolio.truth is not None
        return self.portfolio.truth

    def true(self, target: Target) -> Floats:
        """Return the true probability of each snapshot to predict."""
        return self.truth[f"true_{target}"].to_numpy(dtype=np.float64)

    def run(self, who: str, target: Target, checkout: Path | None = None) -> dict[str, Any]:
        """Return the predictions of `OURS` or `EARLIER` (see `model_runs`), computed once."""
        key = {"world": self.kind, "accounts": self.accounts, "weeks": self.weeks, "seed": self.seed}
        stored = Runs(self.work / "worlds.jsonl")
        return stored.get(key | {"target": target, "who": who}, lambda: self._run(who, target, checkout))

    def _run(self, who: str, target: Target, checkout: Path | None) -> dict[str, Any]:
        through = parse_instant(THROUGH)
        if who == OURS:
            return ours(self.portfolio, target, through, self.truth)
        if who == STEADY:
            with mock.patch.object(fitted_model, "estimate_level_move", return_value=0.0):
                return ours(self.portfolio, target, through, self.truth)
        assert checkout is not None
        return earlier(checkout, self.portfolio, target, through, self.truth)


ROUNDS = 600
TREES = {
    "objective": "cross_entropy",
    "learning_rate": 0.05,
    "num_leaves": 16,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "max_bin": 127,
    "num_threads": 1,
    "seed": 1,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Attainable:
    """E[true probability | features] of one target in one kind of world.

    Parameters
    ----------
    models : trees, each fitted on the accounts outside one fold.
    levels : the levels of the text columns.
    columns : the names of the features.
    share : the share of the oracle's Brier skill on accounts that the trees were not fitted on.
    half_share : the same with half of the accounts: how much more a still larger sample might add.
    halves : root mean square difference of the log-odds of trees fitted on two halves of the accounts.
    """

    models: tuple[lightgbm.Booster, ...]
    levels: dict[str, list[str]]
    columns: list[str]
    share: float
    half_share: float
    halves: float

    @classmethod
    def of(cls, sample: pd.DataFrame, target: Target) -> Attainable:
        """Fit the trees on a large sample."""
        # The rates of the portfolio and of peers are those of one world, and say nothing about another one.
        columns = [n for n in CATALOGUE if n in sample and not n.startswith(("portfolio.", "peers."))]
        texts = [n for n in columns if not pd.api.types.is_numeric_dtype(sample[n])]
        levels = {n: sorted(sample[n].dropna().astype(str).unique()) for n in texts}
        matrix, q = encoded(sample, columns, levels), sample[f"true_{target}"].to_numpy(dtype=np.float64)
        accounts = pd.factorize(sample["account_id"])[0]
        models, predicted = [], np.empty(len(q))
        for fitted, held_out in GroupKFold(4).split(matrix, q, accounts):
            models.append(_fitted(matrix[fitted], q[fitted], matrix[held_out], q[held_out]))
            predicted[held_out] = models[-1].predict(matrix[held_out])
        half = accounts % 2 == 0
        rounds = int(np.mean([model.best_iteration for model in models]))
        pair = [lightgbm.train(TREES, lightgbm.Dataset(matrix[rows], q[rows]), rounds) for rows in (half, ~half)]
        crossed = np.where(half, pair[1].predict(matrix), pair[0].predict(matrix))
        third = matrix[accounts % 7 == 0]
        gap = scipy.special.logit(pair[0].predict(third)) - scipy.special.logit(pair[1].predict(third))
        best = skill(q, q)
        return cls(
            tuple(models),
            levels,
            columns,
            skill(predicted, q) / best,
            skill(crossed, q) / best,
            float(np.sqrt(np.mean(gap**2))),
        )

    @property
    def words(self) -> str:
        """How well the trees know the mean."""
        return (
            f"trees fitted on the truth reach {self.share:.3f} of the oracle's skill on other accounts "
            f"({self.half_share:.3f} with half of the sample; halves differ by {self.halves:.2f} in log-odds)"
        )

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Return the mean of the trees for other snapshots."""
        matrix = encoded(frame, self.columns, self.levels)
        z = [scipy.special.logit(np.clip(model.predict(matrix), 1e-6, 1 - 1e-6)) for model in self.models]
        return np.asarray(scipy.special.expit(np.mean(z, axis=0)), dtype=np.float64)


def _fitted(matrix: Floats, q: Floats, later: Floats, known: Floats) -> lightgbm.Booster:
    data = lightgbm.Dataset(matrix, q)
    stop = lightgbm.early_stopping(30, verbose=False)
    return lightgbm.train(TREES, data, ROUNDS, [lightgbm.Dataset(later, known, reference=data)], callbacks=[stop])


def encoded(frame: pd.DataFrame, columns: list[str], levels: Mapping[str, list[str]]) -> Floats:
    """Return the features and the date as numbers; texts are positions in their levels."""
    day = (frame["as_of"] - pd.Timestamp("2026-01-01", tz="UTC")) / pd.Timedelta(days=1)
    values: list[Any] = [day.to_numpy(dtype=np.float64)]
    for name in columns:
        if name in levels:
            codes = {level: float(number) for number, level in enumerate(levels[name])}
            values.append(frame[name].astype(str).map(codes).to_numpy(dtype=np.float64))
        else:
            values.append(frame[name].to_numpy(dtype=np.float64))
    return np.column_stack(values)


def attainable(work: Path, kind: str, accounts: int, weeks: int) -> dict[Target, Attainable]:
    """Return what the snapshots of a kind of world show of the true probabilities, by target."""
    file = work / f"{kind}-{accounts}-{weeks}-attainable.pickle"
    if not file.exists():
        sample = true_sample(work, kind, accounts, weeks, SAMPLE_SEED, WORLDS[kind])
        store(file, {target: Attainable.of(sample, target) for target in TARGETS})
    best: dict[Target, Attainable] = read(file)
    return best
