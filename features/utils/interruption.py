"""Stopping on SIGTERM and SIGINT: one line, nothing half-written, exit code 128 and the signal's number."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from features.utils.atomic_files import discard_unfinished

PATIENCE_SECONDS = 5.0
"""What is under way may take so long to end by itself."""

_code: int | None = None


def exit_on_signals() -> None:
    """From now on, SIGTERM and SIGINT end this process with one line on standard error, in the main thread.

    Blocks under way are left as on any error, so that files are written whole or not at all. Where that takes longer
    than `PATIENCE_SECONDS`, because a library's own code runs on, or at a second signal, what is unfinished is removed
    and the process ends at once.
    """
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, _interrupt)


def stopped_by() -> int | None:
    """The exit code of the signal that is ending this process; None where none came."""
    return _code


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    global _code
    code = 128 + number
    if _code is not None:
        _end(code)
    _code = code
    # As bytes: a write to sys.stderr may be under way.
    os.write(2, f"Stopped by {signal.Signals(number).name} before the end.\n".encode())
    # What other threads and callbacks fail with from now on is this stop, not an error of theirs.
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None
    timer = threading.Timer(PATIENCE_SECONDS, _end, (code,))
    timer.daemon = True
    timer.start()
    raise SystemExit(code)


def _end(code: int) -> NoReturn:
    discard_unfinished()
    os._exit(code)
