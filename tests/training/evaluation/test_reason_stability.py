"""Stability of the reasons is measured among the members of the ensemble."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from features.definitions.feature import Feature
from models.explain.reasons import MAX_REASONS, TargetExplainer
from models.peer_groups.peers import Peers
from training.evaluation.reason_stability import ReasonStability, reason_stability

ACCOUNTS = 40
Members = npt.NDArray[np.float64]


def _measure(members: Members, features: dict[str, Feature]) -> ReasonStability:
    """Stability with these contributions by member, account and feature; each feature is a concept."""
    parts = np.concatenate([members, np.full((*members.shape[:2], 1), -2.0)], axis=2)
    frame = pd.DataFrame({name: np.arange(ACCOUNTS, dtype=np.float64) for name in features})
    explainer = TargetExplainer(
        "churn", frame, tuple(features), parts.mean(axis=0).sum(axis=1), lambda rows: parts[:, rows], Peers.of(frame, []),
        np.full(ACCOUNTS, None, dtype=object), features,
    )  # fmt: skip
    return reason_stability(explainer, ACCOUNTS)


@pytest.fixture
def numbers(small_catalogue: dict[str, Feature]) -> dict[str, Feature]:
    return {name: feature for name, feature in small_catalogue.items() if feature.kind == "number"}


def test_members_that_agree_are_stable(numbers: dict[str, Feature]) -> None:
    one = np.random.default_rng(0).normal(size=(1, ACCOUNTS, len(numbers)))
    result = _measure(np.repeat(one, 5, axis=0), numbers)
    assert result == ReasonStability(5, ACCOUNTS, 1.0, 1.0, min(MAX_REASONS, len(numbers)), 1.0)
    assert _measure(one, numbers).same_first == 1.0, "one member agrees with itself"


def test_members_with_opposite_signs_give_no_reason(numbers: dict[str, Feature]) -> None:
    one = np.random.default_rng(0).normal(size=(1, ACCOUNTS, len(numbers)))
    result = _measure(np.concatenate([one, -0.9 * one]), numbers)
    assert (result.given, result.at_least_two) == (0.0, 0.0)
    # Both rank the concepts equally: a reason must agree on the sign too.
    assert (result.same_first, result.overlap) == (1.0, 1.0)


def test_the_shares_count_pairs_of_members(numbers: dict[str, Feature]) -> None:
    """Two members have the first concept on top and the third has the second: one pair of three agrees."""
    members = np.zeros((3, ACCOUNTS, len(numbers)))
    members[:, :, :3] = [3.0, 2.0, 1.0]
    members[2, :, :2] = [2.0, 3.0]
    result = _measure(members, numbers)
    assert (result.members, result.accounts) == (3, ACCOUNTS)
    assert result.same_first == pytest.approx(1 / 3)
    assert result.overlap == 1.0
    assert (result.given, result.at_least_two) == (3.0, 1.0)
