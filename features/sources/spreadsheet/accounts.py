"""The accounts of a recognized sheet: one entry each, with its contracts and the features that its columns state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from features.errors import SignalsError
from features.sources.spreadsheet.recognition import Recognized, listed_rows, unknown_note
from features.sources.spreadsheet.vocabulary import fields, folded
from features.utils.formatting import verb_for

NOT_COMPARED = ("account_id", "status", "churned_at", "currency", "as_of", "mrr", "health")
"""Fields in which rows of one account may differ."""
PEOPLE = ("industry", "region", "employees", "csm")


@dataclass(frozen=True)
class Contract:
    """One contract of an account. None is unknown."""

    arr: float | None = None
    seats: float | None = None
    plan: str | None = None
    product: str | None = None
    renewal_at: datetime | None = None
    term_started_at: datetime | None = None
    notice_at: datetime | None = None


@dataclass(frozen=True)
class Account:
    """One account of a sheet.

    Parameters
    ----------
    account_id, name : its id, and its name if the sheet has both.
    created_at : since when it is a customer; None if unknown.
    people : industry, region, employees and csm.
    contracts : at least one.
    stated : the value of each field and feature that the sheet states about the account as a whole.
    health : the color that the sheet gives to its health.
    """

    account_id: str
    name: str | None
    created_at: datetime | None
    people: dict[str, Any]
    contracts: tuple[Contract, ...]
    stated: dict[str, Any]
    health: str | None = None


@dataclass(frozen=True)
class Accounts:
    """The accounts of a sheet, and what was left out or combined."""

    accounts: list[Account]
    notes: list[str] = field(default_factory=list)


def read_accounts(sheet: Recognized, as_of: datetime) -> Accounts:
    """Return the accounts that are customers at ``as_of``, one entry each.

    Rows of one account that differ only in what describes a contract are its contracts.

    Parameters
    ----------
    sheet : the sheet with its columns.
    as_of : the date of the sheet, without a time zone.

    Raises
    ------
    SignalsError
        If a row has no id, an amount is negative, or rows of one account contradict each other.
    """
    ids = _ids(sheet)
    _require_positive(sheet)
    sheet, notes = _without_later_dates(sheet, as_of)
    rows = _customers(sheet, as_of, notes)
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for i in rows:
        groups[ids[i].casefold() if "account_id" not in sheet.columns else ids[i]].append(i)
    if not groups:
        raise SignalsError(
            f"{sheet.table.place} has no account that is a customer", "at least one", "check the status column"
        )
    repeated = several = 0
    accounts = []
    for group in groups.values():
        kept = _distinct(sheet, group)
        repeated += len(group) - len(kept)
        several += len(kept) > 1
        accounts.append(_account(sheet, ids[group[0]], kept))
    if repeated:
        notes.append(f"{repeated} {_rows(repeated)} repeat another row and count once")
    if several:
        notes.append(
            f"{several} {'account has' if several == 1 else 'accounts have'} several rows, read as several contracts"
        )
    notes += _unstated(sheet, rows)
    return Accounts(accounts, notes)


def _without_later_dates(sheet: Recognized, as_of: datetime) -> tuple[Recognized, list[str]]:
    """Return the sheet without dates of past events that are after its own date, and a note on each column with some.

    A day more is possible: it may have begun in another time zone.
    """
    columns, notes = dict(sheet.columns), []
    for name, column in sheet.columns.items():
        if name not in fields() or not fields()[name].past:
            continue
        later = [i for i, at in enumerate(column.values) if at is not None and at > as_of + timedelta(days=1)]
        if later:
            columns[name] = column.without(later)
            notes.append(unknown_note(sheet.table, sheet.headers[name], later, "after the date of the sheet"))
    return replace(sheet, columns=columns), notes


def _unstated(sheet: Recognized, rows: Sequence[int]) -> list[str]:
    """Return notes on the rows of customers without the date or the amount that KPIs of renewals need."""
    notes = []
    for names, lacks, effect in (
        (("renewal_at",), "no date", "when the contract ends is unknown"),
        (("arr", "mrr"), "no amount", "the ARR is unknown, and so is the contract in KPIs of ARR and renewals"),
    ):
        there = [name for name in names if name in sheet.columns]
        empty = [sheet.table.positions[i] for i in rows if all(sheet.values(name)[i] is None for name in there)]
        if there and empty:
            verb = verb_for(len(empty), "has", "have")
            notes.append(f"{sheet.headers[there[0]]!r}: {listed_rows(empty)} {verb} {lacks}: {effect}")
    return notes


def _ids(sheet: Recognized) -> list[str]:
    key = "account_id" if "account_id" in sheet.columns else "name"
    ids = sheet.values(key)
    lost = [sheet.table.positions[i] for i, value in enumerate(ids) if value is None]
    if lost:
        raise SignalsError(
            f"{sheet.table.place}: {sheet.headers[key]!r} is empty in {listed_rows(lost)}",
            "an account in every row",
            "fill in the column, or remove it if the names of the accounts are unique",
        )
    return [str(value) for value in ids]


def _require_positive(sheet: Recognized) -> None:
    for name in ("arr", "mrr"):
        below = [sheet.table.positions[i] for i, v in enumerate(sheet.values(name)) if v is not None and v < 0]
        if below:
            raise SignalsError(
                f"{sheet.table.place}: {sheet.headers[name]!r} is negative in {listed_rows(below)}",
                "an amount of zero or more",
                "correct the amount, or leave it empty",
            )


def _customers(sheet: Recognized, as_of: datetime, notes: list[str]) -> list[int]:
    status, left = sheet.values("status"), sheet.values("churned_at")
    former = {i for i, s in enumerate(status) if s == "former"} | {
        i for i, at in enumerate(left) if at is not None and at < as_of
    }
    possible = {i for i, s in enumerate(status) if s == "possible"} - former
    for rows, who in ((former, "of former customers"), (possible, "of accounts that are not customers yet")):
        if rows:
            notes.append(f"{len(rows)} {_rows(len(rows))} {who} {verb_for(len(rows))} left out")
    return [i for i in range(len(status)) if i not in former | possible]


def _distinct(sheet: Recognized, group: Sequence[int]) -> list[int]:
    """Return the rows of an account that differ, each of which is a contract.

    Raises
    ------
    SignalsError
        If they contradict each other in something else than a contract.
    """
    if len(group) == 1:
        return list(group)
    first: dict[tuple[Any, ...], int] = {}
    for i in group:
        first.setdefault(tuple(column.values[i] for column in sheet.columns.values()), i)
    kept = list(first.values())
    for name, column in sheet.columns.items():
        about = fields().get(name)
        if name in NOT_COMPARED or (about is not None and about.contract):
            continue
        given = [column.values[i] for i in kept]
        if len({_compared(value) if name == "name" else value for value in given} - {None}) > 1:
            rows = listed_rows([sheet.table.positions[i] for i in kept])
            raise SignalsError(
                f"{sheet.table.place}: {rows} are of one account and differ in {sheet.headers[name]!r}",
                "one row per account; several only for several contracts, which have the same values in other columns",
                "merge the rows, or give different accounts different ids",
            )
    differ = any(len({sheet.columns[name].values[i] for i in kept}) > 1 for name in sheet.columns if _of_contract(name))
    return kept if differ else kept[:1]


def _compared(name: str | None) -> str | None:
    """Return what of a name matters: its letters and digits."""
    return None if name is None else "".join(filter(str.isalnum, folded(name)))


def _of_contract(name: str) -> bool:
    about = fields().get(name)
    return about is not None and about.contract


def _account(sheet: Recognized, account_id: str, rows: Sequence[int]) -> Account:
    def first(name: str) -> Any:
        return next((v for i in rows if (v := sheet.values(name)[i]) is not None), None)

    stated = {
        name: first(name)
        for name in sheet.columns
        if name not in (*NOT_COMPARED, *PEOPLE, "name", "created_at")
        and not (_of_contract(name) and name != "notice_given")
    }
    if "notice_given" in stated:
        stated["notice_given"] = max(
            (v for i in rows if (v := sheet.values("notice_given")[i]) is not None), default=None
        )
    # A date on which the account leaves, and that has not come, is known from its notice.
    if "churned_at" in sheet.columns and first("churned_at") is not None:
        stated["notice_given"] = 1.0
    return Account(
        account_id,
        first("name") if "account_id" in sheet.columns else account_id,
        first("created_at"),
        {name: first(name) for name in PEOPLE},
        tuple(_contract(sheet, i) for i in rows),
        stated,
        first("health"),
    )


def _contract(sheet: Recognized, i: int) -> Contract:
    def value(name: str) -> Any:
        return sheet.values(name)[i]

    arr, mrr, renewal = value("arr"), value("mrr"), value("renewal_at")
    start, months = value("term_started_at"), value("term_months")
    if start is None and renewal is not None and months:
        start = renewal - timedelta(days=round(months * 365.25 / 12))
    if start is not None and renewal is not None and start >= renewal:
        start = None
    return Contract(
        12 * mrr if arr is None and mrr is not None else arr,
        value("seats"),
        value("plan"),
        value("product"),
        renewal,
        start,
        value("notice_at"),
    )


def total(values: Iterable[float | None]) -> float | None:
    """Return the sum; None if a value is unknown."""
    given = list(values)
    return None if any(v is None for v in given) else float(sum(v for v in given if v is not None))


def newest(*values: datetime | None) -> datetime | None:
    """Return the newest of the instants that are known."""
    return max((v for v in values if v is not None), default=None)


def largest(contracts: Sequence[Contract], has: Callable[[Contract], bool]) -> Contract | None:
    """Return the contract with the largest ARR among those that ``has`` accepts."""
    chosen = [contract for contract in contracts if has(contract)]
    return max(chosen, key=lambda contract: contract.arr or 0.0, default=None)


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"
