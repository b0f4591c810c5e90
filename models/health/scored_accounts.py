"""How many accounts each rubric can score."""

from __future__ import annotations

import pandas as pd

from features.utils.formatting import and_list, count_of
from models.health.rubric import INSUFFICIENT, load_rubric, rubric_files
from models.health.rubric_names import DEFAULT_RUBRIC


def scored_accounts(frame: pd.DataFrame) -> dict[str, int]:
    """Return the number of accounts that each rubric scores, by name.

    Parameters
    ----------
    frame : rows of the accounts of one date, with the features.
    """
    return {name: int((load_rubric(name).score(frame).band != INSUFFICIENT).sum()) for name in rubric_files()}


def other_rubrics(scored: dict[str, int], used: str) -> str:
    """Return which other rubrics score some accounts, in words; empty if none does.

    Parameters
    ----------
    scored : what `scored_accounts` returns.
    used : the rubric in use.
    """
    others = [f"--rubric {name} scores {count_of(n, 'account')}" for name, n in scored.items() if n and name != used]
    return and_list(others) if others else ""


def score_instead(frame: pd.DataFrame, used: str = DEFAULT_RUBRIC) -> str:
    """Return whether the health score can be used instead of a model, as something to do.

    Parameters
    ----------
    frame : rows of the active accounts of one date, with the features.
    used : the rubric in use.
    """
    scored, accounts = scored_accounts(frame), count_of(len(frame), "active account")
    if number := scored.get(used, 0):
        return f"until then, use the health score instead of a model: it scores {number:,} of {accounts}"
    lacks = f"no account has data for half of the weight of the rubric {used}"
    if others := other_rubrics(scored, used):
        return f"until then, use a health score instead of a model: {lacks}, and {others} of {len(frame):,}"
    return f"add signals: there is neither a model nor a health score yet, because {lacks}, nor of another one"
