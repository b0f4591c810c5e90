"""What commands share: the arguments that several take, progress, and how an answer is handed over.

It imports what a terminal needs and nothing else of weight, since every command begins with it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.utils.printable import printable_output
from features.utils.progress import Progress as Tell

if TYPE_CHECKING:
    from rich.console import Console

FAILED_CHECK = 1
"""Exit code of a check that was made and not passed."""
USER_MISTAKE = 2
"""Exit code of what a person can mend."""

Signals = Annotated[str, typer.Argument(metavar="SIGNALS", help="Folder, database address or TOML mapping file.")]
AsOf = Annotated[str, typer.Option("--as-of", metavar="DATE", help="What was known before this instant (UTC).")]
Engine = Annotated[
    str, typer.Option(metavar="ENGINE", help="duckdb; for folders also spark, on this machine, or spark://HOST:PORT.")
]
DataThrough = Annotated[
    str | None, typer.Option(metavar="DATE", help="Nothing at or after this instant is read (default: everything).")
]
RubricName = Annotated[
    str | None,
    typer.Option("--rubric", metavar="NAME", help="A rubric by name, or a .toml file (default: the champion's)."),
]
OutFile = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write every row to a .csv, .parquet or .ndjson file.")
]
PortfolioName = Annotated[
    str | None,
    typer.Option(
        "--portfolio",
        metavar="NAME",
        help="Name of the portfolio that the home belongs to (default: that of SIGNALS); another one is refused.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@contextlib.contextmanager
def progress(start: str) -> Iterator[Tell]:
    """A bar on standard error, which leaves standard output to the answer."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from features.utils.console import Console

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    off = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=off) as bar, printable_output():
        task = bar.add_task(start, total=1.0)

        def tell(share: float, what: str) -> None:
            bar.update(task, completed=share, description=what)

        yield tell


def print_json(content: object) -> None:
    """One JSON document on standard output."""
    json.dump(content, sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


def hand_over(
    as_json: bool,
    told: Callable[[], object],
    show: Callable[[Console], object],
    out: Path | None = None,
    write: Callable[[Path], str] | None = None,
) -> None:
    """Hand an answer over: in a file where one is asked for, else as JSON, else as a person reads it.

    Parameters
    ----------
    told : gives the answer as plain data.
    show : prints it on a console.
    out, write : the file, and what writes it and says in words what it wrote.
    """
    if out is not None and write is not None:
        typer.echo(write(out))
    elif as_json:
        print_json(told())
    else:
        from features.utils.console import Console

        show(Console())


def document_file(content: object, what: str) -> Callable[[Path], str]:
    """Writes plain data as JSON to a file, in one step; ``what`` says what it holds.

    Raises
    ------
    HomeError : by what is returned: the file cannot be written.
    """

    def write(out: Path) -> str:
        from features.utils.atomic_files import write_file

        write_file(out, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        return f"{what} in {out}"

    return write
