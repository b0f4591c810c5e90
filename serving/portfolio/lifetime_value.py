"""Expected lifetime and lifetime value of accounts, from the model's churn probabilities.

The probability p of churn within H days is interpreted as a hazard: the account survives ``t`` days with probability
``(1 - p) ** (t / H)``. With several horizons, the hazard is constant between them. After the last horizon, it stays at
the average up to that horizon. This is an assumption, so the lifetime is the expected time within a limit of years (the
restricted mean). The value is ARR times margin over that time, without growth or discount.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.utils.arrays import Bools, Floats
from features.utils.periods import YEAR_DAYS
from models.peer_groups.frame_columns import number_column, text_column
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.predictions.table_export import plain_rows

ASSUMPTION = "constant churn hazard after the model's horizon; constant ARR; no discount; nothing after the limit"
LIMIT_YEARS = 5.0


def lifetime_days(probability: Mapping[int, Floats], limit_days: float) -> Floats:
    """Return the expected days that an account stays, within ``limit_days``.

    Parameters
    ----------
    probability : churn probabilities by horizon in days; at least one horizon, shape (n,) each, NaN unknown.
        Probabilities of longer horizons are raised to at least those of shorter ones.

    Returns
    -------
    days, shape (n,); NaN where a probability is unknown.
    """
    horizons = sorted(probability)
    survived = 1.0 - np.maximum.accumulate(np.stack([probability[h] for h in horizons]), axis=0)
    # A probability of 1 would be an infinite hazard.
    survived = np.clip(survived, 1e-12, 1.0)
    days = np.zeros(survived.shape[1])
    before, begin = np.ones(survived.shape[1]), 0.0
    for horizon, after in zip(horizons, survived, strict=True):
        hazard = -np.log(after / before) / (horizon - begin)
        days = days + before * _mean(hazard, np.clip(limit_days - begin, 0.0, horizon - begin))
        before, begin = after, float(horizon)
    hazard = -np.log(before) / begin
    return np.asarray(days + before * _mean(hazard, max(limit_days - begin, 0.0)))


def _mean(hazard: Floats, days: float | Floats) -> Floats:
    """Return the expected time within ``days`` under a constant hazard: (1 - exp(-hazard * days)) / hazard."""
    some = np.where(hazard > 0, hazard, 1.0)
    return np.where(hazard > 0, -np.expm1(-some * days) / some, days + np.zeros_like(hazard))


def lifetimes(
    assessment: Assessment,
    margin: float = 1.0,
    limit_years: float = LIMIT_YEARS,
    selected: Bools | None = None,
) -> dict[str, Any]:
    """Return the expected lifetime and value of every account and segment.

    Parameters
    ----------
    margin : the gross margin, a share of ARR above 0 and at most 1.
    limit_years : only the time within this limit counts.
    selected : True for the accounts that count; None for all. Shape (n,).

    Returns
    -------
    dict for JSON of assumption, margin, limit_years, unknown (accounts without a probability or ARR), whole and
    by_segment (accounts, lifetime_years: the mean, value: the sum), and accounts: account_id, name, segment, arr,
    lifetime_years, value, value_low and value_high (from the interval of the probability), largest value first.

    Raises
    ------
    BadRequest : the margin or the limit is not valid.
    """
    check_parameters(margin, limit_years)
    churn, days = assessment.target_scores["churn"], limit_years * YEAR_DAYS
    arr = number_column(assessment.frame, ARR_FEATURE)
    unknown = np.full(len(arr), np.nan)
    if churn.bundle is None:
        years, low, high = unknown, unknown, unknown
    else:
        horizon = churn.bundle.manifest.horizon_days
        shorter = {h: p for h, p in churn.by_horizon.items() if h < horizon}
        years = lifetime_days({**shorter, horizon: churn.probability}, days) / YEAR_DAYS
        # The interval is that of the main horizon alone.
        low, high = (lifetime_days({horizon: p}, days) / YEAR_DAYS for p in (churn.high, churn.low))
    table = pd.DataFrame(
        {
            "account_id": assessment.account_ids,
            "name": text_column(assessment.account_names),
            "segment": assessment.rule_results.segments,
            "arr": arr,
            "lifetime_years": years,
            "value": arr * margin * years,
            "value_low": arr * margin * np.fmin(low, years),
            "value_high": arr * margin * np.fmax(high, years),
        }
    )
    if selected is not None:
        table = table[selected]
    known = table[table["value"].notna()]
    order = known.sort_values(["value", "account_id"], ascending=[False, True], ignore_index=True)
    segments = known.groupby("segment", sort=False)
    return {
        "assumption": ASSUMPTION,
        "margin": margin,
        "limit_years": limit_years,
        "unknown": len(table) - len(known),
        "whole": _group(known),
        "by_segment": {str(name): _group(own) for name, own in segments},
        "accounts": plain_rows(order),
    }


def check_parameters(margin: float, limit_years: float) -> None:
    """Check that the margin and the limit are valid.

    Parameters
    ----------
    margin : the gross margin, above 0 and at most 1.
    limit_years : the limit of the lifetime, above 0 and at most 100.

    Raises
    ------
    BadRequest : one of them is not valid.
    """
    if not 0.0 < margin <= 1.0 or not 0.0 < limit_years <= 100.0:
        raise BadRequest(
            f"invalid margin ({margin:g}) or limit ({limit_years:g} years)",
            "a margin above 0 and at most 1, and a limit above 0 and at most 100 years",
        )


def _group(known: pd.DataFrame) -> dict[str, Any]:
    some = len(known) > 0
    return {
        "accounts": len(known),
        "lifetime_years": float(known["lifetime_years"].mean()) if some else None,
        "value": float(known["value"].sum()) if some else None,
    }
