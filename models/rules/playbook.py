"""The playbook: which account gets which play, who acts, and which expansions are proposed.

An account gets a save play only if something indicates a risk of churn: the model's churn band (medium or high), its
health (yellow or red), or a high or immediate warning that counts. An account with every item of the expansion gate met
and a high expansion band is proposed for expansion and gets no save play. An immediate warning that counts, or a high
churn band, withdraws the proposal and gives the play. Accounts of a digital-touch segment get only automated plays,
unless an immediate warning counts. Executives act only for some segments. The settings are in ``plays.toml``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import numpy as np

from features.utils.arrays import Bools, Floats, Texts
from models.peer_groups.segments import SegmentsFile
from models.rules.early_warnings import AccountWarning
from models.rules.onboarding import OnboardingStatus
from models.rules.plays import (
    AUTOMATED,
    EXECUTIVES,
    SEVERITIES,
    URGENT_SEVERITIES,
    AccountPlay,
    Cause,
    PlaysFile,
    Severity,
    Tier,
    choose_play,
    due_date,
    reassign_to_csm,
)

RENEWAL_NEAR = "renewal_near"
"""The reason for a renewal talk; the other codes are ``churn_high``, ``churn_medium``, ``health_red``,
``health_yellow``, and those of warnings and onboarding steps."""

OpenPlays = Mapping[str, Mapping[str, date]]
"""The first due date of open plays (published before and not done), by account and name of the play."""

ExecutiveAssignments = Mapping[str, datetime]
"""The publication that assigned a play to executives, by account."""
WEEK = timedelta(days=7)
"""The period of the executives' capacity, however often plays are published."""


@dataclass(frozen=True)
class ModelView:
    """The results of the models for n accounts, every array of shape (n,).

    Parameters
    ----------
    churn_band, expansion_band : low, medium or high; None without a prediction.
    value : the ARR at risk (churn probability times ARR), NaN if unknown. Executive plays are ranked by it.
    leading : returns, for the positions of some accounts, each dimension's contribution to the log-odds of churn.
    """

    churn_band: Texts
    expansion_band: Texts
    value: Floats
    leading: Callable[[list[int]], Sequence[Mapping[str, float]]] | None = None

    @classmethod
    def unknown(cls, accounts: int) -> ModelView:
        """Return the view without any model."""
        empty = np.full(accounts, None, dtype=object)
        return cls(empty, empty, np.full(accounts, np.nan))


@dataclass(frozen=True)
class PlaybookInputs:
    """The inputs of the playbook for n accounts, in one order.

    They are health band and score (NaN if unknown), the weakest dimension (None if unknown), days to the renewal and of
    the term, ARR (NaN if unknown), warnings, onboarding, whether every item of the expansion gate is met, and the
    segment (None if unknown).
    """

    health_band: Texts
    health_score: Floats
    weakest: Texts
    days_to_renewal: Floats
    term_days: Floats
    arr: Floats
    warnings: Sequence[Sequence[AccountWarning]]
    onboarding: Sequence[OnboardingStatus]
    gate_met: Bools
    segments: Texts | None = None


@dataclass(frozen=True)
class Playbook:
    """The plays and proposals of n accounts.

    Parameters
    ----------
    plays : the play of each account, None without a reason to act.
    further : additional plays of other people, such as billing if a payment failed and the account is at risk.
    proposed : whether an expansion is proposed, shape (n,).
    withdrawn : why there is no proposal although the gate and the model allow it; None otherwise.
    executives_from : the ARR at risk from which executives act for a single account; 0 while they have capacity.
    assignments : the plays assigned to executives in the week up to and including this publication.
    """

    plays: tuple[AccountPlay | None, ...]
    further: tuple[tuple[AccountPlay, ...], ...]
    proposed: Bools
    withdrawn: tuple[str | None, ...]
    executives_from: float
    assignments: ExecutiveAssignments


@dataclass(frozen=True)
class PlaybookContext:
    """The context of plays, besides the accounts.

    Parameters
    ----------
    as_of : the assessed date, UTC.
    alone : whether the accounts are not a whole portfolio, so that they cannot be ranked.
    executives_from : for single accounts, the ARR at risk from which executives act, from the portfolio
        (`Playbook.executives_from`). If it is None, the CSM acts.
    open_plays : plays that were published before and are not done.
    assignments : plays that were assigned to executives before, and when. They use capacity for a week, and remain
        assigned while they are needed.
    """

    as_of: datetime
    alone: bool = False
    executives_from: float | None = None
    open_plays: OpenPlays = field(default_factory=dict)
    assignments: ExecutiveAssignments = field(default_factory=dict)


def decide_plays(
    account_ids: Sequence[str],
    facts: PlaybookInputs,
    view: ModelView,
    rules: PlaysFile,
    segments: SegmentsFile,
    context: PlaybookContext,
) -> Playbook:
    """Decide the plays of every account.

    Parameters
    ----------
    account_ids : the ids, shape (n,).
    """
    rows = range(len(account_ids))
    allowed = facts.gate_met & (view.expansion_band == "high")
    withdrawn = tuple(_withdrawal_reason(facts, view, row) if allowed[row] else None for row in rows)
    proposed = allowed & np.array([why is None for why in withdrawn], dtype=bool)
    reasons = [() if proposed[row] else _reasons(facts, view, row, rules) for row in rows]
    leading = _leading(facts, view, reasons, rules)
    every: list[list[AccountPlay]] = []
    for row in rows:
        left, most = _or_none(facts.days_to_renewal[row]), _max_severity(facts, row, rules)
        result = []
        if reasons[row]:
            cause = _cause(facts, row, leading.get(row), rules)
            severity = _severity(facts, view, row, rules)
            least = rules.least_severity_of_segment.get(_segment(facts, row) or "", "low")
            result.append(choose_play(cause, severity, context.as_of, left, rules, reasons[row], most, least))
        result += _billing(facts, row, context.as_of, left, rules, most)
        result += _first_days(facts, row, context.as_of, rules, most)
        every.append(result or _renewal(facts, row, context.as_of, rules, segments, most))
    threshold, assignments = _assign_executives(account_ids, every, facts, view, rules, context)
    every = [
        [_as_first_due(play, context, account) for play in each]
        for each, account in zip(every, account_ids, strict=True)
    ]
    return Playbook(
        tuple(each[0] if each else None for each in every),
        tuple(tuple(each[1:]) for each in every),
        np.asarray(proposed, dtype=bool),
        withdrawn,
        threshold,
        assignments,
    )


def confirmed_warnings(signs: Sequence[AccountWarning]) -> list[AccountWarning]:
    """Return the warnings that count, most urgent first."""
    return [sign for sign in signs if sign.standing == "risk"]


def urgent_warnings(signs: Sequence[AccountWarning]) -> list[AccountWarning]:
    """Return the high and immediate warnings that count, which are a reason to act by themselves."""
    return [sign for sign in confirmed_warnings(signs) if sign.severity in URGENT_SEVERITIES]


def _segment(facts: PlaybookInputs, row: int) -> str | None:
    return None if facts.segments is None else facts.segments[row]


def _max_severity(facts: PlaybookInputs, row: int, rules: PlaysFile) -> Tier:
    """Return the maximum severity of a play for an account."""
    segment = _segment(facts, row)
    if segment not in rules.severity_of_segment:
        return "high"
    immediate = any(sign.severity == "immediate" for sign in confirmed_warnings(facts.warnings[row]))
    return "high" if immediate else rules.severity_of_segment[segment]


def _withdrawal_reason(facts: PlaybookInputs, view: ModelView, row: int) -> str | None:
    """Return why an expansion that the gate and the model allow is withdrawn; None if it is proposed."""
    immediate = [sign for sign in confirmed_warnings(facts.warnings[row]) if sign.severity == "immediate"]
    if immediate:
        return immediate[0].says
    return "the churn risk is high" if view.churn_band[row] == "high" else None


def _reasons(facts: PlaybookInputs, view: ModelView, row: int, rules: PlaysFile) -> tuple[str, ...]:
    """Return the codes of the reasons for a save play; empty without a reason."""
    churn, health = view.churn_band[row], facts.health_band[row]
    result = [f"churn_{churn}"] if churn in rules.severity_of_risk else []
    result += [f"health_{health}"] if health in rules.severity_of_band else []
    return (*result, *(s.code for s in urgent_warnings(facts.warnings[row]) if rules.kind_of(s.cause) == "save"))


def _severity(facts: PlaybookInputs, view: ModelView, row: int, rules: PlaysFile) -> Severity:
    """Return the highest severity of the warnings that count and the two bands; milder if the churn band is low."""
    churn, health = view.churn_band[row], facts.health_band[row]
    severities = [s.severity for s in confirmed_warnings(facts.warnings[row]) if rules.kind_of(s.cause) == "save"]
    severities += [rules.severity_of_risk[churn]] if churn in rules.severity_of_risk else []
    severities += [rules.severity_of_band[health]] if health in rules.severity_of_band else []
    worst = min(severities, key=SEVERITIES.index)
    return rules.milder.get(worst, worst) if churn == "low" else worst


def _cause(facts: PlaybookInputs, row: int, leading: str | None, rules: PlaysFile) -> Cause:
    """Return the cause of the most urgent warning that counts.

    Without such a warning, it is the cause of the weakest dimension of a poor score, or of the dimension that raises
    the model's risk most.
    """
    signs = [s for s in confirmed_warnings(facts.warnings[row]) if rules.kind_of(s.cause) == "save"]
    if signs:
        return signs[0].cause
    weak = facts.weakest[row] if facts.health_band[row] in rules.severity_of_band else None
    for dimension in (weak, leading, facts.weakest[row]):
        if dimension in rules.cause_of:
            return rules.cause_of[dimension]
    return rules.cause_otherwise


def _leading(
    facts: PlaybookInputs, view: ModelView, reasons: Sequence[tuple[str, ...]], rules: PlaysFile
) -> Mapping[int, str]:
    """Return the dimension that raises the risk most, for accounts that are at risk only according to the model."""
    rows = [
        row
        for row, why in enumerate(reasons)
        if why
        and view.churn_band[row] is not None
        and facts.health_band[row] not in rules.severity_of_band
        and not confirmed_warnings(facts.warnings[row])
    ]
    if view.leading is None or not rows:
        return {}
    result: dict[int, str] = {}
    for row, pulls in zip(rows, view.leading(rows), strict=True):
        causes = {name: pull for name, pull in pulls.items() if name in rules.cause_of}
        if causes:
            result[row] = max(causes, key=causes.__getitem__)
    return result


def _billing(
    facts: PlaybookInputs, row: int, as_of: datetime, left: float | None, rules: PlaysFile, most: Tier
) -> list[AccountPlay]:
    signs = [s for s in confirmed_warnings(facts.warnings[row]) if rules.kind_of(s.cause) == "billing"]
    because = tuple(each.code for each in signs)
    return [choose_play(s.cause, s.severity, as_of, left, rules, because, most) for s in signs[:1]]


def _first_days(facts: PlaybookInputs, row: int, as_of: datetime, rules: PlaysFile, most: Tier) -> list[AccountPlay]:
    """Return the play for the last missed onboarding step."""
    missed = facts.onboarding[row].missed
    if missed and most == "low":
        because = tuple(step.code for step in missed)
        due = due_date(rules.onboarding.within_days, 0, as_of, None)
        return [AccountPlay("onboarding", "low", rules.onboarding.automated, AUTOMATED, due, "onboarding", because)]
    due = due_date(rules.onboarding.within_days, 0, as_of, None)
    because = tuple(step.code for step in missed)
    return [
        AccountPlay("onboarding", "medium", step.act, rules.onboarding.who, due, "onboarding", because)
        for step in missed[-1:]
    ]


def _renewal(
    facts: PlaybookInputs, row: int, as_of: datetime, rules: PlaysFile, segments: SegmentsFile, most: Tier
) -> list[AccountPlay]:
    """Return a renewal talk if the renewal is in its window, for accounts without other plays."""
    left, term = facts.days_to_renewal[row], facts.term_days[row]
    # Comparisons with NaN are false, so that an unknown term does not hide a renewal.
    if not 0 <= left <= segments.renewal_talks_days or term < segments.renewal_talks_days:
        return []
    rule = rules.renewal
    due = due_date(rule.within_days, rule.before_renewal_days, as_of, float(left))
    if most == "low":
        return [AccountPlay("renewal", "low", rule.automated, AUTOMATED, due, "renewal", (RENEWAL_NEAR,))]
    return [AccountPlay("renewal", "medium", rule.act, rule.who, due, "renewal", (RENEWAL_NEAR,))]


def _assign_executives(
    account_ids: Sequence[str],
    every: Sequence[list[AccountPlay]],
    facts: PlaybookInputs,
    view: ModelView,
    rules: PlaysFile,
    context: PlaybookContext,
) -> tuple[float, ExecutiveAssignments]:
    """Reassign plays to the CSM, in place: those of segments without executives, and those that exceed the capacity.

    Returns the ARR at risk from which executives act, and the plays assigned to them in this week.
    """
    high_rows = [row for row, plays in enumerate(every) if plays and plays[0].who == EXECUTIVES]
    executive_rows = [row for row in high_rows if rules.executives.act_for(_segment(facts, row))]
    if context.alone:
        least = np.inf if context.executives_from is None else context.executives_from
        # Comparisons with NaN are false, so that unknown values use no capacity.
        taken = {
            row
            for row in executive_rows
            if account_ids[row] in context.assignments or least <= 0 or view.value[row] >= least
        }
        assignments: ExecutiveAssignments = context.assignments
    else:
        # The weekly capacity is the same for daily and weekly publications.
        before = {a: at for a, at in context.assignments.items() if context.as_of - WEEK < at < context.as_of}
        capacity = rules.executives.capacity(len(every))
        free = max(capacity - len(before), 0)
        value, score, arr = (each[executive_rows] for each in (view.value, facts.health_score, facts.arr))
        # Largest ARR at risk first; then accounts with unknown ARR at risk, by poorest health and largest ARR.
        poor, worth = np.nan_to_num(score, nan=np.inf), np.nan_to_num(value)
        order = np.lexsort((-np.nan_to_num(arr), poor, -worth, np.isnan(value)))
        ordered = [executive_rows[i] for i in order.tolist()]
        assigned = [row for row in ordered if account_ids[row] in before][:capacity]
        ranked = [row for row in ordered if account_ids[row] not in before]
        taken = {*assigned, *ranked[:free]}
        assignments = {**before, **{account_ids[row]: context.as_of for row in ranked[:free]}}
        last = view.value[ranked[free - 1]] if 0 < free <= len(ranked) else np.nan
        least = 0.0 if len(ranked) < free else np.inf if np.isnan(last) else float(last)
    for row in high_rows:
        if row not in taken:
            every[row][0] = reassign_to_csm(every[row][0], context.as_of, _or_none(facts.days_to_renewal[row]), rules)
    return float(least), assignments


def _as_first_due(play: AccountPlay, context: PlaybookContext, account: str) -> AccountPlay:
    """Return the play with its first due date, if it was published before. Automated plays are never overdue."""
    due = context.open_plays.get(account, {}).get(play.cause)
    if due is None or due >= play.due or play.who == AUTOMATED:
        return play
    return play.first_due(due, context.as_of)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
