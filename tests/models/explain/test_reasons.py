import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from models.artifacts.bundle import Bundle
from models.explain.reasons import TOP, Explained, Explanation
from models.peer_groups.peers import Peers
from models.peer_groups.segments import segment_of
from models.targets import Target


@pytest.fixture(scope="module")
def explanation(bundle: Bundle, portfolio: pd.DataFrame, peers: Peers, catalogue: Catalogue) -> Explanation:
    scorer = bundle.scorer
    matrix = scorer.encode(portfolio).matrix
    segments = segment_of(portfolio["contract.arr"])
    return Explanation(
        "churn", portfolio, scorer.features, scorer.raw(matrix), lambda rows: scorer.contributions(matrix[rows]),
        peers, segments, catalogue,
    )  # fmt: skip


def _by_hand(contributions: list[float], catalogue: Catalogue, target: Target = "churn") -> Explained:
    """One account with the given contributions of the small catalogue's features; the base is -1."""
    frame = pd.DataFrame([{"usage.active_users_28d": 12.0, "usage.trend_28d": 0.59, "contract.plan": "pro"}])
    parts = np.array([[*contributions, -1.0]])
    peers = Peers.of(pd.DataFrame({"usage.active_users_28d": [30.0]}), ["usage.active_users_28d"])
    nobody = np.array([None], dtype=object)
    explanation = Explanation(
        target, frame, tuple(catalogue), parts.sum(axis=1), lambda rows: parts[rows], peers, nobody, catalogue
    )
    return explanation.explain([0])[0]


def test_base_reasons_and_rest_add_up_to_the_raw_score(explanation: Explanation) -> None:
    found = explanation.explain(range(300))
    assert len(found) == 300
    for row, one in enumerate(found):
        told = sum(reason.contribution_log_odds for reason in one.reasons)
        assert one.base + told + one.rest == pytest.approx(explanation.raw[row], abs=1e-6)
        assert one.raw == explanation.raw[row]


def test_an_account_alone_is_explained_as_in_a_batch(explanation: Explanation) -> None:
    found = explanation.explain([5, 250, 17])
    assert found == [explanation.explain([row])[0] for row in (5, 250, 17)]
    assert explanation.explain([]) == []


def test_columns_of_one_concept_are_one_reason(catalogue: Catalogue) -> None:
    # Users over 7 and 28 days: 0.3 + 0.5 outweigh the NPS answer's -0.7, which outweighs either alone.
    found = _by_hand([0.3, 0.5, 0.0, -0.7, 0.0, 0.0, 0.1], catalogue).reasons
    assert [(r.concept, r.code, r.direction) for r in found] == [
        ("active users", "usage.active_users_28d", "raises_risk"),
        ("willingness to recommend", "outcomes.nps_last", "lowers_risk"),
        ("plan", "contract.plan", "raises_risk"),
    ]
    assert [r.contribution_log_odds for r in found] == pytest.approx([0.8, -0.7, 0.1])
    assert found[0].dimension == "usage"
    assert found[0].text == (
        "Active users in the last 28 days: 12 (median of comparable accounts: 30), "
        "41% below its own earlier level; goes with a higher churn risk"
    )
    assert found[1].text == "Latest NPS answer: not known; goes with a lower churn risk"
    assert found[2].text == "Plan: pro; goes with a higher churn risk"


@pytest.mark.parametrize(
    ("users_7d", "users_28d", "code", "direction"),
    [
        (0.3, -0.4, "usage.active_users_28d", "lowers_risk"),
        (0.5, -0.4, "usage.active_users_7d", "raises_risk"),
    ],
)
def test_the_leading_feature_pulls_the_concepts_way(
    catalogue: Catalogue, users_7d: float, users_28d: float, code: str, direction: str
) -> None:
    (reason,) = _by_hand([users_7d, users_28d, 0.0, 0.0, 0.0, 0.0, 0.0], catalogue).reasons
    assert (reason.code, reason.direction) == (code, direction)


def test_expansion_speaks_of_chances(catalogue: Catalogue) -> None:
    found = _by_hand([0.0, 0.5, -0.2, 0.0, 0.0, 0.0, 0.0], catalogue, "expansion").reasons
    assert [r.direction for r in found] == ["raises_chance", "lowers_chance"]
    assert found[0].text.endswith("goes with a higher chance of expansion")


def test_a_model_that_says_nothing_gives_no_reason(catalogue: Catalogue) -> None:
    assert _by_hand([0.0] * 7, catalogue) == Explained(base=-1.0, reasons=(), rest=0.0, raw=-1.0)


def test_at_most_five_largest_first_and_the_others_are_the_rest(catalogue: Catalogue) -> None:
    # Six concepts: users (0.1 + 0.2), trend, NPS, ARR, tenure, plan; the smallest stays out.
    found = _by_hand([0.1, 0.2, -0.6, 0.5, -0.4, 0.05, 0.7], catalogue)
    assert [r.contribution_log_odds for r in found.reasons] == pytest.approx([0.7, -0.6, 0.5, -0.4, 0.3])
    assert len(found.reasons) == TOP
    assert found.rest == pytest.approx(0.05)
