"""The classifiers of other libraries beside ours, each in a process of its own, on the same rows."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from peers.environments import PEERS, python_of

NAMES = (
    "logistic regression",
    "LightGBM as it comes",
    "XGBoost as it comes",
    "CatBoost as it comes",
    "FLAML, 60 s",
)
THREADS = 2


def ask(place: Path, /, **task: Any) -> dict[str, Any]:
    """What the classifiers' process tells of its task; ``{}`` where it cannot be run or fails, said on the way."""
    python = python_of("classifiers", place, print)
    if python is None:
        return {}
    command = [python, str(PEERS / "classifiers.py"), json.dumps(task | {"threads": THREADS})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{task['who']} failed: {done.stderr.strip().splitlines()[-1]}")
        return {}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def forecasts(place: Path, train: pd.DataFrame, y: np.ndarray, test: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By name, the probabilities ``p`` of the test rows, ``seconds`` of fitting and asking, and ``peak`` memory."""
    found = {}
    with tempfile.TemporaryDirectory(dir=place) as folder:
        train.assign(y=y).to_parquet(Path(folder) / "train.parquet")
        test.assign(y=0).to_parquet(Path(folder) / "test.parquet")
        for name in NAMES:
            if told := ask(place, who=name, place=folder):
                found[name] = told | {"p": np.array(told["p"])}
    return found
