"""The engine in memory evaluates expressions as the database does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ibis
import pyarrow as pa
import pytest

from features.sources.base import connect_duckdb
from features.sources.engine import collect, create_table
from features.sources.memory.columns import UnsupportedError
from features.sources.memory.engine import MemoryEngine
from features.sources.sql_functions import epoch_us

DAY = datetime(2024, 2, 29, 10, 30, 0, 5)
ROWS = pa.table(
    {
        "k": pa.array(["b", "a", None, "b", "a", "ß", "", "İi"], pa.string()),
        "s": pa.array([" x ", "\tY", None, "EUR", "eur", "Straße", "", "é"], pa.string()),
        "i": pa.array([3, -7, None, 0, 2**40, -1, 5, 5], pa.int64()),
        "f": pa.array([0.5, -0.5, 1.5, None, 2.00005, -0.00005, 0.49999999999999994, -1e12], pa.float64()),
        "b": pa.array([True, False, None, True, None, False, True, False]),
        "t": pa.array([DAY, None, datetime(1969, 12, 31, 23, 59, 59, 1), DAY, DAY, datetime(2024, 1, 1), DAY, DAY], pa.timestamp("us")),
    }
)
OTHER = pa.table({"key": pa.array(["a", "b", "b", None], pa.string()), "rate": pa.array([1.5, 2.5, None, 4.0], pa.float64())})
ONE = pa.table({"cutoff": pa.array([datetime(2024, 2, 1)], pa.timestamp("us"))})
SCHEMA = {"k": "string", "s": "string", "i": "int64", "f": "float64", "b": "boolean", "t": "timestamp"}


def _rows() -> Any:
    return ibis.table(SCHEMA, name="rows")


def _logic() -> ibis.Table:
    t = _rows()
    c = t.i > 0
    return t.select(
        a=t.b & c, o=t.b | c, n=~t.b, x=t.b.fill_null(False), same=t.k.identical_to(t.s), eq=t.k == "a", ne=t.k != t.s,
        inside=t.k.isin(["a", "", "no"]), outside=t.i.notin([3, 5]), between=t.f.between(-0.5, 1), less=t.k < t.s,
    )  # fmt: skip


def _numbers() -> ibis.Table:
    t = _rows()
    return t.select(
        fixed=(t.f * 10000).round().cast("int64"), floor=(t.f / 3.0).floor().cast("int64"), rest=t.i % 7, size=t.f.abs(),
        more=t.i + t.f, less=t.i - 1, bit=ibis.literal(1, "int64") << (t.i.nullif(2**40) + 7), real=t.i.cast("float64"),
        either=ibis.ifelse(t.b, t.i, None), first=ibis.coalesce(t.f, t.i, 0), most=ibis.greatest(t.i, t.f), nan=t.f.isnan(),
    )  # fmt: skip


def _texts() -> ibis.Table:
    t = _rows()
    return t.select(
        up=t.s.strip().upper().nullif(""), low=t.s.lower(), n=t.k.length(), both=t.k.concat("|", t.s), all=ibis.literal("").join([t.k, t.s]),
        number=t.i.cast("string"), control=t.s.re_search(r"[\\p{Cc}\\p{Zl}]"), known=t.k.notnull(), none=t.k.isnull(), or_none=ibis.ifelse(t.b, t.k, None),
    )  # fmt: skip


def _instants() -> ibis.Table:
    t, cutoff = _rows(), ibis.table({"cutoff": "timestamp"}, name="one")
    t = t.cross_join(cutoff)
    seconds = (t.t.epoch_seconds() - t.cutoff.epoch_seconds()).cast("float64") / 3600
    t = t.mutate(hours=seconds, us=epoch_us(t.t), early=t.t < ibis.timestamp("1990-01-01"))
    return t.filter((t.t >= t.cutoff) | t.early.fill_null(False)).select("hours", "us", "early", "t", "k")


def _grouped() -> ibis.Table:
    t = _rows()
    return t.group_by(["k", "b"]).aggregate(
        n=t.count(), some=t.count(where=t.b), known=t.f.count(), least=t.i.min(), last=t.t.max(), sum=t.i.sum(),
        bits=t.i.bit_or(), flags=t.b.sum(), keys=t.s.nunique(), early=t.f.min(where=t.i > 0),
    )  # fmt: skip


def _whole() -> ibis.Table:
    t = _rows()
    t = t.filter(t.i == 99)
    return t.aggregate(n=t.count(), least=t.i.min(), sum=t.i.sum(), most=ibis.greatest(t.i.max(), t.i.min()))


def _joined(how: str) -> ibis.Table:
    t, other = _rows(), ibis.table({"key": "string", "rate": "float64"}, name="other")
    joined = t.left_join(other, t.k == other.key) if how == "left" else t.semi_join(other, t.k == other.key)
    return joined.select("k", "i", *(["rate"] if how == "left" else []))


def _stacked() -> ibis.Table:
    t = _rows()
    return t.select("k", "i").union(t.select(k="s", i=ibis.null("int64"))).distinct()


def _windows() -> ibis.Table:
    t = _rows()
    order = ibis.window(group_by="k", order_by=[ibis.asc(t.t, nulls_first=True), t.i, t.s])
    before = ibis.window(group_by="k", order_by=t.i, preceding=(None, 1))
    after = ibis.window(group_by="k", order_by=t.i, following=(1, None))
    return t.select(
        "i", row=ibis.row_number().over(order), lag=t.s.lag().over(order), lead=t.f.lead().over(order),
        most=t.f.max().over(before), least=t.f.min().over(after), n=t.count().over(ibis.window(group_by="k")),
        running=t.f.min().over(ibis.cumulative_window(group_by="k", order_by=[t.i, t.s])),
    )  # fmt: skip


def _constants() -> ibis.Table:
    t, none = _rows(), ibis.null("int64")
    return t.select(
        equal=t.i == none, less=t.i < none, sum=t.i + none, both=t.b & (t.i == none), either=t.b | (t.i == none),
        first=ibis.coalesce(none, t.i), chosen=ibis.ifelse(t.b, none, 1), text=t.k == ibis.null("string"),
        joined=t.k.concat(ibis.null("string")), none=none, one=ibis.literal(1), same=t.i.identical_to(none),
    )  # fmt: skip


def _results(build: Any, *arguments: Any, rows: pa.Table = ROWS) -> list[list[tuple[Any, ...]]]:
    """The rows of an expression from the database and from memory, in one order."""
    results = []
    database = connect_duckdb()
    for connection in (database, MemoryEngine()):
        for name, table in {"rows": rows, "other": OTHER, "one": ONE}.items():
            create_table(connection, name, table)
        found = [tuple(row.values()) for row in collect(connection, build, *arguments).to_pylist()]
        results.append(sorted(found, key=lambda row: [(value is not None, str(value)) for value in row]))
    database.disconnect()
    return results


@pytest.mark.parametrize("rows", [ROWS, *(ROWS.slice(k, n) for n in (0, 1, 2) for k in (0, 2, 6))])
@pytest.mark.parametrize(
    "build", [_logic, _numbers, _texts, _instants, _grouped, _whole, _stacked, _windows, _constants]
)
def test_expressions_have_the_same_results(build: Any, rows: pa.Table) -> None:
    expected, computed = _results(build, rows=rows)
    assert computed == expected


@pytest.mark.parametrize("rows", [0, 1, len(ROWS)])
@pytest.mark.parametrize("how", ["left", "semi"])
def test_joins_have_the_same_results(how: str, rows: int) -> None:
    expected, computed = _results(_joined, how, rows=ROWS.slice(0, rows))
    assert computed == expected


def _too_large() -> ibis.Table:
    t = _rows()
    return t.select(x=(t.f * 1e18).round().cast("int64"))


def _other_operation() -> ibis.Table:
    return _rows().select(x=_rows().f.sqrt())


@pytest.mark.parametrize("build", [_too_large, _other_operation])
def test_what_it_cannot_compute_is_refused(build: Any) -> None:
    engine = MemoryEngine()
    create_table(engine, "rows", ROWS)
    for _ in range(2):
        with pytest.raises(UnsupportedError):
            collect(engine, build)


def test_a_replaced_table_is_read_again() -> None:
    engine = MemoryEngine()
    for table in (ROWS, ROWS.slice(0, 2)):
        create_table(engine, "rows", table)
        assert collect(engine, _whole_count).to_pylist() == [{"n": len(table)}]


def _whole_count() -> ibis.Table:
    return _rows().aggregate(n=lambda t: t.count())
