"""Optional parts of a simulated portfolio change nothing else, follow the contract, and mean what they say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.errors import BadRequest
from features.signals.validation import check_source
from features.sources.base import from_tables
from features.sources.open_source import open_source
from features.utils.account_hierarchies import accounts_in_circles, parents_of
from training.simulation import MarketOptions, SimulationSummary, simulate
from training.simulation.history import SimulatedHistory
from training.simulation.simulate import portfolio_tables
from training.simulation.tables.additions import ADDITIONS, pulse_table
from training.simulation.tables.efforts import EFFORT_SHARE, effort_rows
from training.simulation.tables.outcomes import outcomes_table

END = date(2026, 9, 30)
ADDED = {"accounts": ["parent_id", "acquisition_cost"], "subscriptions": ["product", "notice_at"], "usage": ["product"]}
#: Statuses add rows and split them.
WITHOUT_STATUSES = tuple(name for name in ADDITIONS if name != "statuses")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    """The portfolio of the fixture ``summary`` with all optional parts that add no rows of contracts."""
    out = tmp_path_factory.mktemp("extended") / "signals"
    return simulate(out, accounts=80, weeks=60, seed=3, end=END, additions=WITHOUT_STATUSES)


@pytest.fixture(scope="module")
def parts(extended: SimulationSummary) -> dict[str, pd.DataFrame]:
    return {file.stem: pd.read_parquet(file) for file in Path(extended.folder).iterdir()}


def test_all_other_tables_and_columns_are_the_same(
    tables: dict[str, pd.DataFrame], parts: dict[str, pd.DataFrame], summary: SimulationSummary, extended: SimulationSummary
) -> None:
    assert set(parts) == (set(tables) - {"truth"}) | {"pulse"}
    for name in set(tables) - {"truth"}:
        given, rest = tables[name], parts[name].drop(columns=ADDED.get(name, []))
        if name == "outcomes":
            rest = rest[rest["kind"] != "ces"].reset_index(drop=True)
            given, rest = (each.assign(kind=each["kind"].astype(str)) for each in (given, rest))
        pd.testing.assert_frame_equal(given, rest)
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


@pytest.fixture(scope="module")
def signs(history: SimulatedHistory) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The contracts of the larger history, with notices and statuses, and without."""
    plain, signs = (
        pd.concat([part.to_pandas() for part in dict(portfolio_tables(history, parts))["subscriptions"]])
        for parts in ((), ("notices", "statuses"))
    )
    return plain, signs


def test_notices_announce_departures_from_long_contracts(
    history: SimulatedHistory, signs: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    plain, signs_of = signs
    term = history.traits.term[signs_of["account_id"].str[1:].astype(int) - 1]
    noticed = signs_of["notice_at"].notna()
    assert noticed.sum() > 30
    assert (term[noticed] > 1).all()
    end = pd.Timestamp(END, tz="UTC")
    assert (signs_of.loc[noticed, "notice_at"] < end).all()
    assert (signs_of.loc[noticed, "notice_at"] >= signs_of.loc[noticed, "started_at"]).all()
    ended = noticed & (signs_of["end_reason"] == "cancelled")
    lead = (signs_of["ended_at"] - signs_of["notice_at"])[ended].dt.days
    assert lead.max() <= 90
    assert lead.between(29, 90).mean() > 0.9, "a row that began after the notice repeats it"
    left = signs_of[(signs_of["end_reason"] == "cancelled") & (term > 1)]
    assert 0.4 < left["notice_at"].notna().mean() < 0.8
    open_ended = noticed & signs_of["ended_at"].isna()
    assert open_ended.any(), "accounts that leave after the end of the data have given notice before it"
    assert (signs_of.loc[noticed, "end_reason"] == "renewed").any(), "some notices are withdrawn"
    assert set(plain.columns) == set(signs_of.columns) - {"notice_at", "status"}


def test_pauses_split_contracts_and_trials_come_before_them(signs: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    plain, signs_of = signs
    assert set(signs_of["status"]) == {"active", "trial", "paused"}
    days = (signs_of["ended_at"] - signs_of["started_at"]).dt.days
    assert set(days[signs_of["status"] == "trial"]) == {14, 30}
    assert days[signs_of["status"] == "paused"].max() <= 60
    rest = signs_of[signs_of["status"] != "trial"]
    amount = (rest["ended_at"].fillna(pd.Timestamp(END, tz="UTC")) - rest["started_at"]).dt.total_seconds() * rest["arr"]
    given = (plain["ended_at"].fillna(pd.Timestamp(END, tz="UTC")) - plain["started_at"]).dt.total_seconds() * plain["arr"]
    assert amount.sum() == pytest.approx(given.sum()), "pauses split rows, and add none"
    assert (rest["end_reason"].value_counts() == plain["end_reason"].value_counts()).all()
    firsts = plain.groupby("account_id")["started_at"].min()
    trials = signs_of[signs_of["status"] == "trial"]
    assert (trials["ended_at"].to_numpy() == firsts[trials["account_id"]].to_numpy()).all()


def test_signs_follow_the_data_contract(history: SimulatedHistory) -> None:
    tables = {name: pa.concat_tables(parts) for name, parts in portfolio_tables(history, ("notices", "statuses"))
              if name in ("accounts", "subscriptions")}  # fmt: skip
    assert not check_source(from_tables(tables, "simulated")).errors


def test_product_problems_make_customers_answer_that_it_is_hard(history: SimulatedHistory) -> None:
    efforts = effort_rows(history).to_pandas()
    others = outcomes_table(history).to_pandas()["kind"].eq("nps").sum()
    assert len(efforts) / others == pytest.approx(EFFORT_SHARE, rel=0.1)
    assert set(efforts["value"]) <= set(range(1, 8))
    assert 2.5 < efforts["value"].mean() < 3.6, "the target of the KPI is 3"
    account = efforts["account_id"].str[1:].astype(int) - 1
    week = ((efforts["occurred_at"].dt.tz_localize(None) - pd.Timestamp(0)).dt.days - history.start) // 7
    trouble = history.grid(lambda state: state.trouble)[week.clip(0, history.weeks - 1), account]
    assert efforts["value"][trouble > 1].mean() > efforts["value"][trouble < 0.2].mean() + 0.5


def test_rows_of_efforts_are_in_the_order_of_time(parts: dict[str, pd.DataFrame]) -> None:
    assert parts["outcomes"]["occurred_at"].is_monotonic_increasing
    assert (parts["outcomes"]["kind"] == "ces").any()


def test_unknown_parts_and_products_of_orders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="colors"):
        simulate(tmp_path / "a", accounts=20, weeks=26, additions=["colors"])
    with pytest.raises(BadRequest, match="orders"):
        simulate(tmp_path / "b", accounts=20, weeks=26, options=MarketOptions(preset="orders"), additions=["products"])
    with pytest.raises(BadRequest, match="no contracts"):
        simulate(tmp_path / "c", accounts=20, weeks=26, options=MarketOptions(preset="orders"), additions=["notices"])
    assert not list(tmp_path.iterdir())
