"""Plays with a given effect: the estimate from held-out accounts is close to the truth, by play."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.errors import BadRequest
from models.rules.intervention_effects import AFTER_DAYS, InterventionRecord, InterventionReport, report_interventions
from training.simulation.calendar import day_number
from training.simulation.history import simulate_history
from training.simulation.latent_dynamics import PLAYS
from training.simulation.market_options import MarketOptions


def measured(effects: dict[str, float] | None, accounts: int, seed: int = 1) -> InterventionReport:
    market = MarketOptions(monthly_share=0.8, held_out_share=0.5, play_effects=effects).market()
    history = simulate_history(accounts, 78, seed, day_number(datetime(2026, 9, 30, tzinfo=UTC).date()), market)
    plays, held_out = history.facts("play"), history.facts("held_out")
    records = []
    for week, account in zip(*np.nonzero(plays >= 0), strict=True):
        day = history.start + 7 * int(week)
        if day + AFTER_DAYS < history.end:
            at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
            stayed = bool(history.left_on[account] >= day + AFTER_DAYS)
            name = PLAYS[plays[week, account]]
            records.append(InterventionRecord(str(account), at, bool(held_out[week, account]), stayed=stayed, play=name))
    return report_interventions(records)


@pytest.mark.slow
def test_the_estimate_of_a_given_effect_covers_the_truth_and_plays_without_effect_are_not_measured() -> None:
    truth = {"executive_change": 0.7, "competitor_evaluation": 0.7}
    report = measured(truth, 20_000)
    assert report.effect is not None
    assert report.effect.low > 0
    by_play = {each.play: each.effect for each in report.by_play if each.effect is not None}
    assert set(truth) <= set(by_play)
    for play, effect in by_play.items():
        low, high = effect.ratio - 3 * effect.ratio_error, effect.ratio + 3 * effect.ratio_error
        # Failed payments are not prevented, so the share of all churn that is prevented is a little below.
        assert low < truth.get(play, 0.0), play
        assert high > 0.8 * truth.get(play, 0.0), play
    assert report.rates is not None
    assert report.rates.variance > 0


@pytest.mark.slow
def test_without_effects_nothing_is_measured() -> None:
    report = measured({}, 20_000)
    assert report.effect is not None
    assert report.effect.ratio - 3 * report.effect.ratio_error < 0 < report.effect.ratio + 3 * report.effect.ratio_error


def test_all_or_no_plays_are_held_out() -> None:
    for share, expected in ((0.0, set()), (1.0, {True})):
        market = MarketOptions(held_out_share=share).market()
        history = simulate_history(200, 40, 1, 20_000, market)
        held_out = history.facts("held_out")[history.facts("play") >= 0]
        assert set(held_out.tolist()) == (expected or {False})


@pytest.mark.parametrize("wrong", [{"play_effects": {"dance": 0.5}}, {"play_effects": {"low_adoption": 1.5}}, {"held_out_share": -0.1}])
def test_wrong_effects_are_refused(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="Expected"):
        MarketOptions(**wrong).market()  # type: ignore[arg-type]
