"""Stores in SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from serving.store.database import Store

_NUMBERS = count()


def fresh_database(address: str) -> str:
    """Return the address of a new, empty database on the server."""
    name = f"store{next(_NUMBERS)}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return address.replace("/postgres?", f"/{name}?")


@pytest.fixture
def postgres_address(postgres: Any) -> str:
    """The address of an empty database."""
    return fresh_database(postgres.get_uri())


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    result: str = request.getfixturevalue("postgres_address")
    return result


@pytest.fixture
def store(address: str, tmp_path: Path) -> Iterator[Store]:
    opened = Store(address, tmp_path)
    yield opened
    opened.close()
