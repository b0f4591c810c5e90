"""Ids of several sources are compared with each other: as given, in other spellings, and through what they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.connect.connection import Connection, connect

ACCOUNTS = 8


def _source(folder: Path, **tables: tuple[str, str]) -> str:
    folder.mkdir(parents=True)
    for name, (head, row) in tables.items():
        lines = [head, *(row.format(i=i) for i in range(ACCOUNTS))]
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{folder.name}={folder}"


def _facts(result: Connection) -> str:
    return "\n".join(fact.text for fact in result.facts if fact.about == "identity")


CONTRACTS = ("customer_id,start_date,arr", "K-{i:04},2025-01-01,100")


@pytest.mark.parametrize(
    ("crm", "billing", "reason"),
    [
        # The CRM has the id of the billing system in a field.
        (("account_id,created_at,billing_ref", "crm{i:03},2024-01-01,K-{i:04}"), ("customer_id,created_at", "K-{i:04},2024-01-01"),
         "crm.accounts.billing_ref has ids of billing: 8 of 8 accounts match (100%)"),
        # The same ids in another spelling.
        (("account_id,created_at", "k-{i:04},2024-01-01"), ("customer_id,created_at", "K-{i:04},2024-01-01"),
         "have the same ids without regard to case, zeros at the start and .0 at the end: 8 of 8 accounts match (100%)"),
        # Both have the id of a third system.
        (("account_id,created_at,external_id", "crm{i:03},2024-01-01,tenant-{i}"), ("customer_id,created_at,external_id", "K-{i:04},2024-01-01,tenant-{i}"),
         "crm.accounts.external_id and billing.customers.external_id have the same external id: 8 of 8 accounts match (100%)"),
        # Only the domains are the same.
        (("account_id,created_at,website", "crm{i:03},2024-01-01,https://www.f{i}.example/x"), ("customer_id,created_at,email", "K-{i:04},2024-01-01,pay@f{i}.example"),
         "have the same domain: 8 of 8 accounts match (100%)"),
    ],
)  # fmt: skip
def test_accounts_of_two_sources_are_joined(tmp_path: Path, crm: tuple[str, str], billing: tuple[str, str], reason: str) -> None:
    result = connect([_source(tmp_path / "crm", accounts=crm), _source(tmp_path / "billing", customers=billing, contracts=CONTRACTS)])
    assert (result.problems, result.gaps) == ((), ())
    facts = _facts(result)
    assert reason in facts
    # The matches are counted on both sides.
    for source in ("crm", "billing"):
        assert f"identity: {ACCOUNTS} of {ACCOUNTS} accounts of {source} have a partner" in "\n".join(f.text for f in result.facts)
    assert result.summary is not None
    assert (result.summary.accounts, result.summary.arr) == (ACCOUNTS, 100 * ACCOUNTS)


def test_domains_of_several_accounts_are_counted_and_not_joined(tmp_path: Path) -> None:
    crm = ("account_id,created_at,website", "crm{i:03},2024-01-01,www.f{i}.example")
    desk = _source(tmp_path / "desk", organizations=("organization_id,created_at,domain", "{i},2024-01-01,f{i}.example"))
    with (tmp_path / "desk" / "organizations.csv").open("a", encoding="utf-8") as file:
        file.write("90,2024-01-01,f3.example\n91,2024-01-01,gmail.com\n92,2024-01-01,gmail.com\n")
    contracts = ("account_id,start_date,arr", "crm{i:03},2025-01-01,100")
    facts = _facts(connect([_source(tmp_path / "crm", accounts=crm, contracts=contracts), desk]))
    assert "the same domain: 7 of 8 accounts match (88%); not joined: 1 domain that several accounts of one source have." in facts


def test_events_of_a_source_without_accounts_get_those_of_the_other(tmp_path: Path) -> None:
    crm = ("account_id,created_at,workspace,arr,start_date", "crm{i:03},2024-01-01,ws-{i:03},100,2025-01-01")
    product = ("account_id,user_id,event,timestamp", "ws-{i:03},u{i},login,2025-03-01")
    out = tmp_path / "mapping.toml"
    result = connect([_source(tmp_path / "crm", accounts=crm), _source(tmp_path / "product", events=product)], out)
    assert result.problems == ()
    assert f"crm.accounts.workspace has ids of product: {ACCOUNTS} of {ACCOUNTS} accounts match (100%)" in _facts(result)
    assert result.summary is not None
    assert result.summary.accounts == ACCOUNTS


def test_short_numbers_join_nothing(tmp_path: Path) -> None:
    crm, billing = ("account_id,created_at", "{i},2024-01-01"), ("customer_id,created_at", "{i},2024-01-01")
    contracts = ("customer_id,start_date,arr", "{i},2025-01-01,100")
    result = connect([_source(tmp_path / "crm", accounts=crm), _source(tmp_path / "billing", customers=billing, contracts=contracts)])
    assert "No ids, domains or names say which accounts of the sources are the same company" in _facts(result)
