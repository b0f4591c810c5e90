"""Sheets of the same accounts at different dates: periods of contracts, and states that are known from their date."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from features.errors import SignalsError
from features.signals.cutoff import cutoff_of
from features.signals.signals import read_signals
from features.snapshots.snapshot import snapshot
from features.sources.open_source import open_source
from features.utils.dates import Grid

# Acme grows in March. Beta is gone in March. Gamma is new in February.
SHEETS = {
    "2026-01-31": "Account,ARR,Seats,Active users,NPS,Customer since\nAcme,1200,10,5,9,2024-05-01\nBeta,600,5,1,2,2025-05-01\n",
    "2026-02-28": "Account,ARR,Seats,Active users,NPS,Customer since\nAcme,1200,10,6,9,2024-05-01\nBeta,600,5,,2,2025-05-01\nGamma,300,3,3,,2026-02-10\n",
    "2026-03-31": "Customer;ARR;Licenses;MAU;NPS\nAcme;1500;12;9;7\nGamma;tbd;3;3;\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for date, text in SHEETS.items():
        (tmp_path / f"customers-{date}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "~$customers-2026-03-31.csv").write_text("a lock file", encoding="utf-8")
    return tmp_path


def _at(address: Path | str, date: str, until: str = "") -> pd.DataFrame:
    at = datetime.fromisoformat(date).replace(tzinfo=UTC)
    signals = read_signals(open_source(address), datetime.fromisoformat(until or date).replace(tzinfo=UTC))
    return snapshot(signals, Grid.single(at)).set_index("account_id")


def test_contracts_become_periods(folder: Path) -> None:
    source = open_source(folder)
    rows = source.tables["subscriptions"].to_pyarrow().to_pandas().sort_values(["account_id", "started_at"])
    found = [(r.account_id, str(r.started_at.date()), str(r.ended_at)[:10], r.arr) for r in rows.itertuples()]
    assert found == [
        ("Acme", "2024-05-01", "2026-03-31", 1200), ("Acme", "2026-03-31", "NaT", 1500),
        ("Beta", "2025-05-01", "2026-03-31", 600), ("Gamma", "2026-02-28", "NaT", 300),
    ]  # fmt: skip
    notes = "\n".join(source.notes)
    assert "3 sheets, from 2026-01-31 to 2026-03-31" in notes
    assert "1 amount is missing in later sheets" in notes
    assert "1 account that no longer had a contract in the last snapshot" in notes


def test_a_contract_without_an_amount_in_its_first_sheets_is_counted(tmp_path: Path) -> None:
    for date, arr in (("2026-01-31", ""), ("2026-02-28", "900")):
        (tmp_path / f"customers-{date}.csv").write_text(f"Account,ARR,Seats\nA,{arr},5\nB,100,5\n", encoding="utf-8")
    source = open_source(tmp_path)
    assert "1 contract has no amount in the first sheets: 0 until a sheet has one, which is then expansion" in source.notes
    assert _at(tmp_path, "2026-02-01")["contract.arr"].to_dict() == {"A": 0, "B": 100}
    assert _at(tmp_path, "2026-03-01")["contract.arr"].to_dict() == {"A": 900, "B": 100}


@pytest.mark.slow
def test_states_are_known_from_the_day_after_their_sheet(folder: Path) -> None:
    names = ["contract.arr", "contract.seats", "usage.active_users_28d", "outcomes.nps_last"]
    assert _at(folder, "2026-02-01").loc["Acme", names].tolist() == [1200, 10, 5, 9]
    assert _at(folder, "2026-02-28").loc["Acme", names].tolist() == [1200, 10, 5, 9]
    assert _at(folder, "2026-03-01").loc["Acme", names].tolist() == [1200, 10, 6, 9]
    assert _at(folder, "2026-04-01").loc["Acme", names].tolist() == [1500, 12, 9, 7]
    assert sorted(_at(folder, "2026-03-15").index) == ["Acme", "Beta", "Gamma"]
    assert sorted(_at(folder, "2026-04-01").index) == ["Acme", "Gamma"]
    # The growth since a sheet is known, and what was before the first sheet is not.
    grown = _at(folder, "2026-04-01")["contract.expansions_so_far"].fillna(-1)
    assert grown.to_dict() == {"Acme": -1, "Gamma": 0}
    assert cutoff_of(str(folder), None) == datetime(2026, 4, 1, tzinfo=UTC)


def test_later_sheets_change_nothing_before_them(folder: Path, tmp_path: Path) -> None:
    before = {date: _at(folder, date, "2026-04-01") for date in ("2026-02-15", "2026-03-15")}
    (folder / "customers-2026-03-31.csv").unlink()
    for date, expected in before.items():
        pd.testing.assert_frame_equal(_at(folder, date), expected)


def test_one_sheet_with_several_dates_is_the_same(folder: Path, tmp_path: Path) -> None:
    one = "As of,Account,ARR,Seats,Active users,NPS,Customer since\n" + "".join(
        f"{date},{line}\n" for date, text in list(SHEETS.items())[:2] for line in text.splitlines()[1:]
    )
    (tmp_path / "all.csv").write_text(one, encoding="utf-8")
    (folder / "customers-2026-03-31.csv").unlink()
    pd.testing.assert_frame_equal(_at(tmp_path / "all.csv", "2026-03-01"), _at(f"{folder}/customers-*.csv", "2026-03-01"))


def test_names_are_compared_as_within_a_sheet(tmp_path: Path) -> None:
    for date, text in {
        "2026-07-31": "Account,ARR\nAcme,100\nBeta,200\n",
        "2026-08-31": "Account,ARR\nacme ,80\nBETA,200\n",
        "2026-09-30": "Account,ARR\nACME,60\nbeta,250\n",
    }.items():
        (tmp_path / f"c-{date}.csv").write_text(text, encoding="utf-8")
    rows = _at(tmp_path, "2026-10-01")
    assert rows["contract.arr"].to_dict() == {"Acme": 60, "Beta": 250}
    subscriptions = open_source(tmp_path).tables["subscriptions"].to_pyarrow().to_pandas()
    assert sorted(subscriptions.groupby("account_id")["arr"].apply(list).items()) == [
        ("Acme", [100, 80, 60]), ("Beta", [200, 250]),
    ]  # fmt: skip
    # Ids are compared as they are.
    for path in tmp_path.iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("Account", "Account ID"), encoding="utf-8")
    assert sorted(_at(tmp_path, "2026-10-01").index) == ["ACME", "beta"]


def test_sheets_that_do_not_fit_together_are_refused(folder: Path) -> None:
    (folder / "again-2026-01-31.csv").write_text(SHEETS["2026-01-31"], encoding="utf-8")
    with pytest.raises(SignalsError, match="several sheets of 2026-01-31"):
        open_source(folder)
    (folder / "again-2026-01-31.csv").unlink()
    (folder / "customers-2026-04-30.csv").write_text("Account ID,ARR\n1,2\n", encoding="utf-8")
    with pytest.raises(SignalsError, match="the sheet of 2026-01-31 has names of accounts, and others have ids"):
        open_source(folder)


def test_a_folder_with_tables_of_the_contract_is_no_history(folder: Path) -> None:
    (folder / "accounts.csv").write_text("account_id,created_at\na,2026-01-01\n", encoding="utf-8")
    assert set(open_source(folder).tables) == {"accounts"}


def test_colors_of_several_dates_are_judgments_that_expire(tmp_path: Path) -> None:
    for date, color in (("2026-01-31", "Green"), ("2026-02-28", "Red")):
        (tmp_path / f"customers-{date}.csv").write_text(f"Account,ARR,CSM,Health\nAcme,1200,Dana,{color}\n", encoding="utf-8")
    assert _at(tmp_path, "2026-02-10", "2026-03-01").loc["Acme", "pulse.sentiment"] == 1
    assert _at(tmp_path, "2026-03-01").loc["Acme", "pulse.sentiment"] == -1
