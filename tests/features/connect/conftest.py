"""The engine of the tests that draft tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from features.sources.base import connect_duckdb

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend


@pytest.fixture(scope="module")
def engine() -> Iterator[Backend]:
    connection = connect_duckdb()
    yield connection
    connection.disconnect()
