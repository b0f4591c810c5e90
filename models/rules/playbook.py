"""Who gets which play: a reason to act, a cause, somebody who acts, and what expansion is proposed beside it.

Each account gets a save play only where something says that it may be lost: the model's churn band (medium or high),
its health (yellow or red), or a high or immediate warning that counts. An account with every item of the expansion's
gate met and the model's band high is proposed for expansion and gets no save play; an immediate warning that counts, or
a high churn band, withdraws the proposal and gives the play. Accounts of a segment that is looked after digitally only
get plays that run by themselves, unless an immediate warning counts. All of it is in ``plays.toml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from models.peer_groups.segments import SegmentsFile
from models.rules.early_warnings import EarlyWarning
from models.rules.onboarding import Onboarding
from models.rules.plays import (
    AUTOMATED,
    EXECUTIVES,
    PRESSING,
    SEVERITIES,
    Cause,
    Play,
    PlaysFile,
    Severity,
    Tier,
    due_within,
    handed_to_csm,
    play_for,
)

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

RENEWAL_NEAR = "renewal_near"
"""The reason of a renewal talk; the other codes are ``churn_high``, ``churn_medium``, ``health_red``,
``health_yellow``, and those of warnings and of steps of onboarding."""

Called = Mapping[str, Mapping[str, date]]
"""By account and by the name of a play, the day on which it was first due: plays published before and not done."""

Handed = Mapping[str, datetime]
"""By account, the publication that handed its play to the executives."""
WEEK = timedelta(days=7)
"""The time that the executives' room is for, however often plays are published in it."""


@dataclass(frozen=True)
class ModelView:
    """What the models say of n accounts, every array of shape (n,).

    Parameters
    ----------
    churn_band, expansion_band : low, medium or high; None where there is no number.
    value : the ARR at risk: churn probability times ARR, NaN unknown. Executive plays are ranked by it.
    leading : for the places of some accounts, what each dimension adds to the model's log-odds of churn.
    """

    churn_band: Texts
    expansion_band: Texts
    value: Floats
    leading: Callable[[list[int]], Sequence[Mapping[str, float]]] | None = None

    @classmethod
    def unknown(cls, accounts: int) -> ModelView:
        """No model says anything."""
        nothing = np.full(accounts, None, dtype=object)
        return cls(nothing, nothing, np.full(accounts, np.nan))


@dataclass(frozen=True)
class Facts:
    """What the rules know of n accounts, in one order: health band and score (NaN unknown), the weakest dimension
    (None unknown), days to the renewal and of the term, ARR (NaN unknown), warnings, onboarding, whether every item of
    the expansion's gate is met, and the segment (None unknown)."""

    health_band: Texts
    health_score: Floats
    weakest: Texts
    days_to_renewal: Floats
    term_days: Floats
    arr: Floats
    warnings: Sequence[Sequence[EarlyWarning]]
    onboarding: Sequence[Onboarding]
    gate_met: Flags
    segments: Texts | None = None


@dataclass(frozen=True)
class Playbook:
    """What n accounts get.

    Parameters
    ----------
    plays : the play of each account, None without a reason to act.
    further : plays of other hands in addition, such as billing's where a payment failed and the account is at risk.
    proposed : whether an expansion is proposed, shape (n,).
    withdrawn : why it is not, although the gate and the model would allow it; None otherwise.
    executives_from : the ARR at risk from which a play is the executives' where an account comes alone: 0 as long as
        they have room.
    handed : the plays that were handed to the executives in the week that ends with this publication, its own with it.
    """

    plays: tuple[Play | None, ...]
    further: tuple[tuple[Play, ...], ...]
    proposed: Flags
    withdrawn: tuple[str | None, ...]
    executives_from: float
    handed: Handed


@dataclass(frozen=True)
class Circumstances:
    """What plays depend on beside the accounts.

    Parameters
    ----------
    as_of : the date that is judged, UTC.
    alone : whether the accounts are no whole portfolio, so that they cannot be ranked among each other.
    executives_from : for accounts that come alone, the ARR at risk from which executives act, as the portfolio beside
        them has it (`Playbook.executives_from`). None: not known, and the CSM acts.
    called : plays that were published before and have not been done.
    handed : plays that were handed to the executives before, and when. For a week they take room, and stay theirs as
        long as they are called for.
    """

    as_of: datetime
    alone: bool = False
    executives_from: float | None = None
    called: Called = field(default_factory=dict)
    handed: Handed = field(default_factory=dict)


def playbook(
    account_ids: Sequence[str],
    facts: Facts,
    view: ModelView,
    rules: PlaysFile,
    segments: SegmentsFile,
    given: Circumstances,
) -> Playbook:
    """Decide for every account.

    Parameters
    ----------
    account_ids : shape (n,).
    """
    rows = range(len(account_ids))
    could = facts.gate_met & (view.expansion_band == "high")
    withdrawn = tuple(_against_expansion(facts, view, row) if could[row] else None for row in rows)
    proposed = could & np.array([why is None for why in withdrawn], dtype=bool)
    reasons = [() if proposed[row] else _reasons(facts, view, row, rules) for row in rows]
    leading = _leading(facts, view, reasons, rules)
    every: list[list[Play]] = []
    for row in rows:
        left, most = _known(facts.days_to_renewal[row]), _most(facts, row, rules)
        found = []
        if reasons[row]:
            cause = _cause(facts, row, leading.get(row), rules)
            severity = _severity(facts, view, row, rules)
            least = rules.least_severity_of_segment.get(_segment(facts, row) or "", "low")
            found.append(play_for(cause, severity, given.as_of, left, rules, reasons[row], most, least))
        found += _billing(facts, row, given.as_of, left, rules)
        found += _first_days(facts, row, given.as_of, rules, most)
        every.append(found or _renewal(facts, row, given.as_of, rules, segments, most))
    threshold, handed = _allot(account_ids, every, facts, view, rules, given)
    every = [
        [_as_first_due(play, given, account) for play in each] for each, account in zip(every, account_ids, strict=True)
    ]
    return Playbook(
        tuple(each[0] if each else None for each in every),
        tuple(tuple(each[1:]) for each in every),
        np.asarray(proposed, dtype=bool),
        withdrawn,
        threshold,
        handed,
    )


def counting(signs: Sequence[EarlyWarning]) -> list[EarlyWarning]:
    """The warnings that count, the most pressing first."""
    return [sign for sign in signs if sign.standing == "risk"]


def pressing(signs: Sequence[EarlyWarning]) -> list[EarlyWarning]:
    """Those that are a reason to act by themselves: high or immediate, and counting."""
    return [sign for sign in counting(signs) if sign.severity in PRESSING]


def _segment(facts: Facts, row: int) -> str | None:
    return None if facts.segments is None else facts.segments[row]


def _most(facts: Facts, row: int, rules: PlaysFile) -> Tier:
    """How severe a play for an account is at most."""
    segment = _segment(facts, row)
    if segment not in rules.severity_of_segment:
        return "high"
    immediate = any(sign.severity == "immediate" for sign in counting(facts.warnings[row]))
    return "high" if immediate else rules.severity_of_segment[segment]


def _against_expansion(facts: Facts, view: ModelView, row: int) -> str | None:
    """Why nothing is proposed to an account of which the gate and the model would allow it; None: it is."""
    immediate = [sign for sign in counting(facts.warnings[row]) if sign.severity == "immediate"]
    if immediate:
        return immediate[0].says
    return "the churn risk is high" if view.churn_band[row] == "high" else None


def _reasons(facts: Facts, view: ModelView, row: int, rules: PlaysFile) -> tuple[str, ...]:
    """The codes of the reasons for a save play; none without one."""
    churn, health = view.churn_band[row], facts.health_band[row]
    found = [f"churn_{churn}"] if churn in rules.severity_of_risk else []
    found += [f"health_{health}"] if health in rules.severity_of_band else []
    return (*found, *(s.code for s in pressing(facts.warnings[row]) if rules.kind_of(s.cause) == "save"))


def _severity(facts: Facts, view: ModelView, row: int, rules: PlaysFile) -> Severity:
    """The most pressing of the warnings that count and the two bands; milder where the churn band is low."""
    churn, health = view.churn_band[row], facts.health_band[row]
    known = [s.severity for s in counting(facts.warnings[row]) if rules.kind_of(s.cause) == "save"]
    known += [rules.severity_of_risk[churn]] if churn in rules.severity_of_risk else []
    known += [rules.severity_of_band[health]] if health in rules.severity_of_band else []
    worst = min(known, key=SEVERITIES.index)
    return rules.milder.get(worst, worst) if churn == "low" else worst


def _cause(facts: Facts, row: int, leading: str | None, rules: PlaysFile) -> Cause:
    """What the most pressing warning that counts points to; else the weakest dimension of a poor score, or the one that
    raises the model's risk most."""
    signs = [s for s in counting(facts.warnings[row]) if rules.kind_of(s.cause) == "save"]
    if signs:
        return signs[0].cause
    weak = facts.weakest[row] if facts.health_band[row] in rules.severity_of_band else None
    for dimension in (weak, leading, facts.weakest[row]):
        if dimension in rules.cause_of:
            return rules.cause_of[dimension]
    return rules.cause_otherwise


def _leading(facts: Facts, view: ModelView, reasons: Sequence[tuple[str, ...]], rules: PlaysFile) -> Mapping[int, str]:
    """Of the accounts of which nothing but the model says that they are at risk, the dimension that does most."""
    rows = [
        row
        for row, why in enumerate(reasons)
        if why
        and view.churn_band[row] is not None
        and facts.health_band[row] not in rules.severity_of_band
        and not counting(facts.warnings[row])
    ]
    if view.leading is None or not rows:
        return {}
    found: dict[int, str] = {}
    for row, pulls in zip(rows, view.leading(rows), strict=True):
        causes = {name: pull for name, pull in pulls.items() if name in rules.cause_of}
        if causes:
            found[row] = max(causes, key=causes.__getitem__)
    return found


def _billing(facts: Facts, row: int, as_of: datetime, left: float | None, rules: PlaysFile) -> list[Play]:
    signs = [s for s in counting(facts.warnings[row]) if rules.kind_of(s.cause) == "billing"]
    return [play_for(s.cause, s.severity, as_of, left, rules, tuple(each.code for each in signs)) for s in signs[:1]]


def _first_days(facts: Facts, row: int, as_of: datetime, rules: PlaysFile, most: Tier) -> list[Play]:
    """For the last step of onboarding that was missed."""
    missed = facts.onboarding[row].missed
    if missed and most == "low":
        because = tuple(step.code for step in missed)
        due = due_within(rules.onboarding.within_days, 0, as_of, None)
        return [Play("onboarding", "low", rules.onboarding.automated, AUTOMATED, due, "onboarding", because)]
    due = due_within(rules.onboarding.within_days, 0, as_of, None)
    because = tuple(step.code for step in missed)
    return [
        Play("onboarding", "medium", step.act, rules.onboarding.who, due, "onboarding", because) for step in missed[-1:]
    ]


def _renewal(
    facts: Facts, row: int, as_of: datetime, rules: PlaysFile, segments: SegmentsFile, most: Tier
) -> list[Play]:
    """A talk where the renewal is in its window; for accounts with which nothing else is wrong."""
    left, term = facts.days_to_renewal[row], facts.term_days[row]
    # Unknown does not compare, so that an unknown term hides no renewal.
    if not 0 <= left <= segments.renewal_talks_days or term < segments.renewal_talks_days:
        return []
    rule = rules.renewal
    due = due_within(rule.within_days, rule.before_renewal_days, as_of, float(left))
    if most == "low":
        return [Play("renewal", "low", rule.automated, AUTOMATED, due, "renewal", (RENEWAL_NEAR,))]
    return [Play("renewal", "medium", rule.act, rule.who, due, "renewal", (RENEWAL_NEAR,))]


def _allot(
    account_ids: Sequence[str],
    every: Sequence[list[Play]],
    facts: Facts,
    view: ModelView,
    rules: PlaysFile,
    given: Circumstances,
) -> tuple[float, Handed]:
    """Hand to the CSM, in place, what executives have no room for; the ARR at risk from which they act, and what was
    handed to them in this week."""
    asked = [row for row, plays in enumerate(every) if plays and plays[0].who == EXECUTIVES]
    if given.alone:
        least = np.inf if given.executives_from is None else given.executives_from
        # Unknown does not compare as more, so that it takes no room.
        taken = {row for row in asked if account_ids[row] in given.handed or least <= 0 or view.value[row] >= least}
        handed: Handed = given.handed
    else:
        # Published daily, a week has the same room as published weekly.
        before = {a: at for a, at in given.handed.items() if given.as_of - WEEK < at < given.as_of}
        capacity = rules.executives.capacity(len(every))
        room = max(capacity - len(before), 0)
        value, score, arr = (each[asked] for each in (view.value, facts.health_score, facts.arr))
        # The largest ARR at risk first; where it is not known, after these the poorest health, then the largest ARR.
        poor, worth = np.nan_to_num(score, nan=np.inf), np.nan_to_num(value)
        order = np.lexsort((-np.nan_to_num(arr), poor, -worth, np.isnan(value)))
        ordered = [asked[i] for i in order.tolist()]
        held = [row for row in ordered if account_ids[row] in before][:capacity]
        ranked = [row for row in ordered if account_ids[row] not in before]
        taken = {*held, *ranked[:room]}
        handed = {**before, **{account_ids[row]: given.as_of for row in ranked[:room]}}
        last = view.value[ranked[room - 1]] if 0 < room <= len(ranked) else np.nan
        least = 0.0 if len(ranked) < room else np.inf if np.isnan(last) else float(last)
    for row in asked:
        if row not in taken:
            every[row][0] = handed_to_csm(every[row][0], given.as_of, _known(facts.days_to_renewal[row]), rules)
    return float(least), handed


def _as_first_due(play: Play, given: Circumstances, account: str) -> Play:
    """With the day on which it was due when it was first published, where it was published before. What runs by itself
    is never late."""
    due = given.called.get(account, {}).get(play.cause)
    if due is None or due >= play.due or play.who == AUTOMATED:
        return play
    return play.first_due(due, given.as_of)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
