"""Answers for single accounts, as plain data for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
from pydantic import BaseModel

from features.errors import UnknownAccount
from features.families.pulse import CALLS
from models.artifacts.bundle import Bundle
from models.explain.reasons import AccountExplanation
from models.health.rubric import INSUFFICIENT
from models.predictions.assessment import Assessment
from models.predictions.columns import ValueSource, fill, fill_section, number_or_null
from models.predictions.instants import format_instant as format_instant
from models.predictions.schema import OPEN_QUESTIONS, Prediction
from models.predictions.target_predictions import SCORED, TargetScores
from models.rules.alerts import Alert
from models.rules.conditions import TRUE
from models.rules.evaluate import RuleResults
from models.rules.expansion import ExpansionReadiness
from models.targets import HIGHER_IS, Target

#: "Change in 30 days" compares with an assessment this many days earlier. The tolerance is needed because snapshots are
#: weekly.
CHANGE_DAYS = 30
CHANGE_TOLERANCE_DAYS = 3
#: The number of accounts that are explained in one batch.
EXPLANATION_BATCH = 4096


def account_answer(
    assessment: Assessment,
    account_id: str,
    *,
    scored_at: datetime,
    data_through: datetime | None = None,
    earlier: Assessment | None = None,
    schema: type[BaseModel] = Prediction,
) -> dict[str, Any]:
    """Build the answer for one account as plain data for JSON; null means unknown.

    Parameters
    ----------
    scored_at : the time of the answer, UTC; it does not change the id of the prediction.
    data_through : the instant up to which the signals are complete, UTC.
    earlier : the assessment of about 30 days before, for the change since then. The change is null if the account was
        not scored then, or was scored by another version of the model, because the two are not comparable.
    schema : the model of the answer.

    Returns
    -------
    dict of prediction_id, account_id, as_of, data_through, scored_at, horizon_days, churn, expansion, health, the
    results of the rules (segment, touch, alerts, early_warnings, onboarding, plays), reasons (those of the churn model;
    expansion has its own), warnings and model. ``explained`` contains the parts of the raw log-odds: base_log_odds +
    the reasons' contribution_log_odds + rest_log_odds = raw_log_odds; or base_log_odds + the sum of by_dimension.

    Raises
    ------
    UnknownAccount : the account is not in the assessment.
    ValueError : ``earlier`` is not of about 30 days before.
    """
    row = account_row(assessment, account_id)
    why = {target: scores.explained([row])[0] for target, scores in assessment.target_scores.items()}
    return _answer(assessment, row, why, scored_at, data_through, earlier, schema)


def portfolio_answers(
    assessment: Assessment,
    *,
    scored_at: datetime,
    data_through: datetime | None = None,
    earlier: Assessment | None = None,
    schema: type[BaseModel] = Prediction,
) -> Iterator[dict[str, Any]]:
    """Build the answer of every account, in order. Explaining them in batches is much faster than one by one.

    Parameters
    ----------
    assessment : the assessed portfolio.
    scored_at : the time of scoring.
    data_through : the instant up to which the signals are complete.
    earlier : the assessment of about 30 days before, for changes; None for none.
    schema : the schema of the answers.

    Returns
    -------
    iterator of dict
    """
    every = range(len(assessment.frame))
    for start in range(0, len(every), EXPLANATION_BATCH):
        rows = every[start : start + EXPLANATION_BATCH]
        why = {target: scores.explained(rows) for target, scores in assessment.target_scores.items()}
        for i, row in enumerate(rows):
            account_why = {target: explanations[i] for target, explanations in why.items()}
            yield _answer(assessment, row, account_why, scored_at, data_through, earlier, schema)


def _answer(
    assessment: Assessment,
    row: int,
    why: Mapping[Target, AccountExplanation | None],
    scored_at: datetime,
    data_through: datetime | None,
    earlier: Assessment | None,
    schema: type[BaseModel],
) -> dict[str, Any]:
    account_id = assessment.account_ids[row]
    churn, expansion = assessment.target_scores["churn"], assessment.target_scores["expansion"]
    change = {s.target: _change(assessment, s.target, row, earlier, account_id) for s in (churn, expansion)}
    horizon = next((o.bundle.manifest.horizon_days for o in (churn, expansion) if o.bundle is not None), None)
    gate = [{"item": item, "state": states[row]} for item, states in assessment.rule_results.expansion.gate.items()]
    parts = {
        "prediction_id": prediction_id(assessment, row),
        "account_id": account_id,
        "as_of": assessment.as_of_text,
        "data_through": None if data_through is None else format_instant(data_through),
        "scored_at": scored_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "horizon_days": horizon,
        "churn": fill_section(schema, "churn", assessment, row, _target(churn, row, change["churn"], why["churn"])),
        "expansion": fill_section(
            schema,
            "expansion",
            assessment,
            row,
            {
                **_target(expansion, row, change["expansion"], why["expansion"]),
                "gate": gate,
                "find_out": list(assessment.rule_results.expansion.to_find_out(row)),
                "signals": _signs(assessment.rule_results.expansion, row),
                "reasons": _reasons(why["expansion"]),
                "model": model_payload(expansion.bundle),
            },
        ),
        "health": fill_section(schema, "health", assessment, row, _health(assessment, row, why["churn"])),
        **_rules(assessment.rule_results, row),
        "pulse": _pulse(assessment, row),
        "reasons": _reasons(why["churn"]),
        "warnings": _warnings(assessment, row),
        "model": model_payload(churn.bundle),
    }
    return fill(schema, ValueSource(assessment, assessment), row, parts)


def _pulse(assessment: Assessment, row: int) -> dict[str, Any]:
    sentiment, call, age = (number_or_null(float(values[row])) for values in assessment.pulse)
    return {
        "sentiment": None if sentiment is None else int(sentiment),
        "renewal_call": None if call is None else CALLS[int(call)],
        "age_days": age,
    }


def prediction_id(assessment: Assessment, row: int) -> str:
    """Return the id of the prediction in a row (`models.predictions.prediction_ids`)."""
    return assessment.prediction_ids.of(row)


def alert_document(alert: Alert) -> dict[str, Any]:
    """Return an alert as plain data (`models.predictions.schema.AccountAlert`)."""
    return {**vars(alert), **_instants(since=alert.since, by=alert.by), "key": alert.key}


def account_row(assessment: Assessment, account_id: str) -> int:
    """Return the row of an account in the assessment, from 0.

    Raises
    ------
    UnknownAccount : the account is not in the assessment.
    """
    try:
        return assessment.places[account_id]
    except KeyError:
        raise UnknownAccount(
            f"no such account is active at {format_instant(assessment.as_of)}",
            "an account of the snapshot",
            "check the id, or choose another date",
        ) from None


def _target(scores: TargetScores, row: int, change: float | None, why: AccountExplanation | None) -> dict[str, Any]:
    scored = scores.status[row] == SCORED
    return {
        "interval": [float(scores.low[row]), float(scores.high[row])] if scored else None,
        "higher_is": HIGHER_IS[scores.target],
        "by_horizon": [{"days": days, "probability": number_or_null(p[row])} for days, p in scores.by_horizon.items()],
        "change_30d": change,
        "explained": _explained(why),
    }


def _explained(why: AccountExplanation | None) -> dict[str, Any] | None:
    if why is None:
        return None
    parts = {"base_log_odds": why.base, "rest_log_odds": why.rest, "raw_log_odds": why.raw}
    return {**parts, "by_dimension": dict(why.by_dimension), "note": why.note}


def _reasons(why: AccountExplanation | None) -> list[dict[str, Any]]:
    return [] if why is None else [dict(vars(reason)) for reason in why.reasons]


def _change(
    assessment: Assessment, target: Target, row: int, earlier: Assessment | None, account_id: str
) -> float | None:
    if earlier is None:
        return None
    days = (assessment.as_of - earlier.as_of) / pd.Timedelta(days=1)
    if abs(days - CHANGE_DAYS) > CHANGE_TOLERANCE_DAYS:
        raise ValueError(f"the earlier assessment is {days:g} days older, not about {CHANGE_DAYS}")
    now, then = assessment.target_scores[target], earlier.target_scores[target]
    if now.version != then.version or account_id not in earlier.places:
        return None
    return number_or_null(now.probability[row] - then.probability[earlier.places[account_id]])


def _health(assessment: Assessment, row: int, why: AccountExplanation | None) -> dict[str, Any]:
    health, rubric = assessment.health, assessment.champion.rubric
    dimensions = {
        name: number_or_null(points)
        for name, points in zip(health.dimension_names, health.dimension_points[row].tolist(), strict=True)
    }
    return {
        "higher_is": "better",
        "rubric": rubric.name,
        "rubric_version": rubric.version,
        "meant": _meant(assessment, row),
        "lowered_by": assessment.health_lowered_by(row),
        "explained_by": _explained_by(assessment, row, why),
        "history": _history(assessment, row),
        "dimensions": {name: None if points is None else round(points, 1) for name, points in dimensions.items()},
    }


def _meant(assessment: Assessment, row: int) -> dict[str, Any] | None:
    meaning, (rate, low, high) = assessment.champion.meaning, assessment.meant
    if meaning is None or math.isnan(rate[row]):
        return None
    return {
        "churn_rate": float(rate[row]),
        "interval": [float(low[row]), float(high[row])],
        "accounts_with_churn": meaning.accounts_with_churn,
    }


def _explained_by(assessment: Assessment, row: int, why: AccountExplanation | None) -> str | None:
    if why is None or assessment.agreement[row] in (None, "agree"):
        return None
    return assessment.explained_by(row, why.by_dimension)


def _history(assessment: Assessment, row: int) -> list[dict[str, Any]]:
    """Return the score at each date when the account was active, with the rubric version in force on that date."""
    rules = assessment.rule_results
    return [
        {"as_of": date, "score": number_or_null(score), "band": band}
        for date, score, band in zip(
            assessment.history_dates, rules.reported_score[row].tolist(), rules.reported_band[row], strict=True
        )
        if band != INSUFFICIENT
    ]


def _rules(rule_results: RuleResults, row: int) -> dict[str, Any]:
    return {
        "alerts": [alert_document(each) for each in rule_results.alerts[row]],
        "early_warnings": [{**_record(w), **_instants(since=w.since)} for w in rule_results.warnings[row]],
        "onboarding": _record(rule_results.onboarding[row]),
        "plays": [play.as_dict() for play in rule_results.plays_of(row)],
    }


def _signs(expansion: ExpansionReadiness, row: int) -> list[dict[str, str]]:
    rules = expansion.rules.signals
    return [{"code": r.code, "says": r.says} for r in rules if expansion.signals[r.code][row] == TRUE]


def _record(record: Any) -> dict[str, Any]:
    """Return a dataclass as plain data, with its tuples of dataclasses or of texts as lists."""
    return {
        name: [dict(vars(each)) if is_dataclass(each) else each for each in value]
        if isinstance(value, tuple)
        else value
        for name, value in vars(record).items()
    }


def _instants(**instants: datetime | None) -> dict[str, str | None]:
    return {name: None if instant is None else format_instant(instant) for name, instant in instants.items()}


def _warnings(assessment: Assessment, row: int) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = [
        {"code": f"{table}_feed_stale", "days": days} for table, days in assessment.stale.items()
    ]
    warnings += [{"code": "unit_jumped", "column": column} for column in assessment.jumped]
    if assessment.open_questions:
        warnings.append({"code": OPEN_QUESTIONS, "questions": len(assessment.open_questions)})
    every = assessment.target_scores.values()
    if missing := sorted({name for each in every for name in each.missing}):
        warnings.append({"code": "features_missing", "features": missing})
    warnings += [
        {"code": "inputs_unknown", "target": target, "share": round(unknown.share, 4), "tables": list(unknown.tables)}
        for target, unknown in assessment.unusable.items()
    ]
    unseen = {name for each in every for name, rows in each.unseen.items() if rows[row]}
    warnings += [{"code": "unknown_category", "feature": name} for name in sorted(unseen)]
    if assessment.health_band[row] == INSUFFICIENT:
        warnings.append({"code": "health_insufficient_data", "coverage": float(assessment.health_coverage[row])})
    return warnings


def model_payload(bundle: Bundle | None) -> dict[str, str | None] | None:
    """Return the reference to a model in an answer; None without a model."""
    if bundle is None:
        return None
    return {"name": bundle.manifest.target, "version": bundle.manifest.version, "alias": "champion"}
