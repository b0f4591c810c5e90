"""Whom to work this week: the accounts whose ARR is most worth a play, what to do and by when, and what it is worth.

The order is that of the expected ARR saved: the ARR at risk (the churn probability within the model's horizon, as on
every page, times the ARR) times the save rate. The save rate is measured where accounts were held out at random, or
assumed where somebody says so; it is the same for all accounts, so that without one the order is that of the ARR at
risk.

Only accounts with a play for people are listed (``plays.toml`` says what is a reason to act); automated plays are
counted, for they take no capacity. Those that may be lost come first;
renewal talks with accounts that nothing is wrong with come after them. A play is ``overdue`` where it was due before
and has not been done. Where the renewal is nearer than the play takes at all (``within_days`` in ``plays.toml``), it is
too late, and the account takes no capacity. What is under way, done, snoozed or held out is off the list at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np

from models.peer_groups.frame_columns import joined
from models.predictions.assessment import Assessment
from models.predictions.payload import instant_words
from models.rules.intervention_effects import Intervention, Rate, Report, report, standing_at
from models.rules.playbook import counting
from serving.worklist.account_view import Bools, Ints, Texts, WorklistAccounts, lowest_health_key

#: So many of those that are too late are named.
TOO_LATE_SHOWN = 100
NOTHING_WRONG = "the renewal is near; nothing else calls for action"


@dataclass(frozen=True)
class WorklistContext:
    """What is known beside the assessment: ``people`` (name and csm of each account by its id), the ``interventions``
    (None where nobody has looked), and the accounts that are ``snoozed``."""

    people: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    interventions: Sequence[Intervention] | None = None
    snoozed: Collection[str] = ()


def build_worklist(
    assessment: Assessment,
    capacity: int,
    team: WorklistContext,
    csm: str | None = None,
    save_rate: float | None = None,
    seen: WorklistAccounts | None = None,
) -> dict[str, Any]:
    """All that `serving.worklist.schemas.Worklist` says.

    Parameters
    ----------
    capacity : accounts that can be worked, 0 or more.
    csm : of this CSM's accounts only.
    save_rate : the assumed share of those that would leave which a play keeps, 0 to 1; a measured one goes before it.
    seen : what follows from the assessment and the people alone, where it was worked out before.

    Raises
    ------
    BadRequest : no account has this CSM.
    """
    seen = WorklistAccounts.of(assessment, team.people) if seen is None else seen
    rows = seen.of_csm(csm)
    interventions = list(team.interventions or ())
    standing = standing_at(interventions, assessment.as_of.to_pydatetime(), team.snoozed)
    states = np.array([standing.get(account, "") for account in assessment.account_ids], dtype=object)
    called = rows & (states == "") & seen.called_for
    free = called & ~seen.automated
    candidates = np.flatnonzero(free & ~seen.too_late & ~seen.talks)
    order = seen.order(candidates)
    talks = seen.order(np.flatnonzero(free & ~seen.too_late & seen.talks))
    listed = np.concatenate([order, talks])[:capacity]
    told = report(interventions)
    rate = _save_rate(told, save_rate)
    reached = _reached(seen, candidates, order, capacity)
    late = np.flatnonzero(free & seen.too_late)
    late = late[np.lexsort((late, -np.nan_to_num(seen.value[late], nan=-1.0)))]
    known = bool(np.isfinite(seen.value[candidates]).any())
    return {
        "as_of": instant_words(assessment.as_of.to_pydatetime()),
        "capacity": capacity,
        "csm": csm,
        "horizon_days": seen.days,
        "ordered_by": "health" if not known else "arr_at_risk" if rate["value"] is None else "expected_saved_arr",
        "accounts": [
            {"rank": place + 1} | item for place, item in enumerate(_items(assessment, seen, listed, rate["value"]))
        ],
        "more_accounts": len(order) + len(talks) - len(listed),
        "too_late": [_too_late(assessment, seen, int(row)) for row in late[:TOO_LATE_SHOWN]],
        "too_late_accounts": len(late),
        "automated": int((called & seen.automated).sum()),
        "under_way": int((rows & (states == "under_way")).sum()),
        "done": int((rows & (states == "done")).sum()),
        "snoozed": int((rows & (states == "snoozed")).sum()),
        "held_out": int((rows & (states == "held_out")).sum()),
        "reached_arr_at_risk": reached,
        "bridge": _bridge(seen, rows, states, listed),
        "saved_arr": {name: _times(value, rate["value"]) for name, value in reached.items()},
        "save_rate": rate,
        "interventions": _report_told(told),
        "notes": _notes(assessment, team, seen, candidates, known),
    }


def _bridge(seen: WorklistAccounts, rows: Bools, states: Texts, listed: Ints) -> dict[str, Any] | None:
    """From the portfolio's ARR at risk to that of this list: every account is in exactly one part."""
    if not np.isfinite(seen.value).any():
        return None
    value, free = np.nan_to_num(seen.value), rows & (states == "")
    on_list = np.zeros(len(value), dtype=bool)
    on_list[listed] = True
    people = free & seen.called_for & ~seen.automated
    parts = {
        "other_csms": ~rows,
        **{name: rows & (states == name) for name in ("under_way", "done", "snoozed", "held_out")},
        "no_play": free & ~seen.called_for,
        "automated": free & seen.called_for & seen.automated,
        "too_late": people & seen.too_late,
        "not_listed": people & ~seen.too_late & ~on_list,
        "listed": on_list,
    }
    return {"portfolio": float(value.sum())} | {name: float(value[mask].sum()) for name, mask in parts.items()}


def _items(assessment: Assessment, seen: WorklistAccounts, rows: Ints, rate: float | None) -> list[dict[str, Any]]:
    explanation = assessment.outlooks["churn"].explanation
    scored = [int(row) for row in rows if np.isfinite(seen.probability[row])]
    whys = {}
    if explanation is not None and scored:
        for row, explained in zip(scored, explanation.explain(np.array(scored)), strict=True):
            whys[row] = explained.reasons[0].text if explained.reasons else None
    found = []
    for row in rows.tolist():
        play = seen.plays[row]
        signs = joined(s.says for s in counting(assessment.judged.warnings[row]))
        missed = joined(step.says for step in assessment.judged.onboarding[row].missed)
        found.append(
            _who(assessment, seen, row)
            | {
                "segment": assessment.judged.segments[row],
                "days_to_renewal": None if np.isnan(seen.until[row]) else int(np.floor(seen.until[row])),
                "expected_saved_arr": _times(_number(seen.value[row]), rate),
                "health_score": _number(seen.score[row]),
                "health_band": str(assessment.health.band.iloc[row]),
                "why": NOTHING_WRONG if seen.talks[row] else signs or missed or whys.get(row),
                "play": None if play is None else play.as_dict(),
                "because": seen.because[row],
                "overdue": bool(seen.overdue[row]),
            }
        )
    return found


def _who(assessment: Assessment, seen: WorklistAccounts, row: int) -> dict[str, Any]:
    left = seen.until[row]
    renewal = None if np.isnan(left) else (assessment.as_of + timedelta(days=float(left))).date().isoformat()
    return {
        "account_id": assessment.account_ids[row],
        "name": seen.name[row],
        "csm": seen.csm[row],
        "arr": _number(seen.arr[row]),
        "renewal_at": renewal,
        "churn_probability": _number(seen.probability[row]),
        "arr_at_risk": _number(seen.value[row]),
    }


def _too_late(assessment: Assessment, seen: WorklistAccounts, row: int) -> dict[str, Any]:
    return _who(assessment, seen, row)


def _reached(seen: WorklistAccounts, rows: Ints, order: Ints, capacity: int) -> dict[str, float | None]:
    """The ARR at risk that the first ``capacity`` accounts hold, by our order, by the health score's, at random."""
    known = np.nan_to_num(seen.value)
    if len(rows) and not np.isfinite(seen.value[rows]).any():
        return dict.fromkeys(("worklist", "by_health_score", "at_random", "everyone"))
    by_health = rows[np.lexsort((rows, lowest_health_key(seen.score[rows])))]
    everyone = float(known[rows].sum())
    share = min(capacity / len(rows), 1.0) if len(rows) else 0.0
    return {
        "worklist": float(known[order[:capacity]].sum()),
        "by_health_score": float(known[by_health[:capacity]].sum()),
        "at_random": everyone * share,
        "everyone": everyone,
    }


def _save_rate(told: Report, assumed: float | None) -> dict[str, Any]:
    if told.effect is not None and told.effect.low > 0:
        effect = told.effect
        words = (
            f"{effect.treated.value:.0%} of the treated and {effect.held_out.value:.0%} of those held out at random "
            "stayed"
        )
        return {"value": effect.save_rate, "source": "measured", "words": words}
    why = (
        "what interventions achieve cannot be told from chance yet"
        if told.effect is not None
        else told.why_no_effect or "nothing is known of interventions"
    )
    if assumed is not None:
        return {"value": assumed, "source": "assumed", "words": f"assumed: {why}"}
    return {"value": None, "source": "unknown", "words": f"ordered by ARR at risk: {why}"}


def _report_told(told: Report) -> dict[str, Any]:
    effect = told.effect
    return {
        "saved": told.saved,
        "lost": told.lost,
        "open": told.open,
        "save_rate": None if told.save_rate is None else _rate(told.save_rate),
        "held_out_accounts": told.held_out_accounts,
        "effect": None
        if effect is None
        else {
            "treated": _rate(effect.treated),
            "held_out": _rate(effect.held_out),
            "uplift": effect.uplift,
            "interval": [effect.low, effect.high],
            "save_rate": effect.save_rate,
        },
        "why_no_effect": told.why_no_effect,
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {"value": rate.value, "interval": [rate.low, rate.high], "of": rate.of}


def _times(value: float | None, rate: float | None) -> float | None:
    return None if value is None or rate is None else value * rate


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _notes(
    assessment: Assessment, team: WorklistContext, seen: WorklistAccounts, candidates: Ints, known: bool
) -> list[str]:
    notes = []
    if assessment.outlooks["churn"].bundle is None:
        notes.append("there is no model of churn, so the order is that of the health score")
    elif known and (unknown := int(np.isnan(seen.value[candidates]).sum())):
        notes.append(f"{unknown:,} accounts without a probability or an ARR come last, by health score")
    if team.interventions is None:
        notes.append("the signals' interventions were not kept with this snapshot; score it again")
    return notes
