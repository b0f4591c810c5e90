"""Files of the commands that show what a page shows: the result as JSON, or the tables that the page exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.errors import BadRequest

if TYPE_CHECKING:
    from serving.html.exports import Tables

FORMS = (".json", ".csv", ".xlsx")
TablesFile = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write a .json file, one table as .csv, or every table as .xlsx."),
]


def table_help(*names: str) -> str:
    """Return the help of ``--table``.

    Parameters
    ----------
    *names : the tables, that of a .csv file first.
    """
    return f"Only this table of --out: {', '.join(names[:-1])} or {names[-1]} (default of .csv: {names[0]})."


def check_tables_file(out: Path | None, table: str | None = None, names: tuple[str, ...] = ()) -> None:
    """Check what is asked for, before a long computation.

    Parameters
    ----------
    out : the file of ``--out``.
    table : the table of ``--table``.
    names : the tables that there are.

    Raises
    ------
    BadRequest : the file has no supported ending, or there is no such table.
    """
    if out is not None and out.suffix not in FORMS:
        found = f"the unsupported extension {out.suffix}" if out.suffix else "no file extension"
        raise BadRequest(f"{out} has {found}", "one of " + ", ".join(FORMS), "use one of these extensions")
    if table is None:
        return
    if out is None or out.suffix == ".json":
        raise BadRequest("--table without a file of tables", "--out FILE.csv or --out FILE.xlsx", "leave out --table")
    if table not in names:
        raise BadRequest("there is no such table", ", ".join(names), "correct --table")


def tables_writer(
    tables: Callable[[], Tables], names: tuple[str, ...], table: str | None, as_json: Callable[[Path], str]
) -> Callable[[Path], str]:
    """Return a function that writes tables to a file, for `features.utils.cli.write_result`.

    It raises `BadRequest` if the result lacks the table or a workbook cannot hold the rows, and `HomeError` if the file
    cannot be written.

    Parameters
    ----------
    tables : returns the tables by name. Those of unknown figures are absent.
    names : the names of the tables in order; that of a .csv file first.
    table : the table to write; None for the default.
    as_json : writes the result to a .json file.
    """

    def write(out: Path) -> str:
        if out.suffix == ".json":
            return as_json(out)
        from features.utils.atomic_files import write_file
        from features.utils.formatting import count_of
        from serving.html.exports import csv_text, workbook

        known = tables()
        there = [name for name in names if name in known]
        wanted = there if table is None and out.suffix == ".xlsx" else [table or names[0]]
        if not wanted or wanted[0] not in known:
            cure = "choose another one with --table" if there else "write a .json file, which has the reasons"
            raise BadRequest(f"the table {table or names[0]} is unknown here", ", ".join(there), cure)
        chosen = [known[name]() for name in wanted]
        write_file(out, csv_text(chosen[0]) if out.suffix == ".csv" else workbook(*chosen))
        counts = ", ".join(
            f"{name} ({count_of(len(each.cells()), 'row')})" for name, each in zip(wanted, chosen, strict=True)
        )
        return f"{counts} in {out}"

    return write
