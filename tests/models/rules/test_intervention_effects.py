"""Interventions: counts, closing by outcomes, and an effect only if accounts were held out at random."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from models.rules.intervention_effects import (
    InterventionRecord,
    close_by_outcomes,
    estimate_share,
    intervention_status,
    report_interventions,
)

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)


def ago(days: int) -> datetime:
    return AS_OF - timedelta(days=days)


def arm(name: str, held_out: bool, stayed: int, left: int) -> list[InterventionRecord]:
    outcomes = [True] * stayed + [False] * left
    return [InterventionRecord(f"{name}{i}", ago(200), held_out, stayed=each) for i, each in enumerate(outcomes)]


def test_counts_and_save_rate() -> None:
    result = report_interventions(
        [
            InterventionRecord("a", ago(80), False, ago(20), "saved"),
            InterventionRecord("a", ago(10), False),
            InterventionRecord("b", ago(80), False, ago(40), "lost"),
            InterventionRecord("c", ago(80), False, ago(40), "saved"),
            InterventionRecord("d", ago(80), True),
        ]
    )
    assert (result.saved, result.lost, result.open, result.held_out_accounts) == (2, 1, 1, 1)
    assert result.save_rate is not None
    assert result.save_rate.value == pytest.approx(2 / 3)
    assert result.save_rate.low < 2 / 3 < result.save_rate.high
    assert result.effect is None


def test_the_effect_equals_a_manual_calculation() -> None:
    # Held out, 40 of 50 stay; treated, 45 of 50: of those that would leave, half stay.
    result = report_interventions(arm("h", True, 40, 10) + arm("t", False, 45, 5)).effect
    assert result is not None
    assert result.uplift == pytest.approx(0.1)
    assert result.save_rate == pytest.approx(0.5)
    # Newcombe's interval of 45/50 - 40/50, by its formula.
    treated, values = estimate_share(45, 50), estimate_share(40, 50)
    assert result.low == pytest.approx(0.1 - ((0.9 - treated.low) ** 2 + (values.high - 0.8) ** 2) ** 0.5)
    assert result.low < 0 < result.high


def test_harmful_plays_have_no_save_rate() -> None:
    result = report_interventions(arm("h", True, 45, 5) + arm("t", False, 30, 20)).effect
    assert result is not None
    assert result.save_rate == 0.0
    assert result.high < 0


@pytest.mark.parametrize(("held_out", "treated"), [((10, 6), (50, 5)), ((60, 2), (50, 5)), ((40, 10), (10, 2))])
def test_too_few_accounts_give_no_effect_and_a_reason(held_out: tuple[int, int], treated: tuple[int, int]) -> None:
    result = report_interventions(arm("h", True, *held_out) + arm("t", False, *treated))
    assert result.effect is None
    assert result.why_no_effect is not None
    assert "are needed" in result.why_no_effect


def test_an_account_counts_once_with_its_first_intervention() -> None:
    again = [InterventionRecord(f"h{i}", ago(100), False, stayed=False) for i in range(50)]
    assert report_interventions(arm("h", True, 40, 10) + arm("t", False, 45, 5) + again).effect == report_interventions(
        arm("h", True, 40, 10) + arm("t", False, 45, 5)
    ).effect


def test_an_outcome_closes_its_intervention() -> None:
    interventions = [
        InterventionRecord("a", ago(50), False, id="one"),
        InterventionRecord("a", ago(30), False, id="two"),
        InterventionRecord("b", ago(30), True, id="held"),
    ]
    one, two, values = close_by_outcomes(interventions, [("a", ago(5), "lost", "one"), ("a", ago(3), "saved", None), ("b", ago(2), "saved", None)])
    assert (one.result, one.closed_at) == ("lost", ago(5))
    assert (two.result, two.closed_at) == ("saved", ago(3)), "without an id, the outcome closes the latest open intervention"
    assert values.closed_at is None, "an outcome does not close a held-out intervention"
    assert close_by_outcomes(interventions, [("z", ago(1), "saved", None), ("a", ago(60), "saved", None), ("a", ago(1), "lost", "other")]) == interventions


def test_the_status_that_takes_a_play_off_the_list() -> None:
    interventions = [
        InterventionRecord("open", ago(10), False),
        InterventionRecord("closed before", ago(10), False, ago(2), "saved"),
        InterventionRecord("closed since", ago(10), False, ago(-2), "saved"),
        InterventionRecord("held", ago(10), True),
        InterventionRecord("held", ago(5), False),
        InterventionRecord("old", ago(91), False),
        InterventionRecord("begun since", ago(-1), False),
        InterventionRecord("begun since", ago(10), False, ago(-1), "lost"),
    ]
    assert intervention_status(interventions, AS_OF) == {
        "open": "under_way", "closed since": "done", "held": "held_out", "begun since": "under_way",
    }  # fmt: skip
