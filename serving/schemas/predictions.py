"""The shapes of requests and answers, as /openapi.json shows them. What they mean is said beside each field."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from serving.schemas.base import Answer, Asked, Points, Share, Status
from serving.schemas.flat_view import View
from serving.schemas.signal_rows import AsOf, Id, Instant, SignalsOfAccount

SIGNALS_EXAMPLE: dict[str, Any] = {
    "account_id": "acme",
    "as_of": "2026-09-30",
    "history_from": "2024-01-01",
    "signals": {
        "accounts": [{"created_at": "2024-03-01", "industry": "software", "employees": 120}],
        "subscriptions": [{"started_at": "2024-03-01", "arr": 24000, "seats": 40, "renewal_at": "2027-03-01"}],
        "usage": [{"occurred_at": "2026-09-28T09:12:00Z", "user_id": "u1", "feature": "reports", "minutes": 12.5}],
        "support": [],
        "engagement": [],
        "outcomes": [],
        "relationship": [],
        "billing": [],
        "company": [],
    },
}


class AtDate(Asked):
    """Which snapshot to answer from."""

    as_of: AsOf | None = Field(None, description="The date of a scored snapshot; left out, the latest.")


class AtDateInView(AtDate, View):
    """Which snapshot to answer from, and how the prediction is shown."""


class PredictionRequest(Asked):
    """One account by id, or with its signals. With signals, ``as_of`` is needed: the instant at which the signals are
    looked at; rows at or after it are not read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"account_id": "acme"}, SIGNALS_EXAMPLE]})

    account_id: Id
    signals: SignalsOfAccount | None = None
    as_of: AsOf | None = Field(None, validate_default=True)
    history_from: Instant | None = Field(
        None,
        description="The instant from which all the tables sent are complete. Left out, each counts as complete from "
        "its first row on, and what reaches further back is not known.",
    )

    @field_validator("as_of", mode="after")
    @classmethod
    def _needed_with_signals(cls, as_of: datetime | None, info: ValidationInfo) -> datetime | None:
        if as_of is None and info.data.get("signals") is not None:
            raise PydanticCustomError("missing", "Field required beside signals")
        return as_of

    @field_validator("history_from", mode="after")
    @classmethod
    def _before_as_of(cls, history_from: datetime | None, info: ValidationInfo) -> datetime | None:
        if history_from is None:
            return None
        if "signals" in info.data and info.data["signals"] is None:
            raise PydanticCustomError("signals_missing", "Input is of use beside signals only")
        as_of = info.data.get("as_of")
        if as_of is not None and history_from >= as_of:
            raise PydanticCustomError("not_before_as_of", "Input should be before as_of")
        return history_from


class Explained(Answer):
    """The parts of the model's raw log-odds, before calibration: base + the reasons' contributions + rest = raw."""

    base_log_odds: float
    rest_log_odds: float
    raw_log_odds: float
    by_dimension: dict[str, float] = Field(
        description="What the features of each dimension add; the same dimensions as the health score's, and others. "
        "base + their sum = raw."
    )


class Reason(Answer):
    """One concept's part in a prediction. It says what goes with a higher or lower risk, never what causes it."""

    code: str = Field(description="The feature that adds most to the concept.", examples=["usage.active_users_28d"])
    concept: str
    dimension: str
    direction: Literal["raises_risk", "lowers_risk", "raises_chance", "lowers_chance"]
    text: str
    contribution_log_odds: float


class Model(Answer):
    """The model that answered."""

    name: str
    version: str
    alias: str


class Within(Answer):
    """The probability within so many days."""

    days: int
    probability: Share | None


class Outlook(Answer):
    """One target. Unless ``status`` is scored, every number is null: never a silent zero."""

    status: Status
    probability: Share | None = Field(description="Calibrated, for the horizon.")
    interval: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = Field(description="80% interval.")
    risk_score: Annotated[int, Field(ge=0, le=100)] | None
    higher_is: Literal["worse", "better"] = Field(description="What a higher score or probability means.")
    band: Literal["low", "medium", "high"] | None
    percentile: Annotated[int, Field(ge=0, le=100)] | None = Field(
        description="The place within the portfolio; null where the account came with its own signals."
    )
    by_horizon: list[Within] = Field(
        description="The probability within each horizon that the model knows, never falling as they grow."
    )
    change_30d: float | None = Field(
        description="The probability less that of about 30 days before, by the same model; null where there is none."
    )
    explained: Explained | None


class Churn(Outlook):
    """The churn target."""

    involuntary: Share | None = Field(
        description="The part of the probability that is an end by nonpayment; null where the model does not tell."
    )


class Sign(Answer):
    """Something that a rule looks for, and found."""

    code: str
    says: str


class GateItem(Answer):
    """One condition before an expansion is proposed."""

    item: str
    state: Literal["met", "not_met", "unknown"]


class Expansion(Outlook):
    """The expansion target, its gate, and its own reasons."""

    ready: bool = Field(
        description="Whether it is proposed: every item of the gate met, band high, and neither an immediate warning "
        "that counts nor a high churn band."
    )
    gate: list[GateItem]
    find_out: list[str] = Field(description="Items of the gate that are not known: what to find out.")
    withdrawn: str | None = Field(description="Why it is not proposed although gate and band allow it.")
    type: Literal["seats", "tier", "cross-sell", "services"] | None = Field(
        description="The easiest that is pointed to."
    )
    points: int = Field(description="Earned by the rules' signs of readiness.")
    signals: list[Sign] = Field(description="Signs of a wish or a need for more that are there.")
    reasons: list[Reason]
    model: Model | None


class HealthThen(Answer):
    """The health score at one date."""

    as_of: str
    score: Points | None
    band: Literal["green", "yellow", "red"]


class Meant(Answer):
    """What has followed health scores like this one."""

    churn_rate: Share
    interval: Annotated[list[Share], Field(min_length=2, max_length=2)] = Field(description="80% interval.")
    accounts_with_churn: int = Field(description="How many accounts it was learnt from that churned.")


class Health(Answer):
    """The health score, by hand-set weights."""

    score: Points | None
    higher_is: Literal["better"]
    band: Literal["green", "yellow", "red", "insufficient_data"]
    rubric: str
    rubric_version: str
    agreement: Literal["agree", "model_worse", "model_better"] | None
    coverage: Share = Field(description="The share of the rubric's weight that had data.")
    change_7d: float | None = Field(description="Points since about a week before.")
    meant: Meant | None = Field(
        description="The churn that such a score has meant; null where training could not tell."
    )
    explained_by: str | None = Field(
        description="Where model and score disagree: the dimension that pulls the model the other way furthest."
    )
    history: list[HealthThen] = Field(description="By week, over a quarter; dates without a score are left out.")
    dimensions: dict[str, Points | None]


class Alert(Answer):
    """A change that somebody has to be told of, once: when ``raised``."""

    code: Literal["score_drop", "green_to_yellow", "into_red", "churn_risk"]
    says: str
    to: str = Field(description="Whom to tell.")
    since: str
    raised: bool = Field(description="Whether it came about at this as_of.")
    by: str | None = Field(description="Until when somebody has to act.")
    before: float | str | None
    after: float | str | None
    key: str = Field(description="With the account's id, the same for the same alert whenever it is asked for.")


class Evidence(Answer):
    """A feature that a warning rests on, and the account's value."""

    feature: str
    value: float | None


class EarlyWarning(Answer):
    """What is known to precede a churn. ``watch``: a noisy sign that has held for one date only."""

    code: str
    says: str
    severity: Literal["immediate", "high", "medium", "early"]
    cause: str
    standing: Literal["risk", "watch"]
    since: str
    before_renewal: bool = Field(description="Whether the renewal is near enough to look for warnings in particular.")
    evidence: list[Evidence]


class OnboardingStep(Answer):
    """A step that was missed."""

    code: str
    day: int
    says: str
    act: str


class Onboarding(Answer):
    """Where the account stands since its contract began."""

    day: int | None
    under_way: bool
    missed: list[OnboardingStep]
    unknown: list[str] = Field(description="Steps that cannot be told for want of data.")
    days_to_first_value: int | None
    late: bool | None = Field(description="Whether first value takes, or took, longer than the target.")


class Play(Answer):
    """What to do, who does it, and the last day for it."""

    name: str = Field(description="What calls for it.", examples=["executive_change"])
    kind: Literal["save", "billing", "onboarding", "renewal"] = Field(
        description="save: the account may be lost; billing: a payment failed; onboarding: a step was missed; renewal: "
        "a talk with an account that nothing else is wrong with."
    )
    severity: Literal["high", "medium", "low"] = Field(description="How pressing it is.")
    act: str
    who: str = Field(description="Who acts: automated, csm, billing or executives.")
    due: str = Field(description="The last day for it, as it was when the play was first published.")
    overdue: bool = Field(description="Whether it was due before as_of, and has not been done.")
    because: list[str] = Field(
        description="The reasons to act: churn_high, churn_medium, health_red, health_yellow, renewal_near, and codes "
        "of warnings and of steps of onboarding.",
        examples=[["churn_medium", "competitor"]],
    )


class Warned(BaseModel):
    """Something to know about the answer: a code, and what belongs to it (days, features, fields, …)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]

    code: str = Field(examples=["support_feed_stale"])


class Prediction(Answer):
    """What is said of one account at one instant. Null: not known."""

    prediction_id: str = Field(description="The same features, models and rubric give the same id.", pattern="^prd_")
    account_id: str
    as_of: str = Field(description="ISO date, or instant if not a midnight; UTC.", examples=["2026-09-30"])
    data_through: str | None = Field(description="The instant up to which the signals are complete.")
    scored_at: str
    horizon_days: int | None
    churn: Churn
    expansion: Expansion
    health: Health
    segment: str | None = Field(description="By ARR; null where that is unknown.")
    touch: str | None = Field(description="How accounts of the segment are looked after.")
    alerts: list[Alert]
    early_warnings: list[EarlyWarning]
    onboarding: Onboarding
    plays: list[Play] = Field(
        description="What there is a reason to do, the main play first; empty without a reason to act."
    )
    reasons: list[Reason] = Field(description="Of the churn model, largest first.")
    warnings: list[Warned]
    model: Model | None = Field(description="Of churn.")


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"]


class Ready(Answer):
    """Whether the service answers, and from what. ``degraded``: it does, but something needs a person; see reasons."""

    status: Literal["ready", "degraded"]
    reasons: list[str]
    as_of: str | None = Field(description="The latest snapshot; null: only bodies with signals are answered.")
    accounts: int
    models: dict[str, str | None] = Field(description="The version per target; null: no model.")


class FaultShown(Answer):
    """One thing wrong in the request; ``pointer`` is a JSON pointer into the body, or /query/NAME, /path/NAME or
    /header/NAME."""

    pointer: str = Field(examples=["/signals/usage/3/minutes"])
    code: str
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457). Never holds what was sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(examples=["urn:renewcast:problem:unknown_account"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Names this occurrence.")
    code: str = Field(examples=["unknown_account"])
    errors: list[FaultShown]
    more_errors: int | None = Field(None, description="How many more there are than are listed.")
    retry_after: int | None = Field(None, description="Seconds; as in the Retry-After header.")
