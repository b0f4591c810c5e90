"""Shared parts of the commands: common arguments, the progress bar and the output of results.

Every command imports this module first, so it has no heavy imports.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from features.utils.printable import printable_output
from features.utils.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console

FAILED_CHECK = 1
"""Exit code of a check that ran and failed."""
USER_MISTAKE = 2
"""Exit code of a mistake that the user can fix."""
CLOSED_PIPE = 141
"""Exit code if the reader of the output closed it, as with ``| head``: that of a process that SIGPIPE ends."""

SignalsArgument = Annotated[
    str, typer.Argument(metavar="SIGNALS", help="Folder, database address, TOML mapping file or spreadsheet.")
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="DATE",
        help="Use only data known before this instant (UTC; default: the end of the data or of a sheet).",
    ),
]
Engine = Annotated[
    str, typer.Option(metavar="ENGINE", help="duckdb; for folders also spark (on this machine) or spark://HOST:PORT.")
]
DataThrough = Annotated[
    str | None, typer.Option(metavar="DATE", help="Ignore data at or after this instant (default: read everything).")
]
RubricName = Annotated[
    str | None,
    typer.Option("--rubric", metavar="NAME", help="A rubric by name, or a .toml file (default: the champion's)."),
]
TABLE_FILES = ".csv, .xlsx, .parquet or .ndjson file"
"""The files that a table can be written to, in the help of ``--out``."""
OutFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help=f"Write every row to a {TABLE_FILES}.")]
PortfolioName = Annotated[
    str | None,
    typer.Option(
        "--portfolio",
        metavar="NAME",
        help="Name of the portfolio that the home belongs to (default: that of SIGNALS). Other portfolios are refused.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@contextlib.contextmanager
def progress_bar(start: str) -> Iterator[Progress]:
    """Show a progress bar on standard error; standard output is reserved for results."""
    import rich.progress as bars

    from features.utils.console import Console

    columns = (
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    off = not console.is_terminal
    with bars.Progress(*columns, console=console, transient=True, disable=off) as bar, printable_output():
        task = bar.add_task(start, total=1.0)

        def report(share: float, what: str) -> None:
            bar.update(task, completed=share, description=what)

        yield report


OPEN_QUESTIONS = "open_questions"
"""The key of the open questions of a mapping in JSON."""
_questions_of_results: ContextVar[tuple[str, ...]] = ContextVar(OPEN_QUESTIONS, default=())
"""The open questions of the mapping that the running command reads."""


def print_note(text: str) -> None:
    """Print one line for the user on standard error."""
    typer.echo(f"note: {text}", err=True)


def mark_uncertain(questions: Sequence[str]) -> None:
    """Say once on standard error that the results of a command are uncertain, and have `write_result` put it into JSON.

    Parameters
    ----------
    questions : the open questions of the mapping of the signals; nothing happens without any.
    """
    from features.utils.open_questions import uncertainty

    _questions_of_results.set(tuple(questions))
    if (text := uncertainty(questions)) is not None:
        print_note(text)


def print_json(content: object) -> None:
    """Print one JSON document on standard output."""
    json.dump(content, sys.stdout, indent=1, allow_nan=False)
    sys.stdout.write("\n")


def write_result(
    as_json: bool,
    payload: Callable[[], object],
    show: Callable[[Console], object],
    out: Path | None = None,
    write: Callable[[Path], str] | None = None,
) -> None:
    """Write a result to a file if one is given, and as JSON if requested, else as text on the console.

    With both, standard output is the JSON object alone, and the message about the file is on standard error. If
    `mark_uncertain` was called, the object has the questions.

    Parameters
    ----------
    as_json : whether to print JSON.
    payload : returns the result as plain data.
    show : prints the result on a console.
    out : the output file, if any.
    write : writes the file and returns a message that describes it.
    """
    written = None if out is None or write is None else write(out)
    if written is not None:
        typer.echo(written, err=as_json)
    if as_json:
        content, asked = payload(), _questions_of_results.get()
        print_json({**content, OPEN_QUESTIONS: list(asked)} if asked and isinstance(content, dict) else content)
    elif written is None:
        from features.utils.console import Console

        show(Console())


def json_file_writer(content: object, what: str) -> Callable[[Path], str]:
    """Return a function that writes plain data to a JSON file atomically.

    Parameters
    ----------
    content : plain data.
    what : description of the content, for the message.

    Returns
    -------
    Callable
        Writes the file and returns a message. Raises `HomeError` if the file cannot be written.
    """

    def write(out: Path) -> str:
        from features.utils.atomic_files import write_file

        write_file(out, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
        return f"{what} in {out}"

    return write
