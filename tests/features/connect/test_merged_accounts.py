"""Accounts that were merged into others: what belongs to them counts for the account that is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.connect.connection import Connection, connect
from features.signals.signals import open_signals

HEAD = "id,company,created_at,{column}\n"
CONTRACTS = "contract_id,customer_id,start_date,arr\nk1,A-1,2025-02-01,100\nk2,A-2,2025-02-01,30\nk3,A-3,2025-02-01,7\nk4,A-4,2025-02-01,1000\n"


def _connect(folder: Path, customers: str, contracts: str = CONTRACTS) -> Connection:
    (folder / "given").mkdir()
    (folder / "given" / "customers.csv").write_text(customers)
    (folder / "given" / "contracts.csv").write_text(contracts)
    return connect([str(folder / "given")], folder / "m.toml")


def _revenue(folder: Path) -> dict[str, float]:
    signals = open_signals(folder / "m.toml")
    rows = signals.tables["subscriptions"].to_pyarrow().to_pylist()
    accounts = {row["account_id"] for row in signals.tables["accounts"].to_pyarrow().to_pylist()}
    signals.close()
    result = dict.fromkeys(accounts, 0.0)
    for row in rows:
        result[row["account_id"]] += row["arr"]
    return result


@pytest.mark.parametrize("column", ["merged_into", "Merged into", "MasterRecordId", "merged_into_id"])
def test_the_ids_of_merged_accounts_lead_to_the_one_that_is_left(column: str, tmp_path: Path) -> None:
    rows = "A-1,One,2025-01-01,\nA-2,Two,2024-01-01,A-1\nA-3,Three,2025-01-01,A-2\nA-4,Four,2025-01-01,\n"
    result = _connect(tmp_path, HEAD.format(column=column) + rows)
    assert (result.problems, result.gaps) == ((), ())
    # The third was merged into the second, which was merged into the first.
    assert _revenue(tmp_path) == {"A-1": 137.0, "A-4": 1000.0}
    assert result.summary is not None
    assert result.summary.accounts == 2
    facts = [fact.text for fact in result.facts]
    assert "identity: 2 accounts merged into others, and counted as these." in facts
    assert any(text.startswith(f"{column} of customers says which accounts were merged: 2 ids are read") for text in facts)
    signals = open_signals(tmp_path / "m.toml")
    rows_by_id = {row["account_id"]: row for row in signals.tables["accounts"].to_pyarrow().to_pylist()}
    signals.close()
    assert rows_by_id["A-1"]["name"] == "One"
    assert f"{rows_by_id['A-1']['created_at']:%Y-%m-%d}" == "2024-01-01", "the earliest creation of the three"


@pytest.mark.parametrize("column", ["merged_ids", "hs_merged_object_ids"])
def test_the_account_that_is_left_lists_the_others(column: str, tmp_path: Path) -> None:
    result = _connect(tmp_path, HEAD.format(column=column) + "A-1,One,2025-01-01,A-2; A-3\nA-4,Four,2025-01-01,\n")
    assert (result.problems, result.gaps) == ((), ())
    assert _revenue(tmp_path) == {"A-1": 137.0, "A-4": 1000.0}


@pytest.mark.parametrize("more", ["is_deleted", "deleted_at", "churned_at", "status"])
def test_a_merged_account_has_not_left(more: str, tmp_path: Path) -> None:
    value = {"is_deleted": "true", "status": "inactive"}.get(more, "2025-06-01")
    other = {"is_deleted": "false", "status": "active"}.get(more, "")
    rows = f"A-1,One,2025-01-01,,{other}\nA-2,Two,2025-01-01,A-1,{value}\nA-3,Three,2025-01-01,,{other}\nA-4,Four,2025-01-01,,{other}\n"
    result = _connect(tmp_path, HEAD.format(column=f"merged_into,{more}") + rows)
    assert (result.problems, result.gaps) == ((), ())
    assert _revenue(tmp_path) == {"A-1": 130.0, "A-3": 7.0, "A-4": 1000.0}
    assert result.summary is not None
    assert result.summary.arr == 1137.0


def test_a_merge_into_no_account_is_a_question(tmp_path: Path) -> None:
    result = _connect(tmp_path, HEAD.format(column="merged_into") + "".join(
        f"A-{i},Firm,2025-01-01,{'x-9' if i == 2 else ''}\n" for i in range(1, 5)
    ))
    assert any(gap.startswith("accounts.account_id: merged_into of customers names no id") for gap in result.gaps)
    assert "open_questions" in result.draft
    assert _revenue(tmp_path) == {"A-1": 100.0, "A-2": 30.0, "A-3": 7.0, "A-4": 1000.0}


def test_accounts_that_are_merged_into_each_other_stay(tmp_path: Path) -> None:
    rows = "A-1,One,2025-01-01,A-2\nA-2,Two,2025-01-01,A-1\nA-3,Three,2025-01-01,A-4\nA-4,Four,2025-01-01,\n"
    result = _connect(tmp_path, HEAD.format(column="merged_into") + rows)
    assert _revenue(tmp_path) == {"A-1": 100.0, "A-2": 30.0, "A-4": 1007.0}
    assert any("2 accounts merged into one that is not among the accounts, or into each other: kept" in fact.text for fact in result.facts)


def test_the_amount_of_a_merged_row_is_left_out_and_asked_for(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "customers.csv").write_text(
        "id,company,created_at,arr,merged_into\nA-1,One,2025-01-01,100,\nA-2,Two,2025-01-01,30,A-1\nA-3,Three,2025-01-01,7,\n"
    )
    result = connect([str(tmp_path / "given")], tmp_path / "m.toml")
    assert result.summary is not None
    assert (result.summary.accounts, result.summary.arr) == (2, 107.0)
    assert any(gap.startswith("subscriptions.arr: 1 row of accounts that merged_into says were merged is left out") for gap in result.gaps)
