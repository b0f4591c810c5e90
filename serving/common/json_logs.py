"""Logs as JSON, one object per line, without account ids or paths that contain them."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger("serving")


def log_event(event: str, level: int = logging.INFO, /, **fields: Any) -> None:
    """Log one event.

    Parameters
    ----------
    event : the name of the event.
    level : a level of `logging`.
    **fields : further fields of the log entry.
    """
    log.log(level, event, extra={"fields": fields})


def error_location(error: BaseException) -> dict[str, str]:
    """Return the class of an unexpected error and the code locations it passed through.

    The message is left out, since it may repeat what a caller sent.
    """
    steps = traceback.extract_tb(error.__traceback__)[-6:]
    path = " < ".join(f"{Path(step.filename).name}:{step.lineno} {step.name}" for step in reversed(steps))
    return {"error": type(error).__name__, "at": path}


class JsonFormatter(logging.Formatter):
    """Format time (UTC), level, logger, event and fields as JSON; exceptions as `error_location` returns them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of ASCII JSON, which cannot contain terminal control sequences."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            entry |= error_location(record.exc_info[1])
        return json.dumps(entry, default=str)


def log_to_stderr() -> None:
    """Log messages of level INFO and above to standard error as JSON lines, in a process that only serves."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
