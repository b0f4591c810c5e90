"""Contracts in several sources: often the same sales, which would count twice if they were added up.

A billing system and a CRM both record what was sold. The revenue of an account that has contracts at the same time in
both is uncertain until someone says whether these are the same sales.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from features.contract.current_contract import current_tables
from features.sources.mapping.parts import Part, PartBuilder
from features.utils.formatting import and_list, count_of, short_money
from features.utils.sql_text import sql_identifier, sql_literal
from features.utils.sql_types import id_text

ALL = "all"
"""The value of ``contracts`` that adds up the contracts of all sources."""
_CONTRACTS = "subscriptions"
_PERIODS, _NOTICES = "contract_periods", "contract_notices"
_FAR = "TIMESTAMP '9999-01-01'"
_ORDER = ("billing", "crm")
"""Kinds of tools, the one whose contracts are preferred first."""
_NOT_COUNTED = ("trial", "paused")
"""Statuses of contracts whose revenue does not count."""


@dataclass(frozen=True)
class SourceContracts:
    """The contracts of one source, next to those of the others.

    Parameters
    ----------
    source : the source.
    kind : the kind of its tool; empty if no pack reads it.
    shared_arr : at the end of the data, its ARR of the accounts with contracts at the same time in several sources;
        None if it is in several currencies.
    alone : its accounts with contracts that have none in another source.
    alone_arr : at the end of the data, the ARR of these; None if it is in several currencies.
    """

    source: str
    kind: str
    shared_arr: float | None
    alone: int
    alone_arr: float | None


@dataclass(frozen=True)
class ContractOverlap:
    """Accounts with contracts at the same time in several sources.

    Parameters
    ----------
    accounts : their number.
    sources : each of the sources: billing systems first, then CRMs.
    others : the other sources with contracts.
    """

    accounts: int
    sources: tuple[SourceContracts, ...]
    others: tuple[str, ...] = ()

    @property
    def preferred(self) -> SourceContracts | None:
        """The source whose contracts probably count; None if several are of the same kind."""
        first, second = self.sources[:2]
        return None if first.kind == second.kind else first

    @property
    def words(self) -> str:
        """The finding: "2 accounts have contracts at the same time in billing (ARR 18.0k) and crm (ARR 18.0k)"."""
        have = "has" if self.accounts == 1 else "have"
        listed = and_list([f"{each.source}{_amount(each.shared_arr)}" for each in self.sources])
        return f"{count_of(self.accounts, 'account')} {have} contracts at the same time in {listed}"

    @property
    def question(self) -> str:
        """What a mapping that adds them up leaves open."""
        return (
            f"subscriptions: {self.words}, which are added up. If they are the same sales, add "
            f"{contracts_key((self.sources[0].source, *self.others))} under [identity]; if they are different ones, "
            f'contracts = "{ALL}"'
        )

    def left_out(self, source: SourceContracts, preferred: SourceContracts) -> str:
        """Return what a mapping leaves open that reads the contracts of another source in place of ``source``."""
        has = "has" if source.alone == 1 else "have"
        kept = (preferred.source, *self.others)
        return (
            f"subscriptions: {count_of(source.alone, 'account')} {has} contracts only in {source.source}"
            f"{_amount(source.alone_arr)}, which are not read. If {preferred.source} lacks these sales, set "
            f"{contracts_key((*kept, source.source))} under [identity]: the first of them that has an account counts"
        )


def contracts_key(sources: Sequence[str]) -> str:
    """Return the line of a mapping that says whose contracts are read."""
    return f"contracts = {json.dumps(list(sources))}"


def _amount(arr: float | None) -> str:
    return "" if arr is None else f" (ARR {short_money(arr)})"


def contract_overlap(
    parts: Sequence[Part], builder: PartBuilder, kinds: Mapping[str, str], end: datetime | None
) -> ContractOverlap | None:
    """Return which accounts have contracts at the same time in several sources; None if none has.

    Parameters
    ----------
    parts : created parts with the final account ids, in the order of preference.
    builder : creates temporary tables.
    kinds : the kind of the tool of each source that a pack reads.
    end : the end of the data, if the mapping says it. Default: the newest instant in the parts that is not in the
        future.
    """
    periods = [sql for part in _contracts(parts) if (sql := _periods(part, builder))]
    sources = list(dict.fromkeys(part.ids for part in _contracts(parts)))
    if len(sources) < 2 or len(periods) < 2:
        return None
    builder.run(f"CREATE OR REPLACE TEMP TABLE {_PERIODS} AS {' UNION ALL '.join(periods)}")
    shared = (
        f"SELECT DISTINCT a.account_id FROM {_PERIODS} a JOIN {_PERIODS} b ON b.account_id = a.account_id "
        "AND b.source <> a.source AND a.started_at < b.ended_at AND b.started_at < a.ended_at"
    )
    accounts = builder.count(f"SELECT count(*) FROM ({shared})")
    if not accounts:
        return None
    at = f"TIMESTAMP '{end or _newest(parts, builder):%Y-%m-%d %H:%M:%S.%f}'"
    found = []
    for source in sources:
        own = f"FROM {_PERIODS} WHERE source = {sql_literal(source)} AND account_id"
        alone = f"NOT IN (SELECT account_id FROM {_PERIODS} WHERE source <> {sql_literal(source)})"
        if not builder.count(f"SELECT count(*) {own} IN ({shared})"):
            continue
        found.append(
            SourceContracts(
                source,
                kinds.get(source, ""),
                _running_arr(f"{own} IN ({shared})", at, builder),
                builder.count(f"SELECT count(DISTINCT account_id) {own} {alone}"),
                _running_arr(f"{own} {alone}", at, builder),
            )
        )
    found.sort(key=lambda each: _ORDER.index(each.kind) if each.kind in _ORDER else len(_ORDER))
    others = tuple(source for source in sources if source not in {each.source for each in found})
    return ContractOverlap(accounts, tuple(found), others)


def chosen_contracts(
    parts: Sequence[Part], chosen: Sequence[str], builder: PartBuilder
) -> tuple[list[Part], list[str]]:
    """Return the parts with the contracts of each account from the first of some sources that has any, and notes.

    Notice that another source knows of a contract stays, if the account has only one contract then.

    Parameters
    ----------
    parts : created parts with the final account ids.
    chosen : the sources whose contracts are read, the preferred one first.
    builder : creates temporary tables.
    """
    rows = sorted(_contracts(parts), key=lambda part: chosen.index(part.ids) if part.ids in chosen else len(chosen))
    notices = [sql for part in rows if (sql := _notices(part, builder))]
    if notices:
        builder.run(f"CREATE OR REPLACE TEMP TABLE {_NOTICES} AS {' UNION '.join(notices)}")
    notes, kept = [], []
    # The last first, because the accounts of a source are those before any are left out.
    for part in reversed(rows):
        before, earlier = builder.count(f"SELECT count(*) FROM {part.relation}"), _ids_of_preferred(part, rows, builder)
        if part.ids not in chosen:
            notes.append(f"subscriptions: {count_of(before, 'row')} of {part.ids} left out (identity.contracts)")
            continue
        if earlier:
            part = builder.update(
                part, f"SELECT * FROM {part.relation} WHERE ({_account(part, builder)} IN ({earlier})) IS NOT TRUE"
            )
            if fewer := before - builder.count(f"SELECT count(*) FROM {part.relation}"):
                notes.append(
                    f"subscriptions: {count_of(fewer, 'row')} of {part.ids} left out, of accounts with contracts in a "
                    "source before it (identity.contracts)"
                )
        kept.append(part)
    if notices:
        kept = [_with_notices(part, builder, notes) for part in kept]
    others = [part for part in parts if part not in rows]
    return [*others, *reversed(kept)], list(reversed(notes))


def _contracts(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with contracts whose source is known."""
    return [part for part in parts if part.table == _CONTRACTS and part.ids]


def _account(part: Part, builder: PartBuilder, alias: str = "") -> str:
    """Return SQL for the text of the account id; NULL without the column."""
    types = builder.describe(part)
    return f"({id_text(f'{alias}account_id', types['account_id'])})" if "account_id" in types else "NULL"


def _ids_of_preferred(part: Part, rows: Sequence[Part], builder: PartBuilder) -> str:
    """Return a SELECT of the accounts with contracts in the sources that are preferred to that of ``part``."""
    before = rows[: next(i for i, other in enumerate(rows) if other.ids == part.ids)]
    ids = [(_account(other, builder), other.relation) for other in before]
    return " UNION ".join(f"SELECT {account} FROM {relation} WHERE {account} IS NOT NULL" for account, relation in ids)


def _instant(column: str) -> str:
    return f"try_cast(CAST({column} AS VARCHAR) AS TIMESTAMP)"


def _periods(part: Part, builder: PartBuilder) -> str:
    """Return a SELECT of the periods of a part whose revenue counts; empty if it lacks a column for them."""
    types = builder.describe(part)
    if not {"account_id", "started_at"} <= set(types):
        return ""
    number = "try_cast(CAST({} AS VARCHAR) AS DOUBLE)".format
    ended = f"coalesce({_instant('ended_at')}, {_FAR})" if "ended_at" in types else _FAR
    arr = f"coalesce({number('arr')}, 0)" if "arr" in types else "0"
    currency = "upper(CAST(currency AS VARCHAR))" if "currency" in types else "CAST(NULL AS VARCHAR)"
    counted = ", ".join(map(sql_literal, _NOT_COUNTED))
    status = f"lower(coalesce(CAST(status AS VARCHAR), '')) NOT IN ({counted})" if "status" in types else "true"
    return (
        f"SELECT {sql_literal(part.ids)} AS source, {_account(part, builder)} AS account_id, "
        f"{_instant('started_at')} AS started_at, {ended} AS ended_at, {arr} AS arr, "
        f"{currency} AS currency FROM {part.relation} WHERE {status}"
    )


def _running_arr(rows: str, at: str, builder: PartBuilder) -> float | None:
    """Return the ARR of the rows that run at an instant; None if it is in several currencies."""
    total = f"SELECT count(DISTINCT currency), coalesce(sum(arr), 0) {rows} AND started_at <= {at} AND ended_at > {at}"
    currencies, arr = builder.row(total)
    return None if currencies > 1 else float(arr)


def _newest(parts: Sequence[Part], builder: PartBuilder) -> datetime:
    """Return the newest instant in the parts that is not in the future."""
    now, newest = datetime.now(UTC).replace(tzinfo=None), datetime(1900, 1, 1)
    for part in parts:
        at = current_tables()[part.table].at
        if at in builder.describe(part):
            instant = _instant(sql_identifier(at))
            (found,) = builder.row(f"SELECT max({instant}) FROM {part.relation} WHERE {instant} <= TIMESTAMP '{now}'")
            newest = max(newest, found or newest)
    return newest


def _notices(part: Part, builder: PartBuilder) -> str:
    """Return a SELECT of when accounts gave notice; empty if the part does not say it."""
    if not {"account_id", "notice_at"} <= set(builder.describe(part)):
        return ""
    at = _instant("notice_at")
    return (
        f"SELECT {sql_literal(part.ids)} AS source, {_account(part, builder)} AS account_id, {at} AS notice_at "
        f"FROM {part.relation} WHERE {at} IS NOT NULL"
    )


def _with_notices(part: Part, builder: PartBuilder, notes: list[str]) -> Part:
    """Add the notices of other sources to the only contract of their account that runs then and has none."""
    types = builder.describe(part)
    if not {"account_id", "started_at"} <= set(types):
        return part
    own = "notice_at" in types
    ended = f"coalesce({_instant('k.ended_at')}, {_FAR})" if "ended_at" in types else _FAR
    found = (
        "SELECT k.rowid AS place, n.notice_at, count(*) OVER (PARTITION BY n.account_id, n.notice_at) AS running "
        f"FROM {part.relation} AS k JOIN (SELECT DISTINCT account_id, notice_at FROM {_NOTICES} "
        f"WHERE source <> {sql_literal(part.ids)}) AS n ON n.account_id = {_account(part, builder, 'k.')} "
        f"AND {_instant('k.started_at')} <= n.notice_at AND {ended} > n.notice_at"
    )
    chosen = f"SELECT place, min(notice_at) AS notice_at FROM ({found}) WHERE running = 1 GROUP BY 1"
    free = " AND rows.notice_at IS NULL" if own else ""
    joined = f"FROM {part.relation} AS rows {{}} JOIN ({chosen}) AS given ON given.place = rows.rowid{free}"
    if not (added := builder.count(f"SELECT count(*) {joined.format('')}")):
        return part
    notes.append(f"subscriptions: {count_of(added, 'contract')} of {part.ids} with the notice that another source has")
    value = f"coalesce(rows.notice_at, CAST(given.notice_at AS {types['notice_at']}))" if own else "given.notice_at"
    columns = f"rows.* REPLACE ({value} AS notice_at)" if own else f"rows.*, {value} AS notice_at"
    return builder.update(part, f"SELECT {columns} {joined.format('LEFT')}")
