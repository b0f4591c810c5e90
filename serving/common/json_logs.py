"""Logs as JSON, one object a line. They say what happened, never to whom: no account ids, no paths with ids."""

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
    """Log one event with its fields."""
    log.log(level, event, extra={"fields": fields})


def error_location(error: BaseException) -> dict[str, str]:
    """An unexpected error for the log: its class and the places it went through, without its message, which may repeat
    what a caller sent."""
    steps = traceback.extract_tb(error.__traceback__)[-6:]
    path = " < ".join(f"{Path(step.filename).name}:{step.lineno} {step.name}" for step in reversed(steps))
    return {"error": type(error).__name__, "at": path}


class JsonFormatter(logging.Formatter):
    """Time (UTC), level, logger, event and fields. Of an exception only what `error_location` says."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, all of it ASCII: nothing that a terminal would obey."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        told |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            told |= error_location(record.exc_info[1])
        return json.dumps(told, default=str)


def log_to_stderr() -> None:
    """Send everything from INFO on to standard error as JSON lines; for a process that only serves."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
