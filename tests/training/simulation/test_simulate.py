from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.errors import BadRequest, HomeError
from features.signals.validation import check_source
from features.sources.open_source import open_source
from training.simulation import SimulationSummary, simulate

END = pd.Timestamp("2026-09-30", tz="UTC")
SMALL = {"accounts": 20, "weeks": 26}
EVENTS = ["usage", "engagement", "support", "outcomes", "relationship", "billing", "company", "interventions"]


def _bytes(summary: SimulationSummary) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in [*summary.folder.iterdir(), summary.truth]}


def test_only_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first, again, other = (simulate(tmp_path / str(i) / "signals", seed=seed, **SMALL) for i, seed in enumerate((7, 7, 8)))
    assert _bytes(first) == _bytes(again)
    assert _bytes(first)["accounts.parquet"] != _bytes(other)["accounts.parquet"]
    assert first.rows == again.rows


def test_the_tables_follow_the_data_contract(summary: SimulationSummary) -> None:
    report = check_source(open_source(summary.folder))
    assert not report.errors
    assert not report.notes
    assert set(report.rows) == {*EVENTS, "accounts", "subscriptions"}


def test_files_contain_plain_strings_and_timestamps(summary: SimulationSummary) -> None:
    schema = pq.read_schema(summary.folder / "usage.parquet")
    assert {str(field.type) for field in schema} == {"string", "timestamp[us, tz=UTC]", "double"}


def test_the_summary_counts_the_written_rows(summary: SimulationSummary, tables: dict[str, pd.DataFrame]) -> None:
    assert summary.rows == {name: len(table) for name, table in tables.items()}
    assert summary.accounts == 80
    assert 0 < summary.monthly_churn < 0.05
    assert summary.truth == summary.folder.parent / "signals-truth.parquet"


@pytest.mark.parametrize("name", EVENTS)
def test_all_rows_lie_between_the_start_of_the_account_and_the_end_of_the_data(name: str, tables: dict[str, pd.DataFrame]) -> None:
    rows = tables[name].merge(tables["accounts"][["account_id", "created_at"]], on="account_id", how="left")
    assert len(rows) > 0
    later = [column for column in ("occurred_at", "loaded_at", "resolved_at", "closed_at") if column in rows]
    for column in later:
        assert not (rows[column] >= END).any(), column
    assert (rows["occurred_at"] >= rows["created_at"]).all()


def test_an_account_that_left_has_no_later_rows(tables: dict[str, pd.DataFrame]) -> None:
    contracts = tables["subscriptions"]
    last = contracts.groupby("account_id")["ended_at"].agg(lambda ends: ends.max(skipna=False))
    for name in EVENTS:
        rows = tables[name].merge(last.rename("last"), left_on="account_id", right_index=True)
        assert not (rows["occurred_at"] >= rows["last"]).any(), name


def test_most_rows_arrive_immediately_some_nightly_and_a_few_late(tables: dict[str, pd.DataFrame]) -> None:
    usage = tables["usage"]
    lag = (usage["loaded_at"] - usage["occurred_at"]).dt.total_seconds() / 86_400
    assert 0.6 < lag.isna().mean() < 0.95
    assert 0.005 < (lag > 1).mean() < 0.1
    assert lag.max() < 10
    assert lag.min() > 0


def test_a_few_batches_are_sent_twice(tables: dict[str, pd.DataFrame]) -> None:
    assert 0 < tables["usage"].duplicated().mean() < 0.01


def test_open_items_have_no_result(tables: dict[str, pd.DataFrame]) -> None:
    tickets, plays, contracts = tables["support"], tables["interventions"], tables["subscriptions"]
    assert tickets.loc[tickets["resolved_at"].isna(), "csat"].isna().all()
    assert tickets["resolved_at"].isna().any()
    assert (plays["closed_at"].isna() == plays["result"].isna()).all()
    assert (contracts["ended_at"].isna() == contracts["end_reason"].isna()).all()


def test_the_truth_file_has_the_active_accounts_of_each_date(summary: SimulationSummary, tables: dict[str, pd.DataFrame]) -> None:
    rows = tables["subscriptions"]
    assert [as_of.date() for as_of in sorted(tables["truth"]["as_of"].unique())] == list(summary.as_ofs)
    assert summary.as_ofs[-1] == END.date()
    for as_of, probabilities in tables["truth"].groupby("as_of"):
        runs = rows[(rows["started_at"] < as_of) & ~(rows["ended_at"] < as_of)]
        assert sorted(probabilities["account_id"]) == sorted(runs["account_id"].unique())
        assert probabilities[["churn", "expansion"]].stack().between(0, 1).all()


def test_activity_drops_on_weekends_and_holidays(tables: dict[str, pd.DataFrame]) -> None:
    usage = tables["usage"]
    weekday = usage["occurred_at"].dt.day_of_week.value_counts(normalize=True)
    assert weekday[[5, 6]].sum() < 0.12
    by_day = usage.groupby(usage["occurred_at"].dt.date).size()
    christmas = by_day[[day for day in by_day.index if (day.month, day.day) in {(12, 29), (12, 30)}]]
    ordinary = by_day[[day for day in by_day.index if day.month == 11 and day.weekday() in (0, 1)]]
    assert christmas.mean() < 0.5 * ordinary.mean()


def test_progress_is_reported_from_zero_to_one(summary: SimulationSummary, shares: list[float]) -> None:
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [{"accounts": 0}, {"accounts": -5}, {"weeks": 3}, {"seed": -1}, {"end": date(1900, 1, 1)}, {"accounts": 10**9}],
)
def test_a_number_out_of_range_is_refused_and_nothing_is_written(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"is .*\nExpected: \S+ to"):
        simulate(tmp_path / "signals", **{**SMALL, **wrong})
    assert not list(tmp_path.iterdir())


def test_a_folder_inside_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HomeError):
        simulate(tmp_path / "file" / "signals", **SMALL)
    assert (tmp_path / "file").read_text() == "mine"
