"""The design of trials and the random assignment."""

from __future__ import annotations

import numpy as np
import pytest

from models.uplift.assignment import assign_arms
from models.uplift.design import ALL_PLAYS, design_trial


def test_a_design_counts_accounts_weeks_and_cost() -> None:
    churn, arr = np.full(300, 0.2), np.full(300, 1000.0)
    plays = np.array(["call"] * 200 + ["mail"] * 100, dtype=object)
    design = design_trial(churn, arr, plays, 0.5, 0.25, 90, accounts_per_week={ALL_PLAYS: 10.0})
    whole, call, mail = design.by_play
    assert [plan.play for plan in design.by_play] == [ALL_PLAYS, "call", "mail"]
    # (1.96 + 0.84)^2 (0.09 / 0.75 + 0.16 / 0.25) / 0.1^2, by hand.
    assert whole.required == 597
    assert whole.weeks == 30 + 13
    assert whole.held_out == 149
    assert whole.cost == pytest.approx(149 * 200 * 0.5)
    assert call.required == mail.required == 597
    assert mail.weeks is None, "the number of new accounts of this play is unknown"
    assert whole.detectable is not None
    assert 0.5 < whole.detectable < 0.8
    assert [plan.share for plan in design.by_share] == [0.1, 0.2, 0.25, 0.3, 0.5]


def test_a_design_without_risk_or_accounts_says_so() -> None:
    plays = np.array(["call"] * 10, dtype=object)
    plan = design_trial(np.zeros(10), np.full(10, np.nan), plays, 0.5, 0.2, 90).by_play[0]
    assert (plan.required, plan.weeks, plan.detectable, plan.cost) == (None, None, None, None)
    assert design_trial(np.zeros(0), np.zeros(0), plays[:0], 0.5, 0.2, 90).by_play == ()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.37, 0.5, 0.9])
def test_every_account_is_held_out_with_the_given_probability_and_strata_are_balanced(share: float) -> None:
    rng = np.random.default_rng(0)
    ids, churn = [f"a{n}" for n in range(97)], rng.random(97)
    plays = np.array(["call", "mail"] * 48 + ["call"], dtype=object)
    draws = np.array([assign_arms(ids, plays, churn, share, "trial", seed, "2026-07-01") for seed in range(400)])
    assert np.abs(draws.mean(axis=0) - share).max() < 5 * (share * (1 - share) / 400) ** 0.5
    assert np.ptp(draws.sum(axis=1)) <= 1
    by_play = draws[:, plays == "call"].mean(axis=1)
    assert np.abs(by_play - share).max() < 0.06


def test_the_assignment_is_reproducible_whatever_the_order_of_the_accounts() -> None:
    rng = np.random.default_rng(1)
    ids, churn = [f"a{n}" for n in range(60)], np.round(rng.random(60), 1)
    plays = np.array(["call"] * 60, dtype=object)
    first = assign_arms(ids, plays, churn, 0.2, "trial", 7, "2026-07-01")
    order = rng.permutation(60)
    again = assign_arms([ids[i] for i in order], plays[order], churn[order], 0.2, "trial", 7, "2026-07-01")
    assert (first[order] == again).all()
    for other in (("trial", 8, "2026-07-01"), ("second", 7, "2026-07-01"), ("trial", 7, "2026-07-08")):
        assert (assign_arms(ids, plays, churn, 0.2, *other) != first).any()
