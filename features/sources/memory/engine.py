"""The connection of the in-memory engine.

Its expressions are those of every engine; it only runs them without a database. A statement of the embedded engine
costs more than reading the rows of a request, of which each has a hundred statements.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

import ibis
import pyarrow as pa

from features.sources.memory.columns import UnsupportedError, arrow_of, column_of
from features.sources.memory.program import Plan, Program, Step, Table

Kinds = tuple[tuple[str, pa.DataType], ...]
"""The columns of a table and their types."""
PLANS_LIMIT = 1024
"""Maximum number of expressions whose plans are kept."""


class Plans:
    """The plans of expressions, compiled at their first use. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self._program = Program()
        self._plans: dict[Hashable, Plan | UnsupportedError] = {}

    def of(self, build: Callable[..., ibis.Table], arguments: tuple[Hashable, ...], declared: str) -> Plan:
        """Return the plan of the expression ``build(*arguments)``; ``declared`` identifies the declared tables.

        Raises
        ------
        UnsupportedError
            If it has an operation that this engine does not evaluate.
        """
        key = build, arguments, declared
        plan = self._plans.get(key)
        if plan is None:
            with self._lock:
                plan = self._plans.get(key) or self._compiled(key, build, arguments)
        if isinstance(plan, UnsupportedError):
            # A new error, because a traceback that is kept would keep the rows of the request.
            raise UnsupportedError(*plan.args)
        return plan

    def _compiled(
        self, key: Hashable, build: Callable[..., ibis.Table], arguments: tuple[Hashable, ...]
    ) -> Plan | UnsupportedError:
        if len(self._plans) >= PLANS_LIMIT:
            self._clear()
        try:
            plan: Plan | UnsupportedError = self._program.plan(build(*arguments))
        except UnsupportedError as error:
            plan = error
        self._plans[key] = plan
        return plan


PLANS = Plans()


class MemoryEngine:
    """Tables in memory, and the results of the steps that were run on them. For one thread."""

    name = "memory"

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._kinds: dict[str, Kinds] = {}
        self._results: dict[int, Any] = {}
        self._steps: list[Step] = []

    def create_arrow_view(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table available, replacing an earlier one of this name."""
        columns = {column: column_of(table[column]) for column in table.column_names}
        self._put(name, Table(columns, len(table)), tuple(zip(table.column_names, table.schema.types, strict=True)))

    def materialize(
        self, name: str, build: Callable[..., ibis.Table], arguments: tuple[Hashable, ...], declared: str
    ) -> None:
        """Make the result of ``build(*arguments)`` available as a table."""
        plan = PLANS.of(build, arguments, declared)
        self._run(plan)
        results = self._results
        columns = {column: results[slot] for column, slot, _ in plan.columns}
        kinds = tuple((column, kind) for column, _, kind in plan.columns)
        self._put(name, Table(columns, results[plan.rows]), kinds)

    def collect(self, build: Callable[..., ibis.Table], arguments: tuple[Hashable, ...], declared: str) -> pa.Table:
        """Return the result of ``build(*arguments)``."""
        plan = PLANS.of(build, arguments, declared)
        self._run(plan)
        results = self._results
        rows = results[plan.rows]
        arrays = [arrow_of(results[slot], rows, kind) for _, slot, kind in plan.columns]
        return pa.Table.from_arrays(arrays, names=[name for name, *_ in plan.columns])

    def table(self, name: str) -> ibis.Table:
        """Return the unbound table ``name``."""
        return _unbound(name, self._kinds[name])

    def disconnect(self) -> None:
        """Release the memory."""
        self._tables.clear()
        self._results.clear()
        self._steps.clear()

    def _put(self, name: str, table: Table, kinds: Kinds) -> None:
        if name in self._tables:
            for step in self._steps:
                if name in step.tables:
                    self._results.pop(step.slot, None)
            self._steps = [step for step in self._steps if name not in step.tables]
        self._tables[name], self._kinds[name] = table, kinds

    def _run(self, plan: Plan) -> None:
        results, tables = self._results, self._tables
        for step in plan.steps:
            if step.slot not in results:
                operands = (tables[step.table],) if step.table else [results[slot] for slot in step.operands]
                results[step.slot] = step.run(*operands)
                self._steps.append(step)


@lru_cache(maxsize=256)
def _unbound(name: str, kinds: Kinds) -> ibis.Table:
    return ibis.table(ibis.Schema.from_pyarrow(pa.schema(list(kinds))), name=name)
