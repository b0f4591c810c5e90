"""A training run, as Python calls it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from features.errors import InsufficientData
from models.home import Home
from training.config import TrainConfig
from training.pipeline.train import train


def test_linear_algebra_uses_one_thread_and_a_refusal_stores_nothing(tmp_path: Path) -> None:
    """Its sums depend on how many there are, and so would the model."""
    first, days = datetime(2025, 1, 6), pd.date_range("2025-01-06", periods=400, freq="D")
    signals = tmp_path / "signals"
    signals.mkdir()
    pd.DataFrame({"account_id": ["a", "b"], "created_at": first}).to_parquet(signals / "accounts.parquet")
    pd.DataFrame({"account_id": ["a", "b"], "started_at": first, "arr": 1e3}).to_parquet(signals / "subscriptions.parquet")
    pd.DataFrame({"account_id": "a", "occurred_at": days}).to_parquet(signals / "usage.parquet")
    recorded: dict[str, set[int]] = {}

    def threads() -> dict[str, int]:
        return {each["filepath"]: each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    def record_threads(_share: float, what: str) -> None:
        recorded[what] = set(threads().values())

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        with pytest.raises(InsufficientData, match="not enough data to train"):
            train(signals, Home(tmp_path / "home"), TrainConfig(), progress=record_threads)
        assert list(recorded.values())[-1] == {1}
        assert threads() == before
    assert not list((tmp_path / "home").rglob("model.txt"))
