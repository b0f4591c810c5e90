"""Compile expressions of Ibis into steps over columns. Equal parts of different expressions are computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from typing import Any

import ibis
import ibis.expr.operations as ops
import numpy as np
import pyarrow as pa

from features.sources.memory import functions, relations
from features.sources.memory.columns import Column, Groups, UnsupportedError, groups_of
from features.utils.dates import epoch_micros


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns and its number of rows."""

    columns: dict[str, Column]
    rows: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the slots of its operands, its function, and the tables that its result depends on."""

    slot: int
    operands: tuple[int, ...]
    run: Callable[..., Any]
    tables: frozenset[str]
    table: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of an expression in order, and the slots of its columns and of its number of rows."""

    steps: tuple[Step, ...]
    columns: tuple[tuple[str, int, pa.DataType], ...]
    rows: int


_SLOTS = count()
"""Slots are never used again, so that a request may run plans of an earlier program."""


class Program:
    """The steps of all expressions that were compiled."""

    def __init__(self) -> None:
        self.steps: dict[int, Step] = {}
        self._slots: dict[Any, int] = {}

    def plan(self, expression: ibis.Table) -> Plan:
        """Compile an expression.

        Raises
        ------
        UnsupportedError
            If it has an operation that this engine does not evaluate.
        """
        relation, schema = expression.op(), expression.schema()
        columns = tuple((name, self._field(relation, name), _arrow_type(kind)) for name, kind in schema.items())
        rows = self._rows(relation)
        needed: set[int] = set()
        waiting = [rows, *(slot for _, slot, _ in columns)]
        while waiting:
            slot = waiting.pop()
            if slot not in needed:
                needed.add(slot)
                waiting += self.steps[slot].operands
        # Operands are always added before the steps that use them.
        return Plan(tuple(self.steps[slot] for slot in sorted(needed)), columns, rows)

    def _step(self, key: Any, operands: Sequence[int], run: Callable[..., Any], table: str = "") -> int:
        tables = frozenset({table} if table else ()).union(*(self.steps[slot].tables for slot in operands))
        slot = self._slots[key] = next(_SLOTS)
        self.steps[slot] = Step(slot, tuple(operands), run, tables, table)
        return slot

    def _value(self, op: Any, relation: Any) -> int:
        """Return the slot of a value in the rows of ``relation``."""
        joined = isinstance(relation, ops.JoinChain)
        if isinstance(op, ops.Field):
            if isinstance(op.rel, ops.JoinReference):
                return self._joined(op, relation, len(relation.rest))
            return self._field(op.rel, op.name)
        key = ("value", op, relation) if joined or _needs_rows(op) else op
        if key in self._slots:
            return self._slots[key]
        if isinstance(op, ops.Literal):
            constant = _literal(op)
            return self._step(key, (), lambda: constant)
        if isinstance(op, ops.WindowFunction):
            return self._window(key, op, relation)
        if isinstance(op, ops.InSubquery):
            return self._in_subquery(key, op, relation)
        run, arguments = _function(op)
        places = [self._value(arg, relation) for arg in arguments]
        return self._step(key, places, run)

    def _field(self, relation: Any, name: str) -> int:
        """Return the slot of a column of a relation."""
        key = ("field", relation, name)
        if key in self._slots:
            return self._slots[key]
        match relation:
            case ops.UnboundTable():
                return self._step(key, (), lambda table: table.columns[name], relation.name)
            case ops.JoinReference() | ops.DropColumns():
                return self._field(relation.parent, name)
            case ops.Project():
                return self._value(relation.values[name], relation.parent)
            case ops.Filter():
                return self._step(key, (self._field(relation.parent, name), self._filter(relation)), Column.take)
            case ops.JoinChain():
                return self._value(relation.values[name], relation)
            case ops.Aggregate():
                if name in relation.groups:
                    operands = self._value(relation.groups[name], relation.parent), self._groups(relation)
                    return self._step(key, operands, lambda column, groups: column.take(groups.firsts))
                return self._metric(key, relation.metrics[name], relation)
            case ops.Distinct():
                operands = self._field(relation.parent, name), self._groups(relation)
                return self._step(key, operands, lambda column, groups: column.take(groups.firsts))
            case ops.Union():
                parts = relation.left, relation.right
                stacked = [slot for part in parts for slot in (self._field(part, name), self._rows(part))]
                return self._step(key, stacked, lambda a, n, b, m: relations.concatenated([(a, n), (b, m)]))
        raise UnsupportedError(type(relation).__name__)

    def _rows(self, relation: Any) -> int:
        """Return the slot of the number of rows of a relation."""
        key = ("rows", relation)
        if key in self._slots:
            return self._slots[key]
        match relation:
            case ops.UnboundTable():
                return self._step(key, (), lambda table: table.rows, relation.name)
            case ops.JoinReference() | ops.DropColumns() | ops.Project():
                return self._rows(relation.parent)
            case ops.Filter():
                return self._step(key, (self._filter(relation),), len)
            case ops.JoinChain():
                operands = (self._rows(relation.first.parent), self._join(relation, len(relation.rest)))
                return self._step(key, operands, lambda rows, places: rows if places[0] is None else len(places[0]))
            case ops.Aggregate() | ops.Distinct():
                return self._step(key, (self._groups(relation),), lambda groups: groups.n)
            case ops.Union():
                return self._step(key, (self._rows(relation.left), self._rows(relation.right)), lambda a, b: a + b)
        raise UnsupportedError(type(relation).__name__)

    def _filter(self, relation: Any) -> int:
        """Return the slot of the rows that a filter keeps."""
        key = ("filter", relation)
        if key in self._slots:
            return self._slots[key]
        operands = [self._rows(relation.parent), *(self._value(each, relation.parent) for each in relation.predicates)]

        def kept(rows: int, *predicates: Column) -> Any:
            mask = np.ones(rows, dtype=np.bool_)
            for predicate in predicates:
                mask &= predicate.true()
            return np.flatnonzero(mask)

        return self._step(key, operands, kept)

    def _groups(self, relation: Any) -> int:
        """Return the slot of the groups of an aggregate, or of the distinct rows."""
        parent = relation.parent
        if isinstance(relation, ops.Aggregate):
            keys = [self._value(value, parent) for value in relation.groups.values()]
        else:
            keys = [self._field(parent, name) for name in relation.schema.names]
        key = ("groups", parent, tuple(keys))
        if key in self._slots:
            return self._slots[key]
        if not keys:
            whole = np.zeros(1, dtype=np.int64)
            return self._step(key, (self._rows(parent),), lambda rows: Groups(np.zeros(rows, np.int64), whole, 1))
        return self._step(key, (self._rows(parent), *keys), lambda rows, *columns: groups_of(columns, rows))

    def _metric(self, key: Any, metric: Any, relation: Any) -> int:
        if not isinstance(metric, ops.Reduction):
            return self._of_metrics(key, metric, relation)
        run, parent = relations.aggregate(metric), relation.parent
        operands = [self._groups(relation), self._rows(parent)]
        # The operand of a count of rows is the table.
        given = [None if isinstance(arg, ops.Relation) else arg for arg in metric.args]
        slots = [None if arg is None else self._value(arg, parent) for arg in given]
        operands += [slot for slot in slots if slot is not None]

        def aggregated(groups: Groups, rows: int, *columns: Column) -> Column:
            remaining = iter(columns)
            return run(groups, rows, *(None if slot is None else next(remaining) for slot in slots))

        return self._step(key, operands, aggregated)

    def _of_metrics(self, key: Any, op: Any, relation: Any) -> int:
        """Return the slot of a function of aggregates."""
        if isinstance(op, ops.Reduction):
            inner = ("metric", op, relation)
            return self._slots[inner] if inner in self._slots else self._metric(inner, op, relation)
        if isinstance(op, ops.Literal):
            return self._value(op, relation)
        run, arguments = _function(op)
        operands = [self._of_metrics(("metric", arg, relation), arg, relation) for arg in arguments]
        return self._step(key, operands, run)

    def _join(self, chain: Any, links: int) -> int:
        """Return the slot of the rows of each table after the first ``links`` joins of a chain."""
        key = ("join", chain, links)
        if key in self._slots:
            return self._slots[key]
        if not links:
            return self._step(key, (), lambda: (None,))
        link = chain.rest[links - 1]
        before = self._join(chain, links - 1)
        pairs = []
        for predicate in link.predicates:
            if not isinstance(predicate, ops.Equals):
                raise UnsupportedError("a join by another condition than equality")
            sides = [predicate.left, predicate.right]
            if any(not isinstance(side, ops.Field) for side in sides):
                raise UnsupportedError("a join by expressions")
            own = next(side for side in sides if side.rel == link.table)
            other = next(side for side in sides if side is not own)
            pairs += [self._joined(other, chain, links - 1), self._field(own.rel.parent, own.name)]
        how, operands = link.how, [self._rows(chain.first.parent), before, self._rows(link.table.parent), *pairs]

        def join(first_rows: int, places: tuple[Any, ...], other_rows: int, *columns: Column) -> tuple[Any, ...]:
            rows = first_rows if places[0] is None else len(places[0])
            own, other = relations.joined_rows(
                how, list(zip(columns[::2], columns[1::2], strict=True)), rows, other_rows
            )
            if own is not None:
                places = tuple(own if place is None else place[own] for place in places)
            return (*places, other)

        return self._step(key, operands, join)

    def _joined(self, field: Any, chain: Any, links: int) -> int:
        """Return the slot of a column of a joined table, after the first ``links`` joins."""
        key = ("joined", field, chain, links)
        if key in self._slots:
            return self._slots[key]
        references = [chain.first, *(link.table for link in chain.rest)]
        place = references.index(field.rel)
        operands = self._field(field.rel.parent, field.name), self._join(chain, links)
        return self._step(key, operands, lambda column, places: relations.joined_column(column, places[place]))

    def _window(self, key: Any, op: Any, relation: Any) -> int:
        func = op.func
        if op.how != "rows":
            raise UnsupportedError("a window of ranges")
        bounds = [_offset(op.start), _offset(op.end)]
        if (op.start is not None and bounds[0] is None) or (op.end is not None and bounds[1] is None):
            raise UnsupportedError("a window with other bounds")
        parts = [self._value(each, relation) for each in op.group_by]
        sorts = [self._value(each.arg, relation) for each in op.order_by]
        orders = [(each.ascending, each.nulls_first) for each in op.order_by]
        arguments = [arg for arg in func.args if isinstance(arg, ops.Value)]
        if (isinstance(func, ops.Lag | ops.Lead) and len(arguments) > 1) or len(arguments) > 1:
            raise UnsupportedError("a window with options")
        operands = [self._rows(relation), *parts, *sorts, *(self._value(arg, relation) for arg in arguments)]
        run, n_parts, n_sorts = relations.windowed(func, *bounds), len(parts), len(sorts)

        def window(rows: int, *columns: Column) -> Column:
            keys = columns[n_parts : n_parts + n_sorts]
            order = relations.sorted_rows([(c, *how) for c, how in zip(keys, orders, strict=True)], rows)
            argument = columns[n_parts + n_sorts] if len(columns) > n_parts + n_sorts else None
            return run(groups_of(columns[:n_parts], rows), order, argument)

        return self._step(key, operands, window)

    def _in_subquery(self, key: Any, op: Any, relation: Any) -> int:
        (name,) = op.rel.schema.names
        operands = [
            self._rows(relation),
            self._value(op.needle, relation),
            self._rows(op.rel),
            self._field(op.rel, name),
        ]

        def within(rows: int, needle: Column, other_rows: int, options: Column) -> Column:
            kept, _ = relations.joined_rows("semi", [(needle, options)], rows, other_rows)
            mask = np.zeros(rows, dtype=np.bool_)
            mask[kept] = True
            return Column(mask, None if needle.valid is None else needle.full(rows).known())

        return self._step(key, operands, within)


def _function(op: Any) -> tuple[Callable[..., Column], list[Any]]:
    """Return the function of an operation, and its operands."""
    kind = type(op)
    if isinstance(op, ops.Cast):
        return functions.cast(op.to), [op.arg]
    if isinstance(op, ops.RegexSearch) and isinstance(op.pattern, ops.Literal):
        return functions.regex_search(op.pattern.value), [op.arg]
    if isinstance(op, ops.StringJoin) and isinstance(op.sep, ops.Literal) and op.sep.value == "":
        return lambda *args: functions.join_texts(args), list(op.arg)
    if isinstance(op, ops.ScalarUDF) and op.__func_name__ in functions.BUILTINS:
        return functions.BUILTINS[op.__func_name__], list(op.args)
    if isinstance(op, ops.InValues) and not all(isinstance(o, ops.Literal) and o.value is not None for o in op.options):
        raise UnsupportedError("options that are not constants")
    if kind not in functions.FUNCTIONS:
        raise UnsupportedError(kind.__name__)
    return functions.FUNCTIONS[kind], _operands(op)


@lru_cache(maxsize=4096)
def _needs_rows(op: Any) -> bool:
    """Return whether a value depends on the other rows of its relation."""
    if isinstance(op, ops.WindowFunction | ops.InSubquery):
        return True
    return any(_needs_rows(arg) for arg in _operands(op) if not isinstance(arg, ops.Field | ops.Literal))


def _operands(op: Any) -> list[Any]:
    """Return the values that an operation gets."""
    operands: list[Any] = []
    for arg in op.args:
        operands += [each for each in (arg if isinstance(arg, tuple) else (arg,)) if isinstance(each, ops.Value)]
    return operands


def _offset(bound: Any) -> int | None:
    """Return how many rows before the row a frame starts or ends; None if it is not constant."""
    if bound is None or not isinstance(bound.value, ops.Literal):
        return None
    return int(bound.value.value) if bound.preceding else -int(bound.value.value)


def _literal(op: ops.Literal) -> Column:
    kind, value = op.dtype, op.value
    valid = None if value is not None else np.zeros(1, dtype=np.bool_)
    if kind.is_string():
        return Column(np.zeros(1, dtype=np.int64), valid, np.array([value or ""], dtype=object))
    if kind.is_timestamp():
        return Column(np.array([0 if value is None else _micros(value)], dtype=np.int64), valid)
    if kind.is_boolean() or kind.is_null():
        return Column(np.array([bool(value)]), valid)
    if kind.is_integer() or kind.is_floating():
        return Column(np.array([value or 0], dtype=np.int64 if kind.is_integer() else np.float64), valid)
    raise UnsupportedError(f"a constant of type {kind}")


def _micros(value: datetime) -> int:
    return epoch_micros(value if value.tzinfo else value.replace(tzinfo=UTC))


def _arrow_type(kind: Any) -> pa.DataType:
    if kind.is_timestamp():
        return pa.timestamp("us")
    if kind.is_integer():
        return pa.int64()
    return kind.to_pyarrow()
