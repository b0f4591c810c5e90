"""The schema of an answer: every field of a prediction.

The JSON of an answer, the flat view, the columns of CSV, Parquet and NDJSON files, and `/openapi.json` are derived from
`Prediction`. To add a scalar field, add it here with `FieldValues`. Add `FlatField` to show it in the flat view, and
`TableField` to make it a column of the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from models.explain.reasons import MAX_REASONS, few_reasons_note
from models.peer_groups.frame_columns import join_codes
from models.predictions.columns import FieldValues, FlatField, ListedFields, NestedFields, TableField, ValueSource
from models.rules.alerts import AlertCode
from models.rules.early_warnings import WarningStatus
from models.rules.expansion import ExpansionType
from models.rules.lifecycle import StageName
from models.rules.plays import PlayKind, Severity, Tier

Fraction = Annotated[float, Field(ge=0, le=1)]
ScorePoints = Annotated[float, Field(ge=0, le=100)]
PredictionStatus = Literal["scored", "insufficient_history", "stale_inputs", "out_of_scope", "no_model"]

#: The number of reasons in the flat view.
FLAT_REASONS = 3


class ResponseModel(BaseModel):
    """Base class of everything that the API returns."""

    model_config = ConfigDict(extra="forbid", frozen=True)


OPEN_QUESTIONS = "open_questions"
"""The code of the warning about open questions of the mapping."""


def _codes(entries: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the codes of a list as one text, each code once.

    Open questions are those of all accounts, so that no row repeats them.
    """
    return join_codes(dict.fromkeys(str(entry["code"]) for entry in entries if entry["code"] != OPEN_QUESTIONS))


def _versions(source: ValueSource) -> list[str | None]:
    return [source.part.version] * len(source.assessment.frame)


def _warnings_of(source: ValueSource, standing: str) -> list[str | None]:
    return [
        join_codes(sign.code for sign in each if sign.standing == standing)
        for each in source.assessment.rule_results.warnings
    ]


class LogOddsParts(ResponseModel):
    """The parts of the model's raw log-odds, before calibration: base + contributions of the reasons + rest = raw."""

    base_log_odds: Annotated[float, Field(description="The mean log-odds of comparable accounts.")]
    rest_log_odds: Annotated[float, Field(description="The sum of the contributions that are not given as reasons.")]
    raw_log_odds: float
    by_dimension: dict[str, float] = Field(
        description="The sum of the contributions of each dimension's features. The dimensions are those of the health "
        "score, and some others. base + sum of the dimensions = raw."
    )
    note: Annotated[str | None, FlatField()] = Field(
        description="A remark if there are fewer than two stable reasons; null otherwise."
    )


class Reason(ResponseModel):
    """The contribution of one concept to a prediction. Reasons are associations, not causes."""

    code: Annotated[str, FlatField(description="The feature behind reason {}.")] = Field(
        description="The feature that contributes most to the concept.", examples=["usage.active_users_28d"]
    )
    concept: str
    dimension: str
    direction: Annotated[
        Literal["raises_risk", "lowers_risk", "raises_chance", "lowers_chance"],
        FlatField(description="raises_risk or lowers_risk."),
    ]
    text: Annotated[
        str,
        FlatField(after="", description="Reason {} for the churn probability, in words; the largest comes first."),
        TableField(name=""),
    ]
    contribution_log_odds: Annotated[
        float, Field(description="The contribution compared with that of comparable accounts, before calibration.")
    ]
    stability: Annotated[
        Fraction | None,
        FlatField(description="The share of the ensemble's models that agree on reason {}."),
        TableField(),
    ] = Field(
        description="The share of the ensemble's models that agree on the reason; at least 0.8. Null for a single "
        "model."
    )


class ModelReference(ResponseModel):
    """The model that made the prediction."""

    name: str
    version: Annotated[
        str, FlatField(description="The version of the model."), TableField(read=lambda source: _versions(source))
    ]
    alias: str


class HorizonProbability(ResponseModel):
    """The probability within a number of days."""

    days: int
    probability: Fraction | None


class TargetPrediction(ResponseModel):
    """The prediction for one target. Unless ``status`` is ``scored``, every number is null."""

    status: Annotated[
        PredictionStatus,
        FieldValues(lambda source: source.part.status),
        FlatField(description="scored, or the reason why there is no number, such as insufficient_history."),
        TableField(),
    ]
    probability: Annotated[
        Fraction | None,
        FieldValues(lambda source: source.part.probability),
        FlatField(),
        TableField(),
    ] = Field(description="The calibrated probability within horizon_days, 0 to 1.")
    interval: Annotated[
        Annotated[list[Fraction], Field(min_length=2, max_length=2)] | None,
        FlatField(
            name="interval_low",
            kind="number",
            read=itemgetter(0),
            description="The lower end of the 80% interval of the rate among accounts like this one.",
        ),
        FlatField(
            name="interval_high",
            kind="number",
            read=itemgetter(1),
            description="The upper end of the 80% interval of the rate among accounts like this one.",
        ),
        TableField(name="low", kind="number", read=lambda source: source.part.low),
        TableField(name="high", kind="number", read=lambda source: source.part.high),
    ] = Field(description="The 80% interval of the rate among accounts like this one: its lower and its upper end.")
    risk_score: Annotated[
        Annotated[int, Field(ge=0, le=100)] | None,
        FieldValues(lambda source: source.part.points),
        FlatField(description="The odds compared with those of the average account, 0 to 100; 50 is average."),
        TableField(),
    ]
    higher_is: Annotated[Literal["worse", "better"], FlatField()] = Field(
        description="Whether a higher probability or risk score is worse or better for the vendor."
    )
    band: Annotated[
        Literal["low", "medium", "high"] | None,
        FieldValues(lambda source: source.part.band),
        FlatField(description="low, medium or high, by the risk score."),
        TableField(),
    ]
    percentile: Annotated[
        Annotated[int, Field(ge=0, le=100)] | None,
        FieldValues(lambda source: source.part.percentile),
        FlatField(),
    ] = Field(
        description="The percentile of the probability within the portfolio, 0 to 100. Null for an account whose "
        "signals were sent in the request."
    )
    by_horizon: Annotated[
        list[HorizonProbability],
        TableField(
            name="probability_",
            kind="number",
            read=lambda source: {f"{days}d": p for days, p in source.part.by_horizon.items()},
            suffixes=True,
        ),
    ] = Field(description="The probability within each horizon of the model. It never falls as the horizon grows.")
    change_30d: Annotated[float | None, FlatField()] = Field(
        description="The change of the probability since about 30 days before. Null if there is no earlier prediction "
        "by the same model."
    )
    explained: LogOddsParts | None


class ChurnPrediction(TargetPrediction):
    """The prediction of churn."""

    involuntary: Annotated[
        Fraction | None,
        # In the answer this field comes before change_30d; the schema lists the fields of both targets first.
        FieldValues(lambda source: source.part.involuntary, before="change_30d"),
        FlatField(),
        TableField(),
    ] = Field(
        description="The part of the probability that is churn by nonpayment, from a model of how contracts of churned "
        "accounts end. It does not say why the risk is high: a failed payment can be a reason for both kinds of churn. "
        "Null if the model does not separate them."
    )


class ExpansionSign(ResponseModel):
    """A sign of interest in more, as defined in the expansion rules."""

    code: str
    says: str = Field(description="The sign in words.")


class GateItem(ResponseModel):
    """One condition that must be met before an expansion is proposed."""

    item: str
    state: Literal["met", "not_met", "unknown"]


class ExpansionPrediction(TargetPrediction):
    """The prediction of expansion, with the expansion gate and the reasons of the expansion model."""

    ready: Annotated[
        bool,
        FieldValues(lambda source: source.assessment.ready),
        FlatField(),
        TableField(),
    ] = Field(
        description="Whether an expansion is proposed: every item of the gate is met, the expansion band is high, the "
        "churn band is not high, and there is no immediate warning with standing risk."
    )
    gate: list[GateItem]
    find_out: Annotated[
        list[str],
        FlatField(
            after="withdrawn",
            kind="text",
            read=join_codes,
            description='The items of the gate whose state is unknown, separated by "; ".',
        ),
        TableField(
            after="/expansion_withdrawn",
            kind="text",
            read=lambda source: [
                join_codes(source.assessment.rule_results.expansion.to_find_out(row))
                for row in range(len(source.assessment.frame))
            ],
        ),
    ] = Field(description="The items of the gate whose state is unknown: what to find out.")
    withdrawn: Annotated[
        str | None,
        FieldValues(lambda source: source.assessment.rule_results.playbook.withdrawn),
        FlatField(),
        TableField(after="/expansion_type"),
    ] = Field(description="Why no expansion is proposed although gate and band allow it.")
    type: Annotated[
        ExpansionType | None,
        FieldValues(lambda source: source.assessment.rule_results.expansion.type),
        FlatField(after="ready"),
        TableField(after="/onboarding_missed"),
    ] = Field(description="The kind of expansion that the signals point to; if there are several, the easiest one.")
    points: Annotated[
        int,
        FieldValues(lambda source: source.assessment.rule_results.expansion.score),
        FlatField(),
        TableField(after="/expansion_find_out"),
    ] = Field(description="The points of the signs of readiness in the expansion rules.")
    signals: list[ExpansionSign] = Field(description="The signs of interest in more, or of a need for it.")
    reasons: list[Reason]
    model: Annotated[
        ModelReference | None,
        NestedFields(flat_after="/churn_model_version", table_after="/churn_model_version"),
    ]


class HealthHistoryPoint(ResponseModel):
    """The health score at one date."""

    as_of: str
    score: ScorePoints | None
    band: Literal["green", "yellow", "red"]


class ObservedChurn(ResponseModel):
    """The churn rate observed after health scores like this one."""

    churn_rate: Annotated[
        Fraction,
        FlatField(name="churn"),
        TableField(name="churn", read=lambda source: source.assessment.meant[0]),
    ] = Field(description="The churn rate observed after such health scores, 0 to 1.")
    interval: Annotated[list[Fraction], Field(min_length=2, max_length=2)] = Field(
        description="The 80% interval of the churn rate."
    )
    accounts_with_churn: int = Field(description="The number of churned accounts that the rate is based on.")


class HealthScore(ResponseModel):
    """The health score, computed from the weights of a rubric."""

    score: Annotated[
        ScorePoints | None,
        FieldValues(lambda source: source.assessment.health_score),
        FlatField(description="The health score, 0 to 100."),
        TableField(),
    ]
    higher_is: Annotated[Literal["better"], FlatField(description="Always better: a higher score is better.")]
    band: Annotated[
        Literal["green", "yellow", "red", "insufficient_data"],
        FieldValues(lambda source: source.assessment.health_band),
        FlatField(description="green, yellow, red or insufficient_data."),
        TableField(),
    ]
    rubric: Annotated[
        str,
        FlatField(description="The name of the rubric that the score was computed with."),
        TableField(read=lambda source: [source.assessment.champion.rubric.name] * len(source.assessment.frame)),
    ]
    rubric_version: Annotated[str, FlatField(description="The version of the rubric.")]
    agreement: Annotated[
        Literal["agree", "model_worse", "model_better"] | None,
        FieldValues(lambda source: source.assessment.agreement),
        FlatField(
            description="Whether the churn model agrees with the health score, or rates the account worse or better."
        ),
    ]
    coverage: Annotated[
        Fraction,
        FieldValues(lambda source: source.assessment.health_coverage),
        FlatField(after="change_7d"),
    ] = Field(description="The share of the rubric's weight for which there is data, 0 to 1.")
    change_7d: Annotated[
        float | None,
        FieldValues(lambda source: source.assessment.rule_results.change_7d),
        FlatField(after="band"),
        TableField(after="meant_churn"),
    ] = Field(description="The change of the score since about a week before, in points.")
    meant: ObservedChurn | None = Field(
        description="The churn observed after such health scores; null if there was too little data in training."
    )
    lowered_by: list[str] = Field(
        description="What lowers a red or yellow score most, in words, the largest effect first; empty otherwise."
    )
    explained_by: str | None = Field(
        description="If model and health score disagree, the dimension that contributes most to the difference."
    )
    history: list[HealthHistoryPoint] = Field(
        description="The weekly scores of the last quarter; dates without a score are left out."
    )
    dimensions: dict[str, ScorePoints | None]


class AccountAlert(ResponseModel):
    """A change that somebody has to know about. It is sent once, when ``raised`` is true."""

    code: AlertCode
    says: str = Field(description="The alert in words.")
    to: str = Field(description="The recipient.")
    since: str
    raised: bool = Field(description="Whether the alert is new at this as_of.")
    by: str | None = Field(description="The time by which somebody has to act.")
    before: float | str | None
    after: float | str | None
    key: str = Field(description="Together with the account's id it identifies the alert in every answer.")


class FeatureEvidence(ResponseModel):
    """A feature that a warning is based on, and its value for the account."""

    feature: str
    value: float | None


class AccountEarlyWarning(ResponseModel):
    """An early warning of churn. With standing ``watch``, a noisy sign was observed at one date only."""

    code: str
    says: str = Field(description="The warning in words.")
    severity: Severity
    cause: str
    standing: WarningStatus
    since: str
    before_renewal: bool = Field(description="Whether the renewal is so near that warnings matter in particular.")
    evidence: list[FeatureEvidence]


class MissedOnboardingStep(ResponseModel):
    """An onboarding step that was missed."""

    code: str
    day: int
    says: str = Field(description="The step in words.")
    act: str = Field(description="What to do.")


class OnboardingProgress(ResponseModel):
    """The account's progress since its contract began."""

    day: int | None
    under_way: bool
    missed: Annotated[
        list[MissedOnboardingStep],
        TableField(
            kind="text",
            read=lambda source: [
                join_codes(step.code for step in each.missed) for each in source.assessment.rule_results.onboarding
            ],
        ),
    ]
    unknown: list[str] = Field(description="The steps that cannot be evaluated because data is missing.")
    days_to_first_value: int | None
    late: bool | None = Field(description="Whether the first value takes, or took, longer than the target.")


class RecommendedPlay(ResponseModel):
    """What to do, who does it, and by when."""

    name: Annotated[str, FlatField(after="severity")] = Field(
        description="The name of the play, after its cause.", examples=["executive_change"]
    )
    kind: Annotated[
        PlayKind,
        FlatField(after="who", description="save, billing, onboarding or renewal."),
        TableField(),
    ] = Field(
        description="save: the account may be lost; billing: a payment failed; onboarding: a step was missed; renewal: "
        "a talk before the renewal of an account without any other problem."
    )
    severity: Annotated[
        Tier,
        FlatField(after="overdue", description="How urgent it is: high, medium or low."),
    ] = Field(description="How urgent it is.")
    act: Annotated[str, FlatField(after="", description="What to do."), TableField(name="", after="")]
    who: Annotated[str, FlatField(after="act"), TableField(name="by")] = Field(
        description="Who acts: automated, csm, billing or executives."
    )
    due: Annotated[str, FlatField(after="kind"), TableField(read=lambda play: play.due.isoformat())] = Field(
        description="The last day for it, as an ISO date; it stays the same until the play is done."
    )
    overdue: Annotated[bool, FlatField()] = Field(
        description="Whether the play was due before as_of and has not been done."
    )
    because: Annotated[list[str], TableField(kind="text", read=lambda play: join_codes(play.because))] = Field(
        description="The reasons to act: churn_high, churn_medium, health_red, health_yellow, renewal_near, and the "
        "codes of warnings and of missed onboarding steps.",
        examples=[["churn_medium", "competitor"]],
    )


class AccountPulse(ResponseModel):
    """The newest judgment of the person who looks after the account, while it has not expired."""

    sentiment: Annotated[int, Field(ge=-2, le=2)] | None = Field(
        description="How the account is, from very bad to very good."
    )
    renewal_call: Literal["renew", "at_risk", "churn"] | None = Field(
        description="What the person expects at the renewal."
    )
    age_days: float | None = Field(description="Days since the newest judgment, also if it has expired.")


class PredictionWarning(BaseModel):
    """A limitation of the answer: a code, and further fields that depend on it (days, features, fields, …)."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, JsonValue]

    code: str = Field(examples=["support_feed_stale"])


class Prediction(ResponseModel):
    """The prediction for one account at one instant. Null means unknown."""

    prediction_id: Annotated[str, FlatField(after="account_id")] = Field(
        description="Identifies the answer: the same features, models and rubric give the same id.", pattern="^prd_"
    )
    account_id: Annotated[
        str,
        FlatField(description="The id of the account."),
        TableField(kind="as_is", read=lambda source: source.assessment.account_ids),
    ]
    name: Annotated[
        str | None, FieldValues(lambda source: source.assessment.account_names), FlatField(), TableField()
    ] = Field(description="The name of the account; null if it is unknown.")
    as_of: Annotated[
        str, FlatField(), TableField(kind="as_is", read=lambda source: source.assessment.frame["as_of"])
    ] = Field(description="An ISO date, or an instant if it is not midnight; UTC.", examples=["2026-09-30"])
    data_through: Annotated[str | None, FlatField()] = Field(
        description="The instant up to which the signals are complete."
    )
    scored_at: Annotated[str, FlatField(description="The time of scoring, UTC.")]
    horizon_days: Annotated[int | None, FlatField(description="The number of days that the probabilities look ahead.")]
    churn: Annotated[ChurnPrediction, NestedFields(lambda assessment: assessment.target_scores["churn"])]
    expansion: Annotated[ExpansionPrediction, NestedFields(lambda assessment: assessment.target_scores["expansion"])]
    health: HealthScore
    segment: Annotated[
        str | None, FieldValues(lambda source: source.assessment.rule_results.segments), FlatField(), TableField()
    ] = Field(description="The segment by ARR; null if the ARR is unknown.")
    stage: Annotated[
        StageName | None, FieldValues(lambda source: source.assessment.rule_results.stages), FlatField(), TableField()
    ] = Field(
        default=None,
        description="The stage in the account's lifecycle; null if it is unknown, or if an earlier release made the "
        "answer.",
    )
    touch: Annotated[str | None, FieldValues(lambda source: source.assessment.rule_results.touch), FlatField()] = Field(
        description="The service model of the segment."
    )
    alerts: Annotated[
        list[AccountAlert],
        FlatField(name="open_alerts", kind="whole", read=len, description="The number of open alerts."),
        FlatField(
            name="alert_codes", kind="text", read=_codes, description='The codes of the open alerts, separated by "; ".'
        ),
        TableField(
            name="alerts_raised",
            kind="text",
            read=lambda source: [
                join_codes(alert.code for alert in each if alert.raised)
                for each in source.assessment.rule_results.alerts
            ],
        ),
    ]
    early_warnings: Annotated[
        list[AccountEarlyWarning],
        FlatField(
            name="early_warning_codes",
            kind="text",
            read=lambda signs: _codes(sign for sign in signs if sign["standing"] == "risk"),
            description='The codes of the early warnings with standing risk, separated by "; ".',
        ),
        TableField(kind="text", read=lambda source: _warnings_of(source, "risk")),
        TableField(name="watch", kind="text", read=lambda source: _warnings_of(source, "watch")),
    ]
    onboarding: OnboardingProgress
    pulse: AccountPulse = Field(description="The judgment of the person who looks after the account.")
    plays: Annotated[
        list[RecommendedPlay],
        ListedFields(
            prefix="play",
            values=lambda assessment: map(assessment.rule_results.plays_of, range(len(assessment.frame))),
            flat=1,
            table=1,
            flat_after=f"/reason_{FLAT_REASONS}_stability",
            table_after="/watch",
        ),
    ] = Field(description="The recommended plays, the main one first; empty if there is no reason to act.")
    reasons: Annotated[
        list[Reason],
        ListedFields(
            prefix="reason_{}",
            values=lambda assessment: assessment.churn_reasons(),
            flat=FLAT_REASONS,
            table=MAX_REASONS,
            flat_after="/touch",
        ),
        TableField(
            name="churn_explained_note",
            kind="text",
            after=f"/reason_{MAX_REASONS}_stability",
            read=few_reasons_note,
        ),
    ] = Field(description="The reasons of the churn model, the largest first.")
    warnings: Annotated[
        list[PredictionWarning],
        FlatField(
            name="warning_codes",
            kind="text",
            read=_codes,
            description='The codes of the limitations of this answer, separated by "; ".',
        ),
    ]
    model: Annotated[
        ModelReference | None,
        NestedFields(lambda assessment: assessment.target_scores["churn"], prefix="churn_model_"),
    ] = Field(description="The churn model.")
