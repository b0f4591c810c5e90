"""Design of a trial of plays: how many accounts and weeks it takes to measure an effect, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np

from features.utils.arrays import Floats, Texts
from models.uplift.power import POWER, RiskProfile

#: The shares of held-out accounts that a design is compared for.
SHARES = (0.1, 0.2, 0.3, 0.5)
ALL_PLAYS = "all plays"


@dataclass(frozen=True)
class TrialPlan:
    """What a trial of some plays takes.

    Parameters
    ----------
    play : the play, or `ALL_PLAYS`.
    share : the share of held-out accounts.
    eligible : accounts that can be assigned now.
    churn_probability : their mean.
    required : accounts that detect the effect with the given power; None if they carry no risk.
    held_out : how many of the required ones are held out.
    weeks : weeks of enrollment and observation; None if accounts are missing and the rate of new ones is unknown.
    detectable : the smallest save rate that the eligible accounts detect; None if they detect none.
    cost : the ARR that the held-out accounts are expected to lose because they are not treated, if the plays have the
        effect; None without a known ARR.
    """

    play: str
    share: float
    eligible: int
    churn_probability: float
    required: int | None
    held_out: int | None
    weeks: int | None
    detectable: float | None
    cost: float | None


@dataclass(frozen=True)
class TrialDesign:
    """A design: the effect to detect, the plan of each play, and plans of all plays for several shares."""

    save_rate: float
    power: float
    days: int
    accounts_per_week: float | None
    by_play: tuple[TrialPlan, ...]
    by_share: tuple[TrialPlan, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {name: list(each) if isinstance(each, tuple) else each for name, each in asdict(self).items()}


def design_trial(
    churn: Floats,
    arr: Floats,
    plays: Texts,
    save_rate: float,
    share: float,
    days: int,
    power: float = POWER,
    accounts_per_week: Mapping[str, float] | None = None,
) -> TrialDesign:
    """Design a trial from the accounts that can be assigned now, shape (n,).

    Parameters
    ----------
    churn : churn probabilities within ``days``.
    arr : the ARR; NaN is unknown.
    plays : the play of each account.
    save_rate : the effect to detect: the share of churning accounts that stay because of the play.
    share : the share of held-out accounts.
    days : days after which it is checked whether an account stayed.
    power : the probability to detect the effect.
    accounts_per_week : new accounts per week by play; `ALL_PLAYS` has that of all plays. None: unknown.
    """
    rates = accounts_per_week or {}

    def plan(play: str, part: float) -> TrialPlan:
        rows = np.ones(len(churn), dtype=bool) if play == ALL_PLAYS else plays == play
        profile = RiskProfile(churn[rows])
        required = profile.required_accounts(save_rate, part, power)
        eligible, rate = int(rows.sum()), rates.get(play)
        weeks = None
        if required is not None:
            missing = max(required - eligible, 0)
            enrollment = 0 if not missing else None if not rate else ceil(missing / rate)
            weeks = None if enrollment is None else enrollment + ceil(days / 7)
        worth = churn[rows] * arr[rows]
        held_out = None if required is None else round(required * part)
        cost = None
        if held_out is not None and np.isfinite(worth).any():
            cost = held_out * float(np.nanmean(worth)) * save_rate
        return TrialPlan(
            play,
            part,
            eligible,
            profile.mean,
            required,
            held_out,
            weeks,
            profile.detectable_save_rate(eligible, part, power),
            cost,
        )

    if not len(churn):
        return TrialDesign(save_rate, power, days, rates.get(ALL_PLAYS), (), ())
    names = sorted(set(plays.tolist()), key=lambda name: (-int((plays == name).sum()), name))
    return TrialDesign(
        save_rate,
        power,
        days,
        rates.get(ALL_PLAYS),
        tuple(plan(name, share) for name in [ALL_PLAYS, *names]),
        tuple(plan(ALL_PLAYS, part) for part in sorted({*SHARES, share})),
    )
