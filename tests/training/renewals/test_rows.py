"""One row per renewal and lead, with the outcome by hand; later rows change neither features nor known labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.signals.signals import open_signals
from models.renewals.renewal_model import LEADS, STAGES
from training.config import TrainConfig
from training.dataset.labelled_snapshots import LabelledSnapshots, label_snapshots
from training.renewals.contracts import ContractBook
from training.renewals.rows import RenewalRows, StageRows

CONFIG = TrainConfig(every_days=7, horizon_days=30, horizons=(30,))
EARLY = datetime(2026, 1, 15, tzinfo=UTC)
LATE = EARLY + timedelta(weeks=33)  # whole weeks, so that both grids have the same dates

#    account    from          to            why           ARR    renews
BOOK = [
    ("stays",   "2024-08-01", "2025-08-01", "renewed",    100.0, "2025-08-01"),
    ("stays",   "2025-08-01", None,         None,         103.0, "2026-08-01"),
    ("leaves",  "2024-08-10", "2025-08-10", "cancelled",  200.0, "2025-08-10"),
    ("grows",   "2024-09-01", "2025-09-01", "upgraded",   100.0, "2025-09-01"),
    ("grows",   "2025-09-01", None,         None,         150.0, "2026-09-01"),
    ("shrinks", "2024-09-01", "2025-09-01", "downgraded", 400.0, "2025-09-01"),
    ("shrinks", "2025-09-01", None,         None,         300.0, "2026-09-01"),
    ("monthly", "2024-09-01", "2024-10-01", "renewed",     10.0, "2024-10-01"),
    ("monthly", "2024-10-01", "2024-11-01", "cancelled",   10.0, "2024-11-01"),
]  # fmt: skip
OUTCOMES = {"stays": (0, 0, 0), "leaves": (1, np.nan, np.nan), "grows": (0, 1, np.nan), "shrinks": (0, 0, 1)}


@pytest.fixture(scope="module")
def book_signals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    names = dict.fromkeys(row[0] for row in BOOK)
    pd.DataFrame({"account_id": list(names), "created_at": "2024-08-01"}).to_csv(folder / "accounts.csv", index=False)
    columns = ["account_id", "started_at", "ended_at", "end_reason", "arr", "renewal_at"]
    pd.DataFrame(BOOK, columns=columns).to_csv(folder / "subscriptions.csv", index=False)
    return folder


def _read(folder: Path, through: datetime) -> Iterator[tuple[LabelledSnapshots, RenewalRows]]:
    signals = open_signals(folder, through)
    prepared = label_snapshots(signals, CONFIG)
    yield prepared, RenewalRows.of(prepared, ContractBook.of(signals, prepared.grace_days))
    signals.close()


@pytest.fixture(scope="module")
def early(book_signals: Path) -> Iterator[tuple[LabelledSnapshots, RenewalRows]]:
    yield from _read(book_signals, EARLY)


@pytest.fixture(scope="module")
def late(book_signals: Path) -> Iterator[tuple[LabelledSnapshots, RenewalRows]]:
    yield from _read(book_signals, LATE)


def _table(prepared: LabelledSnapshots, rows: RenewalRows) -> pd.DataFrame:
    frame = prepared.frame.iloc[rows.index].reset_index(drop=True)
    return frame.assign(until=rows.until, ends=rows.ends, **{f"label.{stage}": rows.labels[stage] for stage in STAGES})


def test_a_renewal_has_one_row_per_lead_with_its_outcome(early: tuple[LabelledSnapshots, RenewalRows]) -> None:
    table = _table(*early)
    first = table[table["ends"] <= EARLY]
    assert set(first["account_id"]) == set(OUTCOMES), "monthly contracts have no rows"
    for account, rows in first.groupby("account_id"):
        leads = sorted(max(lead for lead in LEADS if lead <= until) for until in rows["until"])
        assert leads == list(LEADS)
        assert (rows["until"].to_numpy() - np.array(leads)[::-1] < CONFIG.every_days).all()
        for stage, expected in zip(STAGES, OUTCOMES[str(account)], strict=True):
            np.testing.assert_array_equal(rows[f"label.{stage}"], expected)


def test_later_rows_change_no_feature_row(
    early: tuple[LabelledSnapshots, RenewalRows], late: tuple[LabelledSnapshots, RenewalRows]
) -> None:
    # Only renewals whose outcome was certain early are compared, at the dates of both grids.
    keys = ["account_id", "as_of"]
    one, two = (_table(*each).set_index(keys).sort_index() for each in (early, late))
    common = one.index.intersection(two.index)
    settled = common[(one.loc[common, "ends"] <= EARLY).to_numpy()]
    assert len(settled) >= len(LEADS)
    pd.testing.assert_frame_equal(one.loc[settled], two.loc[settled])


def test_an_outcome_is_used_only_once_it_is_certain(late: tuple[LabelledSnapshots, RenewalRows]) -> None:
    prepared, renewals = late
    rows = StageRows.stage_of(prepared, renewals, "lost")
    left = datetime(2025, 8, 10, tzinfo=UTC)
    certain = left + timedelta(days=2 * prepared.grace_days)
    accounts = prepared.frame["account_id"].to_numpy()[renewals.index]
    assert "leaves" in accounts[rows.known(certain)]
    assert "leaves" not in accounts[rows.known(certain - timedelta(days=1))]
    assert rows.renewal_counts(certain) == (2, 1)
