"""Snapshots equal those of the specs."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from features.signals.signals import read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.utils.dates import parse_instant


def _computed(tables: ModuleType, case: Any) -> pd.DataFrame:
    options = {name: None if v == tables.NULL else parse_instant(v) for name, v in case.options.items()}
    signals = read_signals(from_tables(case.source(), case.id, text=True), **options)
    frame = snapshot(signals, case.grid())
    signals.close()
    return frame


def _differences(tables: ModuleType, case: Any, frame: pd.DataFrame) -> list[str]:
    """Describe each difference between the snapshot and the case."""
    keys = zip(frame["account_id"], (t.isoformat() for t in frame["as_of"]), strict=True)
    rows = dict(zip(keys, frame.to_dict("records"), strict=True))
    results = []
    for key, values in tables.expected_rows(case):
        name, row = " at ".join(key), rows.pop(key, None)
        if (row is None) != (values is None):
            results.append(f"{name}: {'no row' if row is None else 'a row'} where {'one' if row is None else 'none'} is expected")
        for feature, value in (values or {}).items() if row is not None else ():
            if not _same(row[feature], value):
                results.append(f"{name}: {feature} is {row[feature]}, expected {'unknown' if value is None else value}")
    return results + [f"{' at '.join(key)}: a row that the case does not show" for key in rows]


def _same(actual: Any, expected: float | str | None) -> bool:
    if expected is None or pd.isna(actual):
        return expected is None and bool(pd.isna(actual))
    return bool(actual == expected) if isinstance(expected, str) else math.isclose(actual, expected, rel_tol=1e-12, abs_tol=1e-12)


def test_the_snapshot_equals_that_of_the_spec(tables: ModuleType, case: Any) -> None:
    mismatches = _differences(tables, case, _computed(tables, case))
    assert not mismatches, f"{case.prose}\n" + "\n".join(mismatches)


CASE = """\
# T

## C

A statement.

```accounts
account_id
----------
a
b
```

```snapshot
account_id | as_of      | contract.arr | contract.plan | contract.seats
-----------+------------+--------------+---------------+---------------
a          | 2024-03-08 | 1200         | ?             | ?
b          | 2024-03-08 | 1200         | ?             | ?
```
"""
SHOWN = "a          | 2024-03-08 | 1200         | ?             | ?"


@pytest.fixture(scope="module")
def two_accounts(tables: ModuleType) -> pd.DataFrame:
    return _computed(tables, tables.read_topic("t", CASE).cases[0])


@pytest.mark.parametrize(
    ("row", "difference"),
    [
        (SHOWN, None),
        ("a | 2024-03-08 | 1201 | ? | ?", "contract.arr is 1200.0, expected 1201.0"),
        ("a | 2024-03-08 | ? | ? | ?", "contract.arr is 1200.0, expected unknown"),
        ("a | 2024-03-08 | 1200 | pro | ?", "contract.plan is None, expected pro"),
        ("a | 2024-03-08 | 1200 | ? | 0", "contract.seats is nan, expected 0.0"),
        ("a | 2024-03-08 | absent | absent | absent", "a row where none is expected"),
        ("a | 2024-03-07 | 1200 | ? | ?", "no row where one is expected"),
        ("", "a row that the case does not show"),
    ],
)
def test_a_different_snapshot_is_reported(tables: ModuleType, two_accounts: pd.DataFrame, row: str, difference: str | None) -> None:
    (case,) = tables.read_topic("t", CASE.replace(SHOWN, row)).cases
    mismatches = "\n".join(_differences(tables, case, two_accounts))
    assert difference in mismatches if difference else not mismatches
