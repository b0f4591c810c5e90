"""Columns derived from the schema of an answer.

The annotations of a field of `models.predictions.schema.Prediction` state where its values are (`FieldValues`), that it
is a field of the flat view (`FlatField`), and that it is a column of the portfolio table (`TableField`). The JSON of an
answer, the flat view, and the CSV, Parquet and NDJSON files are built from these annotations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import numpy as np
import pandas as pd
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from models.peer_groups.frame_columns import text_column

Scalar = str | float | int | bool | None
ScalarKind = Literal["text", "number", "whole", "truth", "as_is"]

_KINDS: dict[type, ScalarKind] = {str: "text", float: "number", int: "whole", bool: "truth"}


class ValueSource(NamedTuple):
    """Where values are read: the whole assessment, and the part of it that the current section is about."""

    assessment: Any
    part: Any


@dataclass(frozen=True)
class FieldValues:
    """The values of a scalar field for all accounts, in their order.

    Parameters
    ----------
    read : returns an array or sequence of length n. Every answer calls it, so it must not compute anything.
    before : the field of the same model before which the answer has this one, where that differs from the schema.
    """

    read: Callable[[ValueSource], Any]
    before: str | None = None


@dataclass(frozen=True)
class _Placed:
    """A column and its place.

    Parameters
    ----------
    name : added to the section's prefix; by default the name of the field.
    after : the column that it follows: one of the same section by its name, any other as ``/name``, or "" for the first
        of its section. By default the column before it in the schema.
    kind : the kind of its values; by default that of the field.
    """

    name: str | None = None
    after: str | None = None
    kind: ScalarKind | None = None


@dataclass(frozen=True)
class FlatField(_Placed):
    """A field of the flat view.

    Parameters
    ----------
    read : turns the field's value in an answer into a scalar; it is not called for null.
    description : by default that of the field; within `ListedFields`, ``{}`` is the item's place, from 1.
    """

    read: Callable[[Any], Scalar] | None = None
    description: str | None = None


@dataclass(frozen=True)
class TableField(_Placed):
    """A column of the portfolio table.

    Parameters
    ----------
    read : returns the values of all accounts from the section's `ValueSource`; within `ListedFields`, the value of one
        item; of a field with `ListedFields`, the value of an account's whole list. By default the field's
        `FieldValues`, or the item's attribute of the same name.
    suffixes : whether ``read`` returns several columns, by the suffix of their names.
    """

    read: Callable[[Any], Any] | None = None
    suffixes: bool = False


@dataclass(frozen=True)
class NestedFields:
    """A nested model whose fields are columns too.

    Parameters
    ----------
    part : returns the part of the assessment that the section's fields are read from; by default that of its parent.
    prefix : added to the names of its columns; by default the name of the field and an underscore.
    flat_after, table_after : the column (``/name``) that its columns follow, if not the one before them in the schema.
    """

    part: Callable[[Any], Any] | None = None
    prefix: str | None = None
    flat_after: str | None = None
    table_after: str | None = None


@dataclass(frozen=True)
class ListedFields:
    """A list of models whose first items are columns.

    Parameters
    ----------
    prefix : added to the names of its columns; ``{}`` is the item's place, from 1.
    values : returns the items of every account from the assessment; None where they are unknown.
    flat, table : how many items are columns of the flat view, and of the table.
    flat_after, table_after : the column (``/name``) that its columns follow, if not the one before them in the schema.
    """

    prefix: str
    values: Callable[[Any], Iterable[Sequence[Any] | None]]
    flat: int
    table: int
    flat_after: str | None = None
    table_after: str | None = None


@dataclass(frozen=True)
class FlatColumn:
    """A field of the flat view: its name, the kind of its value (or null), its description, and how to read it from an
    answer."""

    name: str
    kind: ScalarKind
    description: str
    read: Callable[[Mapping[str, Any]], Scalar]


@dataclass(frozen=True)
class TableColumn:
    """A column of the portfolio table: its name, the kind of its values, and how to read them from an assessment.

    Within a list of items, ``items`` returns those of every account, ``place`` is the item's place, and ``read`` reads
    the value of one item. Without a place, ``read`` reads a value from the whole list.
    """

    name: str
    kind: ScalarKind
    suffixes: bool
    read: Callable[[Any], Any]
    items: Callable[[Any], Iterable[Sequence[Any] | None]] | None = None
    place: int | None = None

    def value(self, items: Sequence[Any] | None) -> Any:
        """Return the value for an account with these items; None if it has none."""
        if self.place is None:
            return None if items is None else self.read(items)
        return self.read(items[self.place]) if items and self.place < len(items) else None


@cache
def flat_columns(schema: type[BaseModel]) -> tuple[FlatColumn, ...]:
    """The fields of the flat view of an answer, in order."""
    return tuple(_arranged(_flat_blocks(schema, "", ())))


@cache
def table_columns(schema: type[BaseModel]) -> tuple[TableColumn, ...]:
    """The columns of the portfolio table, in order."""
    return tuple(_arranged(_table_blocks(schema, "", lambda assessment: assessment)))


def flat_view(answer: Mapping[str, Any], schema: type[BaseModel], prefix: str = "") -> dict[str, Scalar]:
    """Return an answer as one flat object: every field whatever the account, ``prefix`` before each name, and null
    where a value is unknown.

    Parameters
    ----------
    answer : the nested answer.
    schema : its schema.
    prefix : a prefix for every field name.

    Returns
    -------
    dict
    """
    return {prefix + column.name: column.read(answer) for column in flat_columns(schema)}


def read_columns(assessment: Any, schema: type[BaseModel], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the columns of the portfolio table; only those of the given names if there are any.

    Text is a column of strings with nulls, whole numbers are Int64, and other numbers float64 with NaN.
    """
    chosen = None if names is None else set(names)
    items: dict[Any, list[Sequence[Any] | None]] = {}
    out: dict[str, Any] = {}
    for column in table_columns(schema):
        if chosen is not None and column.name not in chosen:
            continue
        if column.items is None:
            values = column.read(assessment)
        else:
            if column.items not in items:
                items[column.items] = list(column.items(assessment))
            values = [column.value(each) for each in items[column.items]]
        if column.suffixes:
            out |= {column.name + suffix: _typed(each, column.kind) for suffix, each in values.items()}
        else:
            out[column.name] = _typed(values, column.kind)
    return out


def fill(schema: type[BaseModel], source: ValueSource, row: int, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return one model of an account's answer as plain data for JSON, in the order of the schema.

    Parameters
    ----------
    source : where the fields with `FieldValues` are read.
    row : the account's place.
    parts : the values of all other fields.
    """
    return {
        name: parts[name] if read is None else plain(read(source)[row])
        for name, read, plain in _fields_in_order(schema)
    }


def fill_section(
    schema: type[BaseModel], name: str, assessment: Any, row: int, parts: Mapping[str, Any]
) -> dict[str, Any]:
    """`fill` for the nested model of a field.

    Parameters
    ----------
    schema : the model that contains the field.
    name : the field.
    assessment : the assessment.
    row : the row of the account.
    parts : values that are computed elsewhere, as in `fill`.

    Returns
    -------
    dict
    """
    model, part = _section_of(schema, name)
    return fill(model, ValueSource(assessment, assessment if part is None else part(assessment)), row, parts)


@cache
def _section_of(schema: type[BaseModel], name: str) -> tuple[type[BaseModel], Callable[[Any], Any] | None]:
    section = _note(schema.model_fields[name], NestedFields)
    return _nested(schema)[name], None if section is None else section.part


def number_or_null(value: float) -> float | None:
    """A number as a JSON value; null if unknown."""
    return None if math.isnan(value) else float(value)


def _whole_or_null(value: float) -> int | None:
    return None if math.isnan(value) else math.floor(value + 0.5)


def _same(value: Any) -> Any:
    return value


_PLAIN: dict[ScalarKind, Callable[[Any], Any]] = {
    "text": _same,
    "number": number_or_null,
    "whole": _whole_or_null,
    "truth": bool,
}


@cache
def _nested(schema: type[BaseModel]) -> dict[str, type[BaseModel]]:
    found = {name: list(_models(field.annotation)) for name, field in schema.model_fields.items()}
    return {name: models[0] for name, models in found.items() if models}


@cache
def _fields_in_order(
    schema: type[BaseModel],
) -> tuple[tuple[str, Callable[[ValueSource], Any] | None, Callable[[Any], Any]], ...]:
    order: list[str] = []
    sources = {name: _note(field, FieldValues) for name, field in schema.model_fields.items()}
    for name, values in sources.items():
        if values is None or values.before is None:
            order.append(name)
    for name, values in sources.items():
        if values is not None and values.before is not None:
            order.insert(order.index(values.before), name)
    out: list[tuple[str, Callable[[ValueSource], Any] | None, Callable[[Any], Any]]] = []
    for name in order:
        values = sources[name]
        if values is None:
            out.append((name, None, _same))
        else:
            out.append((name, values.read, _PLAIN[_kind(schema.model_fields[name], name)]))
    return tuple(out)


def _typed(values: Any, kind: ScalarKind) -> Any:
    if kind == "text":
        return text_column(values)
    if kind == "number" and isinstance(values, list):
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    return pd.Series(values).astype("Int64") if kind == "whole" else values


C = TypeVar("C", FlatColumn, TableColumn)
N = TypeVar("N")


class _Block(NamedTuple, Generic[C]):
    """Columns that stay together, and the one that they follow: a full name, "" for none before them, or None for the
    order of the schema. ``is_local`` is false where they leave their section."""

    after: str | None
    is_local: bool
    columns: list[C]


def _arranged(blocks: Iterable[_Block[C]]) -> list[C]:
    """Columns in the order of the schema, except for those that follow another one by name."""
    out: list[C] = []
    moved: list[_Block[C]] = []
    for block in blocks:
        if block.after is None:
            out += block.columns
        else:
            moved.append(block)
    while moved:
        names = [column.name for column in out]
        ready = next((block for block in moved if block.after == "" or block.after in names), None)
        if ready is None:
            raise ValueError(f"no column is named {', '.join(str(block.after) for block in moved)}")
        moved.remove(ready)
        place = 0 if ready.after == "" else names.index(str(ready.after)) + 1
        out[place:place] = ready.columns
    if len({column.name for column in out}) != len(out):
        raise ValueError("the schema has two columns of the same name")
    return out


def _section(blocks: Iterable[_Block[C]], after: str | None) -> Iterator[_Block[C]]:
    """The columns of a section as one block, and those that leave it."""
    every = list(blocks)
    yield _Block(
        after and after[1:], False, _arranged(block for block in every if block.after is None or block.is_local)
    )
    yield from (block for block in every if block.after is not None and not block.is_local)


def _block(note: _Placed, prefix: str, column: C) -> _Block[C]:
    if not note.after:
        return _Block(note.after, True, [column])
    if note.after.startswith("/"):
        return _Block(note.after[1:], False, [column])
    return _Block(_joined(prefix, note.after), True, [column])


def _joined(prefix: str, name: str) -> str:
    return prefix + name if name else prefix.removesuffix("_")


def _flat_blocks(schema: type[BaseModel], prefix: str, path: tuple[str | int, ...]) -> Iterator[_Block[FlatColumn]]:
    for name, field in schema.model_fields.items():
        for note in _notes(field, FlatField):
            description = note.description or field.description
            if not description:
                raise ValueError(f"{schema.__name__}.{name} has no description")
            column = FlatColumn(
                _joined(prefix, name if note.name is None else note.name),
                note.kind or _kind(field, name),
                description.format(path[-1] + 1 if path and isinstance(path[-1], int) else ""),
                _reader((*path, name), note.read),
            )
            yield _block(note, prefix, column)

        def inner(
            model: type[BaseModel], own: str, _: Any, place: int | None, at: str = name
        ) -> Iterator[_Block[FlatColumn]]:
            return _flat_blocks(model, own, (*path, at) if place is None else (*path, at, place))

        yield from _nested_blocks(schema, name, prefix, "flat", inner)


def _table_blocks(schema: type[BaseModel], prefix: str, part: Callable[[Any], Any]) -> Iterator[_Block[TableColumn]]:
    def inner(model: type[BaseModel], own: str, note: Any, place: int | None) -> Iterator[_Block[TableColumn]]:
        if place is None:
            return _table_blocks(model, own, note.part or part)
        return _item_blocks(model, own, note, place)

    for name, field in schema.model_fields.items():
        values, listed = _note(field, FieldValues), _note(field, ListedFields)
        for note in _notes(field, TableField):
            read = note.read or (None if values is None else values.read)
            if read is None:
                raise ValueError(f"{schema.__name__}.{name} does not say where its values are")
            column = TableColumn(
                _joined(prefix, name if note.name is None else note.name),
                note.kind or _kind(field, name),
                note.suffixes,
                _from_assessment(read, part) if listed is None else read,
                None if listed is None else listed.values,
            )
            yield _block(note, prefix, column)
        yield from _nested_blocks(schema, name, prefix, "table", inner)


def _nested_blocks(
    schema: type[BaseModel],
    name: str,
    prefix: str,
    view: Literal["flat", "table"],
    blocks: Callable[..., Iterator[_Block[C]]],
) -> Iterator[_Block[C]]:
    """The columns of a field's nested model, or of the first items of its list; none if it is neither.

    ``blocks`` returns the columns of one model, given the model, their prefix, the field's `NestedFields` or
    `ListedFields`, and the place of an item in its list, None for a nested model.
    """
    field, model = schema.model_fields[name], _nested(schema).get(name)
    items, section = _note(field, ListedFields), _note(field, NestedFields) or NestedFields()
    if model is not None and items is not None:
        places = range(getattr(items, view))
        each = (_section(blocks(model, items.prefix.format(k + 1) + "_", items, k), None) for k in places)
        yield from _section(chain.from_iterable(each), getattr(items, f"{view}_after"))
    elif model is not None and not _is_list(field):
        own = f"{prefix}{name}_" if section.prefix is None else section.prefix
        yield from _section(blocks(model, own, section, None), getattr(section, f"{view}_after"))


def _item_blocks(model: type[BaseModel], prefix: str, items: ListedFields, place: int) -> Iterator[_Block[TableColumn]]:
    for name, field in model.model_fields.items():
        for note in _notes(field, TableField):
            full = _joined(prefix, name if note.name is None else note.name)
            kind, read = note.kind or _kind(field, name), note.read or attrgetter(name)
            yield _block(note, prefix, TableColumn(full, kind, False, read, items.values, place))


def _from_assessment(read: Callable[[ValueSource], Any], part: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda assessment: read(ValueSource(assessment, part(assessment)))


def _reader(path: tuple[str | int, ...], read: Callable[[Any], Scalar] | None) -> Callable[[Mapping[str, Any]], Scalar]:
    """Read the value at a path of an answer; null where the path ends early."""

    def at(answer: Mapping[str, Any]) -> Scalar:
        value: Any = answer
        for step in path:
            if value is None:
                return None
            value = None if isinstance(step, int) and step >= len(value) else value[step]
        scalar: Scalar = value if read is None or value is None else read(value)
        return scalar

    return at


def _notes(field: FieldInfo, kind: type[N]) -> list[N]:
    return [note for note in field.metadata if isinstance(note, kind)]


def _note(field: FieldInfo, kind: type[N]) -> N | None:
    return next(iter(_notes(field, kind)), None)


def _types(annotation: Any) -> Iterator[Any]:
    """The types of an annotation, without None: those of a union, of an `Annotated`, and of a list's items."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from _types(each)
    elif origin is Annotated:
        yield from _types(get_args(annotation)[0])
    elif origin is Literal:
        yield from {type(value) for value in get_args(annotation)}
    elif annotation is not type(None):
        yield annotation


def _is_list(field: FieldInfo) -> bool:
    return any(get_origin(each) is list for each in _types(field.annotation))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    for each in _types(annotation):
        if get_origin(each) is list:
            yield from _models(get_args(each)[0])
        elif isinstance(each, type) and issubclass(each, BaseModel):
            yield each


def _kind(field: FieldInfo, name: str) -> ScalarKind:
    kinds = {_KINDS[each] for each in _types(field.annotation) if each in _KINDS}
    if len(kinds) != 1:
        raise ValueError(f"the type of {name} is no single scalar type, so its columns need a kind")
    return kinds.pop()
