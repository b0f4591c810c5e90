"""The date of an assessment without --as-of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.errors import SignalsError
from features.signals.cutoff import cutoff_of
from features.signals.signals import open_signals

ACCOUNTS = "account_id,created_at\na,2026-01-01\n"
CONTRACTS = "account_id,started_at,ended_at,arr\na,2026-01-01,,100\n"


def _signals(folder: Path, **tables: str) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in ({"accounts": ACCOUNTS, "subscriptions": CONTRACTS} | tables).items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("newest", ["2026-05-31", "2026-05-31T17:23:00Z", "2026-05-31T23:59:59.999999Z"])
def test_every_row_is_known_at_the_end_of_the_data(
    tmp_path: Path, newest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = _signals(tmp_path / "signals", usage=f"account_id,user_id,occurred_at,feature\na,u,{newest},x\n")
    instant = cutoff_of(address, None)
    assert instant == datetime(2026, 6, 1, tzinfo=UTC)
    assert "as of 2026-06-01" in capsys.readouterr().err
    signals = open_signals(address, instant)
    assert signals.tables["usage"].count().to_pyarrow().as_py() == 1
    signals.close()


def test_a_date_in_the_future_does_not_move_the_end_of_the_data(tmp_path: Path) -> None:
    planned = "account_id,user_id,occurred_at,feature\na,u,2026-03-04T12:00:00Z,x\na,u,2999-01-01,x\n"
    assert cutoff_of(_signals(tmp_path / "signals", usage=planned), None) == datetime(2026, 3, 5, tzinfo=UTC)


def test_the_end_that_a_mapping_names_is_the_date(tmp_path: Path) -> None:
    _signals(tmp_path)
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        'data_through = "2026-02-10T08:00:00Z"\n'
        '[files]\ncustomers = "accounts.csv"\ncontracts = "subscriptions.csv"\n'
        '[tables]\naccounts = "SELECT * FROM customers"\nsubscriptions = "SELECT * FROM contracts"\n',
        encoding="utf-8",
    )
    assert cutoff_of(str(mapping), None) == datetime(2026, 2, 10, 8, tzinfo=UTC)


@pytest.mark.parametrize("accounts", ["account_id,created_at\n", "account_id,created_at\na,soon\n", ""])
def test_signals_without_a_readable_date_are_refused_with_one_message(tmp_path: Path, accounts: str) -> None:
    contracts = "account_id,started_at,ended_at,arr\na,later,,100\n"
    with pytest.raises(SignalsError):
        cutoff_of(_signals(tmp_path / "signals", accounts=accounts, subscriptions=contracts), None)
