"""A candidate is compared with the champion only on outcomes that the champion has not used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.errors import BundleError
from models.artifacts.champion import ChampionPointer, write_pointer
from models.home import Home
from training.config import TrainConfig
from training.evaluation.champion_comparison import UnreadableChampion, compare_with_champion, load_champions

LAST, DAY = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=1)
CONFIG = TrainConfig(resamples=50)
ACCOUNTS = 60


def _champion(trained_through: datetime, horizon_days: int = 90, says: float = 0.5) -> Any:
    manifest = SimpleNamespace(version="3", horizon_days=horizon_days, grace_days=30, trained_through=trained_through)
    scorer = SimpleNamespace(predict=lambda frame: SimpleNamespace(probability=np.full(len(frame), says)))
    return SimpleNamespace(manifest=manifest, scorer=scorer)


@pytest.fixture
def tested() -> tuple[pd.DataFrame, np.ndarray]:
    """Two test dates, the later one `LAST`; a third of the accounts have the outcome."""
    dates = [LAST - 28 * DAY, LAST]
    rows = [{"account_id": f"a{i}", "as_of": pd.Timestamp(at)} for at in dates for i in range(ACCOUNTS)]
    return pd.DataFrame(rows), np.tile((np.arange(ACCOUNTS) % 3 == 0).astype(float), len(dates))


def test_the_better_model_shows_on_new_outcomes(tested: Any) -> None:
    frame, y = tested
    comparison = compare_with_champion(_champion(LAST), np.where(y == 1, 0.9, 0.1), frame, y, 30, CONFIG)
    assert comparison.difference is not None
    assert comparison.difference[2] < 0
    comparison = compare_with_champion(_champion(LAST), np.where(y == 1, 0.1, 0.9), frame, y, 30, CONFIG)
    assert comparison.difference is not None
    assert comparison.difference[1] > 0


def test_a_champion_of_the_same_data_is_not_compared(tested: Any) -> None:
    frame, y = tested
    comparison = compare_with_champion(_champion(LAST + 120 * DAY), np.full(len(y), 0.3), frame, y, 30, CONFIG)
    assert (comparison.difference, comparison.unreadable) == (None, False)
    assert comparison.reason == "it was trained through 2026-06-29 and has used every outcome of the test"


def test_too_few_new_outcomes_are_reported(tested: Any) -> None:
    frame, y = tested
    few = y * (frame["account_id"].isin(["a0", "a3", "a6"])).to_numpy()
    comparison = compare_with_champion(_champion(LAST), np.full(len(y), 0.3), frame, few, 30, CONFIG)
    assert comparison.difference is None
    assert "only 3 accounts have test outcomes that it has not used; at least 10 are needed" in comparison.reason


def test_champions_of_another_horizon_are_not_compared(tested: Any) -> None:
    frame, y = tested
    comparison = compare_with_champion(_champion(LAST, horizon_days=60), np.full(len(y), 0.3), frame, y, 30, CONFIG)
    assert comparison.difference is None
    assert comparison.reason == "it predicts 60 days ahead (grace 30), not 90 (grace 30)"


def test_unreadable_and_missing_champions(tmp_path: Path, tested: Any) -> None:
    home = Home(tmp_path)
    assert load_champions(home, CATALOGUE) == {}
    result = '{"churn": {"version": "7", "folder": "bundles/churn/7"}, "promoted_at": "2026-01-01T00:00:00Z"}'
    write_pointer(home, ChampionPointer.model_validate_json(result))
    assert load_champions(home, CATALOGUE) == {"churn": UnreadableChampion("7")}
    frame, y = tested
    comparison = compare_with_champion(UnreadableChampion("7"), np.full(len(y), 0.3), frame, y, 30, CONFIG)
    assert comparison.unreadable
    assert "version 7, can no longer be read" in comparison.reason


def test_a_broken_pointer_is_reported_before_fitting(tmp_path: Path) -> None:
    (tmp_path / "champion.json").write_text("{", encoding="utf-8")
    with pytest.raises(BundleError):
        load_champions(Home(tmp_path), CATALOGUE)
