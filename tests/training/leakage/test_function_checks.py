"""Other ids are given to ids only, so that an honest function keeps its values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.leakage.function_checks import _with_other_ids

DECLARED = """
[[tables]]
name = "own_posts"
time = "posted_at"
identity = "post_id"

[tables.columns]
order_id = "int"
trial = "bool"
name = { kind = "string", values = ["bug", "idea"] }
"""


def test_columns_of_an_extra_table_are_no_ids_because_of_their_name(declare: Callable[..., Path], to_arrow: Any) -> None:
    declare(DECLARED)
    posts = [
        {"account_id": "a", "post_id": "1", "posted_at": "2026-06-10", "order_id": 7, "trial": True, "name": "bug"},
        {"account_id": "b", "post_id": "2", "posted_at": "2026-06-11", "order_id": 8, "trial": False, "name": "idea"},
    ]
    orders = [{"account_id": "a", "ordered_at": "2026-06-01", "order_id": "x", "amount": 1.0}]
    tables = {"own_posts": to_arrow("own_posts", posts), "orders": to_arrow("orders", orders)}
    renamed, original = _with_other_ids(tables)
    for column in ("order_id", "trial", "name"):
        assert renamed["own_posts"][column].to_pylist() == tables["own_posts"][column].to_pylist()
    assert renamed["own_posts"]["post_id"].to_pylist() == ["id 000000000", "id 000000001"]
    assert renamed["orders"]["order_id"].to_pylist() == ["id 000000000"]
    assert {original[name] for name in renamed["own_posts"]["account_id"].to_pylist()} == {"a", "b"}
