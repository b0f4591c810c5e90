import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from models.artifacts.bundle import Bundle
from models.explain.reasons import MAX_REASONS, AccountExplanation, TargetExplainer
from models.peer_groups.peers import Peers
from models.peer_groups.segments import segment_of
from models.targets import Target


@pytest.fixture(scope="module")
def explanation(bundle: Bundle, portfolio: pd.DataFrame, peers: Peers, catalogue: Catalogue) -> TargetExplainer:
    scorer = bundle.scorer
    matrix = scorer.encode(portfolio).matrix
    segments = segment_of(portfolio["contract.arr"])
    return TargetExplainer(
        "churn", portfolio, scorer.features, scorer.raw(matrix), lambda rows: scorer.contributions(matrix[rows]),
        peers, segments, catalogue,
    )  # fmt: skip


def _by_hand(contributions: list[float], catalogue: Catalogue, target: Target = "churn") -> AccountExplanation:
    """Explain one account with these contributions of the small catalogue's features; the base is -1."""
    frame = pd.DataFrame([{"usage.active_users_28d": 12.0, "usage.trend_28d": 0.59, "contract.plan": "pro"}])
    parts = np.array([[*contributions, -1.0]])
    peers = Peers.of(pd.DataFrame({"usage.active_users_28d": [30.0]}), ["usage.active_users_28d"])
    segment = np.array([None], dtype=object)
    explanation = TargetExplainer(
        target, frame, tuple(catalogue), parts.sum(axis=1), lambda rows: parts[rows], peers, segment, catalogue
    )
    return explanation.explain([0])[0]


def test_base_reasons_and_rest_add_up_to_the_raw_score(explanation: TargetExplainer) -> None:
    explained = explanation.explain(range(300))
    assert len(explained) == 300
    for row, one in enumerate(explained):
        total = sum(reason.contribution_log_odds for reason in one.reasons)
        assert one.base + total + one.rest == pytest.approx(explanation.raw[row], abs=1e-6)
        assert one.raw == explanation.raw[row]


def test_explanations_do_not_depend_on_the_batch(explanation: TargetExplainer) -> None:
    explained = explanation.explain([5, 250, 17])
    assert explained == [explanation.explain([row])[0] for row in (5, 250, 17)]
    assert explanation.explain([]) == []


def test_features_of_one_concept_are_one_reason(catalogue: Catalogue) -> None:
    # Users over 7 and 28 days: 0.3 + 0.5 outweigh the NPS answer's -0.7, which outweighs either alone.
    reasons = _by_hand([0.3, 0.5, 0.0, -0.7, 0.0, 0.0, 0.1], catalogue).reasons
    assert [(r.concept, r.code, r.direction) for r in reasons] == [
        ("active users", "usage.active_users_28d", "raises_risk"),
        ("willingness to recommend", "outcomes.nps_last", "lowers_risk"),
        ("plan", "contract.plan", "raises_risk"),
    ]
    assert [r.contribution_log_odds for r in reasons] == pytest.approx([0.8, -0.7, 0.1])
    assert reasons[0].dimension == "usage"
    assert reasons[0].text == (
        "Active users in the last 28 days: 12 (median of comparable accounts: 30), "
        "41% below its own earlier level; raises churn risk"
    )
    assert reasons[1].text == "Latest NPS answer: not known; lowers churn risk"
    assert reasons[2].text == "Plan: pro; raises churn risk"


@pytest.mark.parametrize(
    ("users_7d", "users_28d", "code", "direction"),
    [
        (0.3, -0.4, "usage.active_users_28d", "lowers_risk"),
        (0.5, -0.4, "usage.active_users_7d", "raises_risk"),
    ],
)
def test_leading_feature_contributes_in_the_direction_of_the_concept(
    catalogue: Catalogue, users_7d: float, users_28d: float, code: str, direction: str
) -> None:
    (reason,) = _by_hand([users_7d, users_28d, 0.0, 0.0, 0.0, 0.0, 0.0], catalogue).reasons
    assert (reason.code, reason.direction) == (code, direction)


def test_expansion_reasons_describe_the_chance(catalogue: Catalogue) -> None:
    reasons = _by_hand([0.0, 0.5, -0.2, 0.0, 0.0, 0.0, 0.0], catalogue, "expansion").reasons
    assert [r.direction for r in reasons] == ["raises_chance", "lowers_chance"]
    assert reasons[0].text.endswith("raises the chance of expansion")


def test_zero_contributions_give_no_reasons(catalogue: Catalogue) -> None:
    assert _by_hand([0.0] * 7, catalogue) == AccountExplanation(base=-1.0, reasons=(), rest=0.0, raw=-1.0)


def test_five_largest_reasons_are_listed_and_the_others_summed(catalogue: Catalogue) -> None:
    # Six concepts: users (0.1 + 0.2), trend, NPS, ARR, tenure, plan; the smallest is left out.
    explained = _by_hand([0.1, 0.2, -0.6, 0.5, -0.4, 0.05, 0.7], catalogue)
    assert [r.contribution_log_odds for r in explained.reasons] == pytest.approx([0.7, -0.6, 0.5, -0.4, 0.3])
    assert len(explained.reasons) == MAX_REASONS
    assert explained.rest == pytest.approx(0.05)
