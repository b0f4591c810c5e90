"""Terminal output of `renewcast connect`, which fits in 80 columns."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from features.connect.connection import Connection
from features.utils.console import Table


def print_connection(result: Connection, console: Console) -> None:
    """Print the draft if it was not written, what it assumes, what is missing, and last the line to confirm.

    Parameters
    ----------
    result : the connected sources.
    console : the terminal.
    """
    if result.out is None:
        console.print(Text(result.draft), soft_wrap=True)
    table = Table(title="please confirm", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    about = ""
    for fact in result.facts:
        table.add_row(Text(fact.about if fact.about != about else "", style="bold"), Text(fact.text))
        about = fact.about
    console.print(table)
    for style, head, lines in (("yellow", "missing", result.gaps), ("red", "correct", result.problems)):
        for line in lines:
            grid = Table.grid(padding=(0, 2))
            grid.add_column(width=7, style=style)
            grid.add_column()
            grid.add_row(head, Text(line))
            console.print(grid)
    console.print()
    if result.out is not None:
        console.print(Text(f"The mapping is in {result.out}."), soft_wrap=True)
    file = result.out or "MAPPING.toml"
    if result.summary is not None:
        console.print(Text(result.summary.line, style="bold"))
        if result.summary.open_questions:
            text = f"They are uncertain until open_questions in {file} are answered. Then: renewcast check {file}"
        else:
            text = f"If these figures are yours: renewcast check {file}"
        console.print(Text(text), soft_wrap=True)
    elif result.next_command:
        for line in result.figures:
            console.print(Text(line, style="bold"))
        console.print(Text(f"If these figures are yours: {result.next_command}"), soft_wrap=True)
    else:
        console.print(Text(f"Complete the mapping, then: renewcast check {file}", style="bold"), soft_wrap=True)
