"""The draft of a mapping file as TOML text."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from features.connect.inspection import Inspected
from features.connect.row_versions import RowVersions
from features.connect.table_guesses import TableGuess
from features.contract.schema import TABLES
from features.packs.inputs import Relation
from features.packs.queries import pack_queries
from features.sources.mapping.combined_tables import ADDED_FOR
from features.sources.mapping.contract_sources import contracts_key
from features.utils.sql_text import sql_identifier

SCHEMA_FILE = "renewcast.schema.json"
"""The file that the first line of a draft names, for editors."""
OPEN = "open_questions"
"""The key of the questions of a mapping that are not answered."""


@dataclass(frozen=True)
class TableDraft:
    """A table of the contract that is drafted from the names of columns.

    Parameters
    ----------
    source : the source.
    guess : what the table looks like.
    values : for columns with a list of values, the given values and their meaning.
    time : how instants are written, by column.
    where : the condition of the rows that are used; empty for all.
    gaps : what a person must say about its values.
    notes : what it assumes, in sentences with counts.
    query : the SELECT of its rows; empty if the table is read as it is.
    leaves_out : whether accounts are left out, with everything that belongs to them.
    orphans : what happens to rows of unknown accounts; empty for the default.
    latest : the versions of its rows, if there are several.
    questions : the gaps that change the number of accounts, their revenue or their renewals until they are answered.
    read : the columns that are read, by table.
    merged : for accounts, the SELECT of those that were merged into others; empty for none.
    """

    source: str
    guess: TableGuess
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    time: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    where: str = ""
    gaps: Sequence[str] = ()
    notes: Sequence[str] = ()
    query: str = ""
    leaves_out: bool = False
    orphans: str = ""
    latest: RowVersions | None = None
    questions: Sequence[str] = ()
    read: Mapping[str, Collection[str]] = field(default_factory=dict)
    merged: str = ""


@dataclass(frozen=True)
class IdentityDraft:
    """A proposed ``[identity]``.

    Parameters
    ----------
    accounts : the SELECT of ids that are the same company.
    spine : the source whose ids are preferred.
    reasons : what each join compares, with how many accounts match.
    joined : the sources of each join.
    weak : the reasons of joins that match few accounts.
    """

    accounts: str
    spine: str
    reasons: tuple[str, ...]
    joined: tuple[tuple[str, str], ...] = ()
    weak: tuple[str, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A mapping to be written.

    Parameters
    ----------
    sources : the inspected sources.
    options : options of packs by source.
    tables : tables that no pack gives.
    identity : the proposed ``[identity]``; None for one source.
    gaps : what a person must add.
    users : the SELECT of users and their accounts; empty for none.
    merged : the SELECT of accounts that were merged into others; empty for none.
    pack_units : units of the ARR of contracts that a pack gives.
    incomplete : tables that lack a column of the contract, to be completed by hand.
    contracts : the sources whose contracts are read; empty for all.
    asked : what changes accounts, revenue or renewals until it is answered, and concerns several sources.
    """

    sources: Sequence[Inspected]
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tables: Sequence[TableDraft] = ()
    identity: IdentityDraft | None = None
    gaps: Sequence[str] = ()
    users: str = ""
    merged: str = ""
    pack_units: Sequence[str] = ()
    incomplete: Sequence[TableDraft] = ()
    contracts: Sequence[str] = ()
    asked: Sequence[str] = ()

    def text(self, folder: Path, *, expand: bool = False) -> str:
        """Return the text of the mapping in ``folder``.

        Parameters
        ----------
        folder : the folder of the file.
        expand : whether to also write the SQL of the packs, which then takes the place of theirs.
        """
        titles = " and ".join(dict.fromkeys(each.title for each in self.sources))
        blocks = [
            f"#:schema {SCHEMA_FILE}\n"
            f"# For completion in editors: renewcast connect --schema > {SCHEMA_FILE}\n"
            f"about = {_text(f'Drafted by renewcast connect from {titles}.')}\n"
        ]
        if self.questions:
            asked = "".join(f"    {_text(question)},\n" for question in self.questions)
            blocks.append(
                f"# Figures are uncertain until these are answered. Then delete them.\n{OPEN} = [\n{asked}]\n"
            )
        blocks += [self._source(each, folder) for each in self.sources]
        expanded = self._expanded() if expand else []
        blocks += [text for _, text in expanded]
        if self.pack_units and not expand:
            blocks.append(f"[tables.subscriptions]\n{self._pack_units()}\n")
        several = {table for table, _ in expanded}
        append = any(each.recognition for each in self.sources)
        blocks += [_table(each, each.guess.table in several or self._is_repeated(each), append) for each in self.tables]
        blocks += [self._skeleton(each) for each in self.incomplete]
        if gaps := [gap for gap in self.gaps if gap not in self.questions]:
            blocks.append("".join(f"# Missing: {gap}\n" for gap in gaps))
        if self.identity is not None or self.users or self.merged or self.contracts:
            blocks.append(_identity(self.identity, self.users, self.merged, self.contracts))
        return "\n".join(blocks)

    @property
    def questions(self) -> list[str]:
        """The gaps that change accounts, revenue or renewals until they are answered."""
        return [*(question for each in self.tables for question in each.questions), *self.asked]

    def _source(self, source: Inspected, folder: Path) -> str:
        lines = [f"[sources.{source.name}]", f"uri = {_text(source.uri(folder))}"]
        if source.recognition is None:
            return "\n".join(lines) + "\n"
        pack = source.recognition.pack
        lines += [f"pack = {_text(pack.name)}", f"version = {pack.file.version}"]
        given = self.options.get(source.name, {})
        lines += [f"options.{name} = {_option(value)}" for name, value in given.items()]
        others = [f"{name} = {_option(o.default)}" for name, o in pack.file.options.items() if name not in given]
        if others:
            lines += textwrap.wrap(
                f"Other options: {', '.join(others)}", 110, initial_indent="# ", subsequent_indent="#   "
            )
        return "\n".join(lines) + "\n"

    def _skeleton(self, draft: TableDraft) -> str:
        """Return the commented rules of a table that lacks columns."""
        guess = draft.guess
        source = next(each for each in self.sources if each.name == draft.source)
        pairs = [f"{column} = {_text(own)}" for column, own in guess.columns.items()]
        pairs += [f'{column} = "…"' for column in guess.missing]
        lines = [
            f"To complete, and to use without #: {', '.join(guess.missing)} of {guess.table}.",
            *textwrap.wrap(f"Columns of {guess.name}: {', '.join(source.tables.columns(guess.name))}", 110),
            f"[tables.{guess.table}]",
            f"from = {_text(f'{draft.source}.{guess.name}')}",
            f"columns = {{ {', '.join(pairs)} }}",
        ]
        return "".join(f"# {line}\n" for line in lines)

    def _expanded(self) -> list[tuple[str, str]]:
        """Return the tables of all packs by name, as queries over the tables of their sources."""
        blocks = []
        for source in self.sources:
            if source.recognition is None:
                continue
            relations = [
                Relation(name, source.tables.columns(name), f"{source.name}.{sql_identifier(name)}")
                for name in source.tables.names
            ]
            queries = pack_queries(source.recognition.pack, relations, self.options.get(source.name, {}))
            for table, sql in queries.tables.items():
                lines = [f"[[tables.{table}]]", f"ids = {_text(source.name)}", f"query = {_long_text(sql)}"]
                if table == "subscriptions" and self.pack_units:
                    lines.append(self._pack_units())
                lines += _records(table, queries.records.get(table, {}))
                if table != "accounts":
                    lines.append(f'orphans = "{"add" if table in ADDED_FOR else "drop"}"')
                blocks.append((table, "\n".join(lines) + "\n"))
        return blocks

    def _pack_units(self) -> str:
        return f"units.arr = [{', '.join(map(_text, self.pack_units))}]"

    def _is_repeated(self, draft: TableDraft) -> bool:
        """Return whether a table has several parts."""
        return sum(each.guess.table == draft.guess.table for each in self.tables) > 1


def _table(draft: TableDraft, several: bool, append: bool) -> str:
    guess = draft.guess
    head = f"[[tables.{guess.table}]]" if several else f"[tables.{guess.table}]"
    origin = f"query = {_long_text(draft.query)}" if draft.query else f"from = {_text(f'{draft.source}.{guess.name}')}"
    lines = [head, origin]
    if append:
        lines.append("append = true")
    if draft.latest is not None:
        lines.append(f"latest = {{ key = {_names(draft.latest.key)}, by = {_names(draft.latest.by)} }}")
    if draft.where:
        lines.append(f"where = {_long_text(draft.where)}")
    if guess.columns:
        pairs = ", ".join(f"{column} = {_text(given)}" for column, given in guess.columns.items())
        lines.append(f"columns = {{ {pairs} }}")
    if guess.constants:
        lines.append(f"constants = {{ {', '.join(f'{c} = {_text(v)}' for c, v in guess.constants.items())} }}")
    for column, rule in draft.time.items():
        lines.append(f"time.{column} = {{ {', '.join(f'{key} = {_text(value)}' for key, value in rule.items())} }}")
    for column, meanings in draft.values.items():
        pairs = ", ".join(f"{_text(value)} = {_text(meaning)}" for value, meaning in meanings.items())
        lines.append(f"values.{column} = {{ {pairs} }}")
    for column, units in guess.units.items():
        lines.append(f"units.{column} = [{', '.join(map(_text, units))}]")
    fixed = {column: {value} for column, value in guess.constants.items() if TABLES[guess.table][column].values}
    fixed |= {column: set(meanings.values()) - {""} for column, meanings in draft.values.items()}
    lines += _records(guess.table, fixed)
    if draft.orphans:
        lines.append(f"orphans = {_text(draft.orphans)}")
    return "\n".join(lines) + "\n"


def _names(columns: Sequence[str]) -> str:
    """Return one column as a text, several as a list."""
    return _text(columns[0]) if len(columns) == 1 else f"[{', '.join(map(_text, columns))}]"


def _records(table: str, records: Mapping[str, Collection[str]]) -> list[str]:
    """Return the lines that state which values of columns the rows can have."""
    lines = []
    for column, values in records.items():
        listed = TABLES[table][column].values or sorted(values)
        lines.append(f"records.{column} = [{', '.join(_text(value) for value in listed if value in values)}]")
    return lines


def _identity(draft: IdentityDraft | None, users: str, merged: str, contracts: Sequence[str]) -> str:
    lines = "[identity]\n"
    if draft is not None:
        reasons = "".join(f"# {reason}\n" for reason in draft.reasons)
        lines += f"{reasons}spine = {_text(draft.spine)}\naccounts = {_long_text(draft.accounts)}\n"
    if contracts:
        lines += f"{contracts_key(contracts)}\n"
    given = {"users": users, "merged": merged}
    return lines + "".join(f"{key} = {_text(query)}\n" for key, query in given.items() if query)


def _option(value: object) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(str(each)) for each in value)}]"
    return _text(str(value))


def _text(text: str) -> str:
    """Return a TOML string of one line."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _long_text(text: str) -> str:
    """Return a TOML string of several lines."""
    if "'''" in text or any(ord(c) < 32 and c not in "\n\t" for c in text):
        return _text(text)
    return f"'''\n{text}'''"
