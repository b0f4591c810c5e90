"""Clean exit on SIGTERM and SIGINT: one line of output, no partial files, exit code 128 plus the signal number."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from features.utils.atomic_files import discard_unfinished

GRACE_SECONDS = 5.0
"""Time that running work has to finish before the process is ended."""

_code: int | None = None


def exit_on_signals() -> None:
    """Make SIGTERM and SIGINT end this process with one line on standard error.

    The signal raises `SystemExit` in the main thread, so that open blocks clean up and no file is left half-written. If
    that takes longer than `GRACE_SECONDS`, or on a second signal, unfinished files are removed and the process exits
    immediately. While the interpreter ends, both signals are ignored, so that the exit code is that of the command.
    """
    # What is registered first is called last, after other threads have ended.
    atexit.register(_ignore_signals)
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, _interrupt)


def _ignore_signals() -> None:
    # Otherwise the interpreter restores the default handlers, which end the process with the signal.
    for kind in (signal.SIGTERM, signal.SIGINT):
        signal.signal(kind, signal.SIG_IGN)


def stop_exit_code() -> int | None:
    """Return the exit code if a signal is ending this process, else None."""
    return _code


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    global _code
    code = 128 + number
    if _code is not None:
        _end(code)
    _code = code
    # As bytes: another write to sys.stderr may be in progress.
    os.write(2, f"Stopped by {signal.Signals(number).name} before the end.\n".encode())
    # From here on, failures in other threads and callbacks are caused by the stop and are not reported.
    sys.unraisablehook = lambda _: None
    threading.excepthook = lambda _: None
    timer = threading.Timer(GRACE_SECONDS, _end, (code,))
    timer.daemon = True
    timer.start()
    raise SystemExit(code)


def _end(code: int) -> NoReturn:
    discard_unfinished()
    os._exit(code)
