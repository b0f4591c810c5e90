import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from features.custom.current_catalogue import current_catalogue
from models.artifacts.bundle import Bundle
from models.explain.changes import MINIMUM_CHANGE, change_words, explain_change
from models.explain.comparables import Comparables
from models.explain.reasons import MAX_REASONS, TargetExplainer
from models.peer_groups.peers import Peers
from models.peer_groups.segments import WHOLE_PORTFOLIO, segment_of
from models.targets import Target

NAN = float("nan")


def _explainer(ensemble: Bundle, portfolio: pd.DataFrame, peers: Peers, catalogue: Catalogue) -> TargetExplainer:
    scorer = ensemble.scorer
    matrix = scorer.encode(portfolio).matrix
    return TargetExplainer(
        "churn", portfolio, scorer.features, scorer.raw(matrix), lambda rows: scorer.member_contributions(matrix[rows]),
        peers, segment_of(portfolio["contract.arr"]), catalogue, ensemble.comparables,
    )  # fmt: skip


def _by_hand(
    values: Mapping[str, object], contributions: list[list[float]], catalogue: Catalogue, target: Target = "churn",
    segment: str | None = None,
) -> TargetExplainer:  # fmt: skip
    """One account; ``contributions`` of the small catalogue's features from each member. The base is -1."""
    parts = np.array([[[*member, -1.0]] for member in contributions])
    means = {name: np.full((len(parts), len(catalogue)), offset) for name, offset in ((WHOLE_PORTFOLIO, 0.1), ("mid_market", 0.4))}
    return TargetExplainer(
        target, pd.DataFrame([values]), tuple(catalogue), parts.sum(axis=2).mean(axis=0), lambda rows: parts[:, rows],
        Peers.of(pd.DataFrame({"usage.active_users_28d": [30.0]}), ["usage.active_users_28d"]),
        np.array([segment], dtype=object), catalogue, Comparables(means),
    )  # fmt: skip


def test_drivers_and_rest_add_up_to_the_change_of_the_raw_log_odds(
    ensemble: Bundle, portfolio: pd.DataFrame, peers: Peers, catalogue: Catalogue
) -> None:
    # The accounts of another date: each row holds the values of the next one, so that segments change too.
    later = portfolio.apply(lambda column: np.roll(column.to_numpy(), 1)).astype(portfolio.dtypes)
    before, now = (_explainer(ensemble, each, peers, catalogue) for each in (portfolio, later))
    named = 0
    for row in range(60):
        change = explain_change(before, row, now, row)
        assert change.raw_before == before.raw[row]
        assert change.raw_now == now.raw[row]
        amounts = [driver.contribution_log_odds for driver in change.drivers]
        assert math.fsum(amounts) + change.rest == pytest.approx(change.log_odds, abs=1e-9)
        assert len(amounts) <= MAX_REASONS
        assert [abs(each) for each in amounts] == sorted((abs(each) for each in amounts), reverse=True)
        assert all(abs(each) >= MINIMUM_CHANGE for each in amounts)
        backward = explain_change(now, row, before, row)
        assert [-driver.contribution_log_odds for driver in backward.drivers] == pytest.approx(amounts)
        named += len(amounts)
    assert named > 60


def test_nothing_changes_an_unchanged_account(
    ensemble: Bundle, portfolio: pd.DataFrame, peers: Peers, catalogue: Catalogue
) -> None:
    explainer = _explainer(ensemble, portfolio, peers, catalogue)
    change = explain_change(explainer, 3, explainer, 3)
    assert (change.log_odds, change.drivers, change.rest) == (0.0, (), 0.0)


def test_a_change_names_the_changed_feature_and_ignores_the_segment(catalogue: Catalogue) -> None:
    order = list(catalogue)
    then = {"usage.active_users_28d": 12.0, "outcomes.nps_last": 9.0, "contract.plan": "pro"}
    later = {"usage.active_users_28d": 10.0, "outcomes.nps_last": 9.0, "contract.plan": "basic"}

    def parts(**amounts: float) -> list[float]:
        return [amounts.get(name.replace(".", "_"), 0.0) for name in order]

    before = _by_hand(then, [parts(usage_active_users_28d=0.1, contract_plan=0.3)], catalogue)
    now = _by_hand(later, [parts(usage_active_users_28d=0.6, contract_plan=0.1)], catalogue, segment="mid_market")
    change = explain_change(before, 0, now, 0)
    assert [(d.code, d.direction, d.text) for d in change.drivers] == [
        ("usage.active_users_28d", "raises_risk", "2 fewer active users in the last 28 days"),
        ("contract.plan", "lowers_risk", "plan: pro → basic"),
    ]
    assert [d.contribution_log_odds for d in change.drivers] == pytest.approx([0.5, -0.2])
    assert [d.concept for d in change.in_direction] == ["active users"]
    assert change.log_odds == pytest.approx(0.3), "the comparable accounts of another segment change nothing"
    assert change.rest == pytest.approx(0.0)


def test_a_change_on_which_the_members_disagree_is_not_named(catalogue: Catalogue) -> None:
    nothing, rise, fall = ([amount] + [0.0] * (len(catalogue) - 1) for amount in (0.0, 0.5, -0.2))
    name = next(iter(catalogue))
    before, now = _by_hand({name: 1.0}, [nothing, nothing], catalogue), _by_hand({name: 2.0}, [rise, fall], catalogue)
    change = explain_change(before, 0, now, 0)
    assert change.drivers == ()
    assert change.rest == pytest.approx(change.log_odds) == pytest.approx(0.15)


def test_a_concept_without_a_changed_value_is_not_named(catalogue: Catalogue) -> None:
    nothing, rise = ([amount] + [0.0] * (len(catalogue) - 1) for amount in (0.0, 0.5))
    values = {next(iter(catalogue)): 1.0}
    change = explain_change(_by_hand(values, [nothing], catalogue), 0, _by_hand(values, [rise], catalogue), 0)
    assert change.drivers == ()
    assert change.rest == pytest.approx(0.5)


def test_predictions_of_different_models_are_not_compared(catalogue: Catalogue) -> None:
    zeros = [[0.0] * len(catalogue)]
    with pytest.raises(ValueError, match="one model"):
        explain_change(_by_hand({}, zeros, catalogue), 0, _by_hand({}, zeros, catalogue, "expansion"), 0)


@pytest.mark.parametrize(
    ("name", "before", "now", "words"),
    [
        ("billing.failed_91d", 0.0, 1.0, "1 more failed payment in the last 91 days"),
        ("usage.active_users_28d", 12.0, 10.0, "2 fewer active users in the last 28 days"),
        ("usage.events_28d", 1500.0, 200.0, "1,300 fewer usage events in the last 28 days"),
        ("support.open_tickets", 2.0, 1.0, "1 fewer open ticket"),
        ("contract.seats", 10.0, 11.0, "1 more licensed seat"),
        ("usage.events_per_user_28d", 5.0, 3.0, "usage events per user in the last 28 days: 5 → 3"),
        ("usage.seats_used_share", 0.8, 0.6, "share of the licensed seats in use: 80% → 60%"),
        ("usage.seats_used_share", 0.8, 0.801, "share of the licensed seats in use rose slightly (80%)"),
        ("outcomes.nps_last", NAN, 3.0, "latest NPS answer: not known → 3 of 10"),
        ("usage.active_users_28d", 4.0, NAN, "active users in the last 28 days: 4 → not known"),
        ("contract.notice_given", 0.0, 1.0, "notice of termination given: no → yes"),
        ("relationship.champions", 2.0, 1.0, "champions in place: 2 → 1"),
        ("contract.plan", "pro", None, "plan: pro → not known"),
        ("contract.days_to_renewal", 90.0, 60.0, "days until the contract's renewal: 90 → 60"),
    ],
)
def test_changes_in_words(name: str, before: float | str | None, now: float | str | None, words: str) -> None:
    assert change_words(current_catalogue()[name], before, now) == words
