"""The console on which commands print tables and styled text.

Names of accounts, people, plans and files come from outside. They are printed as they are: without Rich's markup
(``[red]``), without emoji codes, and with control, bidirectional and zero-width characters shown as escapes. What
stands in a table stays within its row: a line feed or a tab there is shown as an escape too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import rich.console
import rich.table
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from features.utils.printable import printable, printable_line


class Console(rich.console.Console):
    """Rich's console, with text taken literally. Styles are given as `rich.text.Text` or as ``style=``.

    Parameters
    ----------
    **settings : as `rich.console.Console` takes them. Markup, emoji codes and highlighting are off unless given.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False} | settings)

    @property
    def file(self) -> IO[str]:
        """Where it writes: the stream itself, past all that escape what is written to it or keep it above a bar."""
        file = super().file
        while (inner := getattr(file, "rich_proxied_file", None)) is not None:
            file = inner
        return file

    @file.setter
    def file(self, file: IO[str]) -> None:
        self._file = file

    def render_str(self, text: str, **settings: Any) -> Text:
        """A string as text, escaped before its width is measured."""
        return super().render_str(printable(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of anything that can be printed, whatever its text was made of."""
        for segment in super().render(renderable, options):
            text = segment.text
            shown = text if segment.control else printable(text)
            yield segment if shown is text else Segment(shown, segment.style)


class Table(rich.table.Table):
    """Rich's table, the text of whose title, headings and cells is one line each; a long one is folded by its width.
    A cell that is meant to hold several lines is a `rich.console.Group` of them.

    Parameters
    ----------
    *headers, **settings : as `rich.table.Table` takes them.
    """

    def __init__(self, *headers: rich.table.Column | str, **settings: Any) -> None:
        super().__init__(**settings)
        self.title = one_line(self.title)
        for header in headers:
            if isinstance(header, str):
                self.add_column(header)
            else:
                self.columns.append(header)

    def add_column(self, header: RenderableType = "", *more: Any, **settings: Any) -> None:
        """As Rich's."""
        super().add_column(one_line(header), *more, **settings)

    def add_row(self, *cells: RenderableType | None, **settings: Any) -> None:
        """As Rich's."""
        super().add_row(*map(one_line, cells), **settings)


def one_line(cell: Any) -> Any:
    """Text without line feeds and tabs, in one style if it had any; all else as it is."""
    if isinstance(cell, str):
        return printable_line(cell)
    if isinstance(cell, Text) and (line := printable_line(cell.plain)) is not cell.plain:
        return Text(line, cell.style, justify=cell.justify, overflow=cell.overflow, no_wrap=cell.no_wrap)
    return cell
