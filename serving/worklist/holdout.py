"""Trials of plays: which accounts can be assigned, how many come each week, and the rows of an assignment."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from features.errors import BadRequest
from features.utils.arrays import Floats, Ints, Texts
from models.predictions.assessment import Assessment
from models.predictions.payload import format_instant
from models.rules.intervention_effects import AFTER_DAYS, InterventionRecord, intervention_status
from models.uplift.assignment import assign_arms
from models.uplift.design import ALL_PLAYS, TrialDesign, design_trial
from models.uplift.power import POWER
from serving.worklist.account_view import WorklistAccounts
from serving.worklist.rank import WorklistContext

#: New accounts per week are counted over this many weeks.
RATE_WEEKS = 26
ASSIGNMENT_COLUMNS = (
    *("account_id", "occurred_at", "play", "severity", "held_out", "trial", "held_out_share", "churn_probability"),
)


#: The smallest and the largest value of each setting of a design.
RANGES: Mapping[str, tuple[float, float]] = {
    "save_rate": (0.01, 1.0),
    "share": (0.05, 0.95),
    "power": (0.5, 0.99),
    "per_week": (0.01, 1_000_000),
}


def require_range(setting: str, value: object, name: str | None = None) -> None:
    """Check a setting of a design.

    Parameters
    ----------
    setting : a key of `RANGES`.
    value : its value; None only for ``per_week``.
    name : its name in the message; by default ``setting``.

    Raises
    ------
    BadRequest : the value is out of range, or not a number.
    """
    low, high = RANGES[setting]
    if value is None and setting == "per_week":
        return
    expected = f"a number from {low:g} to {high:,g}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise BadRequest(f"{name or setting} is not a number", expected)
    number: Any = value
    # The comparison also refuses NaN.
    if not low <= number <= high:
        shown = "too large" if abs(number) > sys.float_info.max else f"{float(number):g}"
        raise BadRequest(f"{name or setting} is {shown}", expected)


@dataclass(frozen=True)
class EligibleAccounts:
    """Accounts that can be assigned now: those of the worklist with a churn probability, without renewal talks.

    Parameters
    ----------
    rows : their rows in the assessment.
    plays : the name of each account's play.
    churn : the churn probability within `AFTER_DAYS`.
    accounts : all accounts of the assessment.
    """

    rows: Ints
    plays: Texts
    churn: Floats
    accounts: WorklistAccounts


def eligible_accounts(
    assessment: Assessment,
    context: WorklistContext,
    play: str | None = None,
    csm: str | None = None,
    trial: str | None = None,
) -> EligibleAccounts:
    """Return the accounts that can be assigned.

    Parameters
    ----------
    assessment : the assessed portfolio.
    context : people and interventions.
    play : only accounts with this play.
    csm : only accounts of this CSM.
    trial : leave out accounts that have been assigned in this trial before.

    Raises
    ------
    BadRequest : there is no churn model, no account has this CSM or this play.
    """
    if assessment.target_scores["churn"].bundle is None:
        raise BadRequest("there is no churn model", "a champion for churn", "run `renewcast train`")
    accounts = WorklistAccounts.of(assessment, context.people)
    records = list(context.interventions or ())
    standing = intervention_status(records, assessment.as_of.to_pydatetime(), context.snoozed)
    before = {record.account_id for record in records if trial is not None and record.trial == trial}
    free = np.array([a not in standing and a not in before for a in assessment.account_ids], dtype=bool)
    usable = accounts.of_csm(csm) & free & accounts.called_for & ~accounts.automated
    usable &= ~accounts.too_late & ~accounts.talks & np.isfinite(accounts.probability)
    names = np.array(["" if each is None else each.cause for each in accounts.plays], dtype=object)
    if play is not None:
        if play not in set(names[usable].tolist()):
            expected = ", ".join(sorted(set(names[usable].tolist()))) or "an account with a play"
            raise BadRequest("no account that can be assigned has this play", expected, "check the spelling")
        usable &= names == play
    rows = np.flatnonzero(usable)
    # A constant rate per day converts the probability to another number of days.
    churn = 1.0 - (1.0 - accounts.probability[rows]) ** (AFTER_DAYS / accounts.days)
    return EligibleAccounts(rows, names[rows], churn, accounts)


def weekly_accounts(interventions: Sequence[InterventionRecord], as_of: datetime) -> dict[str, float]:
    """Return how many accounts per week had an intervention in the last `RATE_WEEKS`, by play and for all plays."""
    since = as_of - timedelta(weeks=RATE_WEEKS)
    recent = [record for record in interventions if since <= record.occurred_at < as_of]
    by_play: dict[str, set[str]] = {ALL_PLAYS: {record.account_id for record in recent}}
    for record in recent:
        if record.play is not None:
            by_play.setdefault(record.play, set()).add(record.account_id)
    return {play: len(accounts) / RATE_WEEKS for play, accounts in by_play.items() if accounts}


def portfolio_design(
    assessment: Assessment,
    context: WorklistContext,
    save_rate: float,
    share: float,
    power: float = POWER,
    accounts_per_week: float | None = None,
    play: str | None = None,
    csm: str | None = None,
) -> TrialDesign:
    """Design a trial for a portfolio.

    Parameters
    ----------
    assessment, context, play, csm : as in `eligible_accounts`.
    save_rate, share, power : as in `models.uplift.design.design_trial`.
    accounts_per_week : new accounts per week, for all plays together. Default: that of past interventions.
    """
    found = eligible_accounts(assessment, context, play, csm)
    as_of = assessment.as_of.to_pydatetime()
    rates = weekly_accounts(context.interventions or (), as_of)
    if accounts_per_week is not None:
        total = len(found.rows)
        counts = {name: int((found.plays == name).sum()) for name in set(found.plays.tolist())}
        rates = {ALL_PLAYS: accounts_per_week} | {n: accounts_per_week * k / total for n, k in counts.items()}
    elif play is not None:
        rates = {ALL_PLAYS: rates[play], play: rates[play]} if play in rates else {}
    elif csm is not None:
        # The interventions of one CSM are not known.
        rates = {}
    return design_trial(
        found.churn, found.accounts.arr[found.rows], found.plays, save_rate, share, AFTER_DAYS, power, rates
    )


def design_document(
    assessment: Assessment,
    context: WorklistContext,
    save_rate: float,
    share: float,
    power: float = POWER,
    per_week: float | None = None,
    play: str | None = None,
    csm: str | None = None,
) -> dict[str, Any]:
    """Return a design as plain data (`serving.worklist.schemas.HoldoutDesignResponse`).

    The parameters are those of `portfolio_design`.
    """
    plan = portfolio_design(assessment, context, save_rate, share, power, per_week, play, csm)
    return {"as_of": format_instant(assessment.as_of), "share": share, **plan.as_dict()}


def assignment_frame(
    assessment: Assessment,
    context: WorklistContext,
    trial: str,
    share: float,
    seed: int,
    most: int | None = None,
    play: str | None = None,
    csm: str | None = None,
) -> pd.DataFrame:
    """Draw an assignment, as rows of the table ``interventions``.

    Parameters
    ----------
    assessment, context, play, csm : as in `eligible_accounts`.
    trial : the name of the trial. Accounts that it has assigned before are left out.
    share : the probability to be held out.
    seed : of the random numbers.
    most : the maximum number of accounts; those with the most ARR at risk are assigned.

    Returns
    -------
    pandas.DataFrame
        One row per account with `ASSIGNMENT_COLUMNS`, treated accounts first, by ARR at risk.

    Raises
    ------
    BadRequest : no account can be assigned, or for the reasons of `eligible_accounts`.
    """
    found = eligible_accounts(assessment, context, play, csm, trial)
    if not len(found.rows):
        raise BadRequest(
            "no account can be assigned",
            "accounts with a play for people that are not in an intervention or in this trial",
            "run the command again after the next publication",
        )
    position = {int(row): place for place, row in enumerate(found.rows)}
    chosen = found.accounts.order(found.rows, found.accounts.value)[:most]
    places = np.array([position[int(row)] for row in chosen], dtype=np.int64)
    ids = [assessment.account_ids[int(row)] for row in chosen]
    as_of = assessment.as_of.to_pydatetime()
    held_out = assign_arms(ids, found.plays[places], found.churn[places], share, trial, seed, as_of.isoformat())
    plays = [found.accounts.plays[int(row)] for row in chosen]
    frame = pd.DataFrame(
        {
            "account_id": ids,
            "occurred_at": pd.Timestamp(as_of),
            "play": found.plays[places],
            "severity": [None if each is None else each.severity for each in plays],
            "held_out": held_out,
            "trial": trial,
            "held_out_share": share,
            "churn_probability": np.round(found.churn[places], 6),
        }
    )
    return frame.sort_values("held_out", kind="stable", ignore_index=True)[list(ASSIGNMENT_COLUMNS)]
