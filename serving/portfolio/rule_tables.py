"""The rules applied to a portfolio, as flat tables: health, risks, expansions and onboarding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from features.utils.formatting import UNKNOWN as UNKNOWN_VALUE
from models.health.rubric import INSUFFICIENT
from models.health.scored_accounts import other_rubrics, scored_accounts
from models.peer_groups.frame_columns import join_codes, number_column, text_column
from models.peer_groups.rule_files import read_rules
from models.peer_groups.segments import ARR_FEATURE
from models.predictions.assessment import Assessment
from models.predictions.portfolio_table import portfolio_columns
from models.rules.conditions import TRUE
from models.rules.early_warnings import RENEWAL, AccountWarning
from models.rules.expansion import MET, UNKNOWN
from models.rules.intervention_effects import InterventionStatus
from models.rules.playbook import confirmed_warnings, urgent_warnings
from models.rules.plays import AUTOMATED, EXECUTIVES, SEVERITIES, PlaysFile

#: The priority order of health bands.
BANDS = ("red", "yellow", "green", "insufficient_data")


def health_board(assessment: Assessment) -> pd.DataFrame:
    """Return the health of every account, lowest score first, accounts without a score last.

    account_id, name, segment, arr (currency a year), health_score (0 to 100), health_band, change_7d (points), coverage
    (share of the weight that had data), weakest (dimension), a column ``{dimension}_points`` each (0 to 100, unknown
    without a score),
    churn_probability, churn_band, meant_churn (the observed churn rate after such a score), agreement of model and
    health score, alerts (the text of raised alerts), and history (the weekly scores, oldest first, "–" for none).
    """
    judged, health = assessment.rule_results, assessment.health
    scored = health.score.notna()
    frame = pd.DataFrame(
        {
            **_who(assessment),
            "health_score": health.score.to_numpy(),
            "health_band": text_column(health.band),
            "change_7d": judged.change_7d,
            "coverage": health.coverage.to_numpy(),
            "weakest": text_column(judged.weakest),
            **{
                f"{name}_points": points.where(scored).round(1).to_numpy() for name, points in health.dimensions.items()
            },
            **_model(assessment),
            "meant_churn": assessment.meant[0],
            "agreement": text_column(assessment.agreement),
            "alerts": text_column(join_codes(a.says for a in each if a.raised) for each in judged.alerts),
            "history": text_column([_history(row) for row in judged.score]),
        }
    )
    return frame.sort_values(["health_score", "account_id"], na_position="last", ignore_index=True)


def no_score_note(assessment: Assessment) -> str | None:
    """Return which rubrics could score the portfolio if the one in use scores no account; None if it scores one."""
    if assessment.frame.empty or not (assessment.health.band == INSUFFICIENT).all():
        return None
    used = assessment.health.rubric.name
    others = other_rubrics(scored_accounts(assessment.frame), used)
    cure = f"; {others}" if others else ""
    return f"no account has data for half of the weight of the rubric {used}{cure}"


def disagreements_board(assessment: Assessment) -> pd.DataFrame:
    """Return the accounts where model and health score fall into different bands, widest gap first.

    account_id, name, segment, arr, health_score, health_band, meant_churn (with meant_low and meant_high, 80%),
    churn_probability, churn_band, gap (probability minus meant_churn), agreement (model_worse, model_better),
    explained_by (the dimension with the largest effect in that direction).
    """
    rows = np.flatnonzero(np.isin(assessment.agreement.astype(str), ["model_worse", "model_better"]))
    rate, low, high = assessment.meant
    frame = pd.DataFrame(
        {
            **_who(assessment),
            "health_score": assessment.health.score.to_numpy(),
            "health_band": text_column(assessment.health.band),
            "meant_churn": rate,
            "meant_low": low,
            "meant_high": high,
            **_model(assessment),
            "gap": assessment.gap,
            "agreement": text_column(assessment.agreement),
        }
    ).iloc[rows]
    explanation = assessment.target_scores["churn"].explanation
    contributions = explanation.by_dimension(rows) if explanation is not None else [{}] * len(rows)
    explained_by = [assessment.explained_by(int(row), each) for row, each in zip(rows, contributions, strict=True)]
    frame = frame.assign(explained_by=text_column(explained_by).to_numpy())
    order = frame.assign(_gap=-frame["gap"].abs().fillna(0.0)).sort_values(["_gap", "account_id"])
    return order.drop(columns="_gap").reset_index(drop=True)


def risks_board(assessment: Assessment, off_the_list: Mapping[str, InterventionStatus] | None = None) -> pd.DataFrame:
    """Return the accounts at risk: red first, then yellow, then others with a warning that counts or a high model risk.

    Within a band, the most severe warning comes first, then the larger contract.

    Parameters
    ----------
    off_the_list : accounts whose plays are off the list, and why
        (`models.rules.intervention_effects.intervention_status`).

    Returns
    -------
    DataFrame of account_id, name, segment, arr, health_band, health_score, churn_probability, churn_band,
    days_to_renewal, severity (of the most severe warning that counts), why (the text of the warnings, or the weakest
    dimension), warnings (their codes), watch (codes of unconfirmed signs), alerts (raised), play, kind (save, billing,
    onboarding, renewal), by (who acts), due (ISO date), overdue (bool), work (held_out, under_way, done or snoozed:
    then there is no play to run).
    """
    off = off_the_list or {}
    judged = assessment.rule_results
    risk = [confirmed_warnings(each) for each in judged.warnings]
    columns = portfolio_columns(assessment, ("early_warnings", "watch", "play", "play_kind", "play_by", "play_due"))
    frame = pd.DataFrame(
        {
            **_who(assessment),
            "health_band": text_column(assessment.health.band),
            "health_score": assessment.health.score.to_numpy(),
            **_model(assessment),
            "days_to_renewal": np.floor(number_column(assessment.frame, RENEWAL)),
            "severity": text_column([signs[0].severity if signs else None for signs in risk]),
            "why": text_column(_why(assessment, row, signs) for row, signs in enumerate(risk)),
            "warnings": columns["early_warnings"],
            "watch": columns["watch"],
            "alerts": text_column(join_codes(a.says for a in each if a.raised) for each in judged.alerts),
            "play": columns["play"],
            "kind": columns["play_kind"],
            "by": columns["play_by"],
            "due": columns["play_due"],
            "overdue": [play is not None and play.overdue for play in judged.plays],
            "work": text_column(off.get(account) for account in assessment.account_ids),
        }
    )
    has_work = frame["work"].notna()
    frame.loc[has_work, ["play", "kind", "by", "due"]] = None
    frame["overdue"] &= ~has_work
    urgency = frame["severity"].map({name: i for i, name in enumerate(SEVERITIES)}).fillna(len(SEVERITIES))
    order = frame.assign(_band=frame["health_band"].map(BANDS.index), _urgency=urgency, _arr=-frame["arr"].fillna(0.0))
    at_risk = frame["health_band"].isin(["red", "yellow"]) | frame["severity"].notna() | (frame["churn_band"] == "high")
    order = order[at_risk].sort_values(["_band", "_urgency", "_arr", "account_id"], ignore_index=True)
    return order.drop(columns=["_band", "_urgency", "_arr"])


def expansions_board(assessment: Assessment) -> pd.DataFrame:
    """Return the accounts with expansion potential: recommended ones first, then by points, then the larger contract.

    Accounts without points and without signs are left out.

    account_id, name, segment, arr, health_band, proposed (bool), points, type, expansion_probability, expansion_band,
    signs (codes), why (their text), a column per item of the gate ("met", "not_met", "unknown"), closed_by (the items
    not met), find_out (the unknown items), and withdrawn (why nothing is proposed although gate and band allow it).
    """
    judged = assessment.rule_results
    expansion = judged.expansion
    rules = expansion.rules.signals
    rows = range(len(assessment.frame))
    signs = [[r for r in rules if expansion.signals[r.code][row] == TRUE] for row in rows]
    closed = [[item for item, states in expansion.gate.items() if states[row] not in (MET, UNKNOWN)] for row in rows]
    columns = portfolio_columns(assessment, ("expansion_find_out", "expansion_withdrawn"))
    frame = pd.DataFrame(
        {
            **_who(assessment),
            "health_band": text_column(assessment.health.band),
            "proposed": assessment.ready,
            "points": expansion.score,
            "type": text_column(expansion.type),
            "expansion_probability": assessment.target_scores["expansion"].probability,
            "expansion_band": text_column(assessment.target_scores["expansion"].band),
            "signs": text_column(join_codes(rule.code for rule in each) for each in signs),
            "why": text_column(join_codes(rule.says for rule in each) for each in signs),
            **{item: text_column(states) for item, states in expansion.gate.items()},
            "closed_by": text_column(map(join_codes, closed)),
            "find_out": columns["expansion_find_out"],
            "withdrawn": columns["expansion_withdrawn"],
        }
    )
    candidates = frame[(frame["points"] > 0) | frame["signs"].notna()]
    order = candidates.assign(_arr=-candidates["arr"].fillna(0.0))
    order = order.sort_values(["proposed", "points", "_arr", "account_id"], ascending=[False, False, True, True])
    return order.drop(columns="_arr").reset_index(drop=True)


def onboarding_board(assessment: Assessment) -> pd.DataFrame:
    """Return the accounts in onboarding: accounts with missed steps first, then by day, latest first.

    account_id, name, segment, arr, day (since the contract began), missed (the text of the steps), act (for the last
    missed step), cannot_tell (steps without data), days_to_first_value, late (whether first value takes longer than the
    target).
    """
    onboarding = assessment.rule_results.onboarding
    frame = pd.DataFrame(
        {
            **_who(assessment),
            "day": pd.array([o.day for o in onboarding], dtype="Int64"),
            "missed": text_column(join_codes(step.says for step in o.missed) for o in onboarding),
            "act": text_column([o.missed[-1].act if o.missed else None for o in onboarding]),
            "cannot_tell": text_column(join_codes(o.unknown) for o in onboarding),
            "days_to_first_value": pd.array([o.days_to_first_value for o in onboarding], dtype="Int64"),
            "late": pd.array([o.late for o in onboarding], dtype="boolean"),
        }
    )
    under_way = frame[np.array([o.under_way for o in onboarding], dtype=bool)]
    order = under_way.assign(_missed=under_way["missed"].isna())
    order = order.sort_values(["_missed", "day", "account_id"], ascending=[True, False, True])
    return order.drop(columns="_missed").reset_index(drop=True)


def plays_summary(
    assessment: Assessment, off_the_list: Mapping[str, InterventionStatus] | None = None
) -> dict[str, Any]:
    """Count the accounts with a play, by kind and by who runs it.

    Parameters
    ----------
    off_the_list : accounts whose plays are off the list; they count as having none.

    Returns
    -------
    dict for JSON: accounts; with_play, by_people (all but automated), executive, low_churn, low_churn_save,
    low_churn_executive, healthy_save (low churn, green health, and no high or immediate warning that counts),
    proposed_save (proposed for expansion), overdue_at_publication (first published and already due;
    always 0) and overdue (published before, due, and not done), each as ``{"accounts", "share"}`` of all accounts;
    executive_capacity; kinds, who and off_the_list (accounts by each); and expansion: proposed and withdrawn.
    """
    judged, off = assessment.rule_results, off_the_list or {}
    n = len(assessment.account_ids)
    plays = [None if a in off else p for a, p in zip(assessment.account_ids, judged.plays, strict=True)]
    low = assessment.target_scores["churn"].band == "low"
    green = assessment.health.band.to_numpy(dtype=object) == "green"
    with_play = np.array([p is not None for p in plays], dtype=bool)
    save = np.array([p is not None and p.kind == "save" for p in plays], dtype=bool)
    executive = np.array([p is not None and p.who == EXECUTIVES for p in plays], dtype=bool)
    automated = np.array([p is not None and p.who == AUTOMATED for p in plays], dtype=bool)
    overdue = np.array([p is not None and p.overdue for p in plays], dtype=bool)
    already_due = np.array(
        [p is not None and not p.again and p.due <= assessment.as_of.date() for p in plays], dtype=bool
    )
    rows = {
        "with_play": with_play,
        "by_people": with_play & ~automated,
        "executive": executive,
        "low_churn": with_play & low,
        "low_churn_save": save & low,
        "low_churn_executive": executive & low,
        "healthy_save": save
        & low
        & green
        & np.array([not urgent_warnings(each) for each in judged.warnings], dtype=bool),
        "proposed_save": save & assessment.ready,
        "overdue_at_publication": already_due,
        "overdue": overdue,
    }
    capacity = read_rules("plays", PlaysFile).executives.capacity(n)
    return {
        "accounts": n,
        **{name: {"accounts": int(each.sum()), "share": float(each.mean())} for name, each in rows.items()},
        "executive_capacity": capacity,
        "kinds": dict(sorted(Counter(p.kind for p in plays if p is not None).items())),
        "who": dict(sorted(Counter(p.who for p in plays if p is not None).items())),
        "expansion": {
            "proposed": int(assessment.ready.sum()),
            "withdrawn": sum(why is not None for why in judged.playbook.withdrawn),
        },
        "off_the_list": dict(sorted(Counter(off[a] for a in assessment.account_ids if a in off).items())),
    }


def _who(assessment: Assessment) -> dict[str, Any]:
    return {
        "account_id": assessment.account_ids,
        "name": text_column(assessment.account_names),
        "segment": text_column(assessment.rule_results.segments),
        "arr": number_column(assessment.frame, ARR_FEATURE),
    }


def _model(assessment: Assessment) -> dict[str, Any]:
    churn = assessment.target_scores["churn"]
    return {"churn_probability": churn.probability, "churn_band": text_column(churn.band)}


def _why(assessment: Assessment, row: int, signs: Sequence[AccountWarning]) -> str | None:
    """Return the texts of the warnings that count, and what else lowers the health score."""
    named = {evidence.feature for sign in signs for evidence in sign.evidence}
    return join_codes([*(sign.says for sign in signs), *assessment.health_lowered_by(row, named)])


def _history(scores: np.ndarray[Any, Any]) -> str:
    return " ".join(UNKNOWN_VALUE if np.isnan(score) else f"{score:.0f}" for score in scores)
