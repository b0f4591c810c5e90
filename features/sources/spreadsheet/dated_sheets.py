"""Several sheets of the same accounts at different dates: a history.

Contracts become periods as in the pack `snapshots`: a change is known from the first sheet that shows it, and an end
from the first sheet without the account. Every other value is a state of its date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from features.errors import SignalsError
from features.packs.inputs import Relation
from features.packs.pack import shipped_pack
from features.packs.queries import pack_queries
from features.sources.account_states import AccountStates
from features.sources.base import Source, connect_duckdb, create_arrow_table, from_tables
from features.sources.spreadsheet.accounts import Account, Contract
from features.sources.spreadsheet.currencies import common_currency
from features.sources.spreadsheet.signals import EDGE, pulse_table, state_rows
from features.utils.dates import DAY, to_iso

PACK = "snapshots"
_TABLE = "account_snapshots"
_OF_TABLES = ("contract.", "account.", "pulse.")
"""Features that follow from the tables of accounts and contracts."""
_COLUMNS = {
    "account_id": pa.string(),
    "contract_id": pa.string(),
    "snapshot_date": pa.timestamp("us"),
    "arr": pa.float64(),
    "seats": pa.int64(),
    "plan": pa.string(),
    "product": pa.string(),
    "renewal_date": pa.timestamp("us"),
    "notice_date": pa.timestamp("us"),
    "customer_since": pa.timestamp("us"),
    "account_name": pa.string(),
    "industry": pa.string(),
    "region": pa.string(),
    "employees": pa.int64(),
    "csm": pa.string(),
}


@dataclass(frozen=True)
class DatedSheet:
    """The accounts of a sheet.

    Parameters
    ----------
    date : its date, in UTC.
    accounts : its accounts.
    key : the field that identifies an account: ``account_id`` or ``name``.
    notes : how it was read.
    currency : the codes that the currency of its amounts may have; empty if it is unknown.
    """

    date: datetime
    accounts: list[Account]
    key: str
    notes: list[str]
    currency: frozenset[str] = frozenset()


def open_dated_sheets(sheets: Sequence[DatedSheet], origin: str) -> Source:
    """Open sheets of the same accounts at different dates.

    Parameters
    ----------
    sheets : the sheets, with different dates.
    origin : the address, for messages.

    Raises
    ------
    SignalsError
        If two sheets have the same date, they identify accounts in different ways, or they have different currencies.
    """
    ordered = sorted(sheets, key=lambda sheet: sheet.date)
    _require_same_accounts(ordered, origin)
    common_currency((sheet.currency for sheet in ordered), origin, "all sheets")
    ordered = _with_same_names(ordered)
    rows, repeated, without = _snapshot_rows(ordered)
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in _COLUMNS.items()})
    tables, assumptions = _periods(table)
    tables |= pulse_table([(sheet.accounts, sheet.date.replace(tzinfo=None)) for sheet in ordered])
    source = from_tables(tables, origin)
    first, last = ordered[0].date, ordered[-1].date
    notes = [
        f"{len(ordered)} sheets, from {to_iso(first)} to {to_iso(last)}; the notes on columns are those of the last"
    ]
    if repeated:
        are = "amount is" if repeated == 1 else "amounts are"
        notes.append(f"{repeated} {are} missing in later sheets: those of the sheet before are read")
    if without:
        are = "contract has" if without == 1 else "contracts have"
        notes.append(f"{without} {are} no amount in the first sheets: 0 until a sheet has one, which is then expansion")
    states = pa.concat_tables([_states(sheet) for sheet in ordered], promote_options="permissive")
    return Source(
        source.connection,
        source.tables,
        origin,
        notes=[*notes, *assumptions, *ordered[-1].notes],
        states=AccountStates(states, sole=False),
        data_through=cutoff_after(last),
        synced_tables={"subscriptions": cutoff_after(last)},
    )


def cutoff_after(last: datetime) -> datetime:
    """Return the instant from which the sheet of a date is known: a day later, because it may show the whole day."""
    return last + DAY


def _require_same_accounts(sheets: Sequence[DatedSheet], origin: str) -> None:
    dates = [sheet.date for sheet in sheets]
    if repeated := next((date for date in dates if dates.count(date) > 1), None):
        raise SignalsError(
            f"{origin} has several sheets of {to_iso(repeated)}", "one sheet per date", "remove or rename all but one"
        )
    if len({sheet.key for sheet in sheets}) > 1:
        without = next(sheet for sheet in sheets if sheet.key == "name")
        raise SignalsError(
            f"{origin}: the sheet of {to_iso(without.date)} has names of accounts, and others have ids",
            "the same way to identify accounts in every sheet",
            "add the column Account ID to every sheet, or remove it from every sheet",
        )


def _with_same_names(sheets: Sequence[DatedSheet]) -> list[DatedSheet]:
    """Return the sheets with each name of an account as the first sheet that has it spells it.

    Names that differ only in upper and lower case are of one account, as within a sheet. Ids are compared as they are.
    """
    spellings: dict[str, str] = {}

    def same(account: Account) -> Account:
        name = spellings.setdefault(account.account_id.casefold(), account.account_id)
        return replace(account, account_id=name, name=name)

    return [
        sheet if sheet.key == "account_id" else replace(sheet, accounts=[same(each) for each in sheet.accounts])
        for sheet in sheets
    ]


def _snapshot_rows(sheets: Sequence[DatedSheet]) -> tuple[list[dict[str, Any]], int, int]:
    """Return a row per sheet, account and contract.

    Also how many amounts are those of an earlier sheet, and how many contracts begin without one.
    """
    rows: list[dict[str, Any]] = []
    amounts: dict[str, float] = {}
    repeated, without = 0, set()
    for sheet in sheets:
        for account in sheet.accounts:
            for contract, contract_id in zip(account.contracts, _contract_ids(account), strict=True):
                if contract.arr is not None:
                    amounts[contract_id] = contract.arr
                elif contract_id in amounts:
                    repeated += 1
                else:
                    without.add(contract_id)
                rows.append(_row(sheet, account, contract, contract_id, amounts.get(contract_id, 0.0)))
    return rows, repeated, len(without)


def _contract_ids(account: Account) -> list[str]:
    """Return an id for each contract that is the same in every sheet: that of the account, or with its product."""
    if len(account.contracts) == 1:
        return [account.account_id]
    products = [(contract.product or "").casefold() for contract in account.contracts]
    parts = products if len(set(products)) == len(products) else [str(n) for n in range(1, len(products) + 1)]
    return [f"{account.account_id} / {part}" for part in parts]


def _row(
    sheet: DatedSheet, account: Account, contract: Contract, contract_id: str, arr: float | None
) -> dict[str, Any]:
    people = account.people
    return {
        "account_id": account.account_id,
        "contract_id": contract_id,
        "snapshot_date": sheet.date.replace(tzinfo=None),
        "arr": arr,
        "seats": None if contract.seats is None else round(contract.seats),
        "plan": contract.plan,
        "product": contract.product,
        "renewal_date": contract.renewal_at,
        "notice_date": contract.notice_at,
        "customer_since": account.created_at,
        "account_name": account.name,
        "industry": people["industry"],
        "region": people["region"],
        "employees": None if people["employees"] is None else round(people["employees"]),
        "csm": people["csm"],
    }


def _periods(snapshots: pa.Table) -> tuple[dict[str, pa.Table], list[str]]:
    """Return the contract's tables, and what they assume."""
    connection = connect_duckdb()
    create_arrow_table(connection, _TABLE, snapshots)
    types = {name: kind for name, kind, *_ in connection.con.execute(f"DESCRIBE {_TABLE}").fetchall()}
    queries = pack_queries(shipped_pack(PACK), [Relation(_TABLE, types, reference=_TABLE)])
    tables = {name: connection.con.execute(sql).to_arrow_table() for name, sql in queries.tables.items()}
    sentences = []
    for assumption in queries.assumptions:
        cursor = connection.con.execute(assumption.query)
        names = [about[0] for about in cursor.description]
        sentences.append(assumption.sentence(dict(zip(names, cursor.fetchone(), strict=True))))
    connection.disconnect()
    return tables, [sentence.rstrip(".") for sentence in sentences if sentence]


def _states(sheet: DatedSheet) -> pa.Table:
    rows = state_rows(sheet.accounts, sheet.date.replace(tzinfo=None) + EDGE)
    kept = [n for n in rows.column_names if not n.startswith(_OF_TABLES) and rows[n].null_count < len(rows)]
    return rows.select(kept)
