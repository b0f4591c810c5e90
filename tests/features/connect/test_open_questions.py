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


def _two_sources(folder: Path, crm: str, billing: str, sold: str) -> Connection:
    for name, tables in (
        ("crm", {"accounts": crm, **({"contracts": sold.replace("K-", "C-").replace("\nk", "\ns")} if sold else {})}),
        ("billing", {"customers": billing, "contracts": MRR.replace("c1,", "K-c1,").replace("c2,", "K-c2,")}),
    ):
        (folder / name).mkdir()
        for table, text in tables.items():
            (folder / name / f"{table}.csv").write_text(text)
    return connect([f"{name}={folder / name}" for name in ("crm", "billing")], folder / "mapping.toml")


CUSTOMERS = "customer_id,created_at,website\nK-c1,2024-01-01,one.example\nK-c2,2024-01-01,two.example\n"
SOLD = MRR.replace("c1,", "K-c1,").replace("c2,", "K-c2,")


@pytest.mark.parametrize(
    ("crm", "sold", "asked"),
    [
        # No domain is the same, and both have contracts.
        (CUSTOMERS.replace("K-", "C-").replace(".example", ".test"), SOLD,
         ["identity: nothing joins the accounts of crm and billing, so that the contracts of each are added up"]),
        # The CRM has no contracts: nothing is added up.
        (CUSTOMERS.replace("K-", "C-").replace(".example", ".test"), "", []),
        # Half of the accounts match.
        (CUSTOMERS.replace("K-", "C-").replace("two.example", "two.test"), "", []),
    ],
)  # fmt: skip
def test_contracts_of_sources_that_nothing_joins_are_a_question(crm: str, sold: str, asked: list[str], tmp_path: Path) -> None:
    result = _two_sources(tmp_path, crm, CUSTOMERS, sold)
    found = tomllib.loads(result.draft).get("open_questions", [])
    assert [text[: len(given)] for text, given in zip(found, asked, strict=True)] == asked
    assert set(found) <= set(result.gaps)
    assert result.summary is not None
    assert result.summary.line.endswith("(uncertain: 1 open question)") == bool(asked)


def test_a_join_that_matches_few_accounts_is_a_question(tmp_path: Path) -> None:
    crm = "".join(f"C-c{i},2024-01-01,{'one.example' if i == 1 else f'other{i}.test'}\n" for i in range(1, 4))
    billing = CUSTOMERS + "K-c3,2024-01-01,three.example\n"
    result = _two_sources(tmp_path, f"customer_id,created_at,website\n{crm}", billing, "")
    (question,) = tomllib.loads(result.draft)["open_questions"]
    assert "have the same domain: 1 of 3 accounts match (33%). Are these the same companies" in question
