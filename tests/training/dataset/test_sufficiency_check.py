"""Sufficiency check of an open source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from features.errors import SignalsError
from features.sources.base import from_tables
from features.sources.open_source import open_source
from training.config import TrainConfig
from training.dataset.outcome_counts import HORIZONS
from training.dataset.sufficiency_check import check_sufficiency
from training.simulation import simulate


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("small") / "signals"
    simulate(place, accounts=40, weeks=60, seed=3)
    return place


@pytest.mark.slow
def test_every_horizon_is_counted_and_the_requested_one_has_facts(small: Path) -> None:
    result = []
    enough = check_sufficiency(open_source(small), TrainConfig(horizon_days=45), lambda share, _: result.append(share))
    assert [h.days for h in enough.horizons] == sorted({*HORIZONS, 45})
    assert enough.requested.days == 45
    for target, fact in enough.facts.items():
        there = enough.requested.targets[target]
        assert fact.missing == there.missing
        assert fact.accounts == there.accounts
        assert any(line.startswith("6") and "more accounts (3" in line for line in fact.missing)
    assert enough.facts["churn"].missing_share["orders"] == 1.0
    assert enough.facts["churn"].missing_share["usage"] < 0.5
    assert result == sorted(result)
    assert result[-1] == 1.0


def test_row_counts_are_reported(small: Path) -> None:
    assert check_sufficiency(open_source(small)).row_counts["accounts"] == 40


def test_without_a_usable_date_there_are_no_facts(to_arrow: Any) -> None:
    account = {"account_id": "a", "created_at": "2025-01-01"}
    subscription = {"account_id": "a", "started_at": "2025-01-01", "arr": 1.0}
    tables = {"accounts": to_arrow("accounts", [account]), "subscriptions": to_arrow("subscriptions", [subscription])}
    enough = check_sufficiency(from_tables(tables, "a test"))
    assert enough.facts == {}
    assert all(h.last is None and h.ready == () for h in enough.horizons)


def test_an_invalid_source_is_refused(to_arrow: Any) -> None:
    tables = {"accounts": to_arrow("accounts", []), "subscriptions": to_arrow("subscriptions", [])}
    with pytest.raises(SignalsError):
        check_sufficiency(from_tables(tables, "a test"))
