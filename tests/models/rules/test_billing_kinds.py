"""Every kind of billing event reaches a feature, and a warning unless it is a good sign."""

from __future__ import annotations

import pandas as pd
import pytest

from features.contract.schema import TABLES
from features.families.billing import FEATURES
from models.peer_groups.rule_files import read_rules
from models.rules.early_warnings import WarningsFile

KINDS = TABLES["billing"]["kind"].values
GOOD = {"invoice_paid"}
"""Kinds without a warning: a paid invoice lowers the risk (docs/reference/rules.md)."""


def _features(kind: str) -> set[str]:
    """Return the features that count events of a kind."""
    return {
        f.name for f in FEATURES for measure, _ in (f.term.needs if f.term else ())
        if any(column == "kind" and kind in values for column, values in measure.counts)
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_reaches_a_feature_and_a_warning(kind: str) -> None:
    assert _features(kind)
    rules = read_rules("warnings", WarningsFile)
    codes = [rule.code for rule in rules.warnings if _features(kind) & {c.feature for c in (*rule.all, *rule.any)}]
    assert kind in GOOD or codes


def test_the_warning_of_an_overdue_invoice_shows_days_and_amount() -> None:
    rules = read_rules("warnings", WarningsFile)
    (rule,) = [rule for rule in rules.warnings if rule.code == "invoice_overdue"]
    assert rule.evidence() == ("billing.days_overdue", "billing.overdue_amount")
    frame = pd.DataFrame({"billing.days_overdue": [12.0, 0.0], "billing.overdue_amount": [float("nan"), 5.0]})
    assert rule.states(frame).tolist() == [1, 0], "an unknown amount does not decide"
