"""Parents: which accounts belong together, and parents that do not count."""

from __future__ import annotations

from typing import Any

import pytest

from features.signals.validation import CheckReport, check_source
from features.sources.base import from_tables
from features.utils.account_hierarchies import accounts_in_circles, parents_of, top_accounts

SUBSCRIPTIONS = [{"account_id": "a", "started_at": "2025-01-01", "arr": 10.0}]


def _check(to_arrow: Any, *parents: str | None) -> CheckReport:
    accounts = [{"account_id": a, "created_at": "2025-01-01", "parent_id": p} for a, p in zip("abcdef", parents, strict=False)]
    tables = {"accounts": accounts, "subscriptions": SUBSCRIPTIONS}
    return check_source(from_tables({n: to_arrow(n, r) for n, r in tables.items()}, "a test"))


def test_an_account_belongs_to_the_last_account_on_its_way_up() -> None:
    assert top_accounts({"c": "b", "b": "a", "d": "a", "y": "x"}) == {"a": "a", "b": "a", "c": "a", "d": "a", "x": "x", "y": "x"}
    assert top_accounts({}) == {}


@pytest.mark.parametrize(
    ("parents", "circle"),
    [({"a": "b", "b": "a", "c": "a"}, {"a", "b"}), ({"a": "b", "b": "c", "c": "b"}, {"b", "c"}), ({"a": "b", "c": "b"}, set())],
)
def test_only_accounts_on_a_circle_are_found(parents: dict[str, str], circle: set[str]) -> None:
    assert accounts_in_circles(parents) == circle


def test_a_circle_is_an_error(to_arrow: Any) -> None:
    report = _check(to_arrow, "b", "c", "a", "a", None)
    assert [str(error) for error in report.errors] == [
        "accounts.parent_id: parents in a circle in 3 rows (rows 1, 2, 3); expected a parent that is not below the account"
    ]


def test_an_own_and_an_unknown_parent_are_findings(to_arrow: Any) -> None:
    report = _check(to_arrow, None, "b", "SECRET", "a")
    assert report.ok
    found = [str(finding) for finding in report.findings]
    assert found[0].startswith("accounts.parent_id: 1 row (row 2) name their own account")
    assert found[1].startswith("accounts.parent_id: 1 row (row 3) name a parent that is not in accounts")
    assert "SECRET" not in "".join(found)


def test_parents_that_do_not_count_are_no_parents() -> None:
    import pandas as pd

    accounts = pd.DataFrame({"account_id": list("abcd"), "parent_id": [None, "b", "z", "a"]})
    assert parents_of(accounts) == {"d": "a"}
