"""A tiny portfolio for section tests, and synthetic histories shared by several tests."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.utils.dates import parse_instant
from features.utils.periods import Quarter
from training.review.recalibration.synthetic_histories import SyntheticHistory, simulate_synthetic_history
from training.review.window import Window

IN_FORCE = {"usage": 30.0, "engagement": 25.0, "support": 15.0, "outcomes": 20.0, "relationship": 10.0}
OTHER = {"usage": 10.0, "engagement": 15.0, "support": 40.0, "outcomes": 10.0, "relationship": 25.0}

Rows = list[tuple[str, str, str, float, float, float]]


@pytest.fixture(scope="session")
def gathered() -> Callable[..., Any]:
    """Build review data from rows of (account, date, band, score, ARR, churned); known outcomes are evaluated."""

    def make(rows: Rows, **extra: Any) -> Any:
        account, date, band, score, arr, churn = (list(column) for column in zip(*rows, strict=True))
        as_of = pd.Series(pd.to_datetime(date, utc=True)).dt.as_unit("us")
        churned = np.array(churn, dtype=float)
        labelled = np.isfinite(churned)
        columns = {
            "window": Window(Quarter(2026, 3), 90, 30, parse_instant("2026-10-01")),
            "accounts": np.array(account, dtype=object),
            "as_of": as_of,
            "band": np.array(band, dtype=object),
            "score": np.array(score, dtype=float),
            "arr": np.array(arr, dtype=float),
            "churn": churned,
            "expansion": 1 - churned,
            "judged": labelled,
            "labelled": labelled,
            "newest": (as_of == as_of.max()).to_numpy(),
            "dates": sorted(pd.Timestamp(d) for d in as_of.unique()),
            "contractual": True,
            "churned_at": pd.DataFrame({"account_id": [], "churned_at": pd.to_datetime([], utc=True), "involuntary": []}),
        }
        data = SimpleNamespace(**(columns | extra))
        data.at = lambda day: (data.as_of == day).to_numpy()
        return data

    return make


@pytest.fixture(scope="session")
def wrong() -> SyntheticHistory:
    """A history whose current weights are far from the true ones."""
    return simulate_synthetic_history(OTHER, IN_FORCE, 1_000, 3, every_weeks=13)


@pytest.fixture(scope="session")
def few() -> SyntheticHistory:
    """The same with about forty churns."""
    return simulate_synthetic_history(OTHER, IN_FORCE, 40, 3, every_weeks=8)
