"""Would another training give the same reasons? Refits on resampled accounts and with other seeds, compared.

A reason that changes with the draw of accounts is no reason to act on. Concepts are compared, not columns, since
columns of one concept stand in for each other (docs/explanation/method.md, "Reasons"). The refits are on the thinned
rows of a search: somewhat less stable than the model that ships.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from features.definitions.feature import Feature
from features.utils.arrays import Floats
from models.scorer.scorer import Scorer
from models.targets import Target
from training.dataset.design_matrix import Design
from training.estimators.blend import Blend, refit_blend
from training.statistics.account_bootstrap import AccountBootstrap

EXPLAINED = 300
TOP = 3
_ANY = {"kind": "sigmoid", "parameters": {"a": 1.0, "b": 0.0}, "resamples": [{"a": 1.0, "b": 0.0}] * 10}


@dataclass(frozen=True)
class ReasonStability:
    """How alike the reasons of two trainings are, on average over pairs of refits and accounts.

    Parameters
    ----------
    refits, accounts : how many were compared.
    same_first : the share of accounts whose weightiest concept is the same.
    overlap : the share of the three weightiest concepts that both have.
    rank_correlation : of the predictions (Spearman).
    spread : the standard deviation of an account's log-odds over refits, root of the mean square over accounts: what
        the draw of accounts leaves unknown.
    """

    refits: int
    accounts: int
    same_first: float
    overlap: float
    rank_correlation: float
    spread: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def reason_stability(
    model: Blend,
    design: Design,
    latest: pd.DataFrame,
    features: Mapping[str, Feature],
    target: Target,
    refits: int,
    seed: int = 0,
    tell: Callable[[float], None] = lambda share: None,
) -> ReasonStability | None:
    """Refit the model a few times and compare its reasons; None for fewer than two refits.

    Parameters
    ----------
    model : whose settings are taken over.
    design : its training rows.
    latest : the newest snapshot, of which some accounts are explained.
    tell : told the share done.
    """
    if refits < 2:
        return None
    thin = design.search_rows()
    counts = AccountBootstrap(thin.accounts, refits, seed)
    rows = latest.sample(min(EXPLAINED, len(latest)), random_state=seed)
    found = []
    for i in range(refits):
        drawn = counts.counts[i][counts.codes]
        there = drawn > 0
        resampled = replace(thin, weight=thin.weight * drawn).subset(there)
        again = refit_blend(model, resampled, features, target, seed + i + 1)
        found.append(_explained(again, rows, features))
        tell((i + 1) / refits)
    first, overlap, ranks = [], [], []
    for (one, raw), (other, also) in combinations(found, 2):
        tops = [np.argsort(-np.abs(of), axis=1, kind="stable")[:, :TOP] for of in (one, other)]
        first.append((tops[0][:, 0] == tops[1][:, 0]).mean())
        overlap.append(np.mean([len(set(a) & set(b)) / TOP for a, b in zip(*tops, strict=True)]))
        ranks.append(pd.Series(raw).corr(pd.Series(also), method="spearman"))
    drawn_from = np.stack([raw for _, raw in found]).var(axis=0, ddof=1)
    alike = [float(np.mean(of)) for of in (first, overlap, ranks)]
    return ReasonStability(refits, len(rows), alike[0], alike[1], alike[2], float(np.sqrt(drawn_from.mean())))


def _explained(model: Blend, rows: pd.DataFrame, features: Mapping[str, Feature]) -> tuple[Floats, Floats]:
    """What each concept adds, (k, concepts), and the log-odds, (k,)."""
    scorer = Scorer.from_texts(model.trees.text, model.encoding.schema | model.scorer_parameters(), _ANY)
    matrix = scorer.encode(rows).matrix
    parts = scorer.contributions(matrix)[:, :-1]
    concepts = sorted({feature.concept for feature in features.values()})
    place = [concepts.index(features[name].concept) for name in scorer.features]
    sums = np.zeros((len(rows), len(concepts)))
    np.add.at(sums.T, place, parts.T)
    return sums, scorer.raw(matrix)
