"""The SELECT of each contract table of a pack over given tables, and its assumptions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from features.errors import SignalsError
from features.packs.inputs import BoundInput, Relation, bind_input, input_sql, other_values_sql, unreadable_sql
from features.packs.options import option_values, with_literals, with_names
from features.packs.pack import Pack
from features.packs.schema import DROP, OPTION, Derived, InputColumn, OptionValue, PackTable
from features.packs.value_meanings import Given, Meanings, value_meanings
from features.utils.currencies import minor_units_table
from features.utils.formatting import count_of
from features.utils.select_statement import QueryError, Select, parse_select
from features.utils.sql_text import sql_identifier

MINOR_UNITS = "minor_units"
"""An input of every pack: ``currency`` and ``units``, for currencies that do not have 100 minor units."""
_COUNT = re.compile(r"\{n:([^{}]+)\}")


@dataclass(frozen=True)
class AssumptionQuery:
    """An assumption of a pack.

    Parameters
    ----------
    text : the sentence with its placeholders.
    query : the SELECT of its count; empty if it always holds.
    finding : whether it concerns values that the pack does not understand, so that every check shows it.
    asks : the option that answers it; empty if it is no question.
    """

    text: str
    query: str = ""
    finding: bool = False
    asks: str = ""

    def sentence(self, row: Mapping[str, object]) -> str:
        """Return the sentence for the ``row`` of the query; empty if the count is zero."""
        given = row.get("n")
        count = 1 if not self.query else given if isinstance(given, int) else 0
        if not count:
            return ""
        text = _COUNT.sub(lambda match: count_of(count, match[1]), self.text)
        return text.replace("{n}", f"{count:,}").format_map({name: row[name] or "" for name in row})


@dataclass(frozen=True)
class PackQueries:
    """A pack over given tables.

    Parameters
    ----------
    pack : the pack.
    tables : the SELECT of each contract table that the tables can fill.
    accounts : the SELECT of account ids and keys that other tools may share; empty if none.
    users : the SELECT that maps users to accounts; empty if none.
    data_through : the SELECT of the instant up to which the export certainly reaches; empty if unknown.
    assumptions : what to state, with counts.
    inputs : the table that each input reads; empty if there is none.
    omitted : the contract tables that the given tables cannot fill.
    records : by contract table and column, the only values that the given tables can record.
    counted : the tables of which only the values are counted that the pack does not know.
    """

    pack: Pack
    tables: dict[str, str]
    accounts: str
    users: str
    data_through: str
    assumptions: tuple[AssumptionQuery, ...]
    inputs: dict[str, str]
    omitted: tuple[str, ...]
    records: dict[str, dict[str, frozenset[str]]] = field(default_factory=dict)
    counted: frozenset[str] = frozenset()

    @property
    def tables_read(self) -> frozenset[str]:
        """The given tables that the queries read."""
        return frozenset(filter(None, self.inputs.values())) | self.counted


def pack_queries(
    pack: Pack,
    relations: Sequence[Relation],
    options: Mapping[str, object] | None = None,
    meanings: Given | None = None,
) -> PackQueries:
    """Build the queries of a pack.

    Parameters
    ----------
    pack : the pack.
    relations : the tables of the source.
    options : the user's values of the pack's options.
    meanings : by table and column, the known value that each value stands for that the pack does not know.

    Raises
    ------
    SignalsError
        If a required table or column is missing, an option is not valid or names a column that does not exist, or a
        query is not allowed.
    """
    values = option_values(pack, options or {})
    return _Builder(pack, relations, values, value_meanings(pack, meanings or {}, values)).queries()


@lru_cache(maxsize=1000)
def _parsed(sql: str) -> Select:
    """Parse a query; the same pack is often used again in one process."""
    return parse_select(sql)


class _Builder:
    def __init__(
        self, pack: Pack, relations: Sequence[Relation], values: Mapping[str, OptionValue], meanings: Meanings
    ) -> None:
        self.pack, self.values, self.meanings = pack, values, meanings
        self.bound = {name: bind_input(pack, name, relations, values) for name in pack.file.inputs}
        self.available: dict[str, bool] = {}
        for name in self.bound:
            self._is_available(name, ())

    def queries(self) -> PackQueries:
        file = self.pack.file
        self._check_required()
        self._check_options()
        tables = {name: sql for name, each in file.tables.items() if (sql := self._table(f"tables.{name}", each))}
        assumptions = [
            AssumptionQuery(
                each.text,
                self._query(f"assumptions.{n}", Derived(query=each.query)) if each.query else "",
                each.finding,
                each.asks,
            )
            for n, each in enumerate(file.assumptions, 1)
        ]
        assumptions += [finding for name in self.bound if self.available[name] for finding in self._other_values(name)]
        unread = [each for name in self.bound for each in self._values_unread(name)]
        assumptions += [finding for _, finding in unread]
        for bound in self.bound.values():
            if bound.relation is not None and (sql := unreadable_sql(bound)):
                table = re.sub("[{}]", "", bound.relation.name)
                text = f"{{n:value}} of the table {table} unreadable, and so unknown: {{columns}}."
                assumptions.append(AssumptionQuery(text, sql))
            if bound.relation is not None and (sql := unreadable_sql(bound, far=True)):
                table = re.sub("[{}]", "", bound.relation.name)
                text = f"{{n:value}} of the table {table} from the year 2200 on, read as no date: {{columns}}."
                assumptions.append(AssumptionQuery(text, sql))
        accounts = self._table("identity.accounts", file.identity.accounts)
        users = self._table("identity.users", file.identity.users)
        through = Derived(query=file.data_through) if file.data_through else None
        data_through = self._query("data_through", through) if through else ""
        inputs = {name: bound.relation.name if bound.relation else "" for name, bound in self.bound.items()}
        omitted = tuple(name for name in file.tables if name not in tables)
        records = {name: self._records(file.tables[name]) for name in tables if file.tables[name].records}
        counted = frozenset(table for table, _ in unread)
        return PackQueries(
            self.pack, tables, accounts, users, data_through, tuple(assumptions), inputs, omitted, records, counted
        )

    def _records(self, table: PackTable) -> dict[str, frozenset[str]]:
        """Return the values of columns that the inputs and options allow."""
        return {
            column: frozenset(value for value, needs in values.items() if not needs or self._is_recorded(needs))
            for column, values in table.records.items()
        }

    def _is_recorded(self, needs: Iterable[str]) -> bool:
        chosen = [need.removeprefix(OPTION) for need in needs if need.startswith(OPTION)]
        others = [need for need in needs if not need.startswith(OPTION)]
        return any(self.values[option] for option in chosen) or self._any(others)

    def _is_available(self, name: str, path: tuple[str, ...]) -> bool:
        """Return whether the input has a table, or a query over inputs that are available."""
        if name in path:
            raise self._error(f"inputs.{name}.otherwise", "it refers to itself", "other inputs")
        if name not in self.available:
            bound = self.bound[name]
            available = bound.relation is not None
            if not available and (derived := bound.input.otherwise):
                place = f"inputs.{name}.otherwise"
                names = self._references(place, derived.query)
                for each in names:
                    self._is_available(each, (*path, name))
                available = self._any(derived.needs or names)
                if not available:
                    self.bound[name] = BoundInput(
                        bound.input.model_copy(update={"otherwise": None}), None, {}, bound.lacking
                    )
            self.available[name] = available
        return self.available[name]

    def _any(self, needs: Iterable[str]) -> bool:
        """Return whether any of the inputs, or of their columns, exists."""
        for need in needs:
            name, _, column = need.partition(".")
            bound = self.bound.get(name)
            if bound is None or (column and column not in bound.input.columns):
                raise self._error("needs", f"there is no input {need}", "input or input.column")
            if self.available[name] and (not column or not bound.relation or column in bound.expressions):
                return True
        return False

    def _table(self, place: str, table: PackTable | None) -> str:
        """Return the SELECT of a table without the columns that are unknown; empty if its inputs do not exist."""
        if table is None or not self._any(table.needs or self._references(place, table.query)):
            return ""
        return self._query(place, table, [c for c, of in table.optional.items() if not self._any(of)])

    def _references(self, place: str, query: str) -> list[str]:
        """Return the inputs that a query reads, each as often as it reads it."""
        sql = with_literals(query, self.values, f"{self.pack.origin}: {place}")
        try:
            names = [str(reference) for reference in _parsed(sql).references]
        except QueryError as error:
            raise self._error(place, error.found, error.expected, error.cure) from None
        if unknown := [name for name in names if name not in self.bound and name != MINOR_UNITS]:
            raise self._error(place, f"it reads {unknown[0]}, which is not an input", f"one of {', '.join(self.bound)}")
        return [name for name in names if name != MINOR_UNITS]

    def _other_values(self, name: str) -> Iterator[AssumptionQuery]:
        """Yield a finding for each column of an input with a list of values: how many rows have another one."""
        bound, place = self.bound[name], f"inputs.{name}"
        derived = bound.input.otherwise if bound.relation is None else None
        common: dict[str, str] = {}
        uses: Counter[str] = Counter()
        counts = other_values_sql(bound, self.values, f"{self.pack.origin}: {place}", self.meanings.get(name))
        if derived and counts:
            uses.update(self._references(f"{place}.otherwise", derived.query))
            self._collect(f"{place}.otherwise", derived.query, common, uses)
        tables = " or ".join(sorted(re.sub("[{}]", "", table) for table in self._tables_of(name)))
        for column, sql in counts.items():
            about = bound.input.columns[column]
            landed = re.sub("[{}]", "", _given_name(bound, column, self.values))
            text = f"{{n:row}} of {tables} whose {landed} the pack does not know: {effect_of_others(about)}."
            yield AssumptionQuery(text, _with_common(sql, common, uses), finding=True)

    def _values_unread(self, name: str) -> Iterator[tuple[str, AssumptionQuery]]:
        """Yield the same findings, with their tables, for those in place of which another one is read."""
        read = {bound.relation.name for bound in self.bound.values() if bound.relation is not None}
        for bound in self.bound[name].unread:
            assert bound.relation is not None
            if bound.relation.name in read:
                continue
            place = f"{self.pack.origin}: inputs.{name}"
            for column, sql in other_values_sql(bound, self.values, place, self.meanings.get(name)).items():
                landed = re.sub("[{}]", "", _given_name(bound, column, self.values))
                table, instead = (re.sub("[{}]", "", each) for each in (bound.relation.name, *self._tables_of(name)))
                text = f"{{n:row}} of {table} whose {landed} the pack does not know: {instead} is read instead."
                yield bound.relation.name, AssumptionQuery(text, sql, finding=True)

    def _tables_of(self, name: str) -> set[str]:
        """Return the tables of the source that an input reads."""
        bound = self.bound[name]
        if bound.relation is not None:
            return {bound.relation.name}
        references = (
            self._references(f"inputs.{name}.otherwise", bound.input.otherwise.query) if bound.input.otherwise else ()
        )
        return {table for each in references for table in self._tables_of(each)}

    def _query(self, place: str, table: Derived, left_out: Sequence[str] = ()) -> str:
        sql = with_literals(table.query, self.values, f"{self.pack.origin}: {place}").strip()
        if left_out:
            sql = f"SELECT * EXCLUDE ({', '.join(map(sql_identifier, left_out))}) FROM (\n{sql}\n)"
        common: dict[str, str] = {}
        uses = Counter(self._references(place, table.query))
        self._collect(place, table.query, common, uses)
        return _with_common(sql, common, uses)

    def _collect(self, place: str, query: str, common: dict[str, str], uses: Counter[str]) -> None:
        """Add the inputs that a query reads to ``common``, those that others need first, and count their ``uses``."""
        for name in self._references(place, query):
            if name not in common:
                bound, where = self.bound[name], f"inputs.{name}"
                if bound.relation is None and bound.input.otherwise:
                    uses.update(self._references(f"{where}.otherwise", bound.input.otherwise.query))
                    self._collect(f"{where}.otherwise", bound.input.otherwise.query, common, uses)
                place_of_input = f"{self.pack.origin}: {where}"
                common[name] = input_sql(bound, self.values, place_of_input, self.meanings.get(name))

    def _check_required(self) -> None:
        for name, bound in self.bound.items():
            if bound.input.required and not self.available[name]:
                names = ", ".join(with_names(bound.input.names, self.values))
                if bound.lacking:
                    table, columns = bound.lacking[0]
                    raise SignalsError(
                        f"the pack {self.pack.name} cannot read the table {table}: "
                        f"it has no column {', '.join(columns)}",
                        f"{columns[0]}, or one of its other names: "
                        + ", ".join(bound.input.columns[columns[0]].names or (columns[0],)),
                        "let the loader sync this column, or map the table by hand",
                    )
                raise SignalsError(
                    f"the pack {self.pack.name} needs the table {name}, which is missing",
                    f"a table named {names}",
                    "let the loader sync this table, or remove pack and map the tables by hand",
                )

    def _check_options(self) -> None:
        for option, about in self.pack.file.options.items():
            value = self.values[option]
            if about.type not in ("column", "table") or not value or self._is_used(option, str(value)):
                continue
            raise SignalsError(
                f"the option {option} of the pack {self.pack.name} names a {about.type} that does not exist: {value}",
                f"the name of a {about.type} of the source",
                "check the spelling",
            )

    def _is_used(self, option: str, value: str) -> bool:
        """Return whether an input reads the table, or a column, that the option names."""
        placeholder = "{" + option + "}"
        for bound in self.bound.values():
            if bound.relation is None:
                continue
            if placeholder in bound.input.names and bound.relation.name.lower() == value.lower():
                return True
            spellings = {name.lower() for name in bound.relation.columns}
            named = [n for about in bound.input.columns.values() for n in about.names if placeholder in n]
            if any(n.replace(placeholder, value).partition(".")[0].lower() in spellings for n in named):
                return True
        return not any(
            placeholder in name
            for bound in self.bound.values()
            for name in (*bound.input.names, *(n for c in bound.input.columns.values() for n in c.names))
        )

    def _error(self, place: str, found: str, expected: str = "", cure: str = "") -> SignalsError:
        return SignalsError(f"the pack {self.pack.origin}: {place} cannot be used: {found}", expected, cure)


def _with_common(sql: str, common: Mapping[str, str], uses: Counter[str]) -> str:
    """Return a query with the inputs that it reads, directly or through others.

    Parameters
    ----------
    sql : the query.
    common : the SELECT of each input, those that others need first.
    uses : how often each is read.
    """
    if MINOR_UNITS in sql or any(MINOR_UNITS in each for each in common.values()):
        common = {MINOR_UNITS: minor_units_table(), **common}
    # Without materialization, the engine may compute an input again for every use, and inputs of inputs more often.
    listed = ",\n".join(
        f"{sql_identifier(name)} AS {'MATERIALIZED ' if uses[name] > 1 else ''}(\n{text}\n)"
        for name, text in common.items()
    )
    if not listed:
        return sql
    if re.match(r"WITH\s", sql, re.IGNORECASE):
        return f"WITH {listed},\n{sql[4:].lstrip()}"
    return f"WITH {listed}\n" + (sql if re.match(r"SELECT\s", sql, re.IGNORECASE) else f"SELECT * FROM (\n{sql}\n)")


def _given_name(bound: BoundInput, column: str, values: Mapping[str, OptionValue]) -> str:
    """Return the name of a column in the table that the input reads."""
    if bound.relation is None:
        return column
    names = with_names(bound.input.columns[column].names or (column,), values)
    spellings = {name.lower() for name in bound.relation.columns}
    return next((n for n in names if {n.lower(), n.partition(".")[0].lower()} & spellings), column)


def effect_of_others(about: InputColumn) -> str:
    """Return what happens to rows whose value in a column is not in its list.

    Parameters
    ----------
    about : the column.
    """
    if about.effect:
        return about.effect
    return "left out" if about.others == DROP else f"read as {about.others}" if about.others else "read as unknown"
