"""Any sheet is read, or refused with one message that repeats no value."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import RenewcastError
from features.signals.signals import read_signals
from features.snapshots.snapshot import snapshot
from features.sources.open_source import open_source
from features.sources.spreadsheet.vocabulary import fields
from features.utils.dates import Grid

HEADERS = st.sampled_from([field.names[0] for field in fields().values()] + ["", "Notes", "usage.events_28d"])
CELLS = st.one_of(
    st.sampled_from(["", "-", "N/A", "Total", "Yes", "no", "Acme", "Churned", "9/30/2026", "30.9.2026", "2026-13-45", "$1,200", "48k", "1.234,5", "85%", "46000", "1e400", "0", "-1", "red"]),
    st.text(max_size=8),
    st.floats(allow_nan=True).map(str),
    st.dates().map(str),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.lists(HEADERS, min_size=1, max_size=8), rows=st.lists(st.lists(CELLS, max_size=9), max_size=6))
def test_any_cells_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, headers: list[str], rows: list[list[str]]) -> None:
    path: Path = tmp_path_factory.mktemp("any") / "customers-2026-09-30.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["Account", *headers], *([f"SECRET{i}", *row] for i, row in enumerate(rows))])
    try:
        source = open_source(path)
        signals = read_signals(source)
        frame = snapshot(signals, Grid.single(signals.data_through))
        assert len(frame) == frame["account_id"].nunique() > 0
        shown = "\n".join(source.notes)
        signals.close()
    except RenewcastError as error:
        shown = str(error)
    assert "SECRET" not in shown
