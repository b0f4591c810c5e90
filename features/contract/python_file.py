"""A Python file of declarations: extra tables, measured features, and features that are computed by functions.

The file is the operator's own code. It runs with the rights of the process when the declarations are read.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, TypeVar

from features.errors import BadRequest, RenewcastError

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass
class FileContents:
    """What a Python file declares, not yet validated.

    Parameters
    ----------
    tables, features : the entries of `table` and `measure`.
    functions : the entries of `feature`, each with its function.
    """

    tables: list[dict[str, Any]] = field(default_factory=list)
    features: list[dict[str, Any]] = field(default_factory=list)
    functions: list[tuple[dict[str, Any], Callable[..., Any]]] = field(default_factory=list)


_contents: ContextVar[FileContents | None] = ContextVar("renewcast_declarations", default=None)


def run_python_file(path: Path, text: str) -> FileContents:
    """Run a file of declarations, and return what it declares.

    What the file prints goes to the standard error stream, so that it is never part of a command's output.

    Raises
    ------
    BadRequest
        If the file is not valid Python, or raises an error. The message has the line and the class of the error, not
        its text, which may contain a value.
    """
    contents = FileContents()
    module = ModuleType(f"renewcast_declarations_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    token = _contents.set(contents)
    try:
        with redirect_stdout(sys.stderr):
            exec(compile(text.removeprefix("\ufeff"), str(path), "exec", dont_inherit=True), module.__dict__)
    except (RenewcastError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 the file may raise anything
        raise BadRequest(
            f"{path.name}: {error_place(error, path)}", "a Python file that runs without an error", "correct the line"
        ) from None
    finally:
        _contents.reset(token)
    return contents


def error_place(error: BaseException, path: Path) -> str:
    """Return the class of an error and, if known, the missing module and the line of ``path`` that raised it."""
    line = error.lineno if isinstance(error, SyntaxError) else _last_line(error.__traceback__, str(path))
    module = f" ({error.name})" if isinstance(error, ModuleNotFoundError) and error.name else ""
    return type(error).__name__ + module + (f" at line {line}" if line else "")


def _last_line(trace: TracebackType | None, file: str) -> int | None:
    line = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def feature(
    *,
    name: str,
    reads: Mapping[str, Sequence[str]],
    words: str,
    unit: str,
    days: int | None = None,
    dimension: str | None = None,
    concept: str | None = None,
    direction: str | None = None,
    chance: str | None = None,
) -> Callable[[FunctionT], FunctionT]:
    """Declare a feature that a Python function computes, in the file that RENEWCAST_FEATURES names.

    The function gets ``rows`` and ``as_of``. ``rows`` has a DataFrame for each table in ``reads``, with ``account_id``
    and the columns, and only rows that were known before ``as_of``. Values that are filled in later are missing until
    they were known. ``as_of`` is a `pandas.Timestamp` in UTC. The function returns a Series of numbers by
    ``account_id``. Accounts that it leaves out are unknown, and so is every account whose history is shorter than
    ``days``. The value of an account must depend on its own rows only.

    Outside of a file of declarations, such as in a test of the function, the decorator has no effect.

    Parameters
    ----------
    name : str
        ``own.…`` or ``{table}.…``; unique.
    reads : mapping of str to sequence of str
        The columns that the function reads, by table of the data contract or extra table.
    words : str
        A noun phrase that describes the value.
    unit : str
        The unit of the value, such as users, days or share.
    days : int, optional
        The function gets rows of event tables from this many days before ``as_of``. Required if it reads one.
    dimension : str, optional
        The dimension of the health score that it belongs to. By default that of the other features of the first table.
    concept : str, optional
        Features of one concept are explained together. By default the name without its prefix.
    direction : {"raises_risk", "lowers_risk"}, optional
        How a higher value relates to churn, if known.
    chance : {"raises_chance", "lowers_chance"}, optional
        How a higher value relates to expansion, if known.

    Returns
    -------
    function
        A decorator that returns the function unchanged.

    Raises
    ------
    RenewcastError
        When the file of declarations is read, if an argument is not valid.

    Examples
    --------
    >>> import renewcast
    >>> @renewcast.feature(
    ...     name="own.weekend_share",
    ...     reads={"usage": ["occurred_at"]},
    ...     days=91,
    ...     unit="share",
    ...     words="share of usage events at weekends in the last 91 days",
    ... )
    ... def weekend_share(rows, as_of):
    ...     usage = rows["usage"]
    ...     return (usage["occurred_at"].dt.dayofweek >= 5).groupby(usage["account_id"]).mean()
    """
    entry = {"name": name, "reads": reads, "words": words, "unit": unit, "days": days, "dimension": dimension}
    entry |= {"concept": concept, "direction": direction, "chance": chance}

    def declare(function: FunctionT) -> FunctionT:
        if (contents := _contents.get()) is not None:
            contents.functions.append((entry, function))
        return function

    return declare


def table(
    *,
    name: str,
    time: str,
    columns: Mapping[str, str | Mapping[str, Any]] | None = None,
    identity: str = "event_id",
    load_time: bool = False,
) -> None:
    """Declare an extra table, in the Python file that RENEWCAST_FEATURES names.

    It is the entry ``[[tables]]`` of a TOML file. Outside of a file of declarations it has no effect.

    Parameters
    ----------
    name : str
        ``own_…``. The source has a table of this name.
    time : str
        The column with the instant at which the row happened.
    columns : mapping of str to str or mapping, optional
        The kind of each column: ``"string"``, ``"int"``, ``"float"``, ``"bool"`` or ``"instant"``, or a mapping with
        ``kind`` and some of ``required``, ``values``, ``min``, ``max`` and ``known_from``.
    identity : str, default "event_id"
        The column with the id of the event. Rows with the same id are versions of one event.
    load_time : bool, default False
        Whether every row must have ``loaded_at``.

    Returns
    -------
    None

    Raises
    ------
    RenewcastError
        When the file of declarations is read, if an argument is not valid.

    Examples
    --------
    >>> import renewcast
    >>> renewcast.table(name="own_posts", time="posted_at", columns={"topic": "string", "votes": "int"})
    """
    if (contents := _contents.get()) is not None:
        entry = {"name": name, "time": time, "columns": dict(columns or {}), "identity": identity}
        contents.tables.append(entry | {"load_time": load_time})


def measure(
    *,
    name: str,
    table: str,
    measure: str,
    words: str,
    unit: str | None = None,
    where: Mapping[str, Any] | None = None,
    value: str | None = None,
    key: str | None = None,
    holds: Mapping[str, Any] | None = None,
    windows: Sequence[int] | None = None,
    per: str | None = None,
    against_days_ago: int | None = None,
    trend_days: int | None = None,
    dimension: str | None = None,
    concept: str | None = None,
    direction: str | None = None,
    chance: str | None = None,
) -> None:
    """Declare a feature that measures a table, in the Python file that RENEWCAST_FEATURES names.

    It is the entry ``[[features]]`` of a TOML file, and is computed by the engine. Outside of a file of declarations it
    has no effect.

    Parameters
    ----------
    name : str
        ``own.…`` or ``{table}.…``; the days of each window are added.
    table : str
        A table of the data contract, or an extra table.
    measure : str
        ``"count"``, ``"sum"``, ``"distinct"``, ``"newest"``, ``"oldest"``, ``"latest"`` or ``"holding"``.
    words : str
        A noun phrase that describes the value; ``{w}`` is replaced by the days of the window.
    unit : str, optional
        The unit of the value. Optional for days and ratios.
    where : mapping, optional
        Conditions that a row must meet, by column.
    value : str, optional
        The column that ``"sum"`` and ``"latest"`` read.
    key : str, optional
        The column whose values ``"distinct"`` and ``"holding"`` count.
    holds : mapping, optional
        The conditions that the latest row of a key must meet for ``"holding"``.
    windows : sequence of int, optional
        In days. By default the standard windows.
    per : str, optional
        A numeric feature to divide by.
    against_days_ago : int, optional
        Divide by the same window this many days earlier.
    trend_days : int, optional
        Divide the rate in the window by the rate between this many days ago and the window.
    dimension : str, optional
        The dimension of the health score. By default that of the table's other features.
    concept : str, optional
        Features of one concept are explained together. By default the name without its prefix.
    direction : {"raises_risk", "lowers_risk"}, optional
        How a higher value relates to churn, if known.
    chance : {"raises_chance", "lowers_chance"}, optional
        How a higher value relates to expansion, if known.

    Returns
    -------
    None

    Raises
    ------
    RenewcastError
        When the file of declarations is read, if an argument is not valid.

    Examples
    --------
    >>> import renewcast
    >>> renewcast.measure(name="own.logins", table="usage", measure="count", unit="logins", words="logins in {w} days")
    """
    if (contents := _contents.get()) is None:
        return
    entry: dict[str, Any] = {
        "name": name,
        "table": table,
        "measure": measure,
        "words": words,
        "unit": unit,
        "value": value,
        "key": key,
    }
    entry |= {"windows": windows, "per": per, "against_days_ago": against_days_ago, "trend_days": trend_days}
    entry |= {"dimension": dimension, "concept": concept, "direction": direction, "chance": chance}
    entry |= {"where": dict(where or {}), "holds": dict(holds or {})}
    contents.features.append({key: given for key, given in entry.items() if given is not None})
