"""Escaping of untrusted text before it is printed: control and invisible characters are shown as escapes.

Data, files, arguments, the environment and servers may contain characters that move the cursor, set the window title,
reverse the order of letters (CVE-2021-42574) or are invisible. Each is printed as a Python escape, such as ``\\x1b``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

#: Unicode categories Cc (control), Cf (format), Cs (surrogate), Zl and Zp (separators), except line feed and tab.
HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u2064\u2066-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
)
_HIDDEN = re.compile(f"[{HIDDEN}]")
_HIDDEN_OR_BREAK = re.compile(f"[{HIDDEN}\n\t]")


def printable(text: str) -> str:
    """Escape control and format characters in ``text``, except line feeds and tabs.

    Returns the same object if there is nothing to escape.

    Examples
    --------
    >>> print(printable("Acme\\x1b[31m\\u202egnp"))
    Acme\\x1b[31m\\u202egnp
    """
    return _HIDDEN.sub(_escape, text) if _HIDDEN.search(text) else text


def printable_line(text: str) -> str:
    """Escape control and format characters, including line feeds and tabs, for text within a line or a table.

    Examples
    --------
    >>> print(printable_line("Acme\\nError: none"))
    Acme\\nError: none
    """
    return _HIDDEN_OR_BREAK.sub(_escape, text) if _HIDDEN_OR_BREAK.search(text) else text


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


class PrintableStream:
    """A text stream that escapes its output with `printable`.

    Parameters
    ----------
    stream : the stream to write to.
    """

    def __init__(self, stream: TextIO) -> None:
        #: Rich's consoles write to this stream directly, because their style codes are meant for the terminal.
        self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        """Write ``text`` and return its length."""
        self.rich_proxied_file.write(printable(text))
        return len(text)

    @property
    def encoding(self) -> str:
        """UTF-8, whatever ``stream`` uses, so that libraries do not replace this stream with an unescaped one."""
        return "utf-8"

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self.rich_proxied_file, name)


@contextmanager
def printable_output() -> Iterator[None]:
    """Escape text printed to standard output and standard error while the block runs.

    Characters outside the terminal's encoding are also escaped.
    """
    before = sys.stdout, sys.stderr
    # Python sets a stream to None if it was closed when the process started.
    with ExitStack() as opened:
        streams = [stream or opened.enter_context(Path(os.devnull).open("w", encoding="utf-8")) for stream in before]
        for stream in streams:
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        sys.stdout, sys.stderr = map(PrintableStream, streams)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def discard_output() -> None:
    """Flush standard output and standard error, and discard what cannot be written.

    The interpreter flushes them again when it ends, and reports a failure with an exit code of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
