"""The application, imported sooner, for a process that will serve it.

Importing makes a million objects that stay. Python's collector would look through them time and again, a quarter of the
time that importing takes; it waits meanwhile, and leaves them alone afterwards (CPython's documentation of
`gc.freeze`, which also names that processes forked from this one then share their memory).
"""

from __future__ import annotations

import gc

gc.disable()
from serving.server import slim_imports  # noqa: E402, F401 it is to come before all that it leaves out

# isort: split
from serving.app.app import create_app, has_active_key  # noqa: E402
from serving.http.http_protocol import limited_protocol  # noqa: E402

gc.freeze()
gc.enable()

__all__ = ["create_app", "has_active_key", "limited_protocol"]
