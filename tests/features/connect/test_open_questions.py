"""What a draft does not know, and what changes its figures, is a question of the mapping, and marks the figures."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from features.connect.connection import Connection, connect
from features.sources.open_source import open_source

CLIENTS = "client_id,company,since,ccy\nc1,One,2025-01-01,EUR\nc2,Two,2025-01-01,{other}\n"
MRR = "id,client_id,start_date,mrr\nk1,c1,2025-01-01,100\nk2,c2,2025-01-01,100\n"


def _connect(folder: Path, clients: str, contracts: str) -> Connection:
    (folder / "given").mkdir()
    (folder / "given" / "clients.csv").write_text(clients)
    (folder / "given" / "contracts.csv").write_text(contracts)
    return connect([str(folder / "given")], folder / "mapping.toml")


@pytest.mark.parametrize(
    ("clients", "contracts", "question"),
    [
        # A price of one seat or of all.
        (CLIENTS.format(other="EUR"), MRR.replace("mrr", "monthly_price,seats").replace("100", "100,5"),
         "subscriptions.arr: monthly_price may be for one of seats or for all of them"),
        # A status that nothing explains.
        (CLIENTS.format(other="EUR"), MRR.replace("mrr", "mrr,status").replace("100", "100,odd"),
         "subscriptions.status: 2 rows with 1 value whose meaning is not clear"),
        # A column that may say what was deleted.
        (CLIENTS.format(other="EUR"), MRR.replace("mrr", "mrr,is_deleted").replace("100", "100,maybe"),
         "subscriptions: contracts.is_deleted may say which rows were deleted"),
    ],
)  # fmt: skip
def test_figures_that_a_gap_changes_are_uncertain(clients: str, contracts: str, question: str, tmp_path: Path) -> None:
    result = _connect(tmp_path, clients, contracts)
    asked = tomllib.loads(result.draft)["open_questions"]
    assert [text.startswith(question) for text in asked] == [True]
    assert result.summary is not None
    assert result.summary.line.endswith("(uncertain: 1 open question)")
    assert result.summary.as_dict()["open_questions"] == asked
    source = open_source(tmp_path / "mapping.toml")
    assert list(source.open_questions) == asked
    source.connection.disconnect()


@pytest.mark.parametrize(
    ("clients", "contracts"),
    [
        (CLIENTS.format(other="EUR"), MRR),
        # Why contracts ended changes neither accounts nor revenue.
        (CLIENTS.format(other="EUR"), MRR.replace("mrr", "mrr,cancel_reason").replace("100", "100,odd")),
    ],
)
def test_other_figures_are_certain(clients: str, contracts: str, tmp_path: Path) -> None:
    result = _connect(tmp_path, clients, contracts)
    assert "open_questions" not in tomllib.loads(result.draft)
    assert result.summary is not None
    assert result.summary.line == "2 active accounts, ARR 2.40k, renewal dates unknown"
