import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from models.artifacts.bundle import Bundle
from models.explain.comparables import Comparables
from models.explain.reasons import MAX_REASONS, MINIMUM_STABILITY, AccountExplanation, TargetExplainer, stability
from models.peer_groups.peers import Peers
from models.peer_groups.segments import WHOLE_PORTFOLIO, segment_of
from models.targets import Target


@pytest.fixture(scope="module")
def explanation(ensemble: Bundle, portfolio: pd.DataFrame, peers: Peers, catalogue: Catalogue) -> TargetExplainer:
    scorer = ensemble.scorer
    matrix = scorer.encode(portfolio).matrix
    segments = segment_of(portfolio["contract.arr"])
    return TargetExplainer(
        "churn", portfolio, scorer.features, scorer.raw(matrix), lambda rows: scorer.member_contributions(matrix[rows]),
        peers, segments, catalogue, ensemble.comparables,
    )  # fmt: skip


def _by_hand(
    contributions: list[float], catalogue: Catalogue, target: Target = "churn", *others: list[float],
    comparables: Comparables | None = None,
) -> AccountExplanation:  # fmt: skip
    """Explain one account with these contributions of the small catalogue's features; the base is -1.

    ``others`` are the contributions from further members of the ensemble.
    """
    frame = pd.DataFrame([{"usage.active_users_28d": 12.0, "usage.trend_28d": 0.59, "contract.plan": "pro"}])
    parts = np.array([[[*member, -1.0]] for member in (contributions, *others)])
    raw = parts.sum(axis=2).mean(axis=0)
    peers = Peers.of(pd.DataFrame({"usage.active_users_28d": [30.0]}), ["usage.active_users_28d"])
    segment = np.array([None], dtype=object)
    explanation = TargetExplainer(
        target, frame, tuple(catalogue), raw, lambda rows: parts[:, rows], peers, segment, catalogue,
        Comparables() if comparables is None else comparables,
    )  # fmt: skip
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


def test_every_reason_is_supported_by_most_members(explanation: TargetExplainer) -> None:
    explained = explanation.explain(range(300))
    shares = [reason.stability for one in explained for reason in one.reasons]
    assert all(share is not None and MINIMUM_STABILITY <= share <= 1.0 for share in shares)
    assert any(len(one.reasons) < MAX_REASONS for one in explained), "members of few trees disagree"
    for one in explained:
        assert (one.note is None) == (len(one.reasons) >= 2)


def test_reasons_need_four_of_five_members(catalogue: Catalogue) -> None:
    """Trend: all five agree. NPS: one has another sign. ARR: two do, so it is not given, but counted in the rest."""
    members = [[0.0, 0.0, 0.5, 0.4, 0.6, 0.0, 0.0] for _ in range(5)]
    members[0][3] = -0.1
    members[1][4] = members[2][4] = -0.1
    explained = _by_hand(members[0], catalogue, "churn", *members[1:])
    assert [(r.code, r.stability) for r in explained.reasons] == [("usage.trend_28d", 1.0), ("outcomes.nps_last", 0.8)]
    assert explained.rest == pytest.approx(0.32)
    assert explained.base + explained.rest + 0.5 + 0.3 == pytest.approx(explained.raw)
    assert explained.note is None


def test_a_reason_must_be_among_the_largest_of_most_members() -> None:
    """Six concepts: the last is the smallest of two members, so that three of five agree."""
    by_member = np.tile(np.array([0.6, 0.5, 0.4, 0.3, 0.1, 0.2]), (5, 1, 1))
    by_member[:2, 0, 5] = 0.05
    np.testing.assert_allclose(stability(by_member)[0], [1.0, 1.0, 1.0, 1.0, 0.4, 0.6])


def test_the_answer_says_when_reasons_are_few(catalogue: Catalogue) -> None:
    up, down = [0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -0.4, 0.0, 0.0, 0.0, 0.0]
    none = _by_hand(up, catalogue, "churn", down)
    assert none.reasons == ()
    assert none.note is not None
    assert none.note.startswith("No stable reason")
    assert (none.base, none.rest, none.raw) == pytest.approx((-1.0, 0.05, -0.95))
    assert _by_hand(up, catalogue, "churn", up).note == "Only one stable reason."


def test_the_stability_of_a_single_model_is_unknown(catalogue: Catalogue) -> None:
    assert [r.stability for r in _by_hand([0.3, 0.5, -0.2, 0.0, 0.0, 0.0, 0.0], catalogue).reasons] == [None, None]


def test_typical_values_are_no_reasons_and_the_sum_stays(catalogue: Catalogue) -> None:
    """The trend contributes as much as it does to comparable accounts; the NPS answer contributes more."""
    typical = Comparables({WHOLE_PORTFOLIO: np.array([[0.0, 0.0, 0.5, 0.1, 0.0, 0.0, 0.0]])})
    explained = _by_hand([0.0, 0.0, 0.5, 0.4, 0.0, 0.0, 0.0], catalogue, comparables=typical)
    assert [(r.code, r.contribution_log_odds) for r in explained.reasons] == [("outcomes.nps_last", pytest.approx(0.3))]
    assert (explained.base, explained.raw) == pytest.approx((-0.4, -0.1))
    assert sum(explained.by_dimension.values()) == pytest.approx(0.3)
