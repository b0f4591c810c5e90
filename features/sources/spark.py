"""Spark as the engine: the same expressions on a Spark session, over a folder that driver and workers can both read.

Ibis exchanges data with Spark through pandas; here everything uses Arrow. Where Ibis translates an expression
differently for Spark and DuckDB, Spark is adapted to DuckDB.
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
"""Exceptions of Spark; their messages may quote rows and are never shown."""

_FAILURES: tuple[type[Exception], ...] = (*ERRORS, OSError, RuntimeError)
_SILENT = Path(__file__).with_name("spark_silent.properties").as_uri()
# Set on the session, so that existing sessions with other settings give the same results.
_SESSION_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    # Spark has no nanoseconds; they are read as integers and converted in `_as_utc`.
    "spark.sql.legacy.parquet.nanosAsLong": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Partition values are text, as on DuckDB, and parsed later.
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
_START_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Spark logs failures together with the affected row.
    "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={_SILENT}",
}
_LOCAL_SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    # Spark's default of 200 partitions per shuffle costs seconds on one machine.
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
}


class _Compiler(PySparkCompiler):  # type: ignore[misc]
    """Ibis' compiler for Spark, adapted to DuckDB's semantics."""

    __slots__ = ()

    def visit_IsNull(self, op: Any, *, arg: Any) -> Any:
        """Treat NaN as a value."""
        return arg.is_(NULL)

    def visit_NotNull(self, op: Any, *, arg: Any) -> Any:
        """Treat NaN as a value."""
        return ~self.visit_IsNull(op, arg=arg)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: dt.DataType) -> Any:
        """Compile floats as doubles; decimals would be rounded differently."""
        if dtype.is_floating() and math.isfinite(value):
            return self.cast(value, dt.float64)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Greatest(self, op: Any, *, arg: Sequence[Any]) -> Any:
        """Support a single value."""
        return arg[0] if len(arg) == 1 else self.f.greatest(*arg)

    def visit_BitOr(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Support bit_or, which Ibis does not know on Spark."""
        return self.agg.bit_or(arg, where=where)

    def visit_Hash(self, op: Any, *, arg: Any) -> Any:
        """Return non-negative hashes."""
        return sge.BitwiseAnd(this=self.f.xxhash64(arg), expression=sge.convert(2**63 - 1))

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        """Write groups as $1, as Java does."""
        if isinstance(replacement, sge.Literal):
            replacement = sge.convert(re.sub(r"\\+([0-9])", r"$\1", replacement.this))
        return self.f.regexp_replace(arg, pattern, replacement)

    def visit_Cast(self, op: Any, *, arg: Any, to: dt.DataType) -> Any:
        """Replace unsigned integers, which Spark does not have."""
        return super().visit_Cast(op, arg=arg, to=dt.int64 if to.is_unsigned_integer() else to)

    def visit_BitwiseLeftShift(self, op: Any, *, left: Any, right: Any) -> Any:
        """Cast the shift to a 32-bit integer, as Spark requires."""
        return self.f.shiftleft(left, self.cast(right, dt.int32))


class Spark(Backend):  # type: ignore[misc]
    """Ibis on a separate Spark session.

    Other sessions do not see its temporary views. Closing it releases cached tables, and the Spark application keeps
    running.
    """

    compiler = _Compiler()

    def do_connect(self, session: SparkSession) -> None:
        """Use the session with `_SESSION_SETTINGS`."""
        super().do_connect(session)
        for key, value in _SESSION_SETTINGS.items():
            session.conf.set(key, value)
        # DuckDB's name of the function, which the expressions use.
        session.sql("CREATE TEMPORARY FUNCTION epoch_us(t TIMESTAMP) RETURNS BIGINT RETURN unix_micros(t)")
        self._cached: dict[str, DataFrame] = {}

    def to_pyarrow(self, expr: Any, /, *, params: Any = None, limit: Any = None, **kwargs: Any) -> Any:
        """Return the expression's result in the Arrow types of its schema."""
        table = expr.as_table()
        self._run_pre_execute_hooks(table)
        result = self.raw_sql(self.compile(table, params=params, limit=limit, **kwargs)).toArrow()
        # Instants with a time zone arrive in UTC, so dropping the zone gives the contract's values.
        return expr.__pyarrow_result__(result.cast(table.schema().to_pyarrow()))

    def create_arrow_view(self, name: str, table: pa.Table) -> None:
        """Create a temporary view ``name`` of a small Arrow table."""
        types = ibis.Schema.from_pyarrow(table.schema)
        shape = ", ".join(f"`{column}` {PySparkType.to_string(kind)}" for column, kind in types.items())
        self._session.createDataFrame(table, schema=StructType.fromDDL(shape)).createOrReplaceTempView(name)

    def materialize(self, name: str, expr: ibis.Table) -> None:
        """Create a cached temporary view ``name`` of an expression, computed when it is first read."""
        if earlier := self._cached.pop(name, None):
            earlier.unpersist()
        self._cached[name] = self.raw_sql(self.compile(expr)).persist()
        self._cached[name].createOrReplaceTempView(name)

    def disconnect(self) -> None:
        """Release cached tables; the Spark application keeps running."""
        for frame in self._cached.values():
            frame.unpersist()
        self._cached.clear()


def connect_spark(master: str) -> Spark:
    """Open a new session on a Spark application at ``master``, starting the application if needed.

    Raises
    ------
    SignalsError
        If Spark cannot be started or reached.
    """
    # PySpark prints the messages of failures.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    builder = SparkSession.builder.master(master).appName("renewcast")
    settings = _START_SETTINGS | _SESSION_SETTINGS | (_LOCAL_SETTINGS if master.startswith("local") else {})
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
        Spark.register_options()
        connection: Spark = Spark().connect(session.newSession())
    except _FAILURES:
        raise SignalsError(
            f"Spark cannot be started at {master}",
            "Java 17 or 21 (java on the PATH, or JAVA_HOME); for spark:// also a reachable master",
            "install a Java runtime, or omit --engine",
        ) from None
    return connection


def read_files(connection: Spark, files: Sequence[Path], base: Path, view: str, table: str) -> ibis.Table:
    """Read Parquet or CSV files of the contract's ``table``.

    Hive-style partitions below ``base`` become text columns. Columns of the contract get its spelling.

    Parameters
    ----------
    connection : the Spark engine.
    files : the Parquet or CSV files.
    base : the folder below which Hive-style keys are read.
    view : the name of the view.
    table : the contract table.

    Returns
    -------
    ibis.Table

    Raises
    ------
    SignalsError
        If a CSV file is empty, not UTF-8, or has no readable header, or a column occurs twice.
    One of `ERRORS`, or OSError
        If they cannot be read.
    """
    # Pass a list: Spark ignores files in folders whose name is not a partition.
    paths = [f"file:{file.absolute()}" for file in files]
    if files[0].suffix.lower() != ".parquet":
        frame = _read_csv(connection, files, base)
    else:
        reader = connection._session.read.option("basePath", f"file:{base.absolute()}").option("mergeSchema", "true")
        frame = _as_utc(reader.parquet(*paths), files[0])
    names = contract_names(frame.columns, table, str(base))
    frame = frame.select(*(frame[f"`{column}`"].alias(proper) for column, proper in names.items()))
    frame.createOrReplaceTempView(view)
    return connection.table(view)


def _read_csv(connection: Spark, files: Sequence[Path], base: Path) -> DataFrame:
    """Read CSV as defined by RFC 4180 in UTF-8, with text columns and the delimiter of each file's header.

    Spark replaces invalid UTF-8 and can split rows differently, so its row count is compared with an independent count.
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
    if (n_read := united.count()) != rows:
        raise SignalsError(
            f"{base}: Spark reads {n_read} rows, but the files have {rows}",
            'CSV as defined by RFC 4180: values that contain quotation marks are quoted, and the marks doubled ("")',
            "export the table to Parquet, or omit --engine, which reports the row",
        )
    return united


def _as_utc(frame: DataFrame, file: Path) -> DataFrame:
    """Convert all instants to UTC timestamps without a time zone."""
    nanos = {f.name for f in pq.read_schema(file) if pa.types.is_timestamp(f.type) and f.type.unit == "ns"}
    columns = []
    for field in frame.schema:
        column = frame[f"`{field.name}`"]
        if field.name in nanos:
            # Integer arithmetic, because doubles would round.
            micros = f"(`{field.name}` - pmod(`{field.name}`, 1000)) DIV 1000"
            column = F.expr(f"timestamp_micros({micros})").cast("timestamp_ntz")
        elif isinstance(field.dataType, TimestampType):
            column = column.cast("timestamp_ntz")
        columns.append(column.alias(field.name))
    return frame.select(*columns)
