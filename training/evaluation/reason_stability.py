"""Stability of the reasons across the members of the ensemble.

A reason that changes with the sample of accounts is not worth acting on. The members are fitted on different accounts,
so an account's answer gives only reasons on which most of them agree (`models.explain.reasons`). Concepts are compared,
not columns, because columns of one concept can replace each other (docs/explanation/method.md, "Reasons").
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from models.explain.reasons import FEW_REASONS, TargetExplainer

TOP = 3


@dataclass(frozen=True)
class ReasonStability:
    """Stability of the reasons, averaged over accounts.

    Parameters
    ----------
    members, accounts : number of members and of explained accounts.
    same_first : share of pairs of members with the same largest contribution.
    overlap : share of the three largest contributions that two members have in common.
    given : mean number of reasons that an answer gives.
    at_least_two : share of accounts with at least two reasons.
    """

    members: int
    accounts: int
    same_first: float
    overlap: float
    given: float
    at_least_two: float

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def reason_stability(explainer: TargetExplainer, accounts: int) -> ReasonStability:
    """Compare the reasons of the members for ``accounts`` accounts, the rows of ``explainer``."""
    by_member = explainer.by_concept(range(accounts))
    tops = np.argsort(-np.abs(by_member), axis=2, kind="stable")[:, :, :TOP]
    pairs = list(combinations(tops, 2)) or [(tops[0], tops[0])]
    given = np.array([len(each.reasons) for each in explainer.explain(range(accounts))])
    return ReasonStability(
        len(by_member),
        accounts,
        float(np.mean([(one[:, 0] == other[:, 0]).mean() for one, other in pairs])),
        float(np.mean([len(set(a) & set(b)) / TOP for one, other in pairs for a, b in zip(one, other, strict=True)])),
        float(given.mean()),
        float((given >= FEW_REASONS).mean()),
    )
