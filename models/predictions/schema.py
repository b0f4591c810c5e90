"""The schema of an answer: every field of a prediction, and the columns that follow from it.

The JSON of an answer, the flat view, the columns of CSV, Parquet and NDJSON files, and `/openapi.json` all follow from
`Prediction`. To add a scalar field, add it here with its `Values`, and with `Flat` and `Column` where it is a column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from models.explain.reasons import MAX_REASONS
from models.peer_groups.frame_columns import joined
from models.predictions.columns import Column, Flat, Items, Section, Source, Values

Share = Annotated[float, Field(ge=0, le=1)]
Points = Annotated[float, Field(ge=0, le=100)]
Status = Literal["scored", "insufficient_history", "stale_inputs", "out_of_scope", "no_model"]

#: How many reasons the flat view has: as many as a person reads next to an account.
FLAT_REASONS = 3


class Answer(BaseModel):
    """Something that is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _codes(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """The codes of a list, each once."""
    return joined(dict.fromkeys(str(entry["code"]) for entry in entries))


def _versions(source: Source) -> list[str | None]:
    return [source.part.version] * len(source.assessment.frame)


def _warnings_of(source: Source, standing: str) -> list[str | None]:
    return [
        joined(sign.code for sign in each if sign.standing == standing) for each in source.assessment.judged.warnings
    ]


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

    code: Annotated[str, Flat(description="Its feature.")] = Field(
        description="The feature that adds most to the concept.", examples=["usage.active_users_28d"]
    )
    concept: str
    dimension: str
    direction: Annotated[
        Literal["raises_risk", "lowers_risk", "raises_chance", "lowers_chance"],
        Flat(description="raises_risk or lowers_risk."),
    ]
    text: Annotated[
        str,
        Flat(after="", description="Reason {} for the churn probability, the largest first, in words."),
        Column(name=""),
    ]
    contribution_log_odds: float


class Model(Answer):
    """The model that answered."""

    name: str
    version: Annotated[
        str, Flat(description="The version of the model that answered."), Column(read=lambda source: _versions(source))
    ]
    alias: str


class Within(Answer):
    """The probability within so many days."""

    days: int
    probability: Share | None


class Outlook(Answer):
    """One target. Unless ``status`` is scored, every number is null: never a silent zero."""

    status: Annotated[
        Status,
        Values(lambda source: source.part.status),
        Flat(description="scored, or why there is no number (insufficient_history, stale_inputs, …)."),
        Column(),
    ]
    probability: Annotated[
        Share | None,
        Values(lambda source: source.part.probability),
        Flat(description="Within horizon_days, 0 to 1."),
        Column(),
    ] = Field(description="Calibrated, for the horizon.")
    interval: Annotated[
        Annotated[list[Share], Field(min_length=2, max_length=2)] | None,
        Flat(
            name="interval_low",
            kind="number",
            read=itemgetter(0),
            description="Where the 80% interval of the probability begins.",
        ),
        Flat(name="interval_high", kind="number", read=itemgetter(1), description="Where it ends."),
        Column(name="low", kind="number", read=lambda source: source.part.low),
        Column(name="high", kind="number", read=lambda source: source.part.high),
    ] = Field(description="80% interval.")
    risk_score: Annotated[
        Annotated[int, Field(ge=0, le=100)] | None,
        Values(lambda source: source.part.points),
        Flat(description="Odds against those of the average account, 0 to 100; 50 is average."),
        Column(),
    ]
    higher_is: Annotated[
        Literal["worse", "better"], Flat(description="What a higher probability or score means: worse or better.")
    ] = Field(description="What a higher score or probability means.")
    band: Annotated[
        Literal["low", "medium", "high"] | None,
        Values(lambda source: source.part.band),
        Flat(description="low, medium or high."),
        Column(),
    ]
    percentile: Annotated[
        Annotated[int, Field(ge=0, le=100)] | None,
        Values(lambda source: source.part.percentile),
        Flat(description="The place within the portfolio, 0 to 100."),
    ] = Field(description="The place within the portfolio; null where the account came with its own signals.")
    by_horizon: Annotated[
        list[Within],
        Column(
            name="probability_",
            kind="number",
            read=lambda source: {f"{days}d": p for days, p in source.part.by_horizon.items()},
            suffixes=True,
        ),
    ] = Field(description="The probability within each horizon that the model knows, never falling as they grow.")
    change_30d: Annotated[float | None, Flat(description="The probability less that of about 30 days before.")] = Field(
        description="The probability less that of about 30 days before, by the same model; null where there is none."
    )
    explained: Explained | None


class Churn(Outlook):
    """The churn target."""

    involuntary: Annotated[
        Share | None,
        # The answer has had this order since before the schema; the schema lists the fields of both targets first.
        Values(lambda source: source.part.involuntary, before="change_30d"),
        Flat(description="The part that is an end by nonpayment."),
        Column(),
    ] = Field(
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

    ready: Annotated[
        bool,
        Values(lambda source: source.assessment.ready),
        Flat(description="Whether an expansion may be proposed."),
        Column(),
    ] = Field(
        description="Whether it is proposed: every item of the gate met, band high, and neither an immediate warning "
        "that counts nor a high churn band."
    )
    gate: list[GateItem]
    find_out: Annotated[
        list[str],
        Flat(
            after="withdrawn",
            kind="text",
            read=joined,
            description='Items of the gate that are not known, "; " between them.',
        ),
        Column(
            after="/expansion_withdrawn",
            kind="text",
            read=lambda source: [
                joined(source.assessment.judged.expansion.to_find_out(row))
                for row in range(len(source.assessment.frame))
            ],
        ),
    ] = Field(description="Items of the gate that are not known: what to find out.")
    withdrawn: Annotated[
        str | None,
        Values(lambda source: source.assessment.judged.playbook.withdrawn),
        Flat(description="Why it is not, although gate and band allow it."),
        Column(after="/expansion_type"),
    ] = Field(description="Why it is not proposed although gate and band allow it.")
    type: Annotated[
        Literal["seats", "tier", "cross-sell", "services"] | None,
        Values(lambda source: source.assessment.judged.expansion.type),
        Flat(after="ready", description="seats, tier, cross-sell or services."),
        Column(after="/onboarding_missed"),
    ] = Field(description="The easiest that is pointed to.")
    points: Annotated[
        int,
        Values(lambda source: source.assessment.judged.expansion.score),
        Flat(description="Earned by signs of readiness."),
        Column(after="/expansion_find_out"),
    ] = Field(description="Earned by the rules' signs of readiness.")
    signals: list[Sign] = Field(description="Signs of a wish or a need for more that are there.")
    reasons: list[Reason]
    model: Annotated[Model | None, Section(flat_after="/churn_model_version", table_after="/churn_model_version")]


class HealthThen(Answer):
    """The health score at one date."""

    as_of: str
    score: Points | None
    band: Literal["green", "yellow", "red"]


class Meant(Answer):
    """What has followed health scores like this one."""

    churn_rate: Annotated[
        Share,
        Flat(name="churn", description="The churn rate that has followed such scores."),
        Column(name="churn", read=lambda source: source.assessment.meant[0]),
    ]
    interval: Annotated[list[Share], Field(min_length=2, max_length=2)] = Field(description="80% interval.")
    accounts_with_churn: int = Field(description="How many accounts it was learnt from that churned.")


class Health(Answer):
    """The health score, by hand-set weights."""

    score: Annotated[
        Points | None,
        Values(lambda source: source.assessment.health_score),
        Flat(description="0 to 100."),
        Column(),
    ]
    higher_is: Annotated[Literal["better"], Flat(description="better.")]
    band: Annotated[
        Literal["green", "yellow", "red", "insufficient_data"],
        Values(lambda source: source.assessment.health_band),
        Flat(description="green, yellow, red or insufficient_data."),
        Column(),
    ]
    rubric: Annotated[
        str,
        Flat(description="The rules that made the score."),
        Column(read=lambda source: [source.assessment.champion.rubric.name] * len(source.assessment.frame)),
    ]
    rubric_version: Annotated[str, Flat(description="Their version.")]
    agreement: Annotated[
        Literal["agree", "model_worse", "model_better"] | None,
        Values(lambda source: source.assessment.agreement),
        Flat(description="Whether model and health score agree: agree, model_worse or model_better."),
    ]
    coverage: Annotated[
        Share,
        Values(lambda source: source.assessment.health_coverage),
        Flat(after="change_7d", description="The share of the rubric's weight that had data, 0 to 1."),
    ] = Field(description="The share of the rubric's weight that had data.")
    change_7d: Annotated[
        float | None,
        Values(lambda source: source.assessment.judged.change_7d),
        Flat(after="band"),
        Column(after="meant_churn"),
    ] = Field(description="Points since about a week before.")
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
    missed: Annotated[
        list[OnboardingStep],
        Column(
            kind="text",
            read=lambda source: [
                joined(step.code for step in each.missed) for each in source.assessment.judged.onboarding
            ],
        ),
    ]
    unknown: list[str] = Field(description="Steps that cannot be told for want of data.")
    days_to_first_value: int | None
    late: bool | None = Field(description="Whether first value takes, or took, longer than the target.")


class Play(Answer):
    """What to do, who does it, and the last day for it."""

    name: Annotated[str, Flat(after="severity")] = Field(
        description="What calls for it.", examples=["executive_change"]
    )
    kind: Annotated[
        Literal["save", "billing", "onboarding", "renewal"],
        Flat(after="who", description="save, billing, onboarding or renewal."),
        Column(),
    ] = Field(
        description="save: the account may be lost; billing: a payment failed; onboarding: a step was missed; renewal: "
        "a talk with an account that nothing else is wrong with."
    )
    severity: Annotated[Literal["high", "medium", "low"], Flat(after="overdue", description="high, medium or low.")] = (
        Field(description="How pressing it is.")
    )
    act: Annotated[str, Flat(after="", description="What to do."), Column(name="", after="")]
    who: Annotated[str, Flat(after="act", description="Who does it."), Column(name="by")] = Field(
        description="Who acts: automated, csm, billing or executives."
    )
    due: Annotated[
        str,
        Flat(after="kind", description="The last day for it, ISO date."),
        Column(read=lambda play: play.due.isoformat()),
    ] = Field(description="The last day for it, as it was when the play was first published.")
    overdue: Annotated[bool, Flat(description="Whether it was due before as_of, and not done.")] = Field(
        description="Whether it was due before as_of, and has not been done."
    )
    because: Annotated[list[str], Column(kind="text", read=lambda play: joined(play.because))] = Field(
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

    prediction_id: Annotated[str, Flat(after="account_id")] = Field(
        description="The same features, models and rubric give the same id.", pattern="^prd_"
    )
    account_id: Annotated[
        str,
        Flat(description="The account's id."),
        # A list and not a column of text: its type is that of the ids.
        Column(kind="as_is", read=lambda source: source.assessment.account_ids),
    ]
    as_of: Annotated[str, Flat(), Column(kind="as_is", read=lambda source: source.assessment.frame["as_of"])] = Field(
        description="ISO date, or instant if not a midnight; UTC.", examples=["2026-09-30"]
    )
    data_through: Annotated[str | None, Flat()] = Field(description="The instant up to which the signals are complete.")
    scored_at: Annotated[str, Flat(description="When it was scored, UTC.")]
    horizon_days: Annotated[int | None, Flat(description="How far ahead the probabilities look.")]
    churn: Annotated[Churn, Section(lambda assessment: assessment.outlooks["churn"])]
    expansion: Annotated[Expansion, Section(lambda assessment: assessment.outlooks["expansion"])]
    health: Health
    segment: Annotated[
        str | None, Values(lambda source: source.assessment.judged.segments), Flat(description="By ARR."), Column()
    ] = Field(description="By ARR; null where that is unknown.")
    touch: Annotated[str | None, Values(lambda source: source.assessment.judged.touch), Flat()] = Field(
        description="How accounts of the segment are looked after."
    )
    alerts: Annotated[
        list[Alert],
        Flat(name="open_alerts", kind="whole", read=len, description="How many alerts stand."),
        Flat(name="alert_codes", kind="text", read=_codes, description='Their codes, "; " between them.'),
        Column(
            name="alerts_raised",
            kind="text",
            read=lambda source: [
                joined(alert.code for alert in each if alert.raised) for each in source.assessment.judged.alerts
            ],
        ),
    ]
    early_warnings: Annotated[
        list[EarlyWarning],
        Flat(
            name="early_warning_codes",
            kind="text",
            read=lambda signs: _codes(sign for sign in signs if sign["standing"] == "risk"),
            description="The codes of the early warnings that count, without those that are watched only.",
        ),
        Column(kind="text", read=lambda source: _warnings_of(source, "risk")),
        Column(name="watch", kind="text", read=lambda source: _warnings_of(source, "watch")),
    ]
    onboarding: Onboarding
    plays: Annotated[
        list[Play],
        Items(
            prefix="play",
            values=lambda assessment: map(assessment.judged.plays_of, range(len(assessment.frame))),
            flat=1,
            table=1,
            flat_after="/reason_3_direction",
            table_after="/watch",
        ),
    ] = Field(description="What there is a reason to do, the main play first; empty without a reason to act.")
    reasons: Annotated[
        list[Reason],
        Items(
            prefix="reason_{}",
            values=lambda assessment: assessment.churn_reasons(),
            flat=FLAT_REASONS,
            table=MAX_REASONS,
            flat_after="/touch",
        ),
    ] = Field(description="Of the churn model, largest first.")
    warnings: Annotated[
        list[Warned],
        Flat(name="warning_codes", kind="text", read=_codes, description="What to know about the answer."),
    ]
    model: Annotated[Model | None, Section(lambda assessment: assessment.outlooks["churn"], prefix="churn_model_")] = (
        Field(description="Of churn.")
    )
