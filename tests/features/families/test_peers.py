"""Peer features that depend on terms are hidden where terms are unknown, and owners are no peers."""

from __future__ import annotations

from features.catalogue.catalogue import CATALOGUE
from features.families.subscriptions import OUTCOME_FEATURES, terms_read


def test_rates_that_depend_on_terms_are_among_the_features_of_terms() -> None:
    read = set(terms_read(CATALOGUE))
    assert {"peers.plan_churn_364d", "portfolio.expansion_182d"} <= read
    assert not {"peers.region_churn_364d", "portfolio.churn_364d", "contract.past_churns"} & read
    assert {name for name in OUTCOME_FEATURES if "so_far" in name or "ratio" in name} <= read


def test_owners_are_no_peers() -> None:
    assert not [name for name in CATALOGUE if "csm" in name]
