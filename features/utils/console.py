"""The console on which commands print tables and styled text.

Names of accounts, people, plans and files are untrusted text. They are printed literally: Rich's markup (``[red]``) and
emoji codes are not interpreted, and control, bidirectional and zero-width characters are shown as escapes. In tables,
line feeds and tabs are also shown as escapes, so that each row keeps its shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import IO, Any, NoReturn

import rich.console
import rich.table
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from features.utils.printable import printable, printable_line


class Console(rich.console.Console):
    """Rich's console that prints text literally. Use `rich.text.Text` or ``style=`` for styles.

    Parameters
    ----------
    **settings : passed to `rich.console.Console`. Markup, emoji codes and highlighting are off by default.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False} | settings)

    @property
    def file(self) -> IO[str]:
        """The underlying output stream, without the wrappers that escape text or keep it above a progress bar."""
        file = super().file
        while (inner := getattr(file, "rich_proxied_file", None)) is not None:
            file = inner
        return file

    @file.setter
    def file(self, file: IO[str]) -> None:
        self._file = file

    def on_broken_pipe(self) -> NoReturn:
        """Let the command report that the reader closed the output. Rich calls this while it handles the error."""
        raise

    def render_str(self, text: str, **settings: Any) -> Text:
        """Render a string as text, escaped before its width is measured."""
        return super().render_str(printable(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything printable as segments, with its text escaped."""
        for segment in super().render(renderable, options):
            text = segment.text
            shown = text if segment.control else printable(text)
            yield segment if shown is text else Segment(shown, segment.style)


class Table(rich.table.Table):
    """Rich's table with one line of text per title, heading and cell; long text is folded to the column width.

    For a cell with several lines, use a `rich.console.Group`.

    Parameters
    ----------
    *headers, **settings : as `rich.table.Table` takes them. Without frame, and with a bold title on the left, unless
        given.
    gap : spaces between columns.
    """

    def __init__(self, *headers: rich.table.Column | str, gap: int = 2, **settings: Any) -> None:
        plain = {"box": None, "padding": (0, gap, 0, 0), "title_justify": "left", "title_style": "bold"}
        super().__init__(**plain | settings)
        self.title = one_line(self.title)
        for header in headers:
            if isinstance(header, str):
                self.add_column(header)
            else:
                self.columns.append(header)

    def add_column(self, header: RenderableType = "", *more: Any, **settings: Any) -> None:
        """Add a column, with its heading on one line. A long word, such as an id, is folded rather than cut off."""
        if not settings.get("no_wrap"):
            settings.setdefault("overflow", "fold")
        super().add_column(one_line(header), *more, **settings)

    def add_row(self, *cells: RenderableType | None, **settings: Any) -> None:
        """Add a row, with each cell on one line."""
        super().add_row(*map(one_line, cells), **settings)


def labeled_rows(rows: Iterable[Sequence[RenderableType]], gap: int = 1) -> Table:
    """Return a table of labels and texts, without headings. A long text continues under its own first line.

    Parameters
    ----------
    rows : the cells of each row, at least one row: labels, and the text last.
    gap : spaces between columns.
    """
    table, cells = Table(show_header=False, gap=gap), list(rows)
    for _ in cells[0][:-1]:
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


def one_line(cell: Any) -> Any:
    """Escape line feeds and tabs in text; escaped text keeps one style. Other values are unchanged."""
    if isinstance(cell, str):
        return printable_line(cell)
    if isinstance(cell, Text) and (line := printable_line(cell.plain)) is not cell.plain:
        return Text(line, cell.style, justify=cell.justify, overflow=cell.overflow, no_wrap=cell.no_wrap)
    return cell
