"""No module needs a standard library module that only POSIX systems have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WITHOUT = """
import importlib, pkgutil, sys

for name in ("fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "uvloop"):
    sys.modules[name] = None
import features, models, renewcast, serving, training

for package in (features, models, serving, training):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith(("migrations.env", "pyfunc_model")) and ".versions." not in module.name:
            importlib.import_module(module.name)
print("imported")
"""


@pytest.mark.slow
def test_everything_imports_without_posix_modules() -> None:
    result = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (result.returncode, result.stdout) == (0, "imported\n"), result.stderr[-2000:]
