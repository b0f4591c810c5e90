"""A scored snapshot keeps what account reports need: the rows, weeks and movements of each account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from features.errors import HomeError
from features.revenue.account_history import account_rows
from features.revenue.arr import movements
from features.signals.signals import OpenSignals
from features.utils.periods import period_ending
from models.home import Home
from models.rules.business_reviews import report_features
from serving.snapshots.report_tables import MOVEMENTS, REPORT_TABLES, read_report_rows
from serving.snapshots.sidecars import sidecar_path
from serving.snapshots.snapshot_files import SnapshotFiles

AS_OF, EARLIER = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize("account", ["a00", "a05", "a38", "unknown"])
def test_the_stored_rows_are_those_of_the_signals(scored_home: Any, signals: OpenSignals, account: str) -> None:
    stored = read_report_rows(SnapshotFiles(scored_home.home), AS_OF, account)
    assert stored is not None
    year = period_ending(AS_OF, "year").start
    assert stored.events == account_rows(signals, account, year, AS_OF, REPORT_TABLES)
    assert stored.tables >= {"support", "outcomes", "subscriptions"}
    assert not stored.one_date
    dates = [week["as_of"] for week in stored.weeks]
    assert dates == sorted(dates)
    assert all(set(week) <= {"as_of", *report_features()} for week in stored.weeks)
    assert len(dates) == {"a38": 0, "unknown": 0}.get(account, 12)
    for period, start in (("quarter", datetime(2026, 4, 1, tzinfo=UTC)), ("year", year)):
        expected = movements(signals, start, AS_OF).set_index("account_id")
        assert (period in stored.movements) == (account in expected.index)
        if account in expected.index:
            assert stored.movements[period] == {name: expected.loc[account, name] for name in MOVEMENTS}


def test_a_snapshot_without_signals_has_none(scored_home: Any) -> None:
    assert read_report_rows(SnapshotFiles(scored_home.home), EARLIER, "a00") is None


def test_a_broken_file_is_refused_by_name(own_home: Home) -> None:
    snapshots = SnapshotFiles(own_home)
    weeks = sidecar_path(snapshots, AS_OF, "reports_weeks").with_suffix(".parquet")
    other = sidecar_path(snapshots, EARLIER, "reports").with_name("reports.json")
    content = weeks.read_bytes()
    weeks.write_bytes(b"not parquet")
    with pytest.raises(HomeError, match=r"reports_weeks\.parquet cannot be used") as caught:
        read_report_rows(snapshots, AS_OF, "a00")
    assert "score it again" in caught.value.cure
    # A file that was copied from another date is refused as well.
    other.parent.mkdir(parents=True, exist_ok=True)
    reports = sidecar_path(snapshots, AS_OF, "reports").read_text(encoding="utf-8")
    other.write_text(reports.replace(AS_OF.isoformat(), EARLIER.isoformat()), encoding="utf-8")
    for source in weeks.parent.glob("reports_*.parquet"):
        other.with_name(source.name).write_bytes(content if source == weeks else source.read_bytes())
    with pytest.raises(HomeError, match="another snapshot"):
        read_report_rows(snapshots, EARLIER, "a00")
