"""Explanations of accounts that were prepared together are bit-identical to those of each account alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from features.utils.arrays import Floats
from models.artifacts.bundle import Bundle
from models.explain.prepared_explanations import CondensedContributions
from models.explain.reasons import MAX_REASONS, MINIMUM_STABILITY, AccountExplanation, TargetExplainer, stability
from models.peer_groups.peers import Peers
from models.peer_groups.segments import segment_of


@pytest.fixture
def explainer(ensemble: Bundle, portfolio: pd.DataFrame, peers: Peers, catalogue: Catalogue) -> TargetExplainer:
    scorer = ensemble.scorer
    matrix = scorer.encode(portfolio).matrix
    return TargetExplainer(
        "churn", portfolio, scorer.features, scorer.raw(matrix), lambda rows: scorer.member_contributions(matrix[rows]),
        peers, segment_of(portfolio["contract.arr"]), catalogue, ensemble.comparables,
    )  # fmt: skip


def _values(one: AccountExplanation) -> tuple[object, ...]:
    return one.base, one.reasons, one.rest, one.raw, tuple(one.by_dimension.items())


@pytest.mark.parametrize("seed", range(3))
def test_prepared_accounts_are_explained_like_single_ones(explainer: TargetExplainer, seed: int) -> None:
    draw = np.random.default_rng(seed)
    accounts = len(explainer.raw)
    rows = draw.permutation(accounts)[:60]
    alone = {int(row): _values(explainer.explain([row])[0]) for row in rows}
    assert not explainer.prepared.any(), "explaining keeps nothing"
    # Parts of different sizes, in any order; some rows are prepared twice, and some of the portfolio never.
    for part in np.array_split(draw.permutation(accounts)[: accounts - 5], [1, 3, 40, 200]):
        explainer.prepare(part)
    explainer.prepare(rows[:7])
    assert explainer.prepared.sum() >= accounts - 5
    assert {row: _values(explainer.explain([row])[0]) for row in alone} == alone
    together = dict(zip(rows.tolist(), map(_values, explainer.explain(rows)), strict=True))
    assert together == alone, "also with accounts that are not prepared"


def test_an_account_takes_some_two_hundred_bytes(explainer: TargetExplainer) -> None:
    explainer.prepare(range(len(explainer.raw)))
    assert explainer._prepared.bytes <= 200 * len(explainer.raw)


@pytest.mark.parametrize("members", [1, 2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_reasons_and_rest_are_those_of_each_row(members: int, seed: int) -> None:
    """The rule itself, row by row: the largest stable concepts, the feature that leads each, the sum of the others."""
    draw = np.random.default_rng(seed)
    features, concepts = int(draw.integers(1, 90)), int(draw.integers(1, 40))
    of = [list(np.flatnonzero(np.arange(features) % concepts == c)) for c in range(min(concepts, features))]
    by_member = draw.normal(size=(members, 50, features + 1)) * draw.choice([0.0, 1.0], size=(1, 1, features + 1), p=[0.3, 0.7])
    by_member = np.where(draw.random(by_member.shape) < 0.2, np.round(by_member), by_member)
    sums = np.stack([[[sum(row[f] for f in own) for own in of] for row in member] for member in by_member])
    parts, by_concept, agreed = by_member.mean(axis=0), sums.mean(axis=0), stability(sums)
    dimensions = draw.normal(size=(50, 3))
    condensed = CondensedContributions.of(parts, by_concept, agreed, dimensions, of, MAX_REASONS, MINIMUM_STABILITY)
    for row in range(50):
        expected = _by_row(parts[row], by_concept[row], agreed[row], of)
        found = [
            (int(c), int(f), float(amount), float(share))
            for c, f, amount, share in zip(
                condensed.concepts[row], condensed.leading[row], condensed.amounts[row], condensed.agreed[row], strict=True
            )
            if c >= 0
        ]
        assert (found, float(condensed.rest[row]), float(condensed.base[row])) == expected


def _by_row(parts: Floats, by_concept: Floats, agreed: Floats, of: list[list[int]]) -> tuple[object, ...]:
    largest = np.argsort(-np.abs(by_concept), kind="stable")[:MAX_REASONS]
    stable = [int(c) for c in largest if by_concept[c] != 0.0 and agreed[c] >= MINIMUM_STABILITY]
    leading = [max(of[c], key=lambda f: parts[f] * np.sign(by_concept[c])) for c in stable]
    reasons = [(c, int(f), float(by_concept[c]), float(agreed[c])) for c, f in zip(stable, leading, strict=True)]
    return reasons, float(np.delete(by_concept, stable).sum()), float(parts[-1])
