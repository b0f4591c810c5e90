"""Features of first events, changes and new users have the documented values, and are unknown where they must be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


def _uses(account: str, *rows: tuple[str, str, str | None]) -> list[dict[str, Any]]:
    return [{"account_id": account, "occurred_at": at, "user_id": user, "feature": feature} for at, user, feature in rows]


def _tickets(account: str, *rows: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {"account_id": account, "ticket_id": f"{account}{i}", "occurred_at": at, "severity": severity, "topic": topic}
        for i, (at, severity, topic) in enumerate(rows)
    ]


def _people(account: str, *rows: tuple[str, str, str, str]) -> list[dict[str, Any]]:
    return [
        {"account_id": account, "occurred_at": at, "contact_id": contact, "role": role, "event": event}
        for at, contact, role, event in rows
    ]


TABLES: dict[str, list[dict[str, Any]]] = {
    "accounts": [
        {"account_id": a, "created_at": at}
        for a, at in (("elder", "2023-01-01"), ("adult", "2024-02-01"), ("young", "2026-06-21"), ("idle", "2026-06-26"))
    ],
    "subscriptions": [
        {"account_id": a, "started_at": at, "arr": 10.0, "seats": 4}
        for a, at in (("elder", "2023-01-01"), ("adult", "2024-02-01"), ("young", "2026-06-22"), ("idle", "2026-06-26"))
    ],
    "usage": [
        *_uses("elder", ("2024-01-01", "z", "a")),
        *_uses("adult", ("2024-02-11", "u", "a"), ("2026-05-01", "u", "a"), ("2026-06-20", "u", "b"), ("2026-06-29", "v", "b")),
        *_uses("young", ("2026-06-23", "u", None), ("2026-06-24", "v", "Login"), ("2026-06-25", "v", "a")),
    ],
    "support": [
        *_tickets("elder", ("2024-01-01", "low", "how_to")),
        *_tickets("adult", ("2026-06-20", "high", "feature_request"), ("2026-06-21", "low", "how_to"), ("2026-05-30", "low", "bug")),
    ],
    "relationship": [
        *_people("elder", ("2024-01-01", "c", "champion", "joined"), ("2026-06-01", "c", "user", "joined")),
        *_people("adult", ("2024-03-01", "c", "champion", "joined"), ("2026-06-01", "c", "champion", "promoted")),
        *_people("young", ("2026-06-22", "c", "user", "joined"), ("2026-06-30", "c", "user", "left")),
    ],
    "outcomes": [
        {"account_id": a, "occurred_at": at, "kind": kind, "value": value}
        for a, at, kind, value in (
            ("elder", "2024-01-01", "nps", 6.0), ("elder", "2024-05-01", "first_value", None),
            ("adult", "2024-02-21", "first_value", None), ("adult", "2024-03-02", "goal_met", None),
            ("adult", "2026-04-01", "nps", 6.0), ("adult", "2026-05-01", "nps", 7.0), ("adult", "2026-06-01", "nps", 9.0),
        )
    ],
    "billing": [
        {"account_id": "elder", "occurred_at": "2024-01-01", "kind": "invoice_paid"},
        *({"account_id": "adult", "occurred_at": f"2026-0{m}-01", "kind": "invoice_paid"} for m in (3, 4, 5)),
        {"account_id": "adult", "occurred_at": "2026-06-01", "kind": "payment_failed"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def frame(make_signals: Any) -> pd.DataFrame:
    signals = make_signals(TABLES, "2026-12-01")
    return snapshot(signals, Grid.single(AS_OF)).set_index("account_id")


@pytest.mark.parametrize(
    ("feature", "elder", "adult", "young", "idle"),
    [
        # The feed begins on 2024-01-01: what account elder did before is unknown.
        ("usage.users_so_far", None, 2, 2, 0),
        ("usage.features_so_far", None, 2, 2, 0),
        ("usage.days_to_first_use", None, 10, 2, None),
        ("usage.days_without_use", None, 0, 0, 5),
        ("usage.new_users_28d", 0, 1, 2, 0),
        ("usage.new_features_91d", 0, 2, 2, 0),
        ("usage.core_actions_28d", 0, 2, 1, 0),
        ("usage.events_per_user_28d", None, 1, 1.5, None),
        ("outcomes.days_to_first_value", None, 20, None, None),
        ("outcomes.days_without_first_value", None, 0, 10, 5),
        ("outcomes.days_to_first_proof", None, 30, None, None),
        ("outcomes.detractors_182d", 0, 1, 0, 0),
        ("outcomes.promoters_182d", 0, 1, 0, 0),
        ("support.tickets_change_28d", 0, 1, 0, 0),
        ("support.severe_change_91d", 0, 1, 0, 0),
        ("support.feature_requests_182d", 0, 1, 0, 0),
        # No ticket states whether it was escalated.
        ("support.escalated_91d", None, None, None, None),
        ("relationship.champions_moved", 1, 0, 0, 0),
        ("relationship.champions_promoted_182d", 0, 1, 0, 0),
        ("relationship.contacts_left_182d", 0, 0, 1, 0),
        ("billing.paid_share_364d", None, 0.75, None, None),
        ("contract.days_since_start", 1277, 881, 9, 5),
    ],
)  # fmt: skip
def test_feature_values(frame: pd.DataFrame, feature: str, elder: float, adult: float, young: float, idle: float) -> None:
    values = frame.loc[["elder", "adult", "young", "idle"], feature].to_numpy()
    expected = np.array([elder, adult, young, idle], dtype=np.float64)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
