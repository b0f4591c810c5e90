"""Account ids that are unsafe in URLs, logs and CSV are rejected with their row."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from features.contract.schema import ID_LIMIT, ID_PATTERN
from features.errors import SignalsError
from features.signals.signals import open_signals

BAD = ("a\nb", "a\rb", "a\tb", "a\x00b", "a\x1b[31m", "a\x7f", "a\x85b", "a\x9b", "a\u2028b", "a\u2029b", "x" * (ID_LIMIT + 1))
GOOD = ("a b", "a/b", "..", "%2e", "ä", "界" * ID_LIMIT, "🙂" * ID_LIMIT, "a\u200bb", "\u202eabc", "=1+1", "'", "a" * ID_LIMIT)


def _open(to_arrow: Any, place: Path, ids: tuple[str, ...]) -> None:
    place.mkdir(exist_ok=True)
    rows = [{"account_id": each, "created_at": "2025-01-01"} for each in ids]
    pq.write_table(to_arrow("accounts", rows), place / "accounts.parquet")
    terms = [{"account_id": each, "started_at": "2025-01-01", "arr": 1.0} for each in ids]
    pq.write_table(to_arrow("subscriptions", terms), place / "subscriptions.parquet")
    open_signals(str(place), datetime(2026, 1, 1, tzinfo=UTC))


def test_ids_that_are_unsafe_in_urls_are_rejected_by_row(to_arrow: Any, tmp_path: Path) -> None:
    ids = ("fine", *(each for pair in zip(BAD, GOOD, strict=False) for each in pair))
    with pytest.raises(SignalsError) as refused:
        _open(to_arrow, tmp_path / "s", ids)
    message = str(refused.value)
    rows = [place for place, each in enumerate(ids, 1) if each in BAD]
    assert f"accounts.account_id: an id with a line break or control character in {len(rows) - 1} rows (rows {rows[0]}, {rows[1]}" in message
    assert f"an id longer than {ID_LIMIT} characters in 1 row (row {rows[-1]})" in message
    assert "\x1b" not in message


def test_all_other_ids_are_accepted(to_arrow: Any, tmp_path: Path) -> None:
    _open(to_arrow, tmp_path / "s", GOOD)


def test_the_pattern_of_request_bodies_accepts_the_same_ids() -> None:
    assert all(re.search(ID_PATTERN, each) for each in GOOD)
    assert not any(re.search(ID_PATTERN, each) and len(each) <= ID_LIMIT and not each.endswith("\n") for each in BAD)
