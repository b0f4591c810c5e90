"""What the tests of several engines share: a portfolio, a PostgreSQL server, and whether Spark can run."""

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
    """The module beside this one (test folders are no packages here)."""
    path = Path(__file__).resolve().parent / "portfolio.py"
    spec = importlib.util.spec_from_file_location("renewcast_portfolio", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _why_no_spark() -> str:
    """Why Spark cannot run here; empty if it can."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if not java:
        return "Spark needs Java 17 or 21, and there is no java on the PATH or at JAVA_HOME"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < 17:
        return f"Spark needs Java 17 or 21; {java} is {said.splitlines()[0] if said else 'silent'}"
    return ""


@pytest.fixture(scope="session")
def spark() -> Iterator[str]:
    """The name of the engine, where it can run."""
    if reason := _why_no_spark():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        # The best machine code takes longer to make than these tests would gain by it.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield "spark"
