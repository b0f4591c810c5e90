"""Optional parts of a simulated portfolio change nothing else, follow the contract, and mean what they say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import BadRequest
from features.signals.validation import check_source
from features.sources.open_source import open_source
from features.utils.account_hierarchies import accounts_in_circles, parents_of
from training.simulation import MarketOptions, SimulationSummary, simulate
from training.simulation.history import SimulatedHistory
from training.simulation.tables.additions import ADDITIONS, pulse_table

END = date(2026, 9, 30)
ADDED = {"accounts": ["parent_id", "acquisition_cost"], "subscriptions": ["product"], "usage": ["product"]}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    """The portfolio of the fixture ``summary`` with all optional parts."""
    out = tmp_path_factory.mktemp("extended") / "signals"
    return simulate(out, accounts=80, weeks=60, seed=3, end=END, additions=ADDITIONS)


@pytest.fixture(scope="module")
def parts(extended: SimulationSummary) -> dict[str, pd.DataFrame]:
    return {file.stem: pd.read_parquet(file) for file in Path(extended.folder).iterdir()}


def test_all_other_tables_and_columns_are_the_same(
    tables: dict[str, pd.DataFrame], parts: dict[str, pd.DataFrame], summary: SimulationSummary, extended: SimulationSummary
) -> None:
    assert set(parts) == (set(tables) - {"truth"}) | {"pulse"}
    for name in set(tables) - {"truth"}:
        pd.testing.assert_frame_equal(tables[name], parts[name].drop(columns=ADDED.get(name, [])))
        assert set(ADDED.get(name, [])) <= set(parts[name].columns)
    pd.testing.assert_frame_equal(tables["truth"], pd.read_parquet(extended.truth))
    assert summary.churned == extended.churned


def test_the_parts_follow_the_data_contract(extended: SimulationSummary) -> None:
    report = check_source(open_source(extended.folder))
    assert not report.errors
    assert not report.notes


def test_products_are_used_only_by_accounts_that_hold_them(parts: dict[str, pd.DataFrame]) -> None:
    sold, used = parts["subscriptions"], parts["usage"]
    assert (sold["product"] == sold["plan"].map({"analytics add-on": "analytics", "automation add-on": "automation"}).fillna("platform")).all()
    assert {"platform", "analytics", "automation"} == set(sold["product"])
    for product in ("analytics", "automation"):
        users = set(used.loc[used["product"] == product, "account_id"])
        assert users
        assert users <= set(sold.loc[sold["product"] == product, "account_id"])


def test_some_accounts_belong_to_companies(parts: dict[str, pd.DataFrame]) -> None:
    parents = parents_of(parts["accounts"])
    assert 0.1 < len(parents) / 80 < 0.3
    assert len(parents) == parts["accounts"]["parent_id"].notna().sum()
    assert not accounts_in_circles(parents)


def test_judgments_are_lower_before_an_account_leaves(history: SimulatedHistory) -> None:
    pulse = pulse_table(history).to_pandas()
    day = (pulse["occurred_at"].dt.tz_localize(None) - pd.Timestamp(0)).dt.days
    left = history.left_on[pulse["account_id"].str[1:].astype(int) - 1]
    soon = (left - day.to_numpy()) < 90
    assert soon.sum() > 30
    assert pulse["sentiment"][soon].mean() < pulse["sentiment"][~soon].mean() - 0.3
    assert set(pulse["sentiment"]) == {-2, -1, 0, 1, 2}
    called = pulse["renewal_call"].notna()
    share = {call: float(np.mean(soon[pulse["renewal_call"] == call])) for call in ("churn", "at_risk", "renew")}
    assert called.mean() < 0.6
    assert share["churn"] > share["at_risk"] > share["renew"]


def test_unknown_parts_and_products_of_orders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="colors"):
        simulate(tmp_path / "a", accounts=20, weeks=26, additions=["colors"])
    with pytest.raises(BadRequest, match="orders"):
        simulate(tmp_path / "b", accounts=20, weeks=26, options=MarketOptions(preset="orders"), additions=["products"])
    assert not list(tmp_path.iterdir())
