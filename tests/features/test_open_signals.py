"""An open source in several threads, in other processes, and when its files change."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

import renewcast
from features.python_api import Signals

ROWS = {
    "accounts": "account_id,created_at\na,2025-01-01\nb,2025-01-01\n",
    "subscriptions": "account_id,started_at,arr\na,2025-01-01,1200\nb,2025-02-01,600\n",
    "usage": "account_id,occurred_at,user_id\na,2025-03-01,u\nb,2025-04-01,v\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "signals"
    place.mkdir()
    for name, rows in ROWS.items():
        (place / f"{name}.csv").write_text(rows)
    return place


def test_calls_of_several_threads_run_one_after_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, entered = 0, 0, threading.Event()

    def build(*_: object, **__: object) -> pd.DataFrame:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        # The first call waits for another one to arrive, which it must not.
        entered.wait(0.2)
        if inside > 1:
            entered.set()
        inside -= 1
        return pd.DataFrame()

    monkeypatch.setattr("features.python_api.build", build)
    with renewcast.open_signals(folder) as signals, ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: renewcast.snapshot(signals, "2025-03-15"), range(3)))
    assert most == 1


@pytest.mark.parametrize("transfer", [pickle.dumps, copy.copy, copy.deepcopy])
def test_signals_cannot_be_pickled_or_copied(folder: Path, transfer: object) -> None:
    assert callable(transfer)
    with renewcast.open_signals(folder) as signals, pytest.raises(renewcast.RenewcastError, match="cannot be pickled") as refused:
        transfer(signals)
    assert "renewcast.open_signals(address)" in refused.value.cure


def test_signals_of_another_process_are_rejected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with renewcast.open_signals(folder) as signals:
        with monkeypatch.context() as fork:
            fork.setattr(os, "getpid", lambda: 1)
            with pytest.raises(renewcast.RenewcastError, match="opened in another process"):
                renewcast.snapshot(signals, "2025-03-15")
        assert signals.rows["accounts"] == 2


def _mapping(folder: Path) -> tuple[str, Path]:
    file = folder.parent / "mapping.toml"
    files = "".join(f'f_{name} = "signals/{name}.csv"\n' for name in ROWS)
    tables = "".join(f'{name} = "SELECT * FROM f_{name}"\n' for name in ROWS)
    file.write_text(f"[files]\n{files}[tables]\n{tables}")
    return str(file), folder / "usage.csv"


def _sqlite(folder: Path) -> tuple[str, Path]:
    file = folder.parent / "signals.db"
    with closing(sqlite3.connect(file)) as database:
        for name in ROWS:
            pd.read_csv(folder / f"{name}.csv").to_sql(name, database, index=False)
    return f"sqlite:///{file}", file


def _in_parts(folder: Path) -> tuple[str, Path]:
    """A table as a folder of files."""
    (folder / "usage").mkdir()
    part = (folder / "usage.csv").rename(folder / "usage" / "part-0.csv")
    return str(folder), part


def _mapping_in_parts(folder: Path) -> tuple[str, Path]:
    """A mapping whose file is a folder with names that are no tables."""
    address, file = _mapping(folder)
    (folder / "export").mkdir()
    part = file.rename(folder / "export" / "part-0.csv")
    text = Path(address).read_text().replace("signals/usage.csv", "signals/export")
    Path(address).write_text(text)
    return address, part


SOURCES = {
    "folder": lambda folder: (str(folder), folder / "usage.csv"),
    "pattern": lambda folder: (str(folder / "*.csv"), folder / "usage.csv"),
    "parts": _in_parts,
    "mapping": _mapping,
    "mapping of parts": _mapping_in_parts,
    "database": _sqlite,
}


def test_files_that_are_no_tables_may_change(folder: Path) -> None:
    """A script may write its results, and Jupyter its checkpoints, next to the tables."""
    with renewcast.open_signals(folder) as signals:
        (folder / "out.csv").write_text("x\n1\n", encoding="utf-8")
        (folder / "usage.csv.bak").write_text("x\n1\n", encoding="utf-8")
        (folder / ".ipynb_checkpoints").mkdir()
        (folder / ".ipynb_checkpoints" / "usage.csv").write_text("", encoding="utf-8")
        assert len(renewcast.features()) > 0
        assert len(renewcast.snapshot(signals, "2026-01-01")) >= 0


@pytest.mark.parametrize("kind", SOURCES)
def test_a_file_that_is_replaced_is_noticed(folder: Path, kind: str) -> None:
    address, file = SOURCES[kind](folder)
    with renewcast.open_signals(address) as signals:
        assert len(renewcast.snapshot(signals, "2025-03-15")) == 2
        copied = shutil.copy2(file, file.with_name("copy"))
        os.replace(copied, file)
        for use in (Signals.rows.fget, lambda opened: renewcast.snapshot(opened, "2025-03-15"), lambda opened: renewcast.snapshot(opened, "2026-03-15")):
            with pytest.raises(renewcast.RenewcastError, match="have changed since they were opened") as refused:
                use(signals)
            assert "open them again" in refused.value.cure
    with renewcast.open_signals(address) as signals:
        assert signals.rows["accounts"] == 2
