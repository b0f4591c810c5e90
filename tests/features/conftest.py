"""Fixtures for the tests of several engines: a portfolio, and Spark if it can run."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def portfolios() -> ModuleType:
    """Return the module `portfolio.py` in this folder; test folders are not packages."""
    path = Path(__file__).resolve().parent / "portfolio.py"
    spec = importlib.util.spec_from_file_location("renewcast_portfolio", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _why_no_spark() -> str:
    """Return why Spark cannot run here; empty if it can."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not java:
        return "Spark needs Java 17 or 21, and there is no java on the PATH or at JAVA_HOME"
    output = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60).stderr
    version = re.search(r'version "(\d+)', output)
    if not version or int(version[1]) < 17:
        return f"Spark needs Java 17 or 21; {java} is {output.splitlines()[0] if output else 'silent'}"
    return ""


@pytest.fixture(scope="session")
def spark() -> Iterator[str]:
    """Return the name of the Spark engine, or skip the test if it cannot run."""
    if reason := _why_no_spark():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        # Full JIT compilation takes longer than these tests would gain.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield "spark"
