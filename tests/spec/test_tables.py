"""The reader of specs refuses everything that it does not understand, so that no spec is silently skipped."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

GOOD = """\
# Topic

Introduction.

## First case

Says one thing.

```usage
occurred_at | loaded_at  | user_id
------------+------------+--------
2024-03-01  | 2024-03-09 | u1
2024-03-02  | -          | u2
```

```snapshot
account_id | as_of      | usage.events_7d
-----------+------------+----------------
a          | 2024-03-08 | 1/2
a          | 2024-03-15 | ?
```
"""


def test_a_case_is_read(tables: ModuleType) -> None:
    topic = tables.read_topic("topic", GOOD)
    (case,) = topic.cases
    assert (topic.title, topic.prose.strip(), case.title, case.prose) == ("Topic", "Introduction.", "First case", "Says one thing.")
    assert (case.id, case.not_yet) == ("topic-first-case", "")
    source = case.source()
    assert source["usage"].to_pydict() == {
        "account_id": ["a", "a"],
        "occurred_at": ["2024-03-01", "2024-03-02"],
        "loaded_at": ["2024-03-09", None],
        "user_id": ["u1", "u2"],
    }
    assert source["accounts"].to_pylist() == [{"account_id": "a", "created_at": "2020-01-01"}]
    assert source["subscriptions"].to_pylist() == [{"account_id": "a", "started_at": "2020-01-01", "arr": "1200"}]
    grid = case.grid()
    assert (grid.first, grid.every_days, grid.n) == (datetime(2024, 3, 8, tzinfo=UTC), 7, 2)
    assert [values for _, values in tables.expected_rows(case)] == [{"usage.events_7d": 0.5}, {"usage.events_7d": None}]


def test_a_case_with_orders_has_no_default_subscription(tables: ModuleType) -> None:
    orders = GOOD.replace("usage\n", "orders\n").replace("user_id\n", "amount\n").replace("| u1", "| 1").replace("| u2", "| 2")
    assert set(tables.read_topic("topic", orders).cases[0].source()) == {"accounts", "orders"}


def test_a_table_may_have_no_rows(tables: ModuleType) -> None:
    empty = GOOD.replace("2024-03-01  | 2024-03-09 | u1\n2024-03-02  | -          | u2\n", "")
    (case,) = tables.read_topic("topic", empty).cases
    assert case.source()["usage"].num_rows == 0


def test_a_case_that_does_not_hold_yet_is_marked(tables: ModuleType) -> None:
    (case,) = tables.read_topic("topic", GOOD.replace("thing.\n", "thing.\n\nNot yet so: it is\nhard.\n")).cases
    assert (case.prose, case.not_yet) == ("Says one thing.", "it is hard.")


SHOWN = GOOD[GOOD.index("account_id | as_of") :]
EXPECTATION = GOOD[GOOD.index("```snapshot") :]
OPTIONS = "```options\nhistory_from\n---\n-\n```\n\n"


@pytest.mark.parametrize(
    ("text", "replacement", "error"),
    [
        ("# Topic", "Topic", "no title"),
        ("## First case", "First case", "a table before the first case"),
        (GOOD[GOOD.index("## First") :], "", "no case"),
        ("## First case", "## ", "no title"),
        ("Says one thing.", "", "no sentence"),
        (EXPECTATION, EXPECTATION + "\n## First case\n\nTwice.\n\n" + EXPECTATION, "two cases of one title"),
        (EXPECTATION, "", "ends with one table named snapshot"),
        (EXPECTATION, EXPECTATION + "\n" + EXPECTATION, "ends with one table named snapshot"),
        (EXPECTATION, EXPECTATION + "\nAn afterthought.\n", "text between or after the tables"),
        (EXPECTATION, EXPECTATION.rstrip().removesuffix("```"), "not closed"),
        ("| u2\n```\n", "| u2\n", "not closed"),
        ("```usage", "```usages", "no such table; there are accounts, subscriptions, "),
        ("```usage", "```", "no such table"),
        ("```usage", OPTIONS + OPTIONS + "```usage", "given twice"),
        ("```usage", OPTIONS.replace("\n-\n", "\n-\n-\n") + "```usage", "needs one row"),
        ("```usage", OPTIONS.replace("history_from", "horizon") + "```usage", "no column horizon; there are history_from, data_through"),
        ("user_id\n", "users\n", "no column users; there are account_id, occurred_at, user_id"),
        ("user_id\n", "loaded_at\n", "a column is given twice"),
        ("occurred_at | loaded_at  | user_id", "feature | loaded_at  | user_id", "the columns occurred_at are required"),
        ("2024-03-02  | -          | u2", "2024-03-02  | u2", "row 2 has 2 cells for 3 columns"),
        ("2024-03-02  | -          | u2", "2024-03-02  |            | u2", "row 2 has an empty cell"),
        ("------------+------------+--------\n2024-03-01", "------------+------------\n2024-03-01", "other columns"),
        ("------------+------------+--------\n2024-03-01", "2024-03-01", "a line of dashes"),
        ("usage.events_7d", "usage.events_8d", "no feature usage.events_8d"),
        (SHOWN, SHOWN.replace(" | usage.events_7d", "").replace("+----------------", "").replace(" | 1/2", "").replace(" | ?", ""), "at least one feature"),
        ("account_id | as_of  ", "as_of | account_id  ", "needs the columns account_id, as_of"),
        ("a          | 2024-03-08 | 1/2\na          | 2024-03-15 | ?\n", "", "expects nothing"),
        ("1/2", "1/0", "neither a number"),
        ("1/2", "some", "neither a number"),
        ("a          | 2024-03-15 | ?", "b | 2024-03-15 | ?", "accounts that do not exist: b"),
        ("a          | 2024-03-15 | ?", "a | 2024-03-08 | ?", "the same account and as_of twice"),
        ("a          | 2024-03-15 | ?", "a | in March | ?", "is not an instant"),
        ("a          | 2024-03-15 | ?", "a | 2024-03-15 12:00 | ?", "whole and equal days"),
        ("a          | 2024-03-15 | ?", "a | 2024-03-15 | ?\na | 2024-03-16 | ?", "whole and equal days"),
    ],
)
def test_a_spec_with_a_mistake_is_refused(tables: ModuleType, text: str, replacement: str, error: str) -> None:
    assert GOOD.count(text) == 1
    with pytest.raises(tables.SpecError, match=error):
        tables.read_topic("topic", GOOD.replace(text, replacement))


def test_an_absent_row_is_absent_in_every_feature(tables: ModuleType) -> None:
    two = GOOD.replace("usage.events_7d\n", "usage.events_7d | usage.events_28d\n").replace(
        "+----------------", "+----------------+-"
    )
    absent = two.replace("| 1/2", "| absent | absent").replace("| ?", "| 1 | 2")
    (case,) = tables.read_topic("topic", absent).cases
    assert [values for _, values in tables.expected_rows(case)] == [None, {"usage.events_7d": 1, "usage.events_28d": 2}]
    with pytest.raises(tables.SpecError, match="absent in every feature"):
        tables.read_topic("topic", absent.replace("absent | absent", "absent | 1"))


def test_a_folder_without_specs_is_refused(tables: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(tables.SpecError, match="no spec"):
        tables.read_topics(tmp_path)
