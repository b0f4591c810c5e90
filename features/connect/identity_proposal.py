"""Propose which accounts of several sources are the same company, by ids, domains and names that they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.connect.draft import IdentityDraft, TableDraft
from features.connect.table_contents import alike_id
from features.connect.table_drafts import CONTRACTS
from features.sources.mapping.open_mapping import OpenRelations
from features.utils.formatting import and_list, count_of, percent
from features.utils.sql_text import sql_identifier

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

LEAST_SHARE = 0.05
"""A join must match at least this share of the smaller source's accounts."""
FEW = 0.5
"""A join that matches a smaller share leaves open whether it is the right one."""
_TRUST = {"id": 2.0, "alike": 1.9, "external": 1.8, "domain": 1.3, "name": 1.0}
"""How much a match of each kind counts."""
_KEY_NAMES = {
    "external": (
        "external_id", "externalid", "external_account_id", "external_customer_id", "tenant_id", "workspace_id",
        "org_id", "customer_number", "customer_no", "account_number", "vat_id", "vat_number", "crm_id", "erp_id",
    ),
    "domain": ("domain", "website", "url", "email", "domain_name", "domain_names", "company_domain"),
    "name": ("name", "company_name", "account_name", "company", "organization", "customer_name"),
}  # fmt: skip
_SAME = {
    "alike": "ids without regard to case, zeros at the start and .0 at the end",
    "external": "external id",
    "domain": "domain",
    "name": "name",
}
"""What two columns have in common, in words."""
_MAILERS = (
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "yahoo.com",
    "icloud.com",
    "me.com",
    "aol.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "proton.me",
    "protonmail.com",
)
"""Domains of private mailboxes, which say nothing about a company."""
_LEGAL_FORMS = "inc|llc|ltd|limited|gmbh|ag|corp|corporation|co|company|sa|sas|sarl|bv|ab|oy|plc|kg|srl|spa|pty"


@dataclass(frozen=True)
class KeyTable:
    """A table that has account ids of a source, with columns that other sources may share.

    Parameters
    ----------
    source : the source.
    name : the table, as a query of a mapping names it.
    account_id : its column with account ids.
    columns : its other columns of text or numbers.
    """

    source: str
    name: str
    account_id: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class _Join:
    """A way to join two sources; ``both`` is the number of accounts of both that match."""

    sources: tuple[str, str]
    kind: str
    both: int
    matched: int
    smaller: int
    reason: str
    sql: str


def propose_identity(opened: OpenRelations, tables: Sequence[TableDraft], order: Sequence[str]) -> IdentityDraft | None:
    """Propose ``[identity]``; None if no two sources share anything.

    Parameters
    ----------
    opened : the sources of the draft and what their packs give.
    tables : tables drafted from the names of columns.
    order : the sources, the one whose ids are preferred first.
    """
    connection = opened.connection
    found = {source: _key_tables(opened, tables, source) for source in order}
    joins: list[_Join] = []
    for i, source in enumerate(order):
        candidates = [
            join for other in order[:i] for join in _joins(connection, found[other], found[source], other, source)
        ]
        good = [join for join in candidates if join.matched and join.matched >= LEAST_SHARE * join.smaller]
        if good:
            joins.append(max(good, key=lambda join: (join.both * _TRUST[join.kind], _TRUST[join.kind])))
    if not joins:
        return None
    return IdentityDraft(
        "\nUNION ALL BY NAME\n".join(join.sql for join in joins),
        order[0],
        tuple(join.reason for join in joins),
        tuple(join.sources for join in joins),
        tuple(join.reason for join in joins if join.matched < FEW * join.smaller),
    )


def _key_tables(opened: OpenRelations, tables: Sequence[TableDraft], source: str) -> list[KeyTable]:
    """Return the tables with account ids of a source."""
    connection = opened.connection
    result = []
    queries = opened.queries.get(source)
    if queries is not None:
        for name in ("pack_keys", "pack_accounts"):
            columns = _columns(connection, source, name)
            if "account_id" in columns:
                others = tuple(c for c, kind in columns.items() if c != "account_id" and _is_key(kind))
                result.append(KeyTable(source, f"{source}.{name}", "account_id", others))
        result += _raw_key_tables(opened, source, result)
    for draft in tables:
        given = draft.guess.matched.get("account_id")
        if draft.source == source and draft.guess.table == "accounts" and given:
            columns = _columns(connection, source, draft.guess.name)
            others = tuple(c for c, kind in columns.items() if c != given and _is_key(kind))
            result.append(KeyTable(source, f"{source}.{sql_identifier(draft.guess.name)}", given, others))
    return result or _rows_of_accounts(opened, tables, source)


def _rows_of_accounts(opened: OpenRelations, tables: Sequence[TableDraft], source: str) -> list[KeyTable]:
    """Return the tables of a source without accounts whose rows name the accounts of other sources."""
    result = []
    queries = opened.queries.get(source)
    for table in queries.tables if queries is not None else ():
        if "account_id" in _columns(opened.connection, source, f"pack_{table}"):
            result.append(KeyTable(source, f"{source}.pack_{table}", "account_id", ()))
    for draft in tables:
        given = draft.guess.matched.get("account_id")
        if draft.source == source and given:
            result.append(KeyTable(source, f"{source}.{sql_identifier(draft.guess.name)}", given, ()))
    return result


def _raw_key_tables(opened: OpenRelations, source: str, known: Sequence[KeyTable]) -> list[KeyTable]:
    """Return the tool's own tables of accounts, which may have columns that a user added."""
    connection = opened.connection
    if not known:
        return []
    ids = f"SELECT CAST(account_id AS VARCHAR) FROM memory.{known[0].name}"
    accounts = _count(connection, f"SELECT count(DISTINCT account_id) FROM memory.{known[0].name}")
    result = []
    for table in dict.fromkeys(filter(None, opened.queries[source].inputs.values())):
        columns = {c: kind for c, kind in _columns(connection, source, table).items() if _is_key(kind)}
        whole = f"memory.{sql_identifier(source)}.{sql_identifier(table)}"
        for column in columns:
            # The id column of a table of accounts has nearly all accounts, each once or a few times (versions).
            text = f"CAST({sql_identifier(column)} AS VARCHAR)"
            there = f"SELECT count(DISTINCT {text}) FROM {whole} WHERE {text} IN ({ids})"
            rows = f"SELECT count(DISTINCT {text}) FROM {whole}"
            if column.lower() == "id" and accounts and _count(connection, there) >= 0.9 * accounts:
                others = tuple(c for c in columns if c != column)
                if _count(connection, rows) <= 3 * accounts:
                    result.append(KeyTable(source, f"{source}.{sql_identifier(table)}", column, others))
    return result


def _columns(connection: Backend, source: str, table: str) -> dict[str, str]:
    rows = connection.con.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'memory' AND schema_name = ? "
        "AND table_name = ? ORDER BY column_index",
        [source, table],
    ).fetchall()
    return {str(name): str(kind) for name, kind in rows}


def _is_key(sql_type: str) -> bool:
    return sql_type.upper() in ("VARCHAR", "BIGINT", "INTEGER", "UUID", "HUGEINT")


def _joins(
    connection: Backend, ones: Iterable[KeyTable], others: Iterable[KeyTable], one: str, other: str
) -> list[_Join]:
    """Return the ways to join two sources."""
    result: list[_Join] = []
    ones, others = list(ones), list(others)
    for left, right in ((ones, others), (others, ones)):
        for table in left:
            for target in right[:1]:
                result += _id_joins(connection, table, target)
                result += _alike_joins(connection, table, target)
    for kind in ("external", "domain", "name"):
        pairs = [(a, b, x, y) for a in ones for b in others for x in _named(a, kind) for y in _named(b, kind)]
        result += [join for pair in pairs if (join := _value_join(connection, kind, *pair))]
    return result


def _named(table: KeyTable, kind: str) -> list[str]:
    return [column for column in table.columns if column.lower() in _KEY_NAMES[kind]]


def _id_joins(connection: Backend, table: KeyTable, target: KeyTable) -> list[_Join]:
    """Return joins of a column of ``table`` with the account ids of another source."""
    other = f"CAST({sql_identifier(target.account_id)} AS VARCHAR)"
    ids = f"SELECT {other} FROM memory.{target.name} WHERE trim({other}) <> ''"
    result = []
    for column in (table.account_id, *table.columns):
        text = f"CAST({sql_identifier(column)} AS VARCHAR)"
        matched = _count(connection, f"SELECT count(DISTINCT {text}) FROM memory.{table.name} WHERE {text} IN ({ids})")
        # Small numbers are the same in many columns by chance.
        if not matched or _has_short_values(connection, f"memory.{table.name}", text):
            continue
        if column == table.account_id and _are_counted(connection, f"memory.{table.name}", text):
            continue
        account = sql_identifier(table.account_id)
        own = _count(connection, f"SELECT count(DISTINCT {account}) FROM memory.{table.name} WHERE {text} IN ({ids})")
        smaller = min(_accounts(connection, table), _accounts(connection, target))
        where = f"{_shown(table.name)}.{column} has ids of {target.source}"
        sql = (
            f"SELECT DISTINCT {sql_identifier(table.account_id)} AS {table.source}, "
            f"{sql_identifier(column)} AS {target.source}\nFROM {table.name}\n"
            f"WHERE length(trim({text})) > 0"
        )
        result.append(
            _Join(
                (table.source, target.source),
                "id",
                matched + own,
                matched,
                smaller,
                _reason(where, matched, smaller),
                sql,
            )
        )
    return result


def _alike_joins(connection: Backend, table: KeyTable, target: KeyTable) -> list[_Join]:
    """Return joins of ids that the sources spell differently, where more are the same than if compared as given."""
    result = []
    other = f"CAST({sql_identifier(target.account_id)} AS VARCHAR)"
    ids = f"SELECT {other} AS id FROM memory.{target.name} WHERE trim({other}) <> ''"
    for column in (table.account_id, *table.columns):
        text, relation = f"CAST({sql_identifier(column)} AS VARCHAR)", f"memory.{table.name}"
        alike = f"{alike_id(text)} IN (SELECT {alike_id('id')} FROM ({ids}))"
        same = f"{text} IN (SELECT id FROM ({ids}))"
        if not _count(connection, f"SELECT count(*) FROM {relation} WHERE {alike} AND NOT {same}"):
            continue
        if _has_short_values(connection, relation, text):
            continue
        if column == table.account_id and _are_counted(connection, relation, text):
            continue
        if (join := _value_join(connection, "alike", table, target, column, target.account_id)) is not None:
            result.append(join)
    return result


def _has_short_values(connection: Backend, relation: str, text: str) -> bool:
    """Return whether ids are so short that they may be equal by chance."""
    return _count(connection, f"SELECT coalesce(max(length({text})), 0) FROM {relation}") < 4


def _are_counted(connection: Backend, relation: str, text: str) -> bool:
    """Return whether ids are short whole numbers, which every tool counts from its own beginning."""
    return not _count(
        connection, f"SELECT count(*) FROM {relation} WHERE NOT regexp_full_match({text}, '[0-9]{{0,8}}')"
    )


def _value_join(
    connection: Backend, kind: str, one: KeyTable, other: KeyTable, one_column: str, other_column: str
) -> _Join | None:
    """Return the join of two columns by what they have in common, where each side has it once."""
    left, right = (
        _unique(kind, table, column, prefix)
        for table, column, prefix in ((one, one_column, "memory."), (other, other_column, "memory."))
    )
    matched = _count(connection, f"SELECT count(*) FROM ({left}) AS a JOIN ({right}) AS b USING (shared)")
    if not matched:
        return None
    unclear = sum(
        _count(connection, f"SELECT count(*) FROM ({_keys(kind, table, column, 'memory.', 'count(DISTINCT {}) > 1')})")
        for table, column in ((one, one_column), (other, other_column))
    )
    smaller = min(_accounts(connection, one), _accounts(connection, other))
    where = f"{_shown(one.name)}.{one_column} and {_shown(other.name)}.{other_column} have the same {_SAME[kind]}"
    sql = (
        f"SELECT a.id AS {one.source}, b.id AS {other.source}\n"
        f"FROM ({_unique(kind, one, one_column, '')}\n) AS a\n"
        f"JOIN ({_unique(kind, other, other_column, '')}\n) AS b USING (shared)"
    )
    reason = _reason(where, matched, smaller)
    if unclear:
        nouns = {"alike": "id", "external": "external id"}
        reason += f"; not joined: {count_of(unclear, nouns.get(kind, kind))} that several accounts of one source have"
    return _Join((one.source, other.source), kind, 2 * matched, matched, smaller, reason, sql)


def _unique(kind: str, table: KeyTable, column: str, prefix: str) -> str:
    """Return a SELECT of account ids by a domain or name that only one account has."""
    return _keys(kind, table, column, prefix, "count(DISTINCT {}) = 1")


def _keys(kind: str, table: KeyTable, column: str, prefix: str, condition: str) -> str:
    """Return a SELECT of account ids by what they share; ``condition`` is about the number of accounts that have it."""
    value = f"lower(trim(CAST({sql_identifier(column)} AS VARCHAR)))"
    unwanted = ", ".join(f"'{each}'" for each in ("", *(_MAILERS if kind == "domain" else ())))
    if kind in ("alike", "external"):
        shared = alike_id(value) if kind == "alike" else value
    elif kind == "domain" and table.name.endswith(".pack_keys"):
        # Packs reduce addresses to their domains.
        shared = f"lower({sql_identifier(column)})"
    elif kind == "domain":
        shared = f"regexp_extract({value}, '^(?:[a-z]+://)?(?:[^@/]*@)?(?:www[.])?([a-z0-9.-]+[.][a-z]+)', 1)"
    else:
        plain = f"regexp_replace({value}, '[ ,.]+({_LEGAL_FORMS})[.]?$', '')"
        shared = f"regexp_replace({plain}, '[^\\p{{L}}\\p{{N}}]+', '', 'g')"
    account = sql_identifier(table.account_id)
    return (
        f"\n  SELECT {shared} AS shared,\n    min({account}) AS id\n  FROM {prefix}{table.name}\n"
        f"  WHERE trim(CAST({account} AS VARCHAR)) <> ''\n"
        f"  GROUP BY 1 HAVING {condition.format(account)} AND shared NOT IN ({unwanted})"
    )


def _accounts(connection: Backend, table: KeyTable) -> int:
    account = sql_identifier(table.account_id)
    given = f"trim(CAST({account} AS VARCHAR)) <> ''"
    return _count(connection, f"SELECT count(DISTINCT {account}) FROM memory.{table.name} WHERE {given}")


def _count(connection: Backend, sql: str) -> int:
    row = connection.con.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _shown(name: str) -> str:
    return name.replace('"', "")


def _reason(where: str, matched: int, smaller: int) -> str:
    return f"{where}: {matched:,} of {smaller:,} accounts match ({percent(matched / smaller if smaller else 0.0, 0)})"


def open_joins(
    identity: IdentityDraft | None, opened: OpenRelations, tables: Sequence[TableDraft], order: Sequence[str]
) -> list[str]:
    """Return what stays open about the joins of accounts: few that match, and contracts of sources that nothing joins.

    Parameters
    ----------
    identity : what `propose_identity` returned.
    opened, tables, order : as in `propose_identity`.
    """
    asked = [
        f"identity: {reason}. Are these the same companies, and the others in one source only? Else correct [identity]"
        for reason in (identity.weak if identity else ())
    ]
    groups = [{source} for source in order]
    for pair in identity.joined if identity else ():
        one = set().union(*(group for group in groups if group & set(pair)))
        groups = [*(group for group in groups if not group & one), one]
    selling = {
        source
        for source in order
        if _gives(opened, tables, source, ("accounts",)) and _gives(opened, tables, source, CONTRACTS)
    }
    apart = [group & selling for group in groups if group & selling]
    if len(apart) > 1:
        names = and_list([source for source in order if any(source in group for group in apart)])
        asked.append(
            f"identity: nothing joins the accounts of {names}, so that the contracts of each are added up. If they are "
            "the same companies, add [identity]"
        )
    return asked


def _gives(opened: OpenRelations, tables: Sequence[TableDraft], source: str, names: Sequence[str]) -> bool:
    """Return whether a source gives rows of one of some tables of the contract."""
    if any(draft.source == source and draft.guess.table in names for draft in tables):
        return True
    of_pack = [name for name in names if source in opened.queries and name in opened.queries[source].tables]
    schema = f"memory.{sql_identifier(source)}"
    return any(_count(opened.connection, f"SELECT count(*) FROM {schema}.pack_{name}") for name in of_pack)
