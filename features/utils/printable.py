"""Text from outside made safe to print: what a terminal would obey, or a reader cannot see, is shown as an escape.

Data, files, arguments, the environment and servers may hold characters that move the cursor, set the window's title,
turn the order of letters (CVE-2021-42574) or hide. Each is written as Python writes it: ``\\x1b``, ``\\u202e``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

#: Unicode's categories Cc (control), Cf (format), Cs (surrogate), Zl and Zp (separators), but for line feed and tab.
HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_HIDDEN = re.compile(f"[{HIDDEN}]")
_HIDDEN_OR_BREAK = re.compile(f"[{HIDDEN}\n\t]")


def printable(text: str) -> str:
    """``text`` with every control or format character as an escape; line feeds and tabs stay. The same object if there
    is nothing to escape.

    Examples
    --------
    >>> print(printable("Acme\\x1b[31m\\u202egnp"))
    Acme\\x1b[31m\\u202egnp
    """
    return _HIDDEN.sub(_escape, text) if _HIDDEN.search(text) else text


def printable_line(text: str) -> str:
    """As `printable`, with line feeds and tabs as escapes too: for a name within a line or a table.

    Examples
    --------
    >>> print(printable_line("Acme\\nError: none"))
    Acme\\nError: none
    """
    return _HIDDEN_OR_BREAK.sub(_escape, text) if _HIDDEN_OR_BREAK.search(text) else text


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class PrintableStream:
    """A text stream whose output goes through `printable`.

    Parameters
    ----------
    stream : where it goes.
    """

    def __init__(self, stream: TextIO) -> None:
        #: Rich's consoles write here directly: the codes of their styles are meant for the terminal.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write ``text``; how many characters of it were taken, which is all."""
        self.rich_proxied_file.write(printable(text))
        return len(text)

    @property
    def encoding(self) -> str:
        """UTF-8 to those who write, whatever ``stream`` has: it is not to be replaced by one that escapes nothing."""
        return "utf-8"

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def printable_output() -> Iterator[None]:
    """Standard output and standard error escape what they print while the block runs. A character that the terminal's
    encoding does not have is escaped too."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = (PrintableStream(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
