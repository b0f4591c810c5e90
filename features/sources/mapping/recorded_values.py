"""Which values of a column the sources of a table can record. What they cannot record is unknown, not zero."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingABC
from functools import reduce

from features.contract.current_contract import current_tables
from features.sources.mapping.file_schema import OTHERS, TableMapping
from features.sources.mapping.mapping_file import Mapping
from features.sources.mapping.pack_parts import pack_rules
from features.sources.mapping.parts import Part, PartBuilder

Records = MappingABC[str, frozenset[str]]


def recorded_values(
    mapping: Mapping, own: MappingABC[tuple[str, int], Part], packs: Sequence[Part], builder: PartBuilder
) -> dict[str, dict[str, frozenset[str]]]:
    """Return, by table and column, the only values that the sources of the table can record.

    Parameters
    ----------
    mapping : the mapping.
    own : its parts with a query, by table and number.
    packs : the parts of packs that it does not replace.
    builder : describes the columns of parts.

    Raises
    ------
    SignalsError
        If ``records`` names a column or a value that the contract does not have.
    """
    rules = mapping.content.tables
    for name, some in rules.items():
        for number, each in enumerate(some):
            _check(mapping, name, number, each)
    parts: defaultdict[str, list[tuple[Part, TableMapping | None]]] = defaultdict(list)
    for part in packs:
        parts[part.table].append((part, pack_rules(mapping, part.table)))
    for (name, number), part in own.items():
        parts[name].append((part, rules[name][number]))
    united = {name: united_records(_with_absent_columns(name, some, builder)) for name, some in parts.items()}
    return {name: records for name, records in united.items() if records}


def _check(mapping: Mapping, name: str, number: int, rules: TableMapping) -> None:
    contract = current_tables()[name]
    for column, values in rules.records.items():
        keys = (*mapping.table_keys(name, number), "records", column)
        if column not in contract.names:
            raise mapping.error(keys, f"there is no column {column}", f"one of {', '.join(contract.names)}")
        allowed = contract[column].values
        if allowed and (unknown := [value for value in values if value not in allowed]):
            raise mapping.error(
                keys, f"not a value of the contract: {', '.join(unknown)}", f"some of {', '.join(allowed)}"
            )


def _with_absent_columns(
    table: str, parts: Sequence[tuple[Part, TableMapping | None]], builder: PartBuilder
) -> list[Records]:
    """Return what each part can record. A part without a column records no value of it."""
    stated = [_stated(table, part, rules) for part, rules in parts]
    every = {column for records in stated for column in records}
    result: list[Records] = []
    for (part, rules), records in zip(parts, stated, strict=True):
        if open_columns := every - set(records):
            open_columns -= _columns(part, rules, builder)
        result.append({**records, **dict.fromkeys(open_columns, frozenset[str]())})
    return result


def _columns(part: Part, rules: TableMapping | None, builder: PartBuilder) -> set[str]:
    given = {name.strip().lower() for name in builder.describe(part)}
    return given if rules is None else given | set(rules.columns) | set(rules.constants)


def _stated(table: str, part: Part, rules: TableMapping | None) -> Records:
    """Return what a part can record, by its pack and by the rules of the mapping."""
    records = dict(part.records)
    if rules is None:
        return records
    for column, value in rules.constants.items():
        if _is_listed(table, column):
            records[column] = frozenset({str(value)})
    for column, meanings in rules.values.items():
        values = frozenset(str(value) for value in meanings.values() if value != "")
        if OTHERS in meanings and _is_listed(table, column):
            records[column] = values
        elif column in records:
            named = {given.strip().lower() for given in meanings}
            records[column] = values | {value for value in records[column] if value.lower() not in named}
    for column, some in rules.records.items():
        # A value that `values` gives can be recorded, also if it was added later.
        records[column] = frozenset(some) | {str(v) for v in rules.values.get(column, {}).values() if v != ""}
    return records


def _is_listed(table: str, column: str) -> bool:
    """Return whether the contract lists the values of a column."""
    contract = current_tables()[table]
    return column in contract.names and bool(contract[column].values)


def united_records(parts: Sequence[Records]) -> dict[str, frozenset[str]]:
    """Return what several sources of one table can record together: any value, unless all of them list theirs."""
    if not parts:
        return {}
    shared = reduce(lambda a, b: a & b, (set(part) for part in parts))
    return {column: frozenset().union(*(part[column] for part in parts)) for column in sorted(shared)}


def unrecorded_notes(records: MappingABC[str, Records]) -> Iterator[str]:
    """Yield a note for each column with values of the contract that no source records."""
    for table, columns in records.items():
        for column, values in columns.items():
            allowed = current_tables()[table][column].values if table in current_tables() else ()
            if missing := [value for value in allowed if value not in values]:
                yield (
                    f"{table}: the source cannot record the {column} {', '.join(missing)}; "
                    "what counts them is unknown, not zero"
                )
