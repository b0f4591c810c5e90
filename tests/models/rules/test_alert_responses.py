"""The time from an alert to the first intervention on its account, in days after the alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.rules.alert_responses import MIN_ALERTS, RaisedAlert, ResponseTimes, responses_by_alert
from models.rules.alerts import ALERT_CODES
from models.rules.intervention_effects import InterventionRecord

DAY_0 = datetime(2026, 6, 1, tzinfo=UTC)


def at(day: float) -> datetime:
    return DAY_0 + timedelta(days=day)


def alert(account: str, day: float = 0, code: str = "into_red") -> RaisedAlert:
    return RaisedAlert(account, code, at(day))


def play(account: str, day: float, closed: float | None = None, held_out: bool = False) -> InterventionRecord:
    return InterventionRecord(account, at(day), held_out, None if closed is None else at(closed), play="low_engagement")


def whole(alerts: list[RaisedAlert], plays: list[InterventionRecord], until: float) -> ResponseTimes:
    return responses_by_alert(alerts, plays, at(until))[0]


def test_half_of_twenty_alerts_are_answered_on_the_third_day_and_twelve_within_a_week() -> None:
    alerts = [alert(f"a{i}") for i in range(20)]
    days = [1] * 4 + [3] * 6 + [7] * 2 + [8] * 2
    found = whole(alerts, [play(f"a{i}", day) for i, day in enumerate(days)], 30)
    assert (found.alerts, found.answered) == (20, 14)
    assert found.median_days == 3
    assert found.share_in_time == pytest.approx(12 / 20)
    assert found.why_unknown is None


def test_the_first_intervention_after_the_alert_counts() -> None:
    """An intervention that had ended before the alert is no response to it."""
    alerts = [alert(f"a{i}") for i in range(MIN_ALERTS)]
    plays = [play(f"a{i}", day, closed) for i in range(MIN_ALERTS) for day, closed in ((-9, -2), (5, None), (2, 4))]
    assert whole(alerts, plays, 30).median_days == 2


@pytest.mark.parametrize(
    "before",
    [play("b", -10), play("b", -10, closed=1), play("b", -10, held_out=True)],
    ids=["a play runs", "a play ends later", "held out"],
)
def test_an_alert_that_needs_no_response_does_not_count(before: InterventionRecord) -> None:
    alerts = [alert(f"a{i}") for i in range(MIN_ALERTS)]
    plays = [play(f"a{i}", 2) for i in range(MIN_ALERTS)]
    assert whole([*alerts, alert("b")], [*plays, before, play("b", 20)], 30) == whole(alerts, plays, 30)


def test_recent_alerts_count_for_as_long_as_they_have_waited() -> None:
    """Of 20 old alerts, 10 are answered on day 2. 20 more are a day old, which says nothing about day 2."""
    old = [alert(f"a{i}") for i in range(20)]
    plays = [play(f"a{i}", 2) for i in range(10)]
    recent = [alert(f"r{i}", 29) for i in range(20)]
    found = whole([*old, *recent], plays, 30)
    assert found.alerts == 40
    assert found.share_in_time == pytest.approx(0.5)
    assert found.median_days == 2


def test_a_response_after_the_date_is_not_known_yet() -> None:
    alerts = [alert(f"a{i}") for i in range(MIN_ALERTS)]
    found = whole([*alerts, alert("later", 30)], [play(f"a{i}", 10) for i in range(MIN_ALERTS)], 9)
    assert (found.alerts, found.answered) == (MIN_ALERTS, 0)
    assert (found.median_days, found.share_in_time) == (None, 0)
    assert found.why_unknown == "fewer than half were answered"


def test_no_figure_from_few_alerts_or_from_recent_ones() -> None:
    few = whole([alert(f"a{i}") for i in range(MIN_ALERTS - 1)], [], 30)
    assert (few.median_days, few.share_in_time) == (None, None)
    assert few.why_unknown == f"{MIN_ALERTS - 1} alerts, {MIN_ALERTS} needed"
    recent = whole([alert(f"a{i}") for i in range(MIN_ALERTS)], [play("a0", 1)], 6)
    assert recent.share_in_time is None
    assert recent.why_unknown == "no alert is 7 days old"


def test_a_held_out_account_waits_until_it_is_held_out() -> None:
    alerts = [alert(f"a{i}") for i in range(MIN_ALERTS)]
    plays = [play(f"a{i}", 2) for i in range(10)] + [play(f"a{i}", 1, held_out=True) for i in range(10, MIN_ALERTS)]
    found = whole(alerts, plays, 30)
    assert (found.answered, found.median_days, found.share_in_time) == (10, 2, pytest.approx(1.0))


def test_each_rule_has_its_own_figures() -> None:
    alerts = [alert(f"a{i}", code=code) for i in range(MIN_ALERTS) for code in ("into_red", "churn_risk")]
    plays = [play(f"a{i}", 4) for i in range(MIN_ALERTS)]
    found = {each.code: each for each in responses_by_alert(alerts[:-1], plays, at(30))}
    assert list(found) == [None, *ALERT_CODES]
    assert found["into_red"].median_days == 4
    assert found["churn_risk"].why_unknown == "19 alerts, 20 needed"
    assert found[None].alerts == 39
