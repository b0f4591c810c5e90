"""The health of the portfolio by week, and how it changed over the weeks of an assessment."""

from __future__ import annotations

from typing import Any

import numpy as np

from features.utils.arrays import Bools
from models.predictions.assessment import Assessment
from models.predictions.columns import number_or_null
from models.predictions.payload import format_instant

BANDS = ("green", "yellow", "red")


def weekly_health(assessment: Assessment, selected: Bools | None = None) -> list[dict[str, Any]]:
    """Return the weekly health of the accounts active at the date of the assessment, oldest week first.

    Each week has ``date`` (ISO), ``mean`` (points, None without scores), and the numbers of green, yellow and red
    accounts.

    Parameters
    ----------
    assessment : the assessed portfolio.
    selected : True for the accounts that count; None for all. Shape (n,).
    """
    judged = assessment.rule_results
    rows = slice(None) if selected is None else selected
    weeks = []
    for place, week in enumerate(judged.dates):
        scores, bands = judged.score[rows, place], judged.band[rows, place]
        known = scores[~np.isnan(scores)]
        mean = float(known.mean()) if len(known) else float("nan")
        counts = {band: int((bands == band).sum()) for band in BANDS}
        weeks.append({"date": format_instant(week.to_pydatetime()), "mean": number_or_null(mean), **counts})
    return weeks


def band_changes(assessment: Assessment, selected: Bools | None = None) -> dict[tuple[str, str], int]:
    """Count the accounts by their health band in the first and in the last week.

    Parameters
    ----------
    assessment, selected : as in `weekly_health`.

    Returns
    -------
    dict
        The number of accounts for each pair of bands (first, last), for accounts with a score in both weeks. Empty if
        there is only one week.
    """
    bands = assessment.rule_results.band[slice(None) if selected is None else selected]
    if bands.shape[1] < 2:
        return {}
    first, last = bands[:, 0], bands[:, -1]
    return {(a, b): int(((first == a) & (last == b)).sum()) for a in BANDS for b in BANDS}


def score_changes(assessment: Assessment, selected: Bools | None = None) -> list[tuple[str, float, float]]:
    """Return the accounts whose health score changed between the first and the last week, largest fall first.

    Parameters
    ----------
    assessment, selected : as in `weekly_health`.

    Returns
    -------
    list of (account_id, score in the first week, score in the last week)
        Accounts without a score in one of the two are left out; empty if there is only one week.
    """
    scores = assessment.rule_results.score
    if scores.shape[1] < 2:
        return []
    first, last = scores[:, 0], scores[:, -1]
    moved = ~np.isnan(last - first) & (last != first)
    changed = np.flatnonzero(moved if selected is None else moved & selected)
    order = changed[np.argsort((last - first)[changed], kind="stable")]
    return [(assessment.account_ids[row], float(first[row]), float(last[row])) for row in order]
