"""Stability of the reasons across refits on resampled accounts with other seeds.

A reason that changes with the sample of accounts is not worth acting on. Concepts are compared, not columns, because
columns of one concept can replace each other (docs/explanation/method.md, "Reasons"). The refits use the rows of a
search, so they are somewhat less stable than the model that ships.
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
    """Similarity of the reasons of two refits, averaged over pairs of refits and over accounts.

    Parameters
    ----------
    refits, accounts : number of refits and accounts.
    same_first : share of accounts with the same top concept.
    overlap : share of the top three concepts that both refits have.
    rank_correlation : rank correlation of the predictions (Spearman).
    spread : standard deviation of an account's log-odds over refits (root mean square over accounts): the uncertainty
        from the sample of accounts.
    """

    refits: int
    accounts: int
    same_first: float
    overlap: float
    rank_correlation: float
    spread: float

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def reason_stability(
    model: Blend,
    design: Design,
    latest: pd.DataFrame,
    features: Mapping[str, Feature],
    target: Target,
    refits: int,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> ReasonStability | None:
    """Refit the model a few times and compare its reasons.

    Parameters
    ----------
    model : the model, whose settings the refits use.
    design : its training rows.
    latest : snapshots of the newest date; some of their accounts are explained.
    features : the catalogue.
    target : the target.
    refits : number of refits.
    seed : seed of the resamples and refits.
    progress : called with the share done.

    Returns
    -------
    ReasonStability or None
        None for fewer than two refits.
    """
    if refits < 2:
        return None
    search = design.search_rows()
    bootstrap = AccountBootstrap(search.accounts, refits, seed)
    rows = latest.sample(min(EXPLAINED, len(latest)), random_state=seed)
    explanations = []
    for i in range(refits):
        counts = bootstrap.counts[i][bootstrap.codes]
        resampled = replace(search, weight=search.weight * counts).subset(counts > 0)
        refit = refit_blend(model, resampled, features, target, seed + i + 1)
        explanations.append(_explained(refit, rows, features))
        progress((i + 1) / refits)
    first, overlap, ranks = [], [], []
    for (parts, raw), (other_parts, other_raw) in combinations(explanations, 2):
        tops = [np.argsort(-np.abs(of), axis=1, kind="stable")[:, :TOP] for of in (parts, other_parts)]
        first.append((tops[0][:, 0] == tops[1][:, 0]).mean())
        overlap.append(np.mean([len(set(a) & set(b)) / TOP for a, b in zip(*tops, strict=True)]))
        ranks.append(pd.Series(raw).corr(pd.Series(other_raw), method="spearman"))
    variances = np.stack([raw for _, raw in explanations]).var(axis=0, ddof=1)
    means = [float(np.mean(values)) for values in (first, overlap, ranks)]
    return ReasonStability(refits, len(rows), means[0], means[1], means[2], float(np.sqrt(variances.mean())))


def _explained(model: Blend, rows: pd.DataFrame, features: Mapping[str, Feature]) -> tuple[Floats, Floats]:
    """Return the contribution of each concept, (k, concepts), and the log-odds, (k,)."""
    scorer = Scorer.from_texts(model.trees.text, model.encoding.schema | model.scorer_parameters(), _ANY)
    matrix = scorer.encode(rows).matrix
    parts = scorer.contributions(matrix)[:, :-1]
    concepts = sorted({feature.concept for feature in features.values()})
    columns = [concepts.index(features[name].concept) for name in scorer.features]
    sums = np.zeros((len(rows), len(concepts)))
    np.add.at(sums.T, columns, parts.T)
    return sums, scorer.raw(matrix)
