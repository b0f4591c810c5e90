"""A full or read-only home is reported at /readyz, and is checked rarely."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.disk_space import CHECK_SECONDS, Disk
from serving.common.settings import ServiceSettings


def fails(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize(
    ("call", "what", "word"),
    [
        ("open", fails(errno.EROFS), "cannot be written: Read-only file system"),
        ("open", fails(errno.EACCES), "cannot be written: Permission denied"),
        ("open", fails(errno.ENOSPC), "is full: No space left on device"),
        ("write", fails(errno.EDQUOT), "is full: Disk quota exceeded"),
        ("statvfs", lambda _: SimpleNamespace(f_bavail=10, f_frsize=4096, f_files=10, f_favail=10), "is full: 0 MiB"),
        ("statvfs", lambda _: SimpleNamespace(f_bavail=10**9, f_frsize=4096, f_files=10, f_favail=0), "no more files"),
    ],
)
def test_a_home_that_cannot_be_written_is_not_ready(own_home: Home, monkeypatch: pytest.MonkeyPatch, call: str, what: Callable[..., Any], word: str) -> None:
    with TestClient(create_app(own_home, ServiceSettings(open_locally=True)), client=("127.0.0.1", 1)) as client:
        assert client.get("/readyz").status_code == 200
        client.app.state.disk = Disk(own_home)  # type: ignore[attr-defined]
        with monkeypatch.context() as patched:
            patched.setattr(f"serving.common.disk_space.os.{call}", what)
            answer = client.get("/readyz")
        assert answer.status_code == 503
        assert word in answer.json()["detail"]
        assert str(own_home.root) not in answer.text
        assert "retry-after" in answer.headers
        assert client.get("/v1/accounts/a05/prediction").status_code == 200
        client.app.state.disk = Disk(own_home)  # type: ignore[attr-defined]
        assert client.get("/readyz").status_code == 200


def test_the_disk_is_checked_rarely_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks, write = 0.0, [], os.write
    monkeypatch.setattr("serving.common.disk_space.os.write", lambda *a: looks.append(1) or write(*a))
    disk = Disk(Home(tmp_path), clock=lambda: now)
    for _ in range(100):
        assert disk.write_error() is None
    assert len(looks) == 1
    now += CHECK_SECONDS
    assert disk.write_error() is None
    assert len(looks) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", ["size=1m", "size=64m"], ids=["full", "read-only"])
def test_a_real_disk_that_is_full_or_read_only(tmp_path: Path, options: str) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("this user may not mount")
    try:
        if options == "size=64m":
            assert Disk(Home(tmp_path)).write_error() is None
            subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
            assert Disk(Home(tmp_path)).write_error() == "RENEWCAST_HOME cannot be written: Read-only file system"
        else:
            assert "is full" in (Disk(Home(tmp_path)).write_error() or "")
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
