from collections.abc import Callable
from typing import Any

import pytest

from features.signals.fingerprint import engine_version, fingerprint
from features.signals.signals import OpenSignals

ROWS: dict[str, list[dict[str, Any]]] = {
    "accounts": [{"account_id": a, "created_at": "2026-01-01"} for a in ("a", "b")],
    "subscriptions": [{"account_id": a, "started_at": "2026-01-01", "arr": 10.0} for a in ("a", "b")],
    "usage": [
        {"account_id": "a", "occurred_at": f"2026-03-{day:02d}", "user_id": "u", "quantity": 1.5, "minutes": None} for day in (1, 2, 3)
    ],
}  # fmt: skip


def changed(**tables: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return ROWS | tables


@pytest.fixture(scope="module")
def of(make_signals: Callable[..., OpenSignals]) -> Callable[..., str]:
    return lambda rows, through="2026-04-01", **more: fingerprint(make_signals(rows, through, **more))


def test_order_and_repetition_do_not_matter(of: Callable[..., str]) -> None:
    expected = of(ROWS)
    assert expected.startswith(f"{engine_version()}:")
    assert of({name: rows[::-1] for name, rows in ROWS.items()}) == expected
    assert of(changed(usage=[*ROWS["usage"], ROWS["usage"][0]])) == expected


def test_a_large_feed_has_the_same_fingerprint(of: Callable[..., str]) -> None:
    assert of(changed(usage=[*ROWS["usage"], ROWS["usage"][0]]), copied_up_to=1) == of(ROWS)


def test_later_rows_do_not_matter(of: Callable[..., str]) -> None:
    later = {"account_id": "a", "occurred_at": "2026-04-01", "user_id": "u", "quantity": 1.0, "minutes": None}
    assert of(changed(usage=[*ROWS["usage"], later])) == of(ROWS)
    assert of(changed(usage=[*ROWS["usage"], later]), "2026-04-02") != of(ROWS)


@pytest.mark.parametrize(
    "tables",
    [
        {"usage": ROWS["usage"][:2]},
        {"usage": [*ROWS["usage"][:2], ROWS["usage"][2] | {"quantity": 1.5000001}]},
        {"usage": [*ROWS["usage"][:2], ROWS["usage"][2] | {"minutes": 0.0}]},
        {"subscriptions": [ROWS["subscriptions"][0], ROWS["subscriptions"][1] | {"ended_at": "2026-03-31"}]},
    ],
)
def test_every_known_value_matters(of: Callable[..., str], tables: dict[str, Any]) -> None:
    assert of(changed(**tables)) != of(ROWS)
