"""Faster import of the application, for a process that serves it.

The import creates about a million objects that are never freed. Python's garbage collector would traverse them
repeatedly, which takes a quarter of the import time. So it is disabled during the import, and ignores these objects
afterwards. As a further effect, forked processes share their memory (see `gc.freeze` in the CPython documentation).
"""

from __future__ import annotations

import gc

gc.disable()
from serving.server import slim_imports  # noqa: E402, F401 must be imported before the modules that it blocks

# isort: split
from serving.app.app import create_app, has_active_key  # noqa: E402
from serving.http.http_protocol import limited_protocol  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["create_app", "has_active_key", "limited_protocol"]
