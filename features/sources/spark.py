"""Spark as the engine: the same expressions on a Spark session, over a folder that driver and workers see alike.

Ibis speaks to Spark by way of pandas; here everything goes by way of Arrow. Where Ibis' Spark and Ibis' DuckDB would
read an expression differently, Spark is brought to DuckDB's reading.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.sql.compilers.base import NULL
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.backends.sql.datatypes import PySparkType
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType, TimestampType

from features.errors import SignalsError
from features.sources.base import contract_names
from features.sources.csv_format import count_rows, read_header

ERRORS: tuple[type[Exception], ...] = (PySparkException, Py4JError)
"""What Spark raises; its messages may quote rows and are never passed on."""

_FAILURES: tuple[type[Exception], ...] = (*ERRORS, OSError, RuntimeError)
_SILENT = Path(__file__).with_name("spark_silent.properties").as_uri()
# On the session, so that a session which somebody else configured reads alike.
_READING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    # Spark knows no nanoseconds; they are read as numbers and made instants in `_instants`.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A partition's value is text, as on DuckDB, and parsed as such.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
_STARTING = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Spark logs what fails together with the row at which it failed.
    "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={_SILENT}",
}
_STARTING_LOCALLY = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Each shuffle into 200 parts, Spark's default, costs seconds on one machine.
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
}


class _Compiler(PySparkCompiler):  # type: ignore[misc]
    """Ibis' compiler for Spark, with DuckDB's reading of what the two read differently."""

    __slots__ = ()

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:
        """NaN is a value."""
        return arg.is_(NULL)

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:
        """NaN is a value."""
        return ~self.visit_IsNull(op, arg=arg)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: dt.DataType) -> Any:
        """A float is a double, not a decimal, which would be rounded elsewhere."""
        if dtype.is_floating() and math.isfinite(value):
            return self.cast(value, dt.float64)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Greatest(self, op: Any, *, arg: Sequence[Any]) -> Any:
        """The greatest of one value, too."""
        return arg[0] if len(arg) == 1 else self.f.greatest(*arg)

    def visit_BitOr(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Spark has it; Ibis does not know."""
        return self.agg.bit_or(arg, where=where)

    def visit_Hash(self, op: Any, *, arg: Any) -> Any:
        """Never negative."""
        return sge.BitwiseAnd(this=self.f.xxhash64(arg), expression=sge.convert(2**63 - 1))

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        """Java writes a group as $1."""
        if isinstance(replacement, sge.Literal):
            replacement = sge.convert(re.sub(r"\\+([0-9])", r"$\1", replacement.this))
        return self.f.regexp_replace(arg, pattern, replacement)

    def visit_Cast(self, op: Any, *, arg: Any, to: dt.DataType) -> Any:
        """Spark knows no unsigned numbers."""
        return super().visit_Cast(op, arg=arg, to=dt.int64 if to.is_unsigned_integer() else to)

    def visit_BitwiseLeftShift(self, op: Any, *, left: Any, right: Any) -> Any:
        """Spark shifts by plain integers only."""
        return self.f.shiftleft(left, self.cast(right, dt.int32))


class Spark(Backend):  # type: ignore[misc]
    """Ibis on a Spark session of its own: temporary views are not seen by other sessions, cached tables are let go of
    when it is closed, and the Spark application goes on."""

    compiler = _Compiler()

    def do_connect(self, session: SparkSession) -> None:
        """Take the session, set as `_READING` has it."""
        super().do_connect(session)
        for key, value in _READING.items():
            session.conf.set(key, value)
        # DuckDB's name for it, by which the expressions go.
        session.sql("CREATE TEMPORARY FUNCTION epoch_us(t TIMESTAMP) RETURNS BIGINT RETURN unix_micros(t)")
        self._kept: dict[str, DataFrame] = {}

    def to_pyarrow(self, expr: Any, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        """The expression's result, in the Arrow types of its schema."""
        table = expr.as_table()
        self._run_pre_execute_hooks(table)
        found = self.raw_sql(self.compile(table, params=params, limit=limit, **kwargs)).toArrow()
        # An instant with a zone comes in UTC, so that taking the zone away leaves the contract's reading.
        return expr.__pyarrow_result__(found.cast(table.schema().to_pyarrow()))

    def lay(self, name: str, table: pa.Table) -> None:
        """Make a small Arrow table a temporary view ``name``."""
        types = ibis.Schema.from_pyarrow(table.schema)
        shape = ", ".join(f"`{column}` {PySparkType.to_string(kind)}" for column, kind in types.items())
        self._session.createDataFrame(table, schema=StructType.fromDDL(shape)).createOrReplaceTempView(name)

    def keep(self, name: str, expr: ibis.Table) -> None:
        """Make an expression a temporary view ``name`` that is worked out once, when it is first read."""
        if earlier := self._kept.pop(name, None):
            earlier.unpersist()
        self._kept[name] = self.raw_sql(self.compile(expr)).persist()
        self._kept[name].createOrReplaceTempView(name)

    def disconnect(self) -> None:
        """Let go of what was kept; the Spark application is not this session's to stop."""
        for frame in self._kept.values():
            frame.unpersist()
        self._kept.clear()


def connect(master: str) -> Spark:
    """A new session on a Spark application at ``master``, which is started unless this process has one already.

    Raises
    ------
    SignalsError
        If Spark cannot be started or reached.
    """
    # PySpark prints the message of whatever fails.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    builder = SparkSession.builder.master(master).appName("renewcast")
    settings = _STARTING | _READING | (_STARTING_LOCALLY if master.startswith("local") else {})
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
        Spark.register_options()
        connection: Spark = Spark().connect(session.newSession())
    except _FAILURES:
        raise SignalsError(
            f"Spark cannot be started at {master}",
            "Java 17 or 21 (java on the PATH, or JAVA_HOME); for spark:// also a master that answers",
            "install a Java runtime, or leave out --engine",
        ) from None
    return connection


def read_files(connection: Spark, files: Sequence[Path], base: Path, view: str, table: str) -> ibis.Table:
    """Read Parquet or CSV files of the contract's ``table``; below ``base``, Hive-style partitions become columns of
    text. Columns of the contract get its spelling.

    Raises
    ------
    SignalsError
        If a CSV file is empty, not UTF-8, or has no readable header, or a column is there twice.
    One of `ERRORS`, or OSError
        If they cannot be read.
    """
    # As a list: Spark passes over what lies in a folder whose name is no partition.
    paths = [f"file:{file.absolute()}" for file in files]
    if files[0].suffix.lower() != ".parquet":
        frame = _csv(connection, files, base)
    else:
        reader = connection._session.read.option("basePath", f"file:{base.absolute()}").option("mergeSchema", "true")
        frame = _instants(reader.parquet(*paths), files[0])
    names = contract_names(frame.columns, table, str(base))
    frame = frame.select(*(frame[f"`{column}`"].alias(proper) for column, proper in names.items()))
    frame.createOrReplaceTempView(view)
    return connection.table(view)


def _csv(connection: Spark, files: Sequence[Path], base: Path) -> DataFrame:
    """CSV as RFC 4180 has it, in UTF-8, every column text; the delimiter is that of each file's header.

    Spark would take bytes that are not UTF-8 for some character, and rows for others: it is held to the same count.
    """
    rows = sum(map(count_rows, files))
    by_delimiter: dict[str, list[Path]] = {}
    for file in files:
        by_delimiter.setdefault(read_header(file).delimiter, []).append(file)
    frames = [
        connection._session.read.option("basePath", f"file:{base.absolute()}").csv(
            [f"file:{file.absolute()}" for file in some],
            sep=delimiter,
            header=True,
            mode="FAILFAST",
            multiLine=True,
            enforceSchema=False,
            inferSchema=False,
            quote='"',
            escape='"',
            encoding="UTF-8",
        )
        for delimiter, some in by_delimiter.items()
    ]
    united: DataFrame = frames[0]
    for frame in frames[1:]:
        united = united.unionByName(frame, allowMissingColumns=True)
    if (found := united.count()) != rows:
        raise SignalsError(
            f"{base}: Spark reads {found} rows where the files have {rows}",
            'CSV as RFC 4180 has it: values with quotation marks quoted, and each of them doubled ("")',
            "export the table to Parquet, or leave out --engine, which names the row",
        )
    return united


def _instants(frame: DataFrame, file: Path) -> DataFrame:
    """All instants as timestamps without a zone, in UTC."""
    nanos = {f.name for f in pq.read_schema(file) if pa.types.is_timestamp(f.type) and f.type.unit == "ns"}
    columns = []
    for field in frame.schema:
        column = frame[f"`{field.name}`"]
        if field.name in nanos:
            # By whole numbers: a double would round.
            micros = f"(`{field.name}` - pmod(`{field.name}`, 1000)) DIV 1000"
            column = F.expr(f"timestamp_micros({micros})").cast("timestamp_ntz")
        elif isinstance(field.dataType, TimestampType):
            column = column.cast("timestamp_ntz")
        columns.append(column.alias(field.name))
    return frame.select(*columns)
