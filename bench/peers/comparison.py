"""Run the classifiers of other libraries on the same rows, each in a separate process."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from peers.environments import PEERS, python_of

NAMES = (
    "logistic regression",
    "HistGradientBoosting as it comes",
    "LightGBM as it comes",
    "XGBoost as it comes",
    "CatBoost as it comes",
    "FLAML, 30 s",
)
THREADS = 2


def ask(place: Path, /, threads: int = THREADS, **task: Any) -> dict[str, Any]:
    """Return the result of the process of a classifier; ``{}``, with a message, if it cannot be run or fails."""
    python = python_of("classifiers", place, print)
    if python is None:
        return {}
    command = [python, str(PEERS / "classifiers.py"), json.dumps(task | {"threads": threads})]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        print(f"{task['who']} failed: {result.stderr.strip().splitlines()[-1]}")
        return {}
    return dict(json.loads(result.stdout.strip().splitlines()[-1]))


def forecasts(
    place: Path,
    train: pd.DataFrame,
    y: np.ndarray,
    test: pd.DataFrame,
    names: Sequence[str] = NAMES,
    threads: int = THREADS,
) -> dict[str, dict[str, Any]]:
    """Return by name the probabilities ``p`` of the test rows, ``seconds`` of fitting and predicting, and ``peak``
    memory."""
    results = {}
    with tempfile.TemporaryDirectory(dir=place) as folder:
        train.assign(y=y).to_parquet(Path(folder) / "train.parquet")
        test.assign(y=0).to_parquet(Path(folder) / "test.parquet")
        for name in names:
            if result := ask(place, threads, who=name, place=folder):
                results[name] = result | {"p": np.array(result["p"])}
    return results
