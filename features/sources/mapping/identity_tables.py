"""Give the rows of all sources the account ids of their companies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from features.sources.mapping.file_schema import Identity
from features.sources.mapping.identity import Companies, SourceId, SourceMatches, join_companies
from features.sources.mapping.mapping_file import Mapping as MappingFile
from features.sources.mapping.merged_accounts import MergedAccounts
from features.sources.mapping.names import QualifiedQuery
from features.sources.mapping.parts import Part, PartBuilder
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier, sql_literal
from features.utils.sql_types import id_text

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_COMPANIES, _SPINE, _USERS = "identity_companies", "identity_spine", "identity_users"
_PREFIX = "\x1f"
"""Before and after the source of an id of another source, until it is translated; no id contains it."""
_ID_COLUMNS = {"accounts": ("account_id", "parent_id")}
_USER_COLUMNS = ("user_id", "contact_id", "by")


@dataclass(frozen=True)
class IdentityQueries:
    """The queries of ``[identity]``, the users that packs give, and the sources that nothing joins.

    Parameters
    ----------
    rules : the rules.
    accounts : the query of ``accounts``, if given.
    users : for each query of users: the part that reads it, with the source of its account ids.
    apart : without ``accounts``, the sources with accounts if there are several. Equal ids of them are different
        companies.
    merged : the part that reads which accounts of a source were merged into others; None for none.
    """

    rules: Identity
    accounts: QualifiedQuery | None
    users: tuple[Part, ...] = ()
    apart: frozenset[str] = frozenset()
    merged: Part | None = None

    @property
    def translates(self) -> bool:
        """Whether account ids are translated."""
        return self.accounts is not None or bool(self.apart) or self.merged is not None

    def users_for(self, part: Part) -> tuple[Part, ...]:
        """Return the users that may give rows of a part an account.

        A pack knows only the users of its own tool: the same id in another tool may be another person.
        """
        return tuple(users for users in self.users if not users.pack or users.ids == part.ids)


class IdentityTables:
    """Translates the account ids of parts.

    Parameters
    ----------
    connection : the confined engine.
    mapping : the mapping, for messages.
    builder : creates temporary tables.
    """

    def __init__(self, connection: Backend, mapping: MappingFile, builder: PartBuilder) -> None:
        self._connection, self._mapping, self._builder = connection, mapping, builder
        self.notes: list[str] = []
        self.matches: tuple[SourceMatches, ...] = ()

    def translate(self, parts: Sequence[Part], queries: IdentityQueries, order: Sequence[str]) -> list[Part]:
        """Return the parts with the account ids of the companies.

        Parameters
        ----------
        parts : created parts.
        queries : the rules.
        order : the sources, the one whose ids are preferred first.

        Raises
        ------
        SignalsError
            If a query does not run, or accounts are merged although ``shared`` is ``error``.
        """
        parts = self._with_users(parts, queries)
        if not queries.translates:
            return list(parts)
        left = MergedAccounts(self._connection, self._mapping, self._builder)
        if queries.merged is not None:
            parts = left.apply(parts, queries.merged, apart=bool(queries.apart or queries.accounts))
            self.notes += left.notes
        if queries.accounts is None:
            apart = join_companies({each: self._ids(each, parts) for each in order if each in queries.apart}, [], [])
            self._note_renamed(apart, '; [identity], or ids = "SOURCE" in a table, says which are the same')
            self._store_companies(left.added_to(apart.account_ids))
            return [self._translated(part, queries.rules) for part in parts]
        columns, links = self._links(queries.accounts, order)
        links = left.translated(links, columns)
        used = [source for source in order if source in columns or any(part.ids == source for part in parts)]
        companies = join_companies({source: self._ids(source, parts) for source in used}, links, columns)
        self._note(companies, queries.rules)
        self._store_companies(left.added_to(companies.account_ids))
        if queries.rules.unmatched == "drop":
            self._store_spine(companies)
        return [self._translated(part, queries.rules) for part in parts]

    def _with_users(self, parts: Sequence[Part], queries: IdentityQueries) -> list[Part]:
        """Fill the account ids of rows that only name a user."""
        result = list(parts)
        for users in queries.users:
            chosen = [users in queries.users_for(part) for part in result]
            if not any(chosen):
                continue
            self._create_users(users)
            result = [
                self._with_accounts_of_users(part, users, queries.translates) if its else part
                for part, its in zip(result, chosen, strict=True)
            ]
        return result

    def _create_users(self, users: Part) -> None:
        """Create the table of users, with the number of accounts of each."""
        types = {name.lower(): (name, kind) for name, kind in self._builder.describe(users).items()}
        if missing := [name for name in ("user_id", "account_id") if name not in types]:
            raise self._mapping.error(
                users.keys, f"there is no column {missing[0]}", "a SELECT of user_id and account_id", "name it with AS"
            )
        user, account = (id_text(sql_identifier(types[n][0]), types[n][1]) for n in ("user_id", "account_id"))
        try:
            self._connection.raw_sql(
                f"CREATE OR REPLACE TEMP TABLE {_USERS} AS SELECT {user} AS user_id, min({account}) AS account_id, "
                f"count(DISTINCT {account}) AS accounts FROM (\n{users.sql}\n) "
                f"WHERE ({user}) IS NOT NULL AND ({account}) IS NOT NULL GROUP BY 1"
            )
        except duckdb.Error as error:
            raise self._builder.error(users, error) from None
        if several := self._builder.count(f"SELECT count(*) FROM {_USERS} WHERE accounts > 1"):
            self.notes.append(
                f"identity: {count_of(several, 'user')} of several accounts in {_place(users)}: "
                "their rows get no account"
            )

    def _with_accounts_of_users(self, part: Part, users: Part, translated: bool) -> Part:
        types = self._builder.describe(part)
        names = [name for name in _USER_COLUMNS if name in types and part.table != "accounts"]
        if not names:
            return part
        has_account = "account_id" in types
        own = id_text("rows.account_id", types["account_id"]) if has_account else "NULL"
        unassigned = f"SELECT count(*) FROM {{}} AS rows WHERE ({own}) IS NULL"
        before = self._builder.count(unassigned.format(part.relation))
        if not before:
            return part
        user = id_text(f"rows.{sql_identifier(names[0])}", types[names[0]])
        # An id of another source has the name of its source before it until it is translated.
        ids = users.ids if translated else part.ids
        other = "users.account_id" if ids == part.ids else f"{sql_literal(_prefix(ids))} || users.account_id"
        account = f" REPLACE (coalesce({own}, {other}) AS account_id)" if has_account else f", {other} AS account_id"
        created = self._builder.update(
            part,
            f"SELECT rows.*{account} FROM {part.relation} AS rows "
            f"LEFT JOIN {_USERS} AS users ON users.user_id = {user} AND users.accounts = 1 "
            f"AND ({own}) IS NULL",
        )
        after = self._builder.count(f"SELECT count(*) FROM {created.relation} WHERE account_id IS NULL")
        self.notes.append(
            f"{part.table}: {before - after:,} of {count_of(before, 'row')}{f' of {part.ids}' if part.ids else ''} "
            f"without an account got that of their user in {_place(users)}"
        )
        return created

    def _links(self, query: QualifiedQuery, order: Sequence[str]) -> tuple[list[str], list[tuple[str | None, ...]]]:
        """Return the sources of the query's columns, and its rows."""
        part = Part("accounts", query.text, query.query.keys, query=query)
        types = self._builder.describe(part)
        known = {source.lower(): source for source in order}
        if unknown := [column for column in types if column.lower() not in known]:
            raise self._mapping.error(
                query.query.keys,
                f"the column {unknown[0]} is not the name of a source",
                f"columns named {', '.join(order)}",
                "name each column after its source: s.id AS billing",
            )
        if len(types) < 2:
            raise self._mapping.error(query.query.keys, "it has one column", "a column for each of several sources")
        chosen = ", ".join(id_text(sql_identifier(column), kind) for column, kind in types.items())
        try:
            rows = self._connection.con.execute(f"SELECT DISTINCT {chosen} FROM (\n{query.text}\n)").fetchall()
        except duckdb.Error as error:
            raise self._builder.error(part, error) from None
        return [known[column.lower()] for column in types], rows

    def _ids(self, source: str, parts: Sequence[Part]) -> list[str]:
        """Return the account ids of a source: those of its accounts, or else of all its rows."""
        own = [part for part in parts if part.ids == source]
        own = [part for part in own if part.table == "accounts"] or own
        ids: set[str] = set()
        for part in own:
            types = self._builder.describe(part)
            if "account_id" in types:
                text = id_text("account_id", types["account_id"])
                rows = self._connection.con.execute(f"SELECT DISTINCT {text} FROM ({part.sql})").fetchall()
                ids |= {each for (each,) in rows if each is not None and not each.startswith(_PREFIX)}
        return sorted(ids)

    def _note(self, companies: Companies, rules: Identity) -> None:
        self.matches = companies.matches
        for match in companies.matches:
            text = (
                f"identity: {match.matched:,} of {count_of(match.accounts, 'account')} of {match.source} "
                f"have a partner in another source, {match.accounts - match.matched:,} have none"
            )
            if match.absent:
                text += f"; {count_of(match.absent, 'linked id')} of {match.source} are not among its accounts"
            self.notes.append(text)
            if match.merged and rules.shared == "error":
                raise self._mapping.error(
                    ("identity", "shared"),
                    f"{count_of(match.merged, 'account')} of {match.source} would be merged into another one of "
                    f"{match.source}, because an account of another source joins them",
                    "at most one account of each source in a company",
                    'correct identity.accounts, or set shared = "merge"',
                )
            if match.merged:
                self.notes.append(
                    f"identity: {count_of(match.merged, 'account')} of {match.source} merged into another one of "
                    f"{match.source}, because another source joins them"
                )
        self._note_renamed(companies)

    def _note_renamed(self, companies: Companies, cure: str = "") -> None:
        if companies.renamed:
            self.notes.append(
                f"identity: {count_of(companies.renamed, 'account')} whose id another source uses for another company "
                f"have the name of their source before the id{cure}"
            )

    def _store_companies(self, account_ids: Mapping[SourceId, str]) -> None:
        items = list(account_ids.items())
        table = pa.table(
            {
                "source": pa.array([source for (source, _), _ in items], pa.string()),
                "id": pa.array([each for (_, each), _ in items], pa.string()),
                "account_id": pa.array([name for _, name in items], pa.string()),
            }
        )
        self._store(_COMPANIES, table)

    def _store_spine(self, companies: Companies) -> None:
        self._store(_SPINE, pa.table({"account_id": pa.array(sorted(companies.spine_ids), pa.string())}))

    def _store(self, name: str, table: pa.Table) -> None:
        self._connection.con.register("identity_rows", table)
        try:
            self._connection.con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM identity_rows")
        finally:
            self._connection.con.unregister("identity_rows")

    def _translated(self, part: Part, rules: Identity) -> Part:
        """Return the part with the account ids of companies."""
        types = self._builder.describe(part)
        names = [name for name in _ID_COLUMNS.get(part.table, ("account_id",)) if name in types]
        if not names:
            return part
        joins, replaced = [], []
        for i, name in enumerate(names):
            given = id_text(f"rows.{name}", types[name])
            prefixed = f"starts_with({given}, '{_PREFIX}')"
            source = f"CASE WHEN {prefixed} THEN split_part({given}, '{_PREFIX}', 2) ELSE {sql_literal(part.ids)} END"
            own = f"CASE WHEN {prefixed} THEN split_part({given}, '{_PREFIX}', 3) ELSE {given} END"
            joins.append(f"LEFT JOIN {_COMPANIES} AS c{i} ON c{i}.source = {source} AND c{i}.id = {own}")
            replaced.append(f"coalesce(c{i}.account_id, {own}) AS {name}")
        sql = f"SELECT rows.* REPLACE ({', '.join(replaced)}) FROM {part.relation} AS rows {' '.join(joins)}"
        if rules.unmatched == "keep" or part.table != "accounts":
            return self._builder.update(part, sql)
        before = self._builder.count(f"SELECT count(*) FROM {part.relation}")
        created = self._builder.update(
            part, f"SELECT * FROM ({sql}) WHERE account_id IN (SELECT account_id FROM {_SPINE})"
        )
        if dropped := before - self._builder.count(f"SELECT count(*) FROM {created.relation}"):
            self.notes.append(f"accounts: {count_of(dropped, 'row')} of {part.ids} left out (not in the spine)")
        return created


def _place(users: Part) -> str:
    """Return where a query of users comes from, in words."""
    return users.ids if users.pack else "identity.users"


def _prefix(source: str) -> str:
    return f"{_PREFIX}{source}{_PREFIX}"
