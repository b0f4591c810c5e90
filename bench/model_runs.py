"""Fit one model as of a date and predict later snapshots: ours in this process, an earlier release in another one.

Each run is stored as a line of a JSON file in a work folder, so that a script that is started again continues where it
was ended.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers.environments import PEERS
from portfolios import HORIZON_DAYS, Portfolio

from features.errors import InsufficientData
from features.utils.arrays import Floats
from models.scorer.base import RENEWAL_FEATURE
from models.targets import Target
from training.config import TrainConfig
from training.estimators.fitted_model import FittedModel, fit_model
from training.evaluation.backtest import PARTS
from training.evaluation.baselines import RENEWAL_DUE, renewal_due_probabilities
from training.pipeline.candidate import explain_latest

ALL_ACCOUNTS = 10**9


@dataclass(frozen=True)
class Runs:
    """The runs of a script, stored in one file; a run is known by its key."""

    file: Path

    def get(self, key: Mapping[str, Any], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the stored result of ``key``, or compute and store it."""
        stored = self.find(key)
        if stored is None:
            stored = compute()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"key": dict(key), **stored}, default=_plain) + "\n")
            print(", ".join(str(each) for each in key.values()), f"{stored.get('cpu', 0):.0f} CPU s", flush=True)
        return stored

    def find(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the stored result of ``key``, or None."""
        return next((each for each in self.read() if each["key"] == dict(key)), None)

    def read(self) -> list[dict[str, Any]]:
        """Return all stored results; a line that was not finished is left out."""
        if not self.file.exists():
            return []
        results = []
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                results.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return results


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [float(f"{each:.7g}") for each in value.tolist()]
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value)} is no JSON value")


def fit(portfolio: Portfolio, target: Target, through: datetime, seed: int = 0) -> FittedModel:
    """Return our model, fitted on every outcome of the portfolio that was known at ``through``."""
    return fit_model(portfolio.rows(target), through, TrainConfig(seed=seed))


def ours(portfolio: Portfolio, target: Target, through: datetime, test: pd.DataFrame) -> dict[str, Any]:
    """Fit our model as of a date, and predict the test rows.

    Returns
    -------
    dict
        ``p``, ``low`` and ``high`` of the test rows; ``parts``: the probabilities of the models of the ensemble alone
        and of the renewal date; ``cpu`` and ``seconds`` of fitting; ``refused``: why there is no model.
    """
    cpu, start = time.process_time(), time.perf_counter()
    try:
        model = fit(portfolio, target, through)
    except InsufficientData as error:
        return {"refused": str(error)}
    took = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - start}
    scorer = model.scorer()
    predicted = scorer.predict(test)
    parts = model.part_probabilities(test, PARTS)
    until = test[RENEWAL_FEATURE].to_numpy(dtype=np.float64)
    if np.isfinite(until).any():
        parts[RENEWAL_DUE] = renewal_due_probabilities(model, portfolio.rows(target), until)
    return {
        "p": predicted.probability,
        "low": predicted.low,
        "high": predicted.high,
        "parts": parts,
        "rate": model.rate,
        "weights": model.ensemble.weights,
        "outcomes": model.outcomes,
        **took,
    }


def reasons(model: FittedModel, portfolio: Portfolio, target: Target, date: datetime) -> dict[str, list[str]]:
    """Return the reasons that an answer gives, as concept and direction, by account of the snapshot of a date."""
    explainer = explain_latest(model, portfolio.known_at(date).prepared, target, ALL_ACCOUNTS)
    explained = explainer.explain(range(len(explainer.frame)))
    return {
        str(account): [f"{reason.concept} {reason.direction}" for reason in each.reasons]
        for account, each in zip(explainer.frame["account_id"], explained, strict=True)
    }


def resampled(portfolio: Portfolio, seed: int) -> Portfolio:
    """Return the portfolio with resampled accounts; a repeated one has a new name, so it counts as another account."""
    names = np.sort(portfolio.frame["account_id"].astype(str).unique())
    drawn = np.random.default_rng(seed).integers(0, len(names), len(names))
    counts = pd.Series(np.bincount(drawn, minlength=len(names)), index=names)
    times = portfolio.frame["account_id"].astype(str).map(counts).to_numpy()
    parts = []
    for copy in range(int(times.max())):
        rows = times > copy
        suffix = f"#{copy}" if copy else ""
        named = {"account_id": lambda part, suffix=suffix: part["account_id"].astype(str) + suffix}
        parts.append({name: each[rows] for name, each in _tables(portfolio).items()})
        parts[-1] = {name: each.assign(**named) if "account_id" in each else each for name, each in parts[-1].items()}
    joined = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in parts[0]}
    stored = portfolio.stored | {"frame": joined.pop("frame"), "labels": joined.pop("labels")}
    return replace(portfolio, stored=stored | {"further_labels": {int(days): each for days, each in joined.items()}})


def _tables(portfolio: Portfolio) -> dict[str, pd.DataFrame]:
    stored = portfolio.stored
    further = {str(days): each for days, each in stored["further_labels"].items()}
    return {"frame": stored["frame"], "labels": stored["labels"]} | further


def earlier(
    checkout: Path,
    portfolio: Portfolio,
    target: Target,
    through: datetime,
    test: pd.DataFrame,
    intervals: bool = True,
    explained: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Fit the model of an earlier release as of a date, and predict the test rows (bench/peers/earlier_release.py).

    Parameters
    ----------
    checkout : a checkout of that release.
    portfolio, target, through, test : as in `ours`.
    intervals : whether to compute the bounds, which needs refits of the model.
    explained : rows whose largest reasons are returned, as ``reasons``.

    Returns
    -------
    dict
        As `ours`, without ``parts``.
    """
    stored = portfolio.stored
    task = {
        "frame": stored["frame"],
        "labels": {HORIZON_DAYS: stored["labels"]} | stored["further_labels"],
        "grace_days": stored["grace_days"],
        "as_ofs": stored["as_ofs"],
        "horizon_days": HORIZON_DAYS,
        "target": target,
        "through": through,
        "test": test,
        "intervals": intervals,
        "explained": explained,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "task.pickle"
        file.write_bytes(pickle.dumps(task, protocol=5))
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        command = [sys.executable, str(PEERS / "earlier_release.py"), str(file)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=checkout, env=environment)
    if result.returncode:
        print(f"the earlier release failed: {result.stderr.strip().splitlines()[-1]}")
        return {"refused": "failed"}
    return dict(json.loads(result.stdout.strip().splitlines()[-1]))


def probabilities(run: Mapping[str, Any], name: str = "p") -> Floats:
    """Return a column of a run as numbers."""
    return np.array(run[name], dtype=np.float64)
