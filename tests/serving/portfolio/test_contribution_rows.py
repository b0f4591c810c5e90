"""The sums of contributions are those of the single rows, for any accounts and any division of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.home import Home
from serving.portfolio.contribution_rows import GROUP_COLUMNS, ROW_COLUMNS, ContributionRows, KpiSum
from serving.portfolio.kpi_file import read_contributions, write_contributions
from serving.portfolio.kpi_filter import KpiFilter
from serving.portfolio.kpi_values import Contributions, KpiContributions
from serving.schemas.account_filter import WITHOUT
from serving.snapshots.snapshot_files import SnapshotFiles

JULY = datetime(2026, 7, 1, tzinfo=UTC)
ACCOUNTS, MEASURES, SEGMENTS = [f"a{i}" for i in range(12)], ("nrr", "nps", "renewals_due"), ("SMB", "enterprise", None)
_amounts = st.one_of(st.just(math.nan), st.integers(-(10**9), 10**9).map(lambda cents: cents / 100))
_rows = st.lists(
    st.tuples(st.sampled_from(MEASURES), st.sampled_from(ACCOUNTS), st.sampled_from(SEGMENTS), _amounts, st.booleans()),
    max_size=60,
    unique_by=lambda row: row[:2],
)
_groups = st.fixed_dictionaries({name: st.lists(st.sampled_from(["x", "y", "", None]), min_size=12, max_size=12) for name in GROUP_COLUMNS})


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    full = [(measure, account, segment, amount, 2 * amount, amount, gone) for measure, account, segment, amount, gone in rows]
    table = pd.DataFrame(full, columns=list(ROW_COLUMNS)).astype({"overwritten": bool, "numerator": float})
    # Texts as objects, in which None stays None.
    texts = {name: np.array([row[place] for row in full] + [None], dtype=object)[:-1] for place, name in enumerate(ROW_COLUMNS[:3])}
    return table.assign(**{name: pd.Series(values, dtype=object) for name, values in texts.items()})


def _records(table: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Return the rows as plain values, with None instead of NaN."""
    return [tuple(None if each is None or each != each else each for each in row) for row in table[list(ROW_COLUMNS)].itertuples(index=False)]


def _sum(table: pd.DataFrame) -> tuple[KpiSum, float]:
    """Return the sums of rows one by one, and the rounding error that is allowed."""
    known = table["numerator"].dropna()
    total = math.fsum(known)
    unknown = len(table) - len(known)
    sums = KpiSum(total, 2 * total, total, len(known), unknown, len(table), int(table["overwritten"].sum()))
    return sums, 1e-15 * math.fsum(map(abs, known))


def _same(found: KpiSum, table: pd.DataFrame) -> bool:
    expected, error = _sum(table)
    close = all(abs(a - b) <= 4 * error for a, b in zip(found[:3], expected[:3], strict=True))
    return close and found[3:] == expected[3:]


@given(_rows, _groups)
def test_sums_by_group_are_those_of_the_rows_and_add_up_to_the_whole(rows: list[tuple[Any, ...]], groups: dict[str, list[str | None]]) -> None:
    table, accounts = _table(rows), pd.DataFrame({"account_id": ACCOUNTS, **groups})
    found = ContributionRows.of(table).with_groups(accounts)
    whole = found.sums()
    assert set(whole) == set(table["measure"])
    assert all(_same(total, table[table["measure"] == code]) for code, total in whole.items())
    named = table.merge(accounts, on="account_id", how="left")
    for by in ("segment", *GROUP_COLUMNS):
        parts = found.sums(by)
        texts = named[by].where(named[by].notna(), "")
        assert set(parts) == set(zip(texts, named["measure"], strict=True))
        for (group, code), total in parts.items():
            assert _same(total, named[(texts == group) & (named["measure"] == code)])
        for code, total in whole.items():
            own = [part for (_, each), part in parts.items() if each == code]
            assert round(math.fsum(part.numerator for part in own), 2) == round(total.numerator, 2), "to the cent"
            assert sum(part.accounts for part in own) == total.accounts


@given(_rows, st.none() | st.sets(st.sampled_from(ACCOUNTS)), st.sampled_from([None, WITHOUT, "SMB", "enterprise", "mid-market"]), st.sampled_from([None, "health"]))
def test_a_filter_selects_the_rows_of_its_accounts_and_segment(rows: list[tuple[Any, ...]], ids: set[str] | None, segment: str | None, lacking: str | None) -> None:
    table = _table(rows)
    only = KpiFilter(ids, segment, frozenset(ACCOUNTS[:5]), lacking)
    members = ids if lacking is None else ACCOUNTS[:5]
    mask = np.array([members is None or account in members for account in table["account_id"]], dtype=bool)
    if segment is not None and lacking is None:
        wanted = None if segment == WITHOUT else segment
        mask &= np.array([each == wanted for each in table["segment"]], dtype=bool)
    chosen = only.select(ContributionRows.of(table)).table()
    assert _records(chosen) == _records(table[mask])
    np.testing.assert_array_equal(only.matches(table["account_id"].to_numpy(object), table["segment"].to_numpy(object)), mask)


def test_the_file_has_the_rows_and_is_read_again_after_a_change(tmp_path: Path) -> None:
    snapshots = SnapshotFiles(Home(tmp_path))
    for amount in (1.5, 2.5):
        table = _table([("nrr", "a0", "SMB", amount, False), ("nrr", "a1", None, math.nan, True), ("nps", "a1", "SMB", -amount, False)])
        now = Contributions(ContributionRows.of(table), {"csat": "the source has no support"})
        write_contributions(snapshots, JULY, {"year": KpiContributions(now, replace_rows(now, table.iloc[:0]), None)})
        read = read_contributions(snapshots, JULY, "year")
        assert read is not None
        assert _records(read.rows.table()) == _records(table)
        assert read.missing == now.missing
        last = read_contributions(snapshots, JULY, "year", "last")
        assert last is not None
        assert (len(last.rows), last.rows.sums()) == (0, {})
        assert read_contributions(snapshots, JULY, "quarter") is None


def replace_rows(contributions: Contributions, table: pd.DataFrame) -> Contributions:
    return Contributions(ContributionRows.of(table), contributions.missing)


@pytest.mark.parametrize("by", [None, "segment"])
def test_large_amounts_do_not_hide_small_ones(by: str | None) -> None:
    n = 10_000
    table = _table([("nrr", f"b{i}", "SMB", amount, False) for i in range(n) for amount in (1e15 if i == 0 else 0.01,)])
    (total,) = ContributionRows.of(table).sums(by).values()
    assert total.numerator == math.fsum(table["numerator"])
