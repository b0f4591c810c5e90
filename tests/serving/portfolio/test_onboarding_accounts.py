"""The accounts in onboarding: the steps that are done, missed, due and unknown on each day."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from fastapi.testclient import TestClient

from models.peer_groups.rule_files import read_rules
from models.rules.onboarding import OnboardingFile, onboarding_status, step_states
from serving.portfolio.onboarding_accounts import OnboardingAccounts

BROWSER = {"Accept": "text/html"}
RULES = read_rules("onboarding", OnboardingFile)
MARKS = {"done": "+", "missed": "-", "due": ".", "unknown": "?"}
STEPS = ("no_login", "no_core_action", "no_first_value", "single_user", "below_target")


def states(day: float | None, users: float | None, core: float | None, first: float | None, features: float | None) -> str:
    """Return the mark of each step, in the order of `STEPS`; ``first``: days without first value."""
    row = {
        "contract.days_since_start": day,
        "usage.users_so_far": users,
        "usage.core_actions_28d": core,
        "outcomes.days_without_first_value": first,
        "usage.features_so_far": features,
    }
    (status,) = onboarding_status(pd.DataFrame([row], dtype=float), RULES)
    found = step_states(status, RULES)
    assert tuple(step.code for step, _ in found) == STEPS
    return "".join(MARKS[state] for _, state in found)


@pytest.mark.parametrize(
    ("day", "users", "core", "first", "features", "expected"),
    [
        (0, 0, 0, 0, 0, "....."),
        (3, 0, 0, 3, 0, "-...."),
        (5.9, 1, 0, 5, 1, "+-..."),
        (7, 2, 5, 7, 2, "++-.."),
        (10, 1, 5, None, 1, "++?-."),
        (14, 3, 5, None, 2, "++?++"),
        (14, 2, 5, 14, 2, "++-+-"),
        (14, None, 5, 14, 2, "?+-??"),
    ],
)  # fmt: skip
def test_the_state_of_each_step(
    day: float, users: float | None, core: float | None, first: float | None, features: float | None, expected: str
) -> None:
    """The days of the steps are 3, 5, 7, 10 and 14."""
    assert states(day, users, core, first, features) == expected


def test_a_step_is_due_until_its_day() -> None:
    row = {"contract.days_since_start": 4.0, "usage.users_so_far": 2.0}
    (status,) = onboarding_status(pd.DataFrame([row]), RULES)
    assert [state for _, state in step_states(status, RULES)] == ["done", "due", "due", "due", "due"]


def _ask(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/v1/onboarding", params=query)
    assert answer.status_code == 200, answer.text
    payload: dict[str, Any] = answer.json()
    OnboardingAccounts.model_validate(payload)
    return payload


def test_a_new_account_is_listed_with_its_steps_and_their_dates(client: TestClient) -> None:
    """a38 began on 28 June at 9:00, so 1 July is its day 2."""
    found = _ask(client)
    (account,) = found["accounts"]
    assert (found["onboarding_accounts"], found["first_value_accounts"]) == (1, 0)
    assert (account["account_id"], account["day"], account["due"]) == ("a38", 2, 5)
    assert [(step["day"], step["on"], step["state"]) for step in account["steps"]] == [
        (3, "2026-07-02", "due"), (5, "2026-07-04", "due"), (7, "2026-07-06", "due"), (10, "2026-07-09", "due"), (14, "2026-07-13", "due"),
    ]  # fmt: skip
    assert account["next_on"] == "2026-07-02"
    page = client.get("/onboarding", headers=BROWSER).text
    assert "a38" in page
    assert "0 of 5" in page


def test_the_list_follows_the_filter_and_the_limit(client: TestClient) -> None:
    assert _ask(client, limit=0)["more_accounts"] == 1
    bands = [_ask(client, health=band)["onboarding_accounts"] for band in ("green", "yellow", "red", "insufficient_data")]
    assert sum(bands) == 1
    assert client.get("/v1/onboarding?limit=-1").status_code == 422


def test_a_page_without_accounts_in_onboarding_has_a_notice(client: TestClient) -> None:
    band = next(band for band in ("green", "yellow", "red") if not _ask(client, health=band)["onboarding_accounts"])
    page = client.get(f"/onboarding?health={band}", headers=BROWSER)
    assert page.status_code == 200
    assert "No account of the filter is in onboarding." in page.text
