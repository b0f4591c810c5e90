"""Statuses with a word of ending are those of former customers; what is not understood is counted."""

from __future__ import annotations

from datetime import datetime

import pytest

from features.sources.spreadsheet.statuses import Status, read_status, read_statuses


@pytest.mark.parametrize(
    ("status", "texts"),
    [
        ("former", ["Churned", "Churned (Q3)", "Closed lost", "Closed-Lost", "Terminated 2026-03", "Cancelled - 12/2026", "Contract ended", "No longer a customer", "Former active customer"]),
        ("possible", ["FREE_TRIAL", "Prospect", "Prospect - hot", "Trial (14 days)"]),
        ("customer", ["Active", "Live", "Active (at risk)", "Renewed", "Closed won", "Churn risk", "Past due", "At risk of being lost"]),
        ("notice", ["Pending cancellation", "Notice given", "Cancelling", "Gekündigt", "Gekündigt zum 31.12.2026", "En préavis"]),
        ("other", ["Banana", "Not churned", "Active (trial ended)", "Lost champion", "Enterprise"]),
        (None, ["", "--"]),
    ],
)  # fmt: skip
def test_statuses(status: Status | None, texts: list[str]) -> None:
    assert [read_status(text) for text in texts] == [status] * len(texts)


def test_statuses_that_are_not_understood_are_kept_and_counted() -> None:
    statuses = read_statuses(["Active", "Banana", "Kiwi", None, "Churned"])
    assert statuses.column.values == ["customer", "customer", "customer", None, "former"]
    assert statuses.others == (1, 2)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Cancelled - 12/2026", datetime(2027, 1, 1)), ("Terminated 2026-03", datetime(2026, 4, 1)), ("Churned Mar 2026", datetime(2026, 4, 1)),
        ("Cancelled on 2026-03-15", datetime(2026, 3, 15)), ("Lost 31/10/2026", datetime(2026, 10, 31)), ("Churned (Q3)", None), ("Active since 01/2020", None),
    ],
)  # fmt: skip
def test_a_date_with_an_ending_is_when_it_ends(text: str, end: datetime | None) -> None:
    assert read_statuses([text]).ends == [end]
