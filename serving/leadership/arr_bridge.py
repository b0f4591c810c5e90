"""The bridge of ARR over a period, from the contributions of accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from features.kpi.arr_bridge import AMOUNTS, PREFIX, STEPS
from features.kpi.definitions import IN_PERIOD
from serving.portfolio.contribution_rows import KpiSum, Sums
from serving.portfolio.kpi_values import overwritten_words

#: The digits after the point that amounts of the ledger have.
DIGITS = 4
NO_ACCOUNT = "no account was active in the period"
STEP_WORDS: Mapping[str, str] = {
    "arr_start": "Start",
    "new": "New",
    "returned": "Returned",
    "expanded": "Expansion",
    "contracted": "Contraction",
    "churned": "Churn",
    "in_grace": "Pending",
    "renewed_late": "Renewed late",
    "arr_end": "End",
}
"""The steps in words."""


def arr_bridge(sums: Sums, missing: Mapping[str, str], period: Mapping[str, str], *group: str) -> dict[str, Any]:
    """Return the bridge (`serving.leadership.schemas.ArrBridge`).

    Parameters
    ----------
    sums : the sums of the contributions.
    missing : the KPIs that are unknown, each with the reason. Where retention is unknown, so is the bridge.
    period : name, start and end.
    group : the group, if the sums are by group.
    """

    def total(step: str) -> KpiSum:
        code = f"{PREFIX}{step}"
        found: KpiSum = sums.get((*group, code) if group else code, KpiSum())
        return found

    start = total("arr_start")
    why = missing.get("nrr")
    if why is None and not start.accounts:
        why = NO_ACCOUNT
    elif why is None and start.overwritten_terms:
        why = overwritten_words(start, IN_PERIOD)
    answer = {"period": dict(period), "left_out": start.left_out, "unknown": why}
    if why is not None:
        return {**answer, "steps": None, "change": None}
    steps: list[dict[str, Any]] = [
        {
            "step": step,
            "sign": STEPS.get(step, 1),
            "accounts": round(total(step).denominator),
            "arr": round(total(step).numerator, DIGITS),
        }
        for step in AMOUNTS
    ]
    return {**answer, "steps": steps, "change": round(steps[-1]["arr"] - steps[0]["arr"], DIGITS)}
