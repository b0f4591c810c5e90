"""This week's priorities: the accounts to work on, with action, due date and value.

Accounts are ranked by expected saved ARR: the reduction of the churn probability by the account's play, times ARR. The
reduction is the churn probability times the save rate of the play, which is measured if accounts were held out at
random, or assumed if the caller gives one. If trials support that accounts differ, it is that of the account's own
effect. If the reduction is unknown for any account with a probability and an ARR, the ranking is by ARR at risk.

Only accounts with a play for people are listed (``plays.toml`` defines the reasons). Automated plays are only counted,
because they take no capacity. Accounts at risk come first; renewal talks with accounts without risk come after them. A
play is ``overdue`` if it was due before and has not been done. If the renewal is sooner than the play takes
(``within_days`` in ``plays.toml``), it is too late for the play, and the account takes no capacity. Accounts whose
plays are under way, done, snoozed or held out are off the list immediately.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np

from features.utils.arrays import Bools, Floats, Ints, Texts
from features.utils.formatting import count_of, whole_days
from models.peer_groups.frame_columns import join_codes
from models.predictions.assessment import Assessment
from models.predictions.payload import format_instant
from models.rules.intervention_effects import (
    InterventionRecord,
    InterventionReport,
    intervention_status,
    report_interventions,
)
from models.rules.playbook import confirmed_warnings
from models.uplift.account_effects import EffectsFile
from serving.snapshots.account_attributes import AccountSelection
from serving.worklist.account_view import WorklistAccounts, lowest_health_key
from serving.worklist.effects import (
    ChurnReductions,
    choose_save_rate,
    churn_reductions,
    intervention_summary,
    usable_effects,
)
from serving.worklist.schemas import CoveredArr

#: The maximum number of too-late accounts in the list.
TOO_LATE_SHOWN = 100
NOTHING_WRONG = "the renewal is near; no other reason to act"


@dataclass(frozen=True)
class WorklistContext:
    """Data besides the assessment.

    Parameters
    ----------
    people : name and csm of each account by its id.
    interventions : None if they are unavailable.
    snoozed : the accounts that are snoozed.
    effects : stored effects of plays per account; None if there are none.
    """

    people: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    interventions: Sequence[InterventionRecord] | None = None
    snoozed: Collection[str] = ()
    effects: EffectsFile | None = None


def build_worklist(
    assessment: Assessment,
    capacity: int,
    context: WorklistContext,
    selection: AccountSelection | None = None,
    save_rate: float | None = None,
    accounts: WorklistAccounts | None = None,
) -> dict[str, Any]:
    """Build a worklist (`serving.worklist.schemas.WorklistResponse`).

    Parameters
    ----------
    capacity : how many accounts can be worked on, 0 or more.
    selection : the accounts that count; None for all.
    save_rate : the assumed share of accounts that would churn but stay because of a play, 0 to 1. A measured rate takes
        precedence.
    accounts : the accounts of the assessment and people, if already computed.
    """
    accounts = WorklistAccounts.of(assessment, context.people) if accounts is None else accounts
    selection = AccountSelection.everyone(assessment) if selection is None else selection
    rows = selection.rows
    interventions = list(context.interventions or ())
    standing = intervention_status(interventions, assessment.as_of.to_pydatetime(), context.snoozed)
    states = np.array([standing.get(account, "") for account in assessment.account_ids], dtype=object)
    called = rows & (states == "") & accounts.called_for
    free = called & ~accounts.automated
    candidates = np.flatnonzero(free & ~accounts.too_late & ~accounts.talks)
    results = report_interventions(interventions)
    known = bool(np.isfinite(accounts.value[candidates]).any())
    rate = choose_save_rate(results, save_rate, assessment.target_scores["churn"].bundle is not None)
    reductions = churn_reductions(assessment, accounts, results, rate["value"], context.effects)
    saved = reductions.value * accounts.arr
    # Known effects decide the order only if they can be compared for all accounts.
    by_saved = bool(np.isfinite(saved[candidates]).any()) and not bool(
        (np.isfinite(accounts.value[candidates]) & np.isnan(saved[candidates])).any()
    )
    order = accounts.order(candidates, saved if by_saved else accounts.value)
    talks = accounts.order(np.flatnonzero(free & ~accounts.too_late & accounts.talks), accounts.value)
    listed = np.concatenate([order, talks])[:capacity]
    reached = _covered_arr(accounts, accounts.value, candidates, order, capacity)
    late = np.flatnonzero(free & accounts.too_late)
    late = late[np.lexsort((late, -np.nan_to_num(accounts.value[late], nan=-1.0)))]
    return {
        "as_of": format_instant(assessment.as_of.to_pydatetime()),
        "capacity": capacity,
        "csm": selection.account_filter.csm,
        "filter": selection.account_filter.applied,
        "horizon_days": accounts.days,
        "ordered_by": "health" if not known else "expected_saved_arr" if by_saved else "arr_at_risk",
        "accounts": [
            {"rank": place + 1} | item for place, item in enumerate(_items(assessment, accounts, listed, reductions))
        ],
        "more_accounts": len(order) + len(talks) - len(listed),
        "too_late": [_who(assessment, accounts, int(row)) for row in late[:TOO_LATE_SHOWN]],
        "too_late_accounts": len(late),
        "automated": int((called & accounts.automated).sum()),
        "under_way": int((rows & (states == "under_way")).sum()),
        "done": int((rows & (states == "done")).sum()),
        "snoozed": int((rows & (states == "snoozed")).sum()),
        "held_out": int((rows & (states == "held_out")).sum()),
        "reached_arr_at_risk": reached,
        "bridge": _bridge(accounts, rows, states, listed),
        "saved_arr": (
            _covered_arr(accounts, saved, candidates, order, capacity)
            if by_saved or (not len(candidates) and rate["value"] is not None)
            else dict.fromkeys(reached)
        ),
        "save_rate": rate,
        "interventions": intervention_summary(
            _results_of(results, interventions, selection),
            rate["value"],
            usable_effects(context.effects, assessment.as_of.to_pydatetime()),
        ),
        "notes": _notes(assessment, context, accounts, candidates, known, selection),
    }


def _results_of(
    results: InterventionReport, interventions: Sequence[InterventionRecord], selection: AccountSelection
) -> InterventionReport:
    """Return the results with the counts of the selected accounts. Effects are measured over all accounts."""
    if selection.whole or not selection.timeless:
        return results
    own = report_interventions(record for record in interventions if selection.includes(record.account_id))
    return replace(results, saved=own.saved, lost=own.lost, open=own.open, save_rate=own.save_rate)


def _bridge(accounts: WorklistAccounts, rows: Bools, states: Texts, listed: Ints) -> dict[str, Any] | None:
    """Return the steps from the portfolio's ARR at risk to that of this list. Every account is in exactly one step."""
    if not np.isfinite(accounts.value).any():
        return None
    value, free = np.nan_to_num(accounts.value), rows & (states == "")
    on_list = np.zeros(len(value), dtype=bool)
    on_list[listed] = True
    people = free & accounts.called_for & ~accounts.automated
    parts = {
        "other_csms": ~rows,
        **{name: rows & (states == name) for name in ("under_way", "done", "snoozed", "held_out")},
        "no_play": free & ~accounts.called_for,
        "automated": free & accounts.called_for & accounts.automated,
        "too_late": people & accounts.too_late,
        "not_listed": people & ~accounts.too_late & ~on_list,
        "listed": on_list,
    }
    return {"portfolio": float(value.sum())} | {name: float(value[mask].sum()) for name, mask in parts.items()}


def _items(
    assessment: Assessment, accounts: WorklistAccounts, rows: Ints, reductions: ChurnReductions
) -> list[dict[str, Any]]:
    explanation = assessment.target_scores["churn"].explanation
    scored = [int(row) for row in rows if np.isfinite(accounts.probability[row])]
    whys = {}
    if explanation is not None and scored:
        for row, explained in zip(scored, explanation.explain(np.array(scored)), strict=True):
            whys[row] = explained.reasons[0].text if explained.reasons else None
    items = []
    for row in rows.tolist():
        play = accounts.plays[row]
        signs = join_codes(s.says for s in confirmed_warnings(assessment.rule_results.warnings[row]))
        missed = join_codes(step.says for step in assessment.rule_results.onboarding[row].missed)
        lowered = join_codes(assessment.health_lowered_by(row))
        items.append(
            _who(assessment, accounts, row)
            | {
                "segment": assessment.rule_results.segments[row],
                "days_to_renewal": whole_days(accounts.until[row]),
                "expected_saved_arr": _number(reductions.value[row] * accounts.arr[row]),
                "churn_reduction": _number(reductions.value[row]),
                "effect_source": reductions.sources[row],
                "health_score": _number(accounts.score[row]),
                "health_band": str(assessment.health.band.iloc[row]),
                "why": NOTHING_WRONG if accounts.talks[row] else signs or missed or whys.get(row) or lowered,
                "play": None if play is None else play.as_dict(),
                "because": accounts.because[row],
                "overdue": bool(accounts.overdue[row]),
            }
        )
    return items


def _who(assessment: Assessment, accounts: WorklistAccounts, row: int) -> dict[str, Any]:
    """Return the fields of `TooLateAccount`, which are also fields of `WorkItem`."""
    left = accounts.until[row]
    renewal = None if np.isnan(left) else (assessment.as_of + timedelta(days=float(left))).date().isoformat()
    return {
        "account_id": assessment.account_ids[row],
        "name": accounts.name[row],
        "csm": accounts.csm[row],
        "arr": _number(accounts.arr[row]),
        "renewal_at": renewal,
        "churn_probability": _number(accounts.probability[row]),
        "arr_at_risk": _number(accounts.value[row]),
    }


def _covered_arr(
    accounts: WorklistAccounts, value: Floats, rows: Ints, order: Ints, capacity: int
) -> dict[str, float | None]:
    """Return the sum of ``value`` of the first ``capacity`` accounts, in our ranking, by health score and at random."""
    known = np.nan_to_num(value)
    if len(rows) and not np.isfinite(value[rows]).any():
        return dict.fromkeys(CoveredArr.model_fields)
    by_health = rows[np.lexsort((rows, lowest_health_key(accounts.score[rows])))]
    everyone = float(known[rows].sum())
    share = min(capacity / len(rows), 1.0) if len(rows) else 0.0
    return {
        "worklist": float(known[order[:capacity]].sum()),
        "by_health_score": float(known[by_health[:capacity]].sum()),
        "at_random": everyone * share,
        "everyone": everyone,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _notes(
    assessment: Assessment,
    context: WorklistContext,
    accounts: WorklistAccounts,
    candidates: Ints,
    known: bool,
    selection: AccountSelection,
) -> list[str]:
    notes = []
    if assessment.target_scores["churn"].bundle is None:
        notes.append("there is no churn model, so accounts are ranked by health score")
    elif known and (unknown := int(np.isnan(accounts.value[candidates]).sum())):
        notes.append(
            f"without a probability or ARR, and therefore last, by health score: {count_of(unknown, 'account')}"
        )
    if context.interventions is None:
        notes.append("the signals' interventions were not stored with this snapshot; score it again")
    elif context.interventions and not selection.timeless:
        notes.append(
            "the results of interventions are those of all accounts: segment, product and bands of accounts that have "
            "left are unknown"
        )
    return notes
