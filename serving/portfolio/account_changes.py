"""What changed for one account between two scored dates, and which factors drove it.

Both dates are assessed with the champion in use, so that a change is the account's and not the model's. What was
published at each date is in `serving.portfolio.account_trend`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from features.errors import BadRequest, UnknownAccount, UnknownSnapshot
from features.utils.formatting import day, percent
from models.explain.changes import PredictionChange, explain_change
from models.predictions.assessment import Assessment
from models.predictions.columns import number_or_null
from models.predictions.payload import format_instant
from models.predictions.schema import Fraction, PredictionStatus, ResponseModel, ScorePoints
from models.predictions.target_predictions import SCORED, WHY_NOT_SCORED
from models.targets import TARGETS, Target
from serving.snapshots.live_state import LiveState
from serving.snapshots.scored_snapshot import ScoredSnapshot

NOT_ACTIVE = "not_active"
#: The drivers that a sentence names.
NAMED_DRIVERS = 3


class DatedPrediction(ResponseModel):
    """The prediction at one of both dates. Unless ``status`` is ``scored``, the numbers are null."""

    status: PredictionStatus | Literal["not_active"] = Field(
        description="not_active: the account is not in the snapshot of that date."
    )
    probability: Fraction | None
    interval: Annotated[list[Fraction], Field(min_length=2, max_length=2)] | None
    band: Literal["low", "medium", "high"] | None
    raw_log_odds: float | None = Field(description="The model's log-odds before calibration.")


class ChangeDriver(ResponseModel):
    """A concept whose contribution to the prediction changed. It is an association, not a cause."""

    code: str = Field(description="The feature of the concept whose contribution changed most.")
    concept: str
    dimension: str
    direction: Literal["raises_risk", "lowers_risk", "raises_chance", "lowers_chance"]
    text: str = Field(description="The change in words.", examples=["2 fewer active users in the last 28 days"])
    before: str = Field(description="The feature's value before, in words.")
    now: str = Field(description="Its value now, in words.")
    contribution_log_odds: float = Field(description="The change of the concept's contribution.")
    stability: Fraction | None = Field(
        description="The share of the ensemble's models that agree on it; at least 0.8. Null for a single model."
    )


class TargetChange(ResponseModel):
    """The change of one target: the sum of the drivers + rest_log_odds = change_log_odds."""

    before: DatedPrediction
    now: DatedPrediction
    change: float | None = Field(description="The change of the probability; null unless both dates have one.")
    change_log_odds: float | None = Field(description="The change of raw_log_odds.")
    drivers: list[ChangeDriver] = Field(
        description="What changed the prediction, in both directions, the largest change first; at most five."
    )
    rest_log_odds: float | None = Field(description="The sum of all other changes.")
    text: str = Field(
        description="The change in one sentence, without a final period.",
        examples=["Churn 25.7% → 31.4%: 1 more failed payment in the last 91 days"],
    )


class HealthChange(ResponseModel):
    """The change of the health score, by the rubric in force at each date."""

    before: ScorePoints | None
    now: ScorePoints | None
    change: float | None
    band_before: Literal["green", "yellow", "red", "insufficient_data"] | None
    band_now: Literal["green", "yellow", "red", "insufficient_data"] | None


class AccountChanges(ResponseModel):
    """The changes of one account between two dates, both assessed with the models in use."""

    account_id: str
    since: str
    as_of: str
    model_versions: dict[str, str | None] = Field(description="The version of the model by target; null without one.")
    churn: TargetChange
    expansion: TargetChange
    health: HealthChange


def earlier_assessment(state: LiveState, scored: ScoredSnapshot, since: datetime | None) -> Assessment | None:
    """Return the assessment to compare a snapshot with.

    Parameters
    ----------
    state : the state of the service.
    scored : the snapshot.
    since : the earlier date; None for about 30 days before, or else the date before the snapshot.

    Returns
    -------
    Assessment or None
        None if ``since`` is None and there is no earlier date.

    Raises
    ------
    BadRequest : ``since`` is not before the snapshot.
    UnknownSnapshot, HomeError : as `LiveState.scored`.
    """
    if since is None:
        if scored.earlier is not None:
            return scored.earlier
        earlier = [date for date in state.dates() if date < scored.as_of]
        if not earlier:
            return None
        since = earlier[-1]
    if since >= scored.as_of:
        raise BadRequest(
            "the date to compare with is not before that of the snapshot",
            f"a date before {format_instant(scored.as_of)}",
            "choose an earlier date",
        )
    if scored.earlier is not None and scored.earlier.as_of == since:
        return scored.earlier
    return state.scored(since).assessment


def require_earlier(state: LiveState, scored: ScoredSnapshot, since: datetime | None) -> Assessment:
    """Return the assessment to compare a snapshot with, as `earlier_assessment` does.

    Raises
    ------
    UnknownSnapshot : there is none.
    """
    before = earlier_assessment(state, scored, since)
    if before is None:
        raise UnknownSnapshot(
            "there is no earlier snapshot to compare with", "two scored dates", "score an earlier date first"
        )
    return before


def requested_changes(
    state: LiveState, account_id: str, as_of: datetime | None, since: datetime | None
) -> dict[str, Any]:
    """Return the changes of an account between two scored dates (`AccountChanges`).

    Parameters
    ----------
    state : the state of the service.
    account_id : the account.
    as_of : the later date; None for the latest.
    since : as in `earlier_assessment`.

    Raises
    ------
    UnknownAccount : the account is not active at either date.
    UnknownSnapshot : a date was not scored, or there is no earlier one.
    BadRequest : ``since`` is not before ``as_of``.
    """
    scored = state.scored(as_of)
    return account_changes(require_earlier(state, scored, since), scored.assessment, account_id)


def account_changes(before: Assessment, now: Assessment, account_id: str) -> dict[str, Any]:
    """Return the changes of an account between two assessments by the same champion (`AccountChanges`).

    Raises
    ------
    UnknownAccount : the account is in neither of them.
    """
    if account_id not in before.places and account_id not in now.places:
        raise UnknownAccount(
            f"no such account is active at {format_instant(before.as_of)} or {format_instant(now.as_of)}",
            "an account of one of the snapshots",
            "check the id, or choose other dates",
        )
    return {
        "account_id": account_id,
        "since": format_instant(before.as_of),
        "as_of": format_instant(now.as_of),
        "model_versions": {target: now.target_scores[target].version for target in TARGETS},
        **{target: target_change(before, now, account_id, target) for target in TARGETS},
        "health": _health_change(before, now, account_id),
    }


def target_change(before: Assessment, now: Assessment, account_id: str, target: Target) -> dict[str, Any]:
    """Return the change of one target (`TargetChange`).

    Parameters
    ----------
    before, now : the assessments of both dates, by the same champion.
    account_id : the account.
    target : churn or expansion.
    """
    sides = {"before": _dated(before, account_id, target), "now": _dated(now, account_id, target)}
    change = _explained(before, now, account_id, target)
    then, later = (sides[when]["probability"] for when in ("before", "now"))
    return {
        **sides,
        "change": None if then is None or later is None else later - then,
        "change_log_odds": None if change is None else change.log_odds,
        "drivers": [] if change is None else [dict(vars(driver)) for driver in change.drivers],
        "rest_log_odds": None if change is None else change.rest,
        "text": _sentence(target, sides, change, before.as_of, now.as_of),
    }


def _explained(before: Assessment, now: Assessment, account_id: str, target: Target) -> PredictionChange | None:
    """Return the explained change; None unless both dates have a prediction."""
    rows = []
    for assessment in (before, now):
        scores, row = assessment.target_scores[target], assessment.places.get(account_id)
        if row is None or scores.explanation is None or scores.status[row] != SCORED:
            return None
        rows.append((scores.explanation, row))
    return explain_change(*rows[0], *rows[1])


def _dated(assessment: Assessment, account_id: str, target: Target) -> dict[str, Any]:
    scores, row = assessment.target_scores[target], assessment.places.get(account_id)
    if row is None or scores.status[row] != SCORED:
        status = NOT_ACTIVE if row is None else scores.status[row]
        return {"status": status, "probability": None, "interval": None, "band": None, "raw_log_odds": None}
    return {
        "status": SCORED,
        "probability": float(scores.probability[row]),
        "interval": [float(scores.low[row]), float(scores.high[row])],
        "band": scores.band[row],
        "raw_log_odds": None if scores.explanation is None else float(scores.explanation.raw[row]),
    }


def _sentence(
    target: Target,
    sides: Mapping[str, Mapping[str, Any]],
    change: PredictionChange | None,
    before: datetime,
    now: datetime,
) -> str:
    name = target.capitalize()
    missing = [
        f"no prediction at {day(format_instant(date))} ({_why(side['status'])})"
        for date, side in ((before, sides["before"]), (now, sides["now"]))
        if side["probability"] is None
    ]
    if missing:
        known = [percent(side["probability"]) for side in sides.values() if side["probability"] is not None]
        return f"{name} {', '.join([*known, *missing])}"
    then, later = (percent(sides[when]["probability"]) for when in ("before", "now"))
    if then == later:
        return f"{name} unchanged at {later}"
    drivers = () if change is None else change.in_direction[:NAMED_DRIVERS]
    causes = "; ".join(driver.text for driver in drivers) or "many small changes, none of which stands out"
    return f"{name} {then} → {later}: {causes}"


def _why(status: str) -> str:
    return "not active" if status == NOT_ACTIVE else WHY_NOT_SCORED[status]


def _health_change(before: Assessment, now: Assessment, account_id: str) -> dict[str, Any]:
    rows = [(assessment, assessment.places.get(account_id)) for assessment in (before, now)]
    then, later = (None if row is None else number_or_null(each.health_score[row]) for each, row in rows)
    bands = [None if row is None else each.health_band[row] for each, row in rows]
    return {
        "before": then,
        "now": later,
        "change": None if then is None or later is None else later - then,
        "band_before": bands[0],
        "band_now": bands[1],
    }
