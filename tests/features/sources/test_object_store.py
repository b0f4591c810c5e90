"""Object stores are read like folders; no copies remain, and no secret is shown."""

from __future__ import annotations

import importlib.util
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features.errors import SignalsError
from features.signals.signals import open_signals
from features.sources import object_store
from features.sources.open_source import open_source

ACCOUNTS = b"account_id,created_at\na,2025-01-01\n"
SUBSCRIPTIONS = [{"account_id": "a", "started_at": "2025-01-01", "arr": 1200.5, "seats": 4, "renewal_at": "2026-01-01"}]


def _stub() -> Any:
    spec = importlib.util.spec_from_file_location("object_stub", Path(__file__).with_name("object_stub.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def buckets(to_arrow: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    place = tmp_path_factory.mktemp("source")
    pq.write_table(to_arrow("subscriptions", SUBSCRIPTIONS), place / "s.parquet")
    parquet = (place / "s.parquet").read_bytes()
    return {
        "bucket": {
            "out/Accounts.CSV": ACCOUNTS,
            "out/subscriptions/part-1.parquet": parquet,
            "out/usage/region=north%20x/u.csv": b"account_id,occurred_at\na,2025-03-01\n",
            "out/usage/_SUCCESS": b"",
            "out/readme.md": b"?",
            "out/other/large.csv": b"x" * 1000,
            "2026-01/accounts.csv": ACCOUNTS,
            "2026-02/subscriptions.parquet": parquet,
            "empty/readme.md": b"",
            "parts/2024-01.csv": b"id,since\n1,2024-01-01\n",
            "parts/2024-02.csv": b"id,since\n2,2024-02-01\n",
            "parts/2023-01.csv": b"id,since\n3,2023-02-01\n",
            "bad/accounts.csv": b"account_id,created_at\na,2025-01-01,HIDDENVALUE\n",
            "locked/accounts.csv": ACCOUNTS,
            f"long/accounts/{'x' * 300}.csv": ACCOUNTS,
            "climbing/accounts/../../../evil.csv": ACCOUNTS,
        },
    }


@pytest.fixture(scope="module")
def endpoint(buckets: dict[str, dict[str, bytes]]) -> Iterator[str]:
    with _stub().serving(buckets, {"locked/accounts.csv"}) as place:
        yield place


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "HIDDENID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "HIDDENKEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return folder


@pytest.fixture
def at(endpoint: str) -> Callable[[str], str]:
    return lambda key: f"s3://{key}?scheme=http&endpoint_override={endpoint}"


def test_a_prefix_is_read_like_a_folder_and_copies_are_removed(at: Callable[[str], str], temporary: Path) -> None:
    signals = open_signals(at("bucket/out"))
    (copy,) = temporary.iterdir()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    assert sorted(str(p.relative_to(copy)) for p in copy.rglob("*") if p.is_file()) == [
        "Accounts.CSV",
        "subscriptions/part-1.parquet",
        "usage/region=north%20x/u.csv",
    ]
    assert signals.tables["subscriptions"].to_pyarrow().to_pylist()[0]["arr"] == 1200.5
    signals.close()
    assert list(temporary.iterdir()) == []


def test_folder_keys_become_columns_and_other_objects_are_noted(at: Callable[[str], str]) -> None:
    source = open_source(at("bucket/out/"))
    assert set(source.tables) == {"accounts", "subscriptions", "usage"}
    assert source.tables["usage"].to_pyarrow().to_pylist()[0]["region"] == "north x"
    assert source.notes == [f"{n} is not a table of the contract and was ignored" for n in ("other", "readme.md")]
    assert source.files == {}


def test_a_pattern_selects_tables(at: Callable[[str], str]) -> None:
    assert set(open_source(at("bucket/2026-*/*.[cp]*")).tables) == {"accounts", "subscriptions"}


@pytest.mark.parametrize(
    ("key", "rows"), [("parts/2024-*.csv", 2), ("parts", 3), ("parts/2024-02.csv", 1), ("2026-*/acc*.csv", 1)]
)
def test_a_mapping_reads_objects(key: str, rows: int, at: Callable[[str], str], tmp_path: Path, temporary: Path) -> None:
    mapping = tmp_path / "m.toml"
    columns = "account_id, created_at" if "acc" in key else "id AS account_id, since AS created_at"
    mapping.write_text(f'[files]\nx = "{at("bucket/" + key)}"\n[tables]\naccounts = "SELECT {columns} FROM x"\n')
    source = open_source(mapping)
    assert source.tables["accounts"].count().to_pyarrow().as_py() == rows
    source.connection.disconnect()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nowhere/out", "nothing was found at s3://nowhere/out"),
        ("bucket/nowhere", "nothing was found at s3://bucket/nowhere"),
        ("bucket/nowhere-*", "nothing was found at s3://bucket/nowhere"),
        ("private/out", r"the credentials in the environment do not allow access to s3://private/out\?"),
        ("bucket/locked", r"do not allow access to s3://bucket/locked\?"),
        ("bucket/empty", r"s3://bucket/empty\?.* has no table of the data contract"),
        ("bucket/bad", r"s3://bucket/bad/accounts\.csv"),
        ("bucket/climbing", r"s3://bucket/climbing/accounts has no data files"),
        ("bucket/long", "with a name that is not a valid file name"),
    ],
)
def test_unreadable_objects_are_reported_with_one_message(
    address: str, message: str, at: Callable[[str], str], tmp_path: Path, temporary: Path
) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(f'[files]\nx = "{at(address)}"\n[tables]\naccounts = "SELECT * FROM x"\n')
    with pytest.raises(SignalsError, match=message) as caught:
        open_source(at(address).replace("s3://", "s3://ME:HIDDENKEY@"))
    if "locked" in address or "nothing" in message or "private" in address:
        with pytest.raises(SignalsError, match=message):
            open_source(mapping)
    assert caught.value.expected
    assert "HIDDEN" not in str(caught.value)
    assert str(temporary) not in str(caught.value)
    if "empty" not in address:
        assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3://ME:SEC/RET@bucket/x",
        "s3://ME:SEC?RET@bucket/x",
        "s3://bucket/x?secret_key=SECRET",
        "s3://bucket/x?endpoint_override=u:SECRET@host",
        "s3://bucket/../x",
        "s3://bucket/**/x.csv",
        "s3://bucket/2024-0?.csv",
        "gs://bucket/x?region=eu",
    ],
)
def test_an_invalid_address_is_not_repeated(address: str) -> None:
    with pytest.raises(SignalsError, match=r"invalid (s3|gs) address") as caught:
        open_source(address)
    assert not any(part in str(caught.value) for part in ("SEC", "RET", "2024"))


def test_the_origin_has_no_name_and_password(at: Callable[[str], str]) -> None:
    source = open_source(at("bucket/out").replace("s3://", "s3://ME:SECRET%2FKEY@"))
    assert source.origin == at("bucket/out")


@pytest.mark.parametrize(("limit", "value"), [("OBJECT_LIMIT", 2), ("BYTE_LIMIT", 100)])
def test_too_many_or_too_large_objects_are_rejected(
    limit: str, value: int, at: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(object_store, limit, value)
    with pytest.raises(SignalsError, match="has 3 objects"):
        open_source(at("bucket/out"))
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("scheme", ["s3", pytest.param("gs", marks=pytest.mark.slow)])
def test_an_unreachable_store_is_reported_with_one_message(
    scheme: str, listening: bool, monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(object_store, "RESPONSE_SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listening:
            silent.listen()
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(SignalsError, match="cannot be reached"):
            open_source(f"{scheme}://bucket/x?scheme=http&anonymous=true&endpoint_override={place}")
    assert time.monotonic() - began < 20
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_copies_are_removed_when_the_process_ends(at: Callable[[str], str], temporary: Path) -> None:
    program = f"from features.sources.open_source import open_source\nsource = open_source({at('bucket/out')!r})\nprint('read')"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=os.environ)
    assert (run.stdout, run.stderr) == ("read\n", "")
    assert list(temporary.iterdir()) == []
