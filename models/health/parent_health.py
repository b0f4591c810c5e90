"""The health of parent companies: what a rubric makes of the scores of a parent account and the accounts below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.utils.account_hierarchies import Parents
from features.utils.arrays import Floats, Ints
from models.health.rubric import score_bands
from models.health.rubric_schema import ParentHealthRule, RubricFile


@dataclass(frozen=True)
class ParentHealth:
    """The health of a parent: of its account and all accounts below it, by the rule of the rubric.

    Parameters
    ----------
    rule : the rule.
    score : the score, 0 to 100; None without one.
    band : the band of the score, by the limits of the rubric.
    worst : the account with the lowest score; None if no account has a score.
    scored, unscored : the numbers of active accounts with and without a score, without regard to the rule.
    """

    rule: ParentHealthRule
    score: float | None
    band: str
    worst: str | None
    scored: int
    unscored: int


def parent_health(
    rules: RubricFile, parents: Parents, accounts: Sequence[str], score: Floats, arr: Floats
) -> dict[str, ParentHealth]:
    """Return the health of every parent with an active account, its own or one below it.

    Parameters
    ----------
    rules : the rubric, with ``parent_health``. ``own``: the score of the parent's own account. ``worst_child``: the
        lowest score of the parent and all accounts below it. ``arr_weighted_mean``: their mean, weighted by ARR, to one
        decimal; accounts with an unknown score or ARR are left out, and without positive ARR there is no score.
    parents : the parent of each account that has one, without circles.
    accounts : the active accounts. Shape (n,).
    score : their health scores, NaN if unknown. Shape (n,).
    arr : their ARR, NaN if unknown. Shape (n,).

    Returns
    -------
    dict of str to ParentHealth
        By the id of the parent, active or not.
    """
    members: dict[str, list[int]] = {parent: [] for parent in parents.values()}
    for row, account in enumerate(accounts):
        above: str | None = account
        while above is not None:
            if above in members:
                members[above].append(row)
            above = parents.get(above)
    places = {account: row for row, account in enumerate(accounts)}
    return {
        parent: _health_of(rules, np.array(rows), places.get(parent), accounts, score, arr)
        for parent, rows in members.items()
        if rows
    }


def _health_of(
    rules: RubricFile, rows: Ints, own: int | None, accounts: Sequence[str], score: Floats, arr: Floats
) -> ParentHealth:
    scores, amounts = score[rows], arr[rows]
    known = ~np.isnan(scores)
    # Of equal scores, that of the first account by its id.
    worst = min(rows[known].tolist(), key=lambda row: (score[row], accounts[row]), default=None)
    if rules.parent_health == "own":
        value = np.nan if own is None else score[own]
    elif rules.parent_health == "worst_child":
        value = np.nan if worst is None else score[worst]
    else:
        counted = known & ~np.isnan(amounts)
        total = float(amounts[counted].sum())
        value = round(float((amounts * scores)[counted].sum()) / total, 1) if total > 0 else np.nan
    return ParentHealth(
        rule=rules.parent_health,
        score=None if np.isnan(value) else float(value),
        band=str(score_bands(rules, np.array([value]))[0]),
        worst=None if worst is None else accounts[worst],
        scored=int(known.sum()),
        unscored=int((~known).sum()),
    )


PARENT_HEALTH_WORDS: Mapping[ParentHealthRule, str] = {
    "own": "of the parent's own account",
    "worst_child": "of the worst account of the company",
    "arr_weighted_mean": "mean of the company's accounts, weighted by ARR",
}
"""What the health of a parent is, in words, by rule."""
