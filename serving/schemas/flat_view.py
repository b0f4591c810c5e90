"""The flat view: one answer as scalar fields, to be mapped into the fields of a CRM one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from models.peer_groups.frame_columns import joined
from serving.schemas.base import Answer, Asked

Scalar = str | float | int | bool | None

#: As many reasons as a person reads beside an account.
REASONS = 3
#: CRMs take field names of 40 characters (Salesforce, HubSpot), and the longest of ours has 23.
PREFIX_LIMIT = 16
#: Salesforce takes no two underscores in a row.
PREFIX_PATTERN = r"^([A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_?)?$"

_KINDS: dict[str, Any] = {"text": str, "number": float, "whole": int, "truth": bool}


@dataclass(frozen=True)
class FlatField:
    """One field: its name, the kind of its value (null where it is not known), what it means, and how it is read from
    the nested answer."""

    name: str
    kind: Literal["text", "number", "whole", "truth"]
    says: str
    read: Callable[[Mapping[str, Any]], Scalar]


def _at(path: str) -> Callable[[Mapping[str, Any]], Scalar]:
    """What lies at ``a.b.0``; None where the way there ends."""

    def read(answer: Mapping[str, Any]) -> Scalar:
        found: Any = answer
        for step in path.split("."):
            if isinstance(found, list):
                found = found[int(step)] if int(step) < len(found) else None
            else:
                found = None if found is None else found[step]
        scalar: Scalar = found
        return scalar

    return read


def _same(name: str, kind: Any, says: str) -> FlatField:
    return FlatField(name, kind, says, _at(name))


def _target(target: str) -> tuple[FlatField, ...]:
    def field(name: str, kind: Any, says: str, path: str = "") -> FlatField:
        return FlatField(f"{target}_{name}", kind, says, _at(f"{target}.{path or name}"))

    return (
        field("status", "text", "scored, or why there is no number (insufficient_history, stale_inputs, …)."),
        field("probability", "number", "Within horizon_days, 0 to 1."),
        field("interval_low", "number", "Where the 80% interval of the probability begins.", "interval.0"),
        field("interval_high", "number", "Where it ends.", "interval.1"),
        field("risk_score", "whole", "Odds against those of the average account, 0 to 100; 50 is average."),
        field("higher_is", "text", "What a higher probability or score means: worse or better."),
        field("band", "text", "low, medium or high."),
        field("percentile", "whole", "The place within the portfolio, 0 to 100."),
        field("change_30d", "number", "The probability less that of about 30 days before."),
    )


def _health(name: str, kind: Any, says: str, path: str = "") -> FlatField:
    return FlatField(f"health_{name}", kind, says, _at(f"health.{path or name}"))


def _play(name: str, says: str) -> FlatField:
    return FlatField(f"play_{name}", "text", says, _at(f"plays.0.{name}"))


def _reason(place: int) -> tuple[FlatField, ...]:
    def field(name: str, says: str) -> FlatField:
        return FlatField(f"reason_{place}_{name}", "text", says, _at(f"reasons.{place - 1}.{name}"))

    return (
        field("text", f"Reason {place} for the churn probability, the largest first, in words."),
        field("code", "Its feature."),
        field("direction", "raises_risk or lowers_risk."),
    )


FIELDS: tuple[FlatField, ...] = (
    _same("account_id", "text", "The account's id."),
    _same("prediction_id", "text", "The same features, models and rubric give the same id."),
    _same("as_of", "text", "ISO date, or instant if not a midnight; UTC."),
    _same("data_through", "text", "The instant up to which the signals are complete."),
    _same("scored_at", "text", "When it was scored, UTC."),
    _same("horizon_days", "whole", "How far ahead the probabilities look."),
    *_target("churn"),
    FlatField("churn_involuntary", "number", "The part that is an end by nonpayment.", _at("churn.involuntary")),
    *_target("expansion"),
    FlatField("expansion_ready", "truth", "Whether an expansion may be proposed.", _at("expansion.ready")),
    FlatField("expansion_type", "text", "seats, tier, cross-sell or services.", _at("expansion.type")),
    FlatField(
        "expansion_withdrawn", "text", "Why it is not, although gate and band allow it.", _at("expansion.withdrawn")
    ),
    FlatField(
        "expansion_find_out",
        "text",
        'Items of the gate that are not known, "; " between them.',
        lambda told: joined(told["expansion"]["find_out"]),
    ),
    FlatField("expansion_points", "whole", "Earned by signs of readiness.", _at("expansion.points")),
    _health("score", "number", "0 to 100."),
    _health("higher_is", "text", "better."),
    _health("band", "text", "green, yellow, red or insufficient_data."),
    _health("change_7d", "number", "Points since about a week before."),
    _health("coverage", "number", "The share of the rubric's weight that had data, 0 to 1."),
    _health("rubric", "text", "The rules that made the score."),
    _health("rubric_version", "text", "Their version."),
    _health("agreement", "text", "Whether model and health score agree: agree, model_worse or model_better."),
    _health("meant_churn", "number", "The churn rate that has followed such scores.", "meant.churn_rate"),
    _same("segment", "text", "By ARR."),
    _same("touch", "text", "How accounts of the segment are looked after."),
    *(field for place in range(1, REASONS + 1) for field in _reason(place)),
    _play("act", "What to do."),
    _play("who", "Who does it."),
    _play("kind", "save, billing, onboarding or renewal."),
    _play("due", "The last day for it, ISO date."),
    FlatField("play_overdue", "truth", "Whether it was due before as_of, and not done.", _at("plays.0.overdue")),
    _play("severity", "high, medium or low."),
    _play("name", "What calls for it."),
    FlatField("open_alerts", "whole", "How many alerts stand.", lambda told: len(told["alerts"])),
    FlatField("alert_codes", "text", 'Their codes, "; " between them.', lambda told: _codes(told["alerts"])),
    FlatField(
        "early_warning_codes",
        "text",
        "The codes of the early warnings that count, without those that are watched only.",
        lambda told: _codes([sign for sign in told["early_warnings"] if sign["standing"] == "risk"]),
    ),
    FlatField("warning_codes", "text", "What to know about the answer.", lambda told: _codes(told["warnings"])),
    FlatField("churn_model_version", "text", "The version of the model that answered.", _at("model.version")),
    FlatField("expansion_model_version", "text", "The same for expansion.", _at("expansion.model.version")),
)


def _codes(entries: list[Mapping[str, Any]]) -> str | None:
    return joined(dict.fromkeys(str(entry["code"]) for entry in entries))


def flat(answer: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """A nested answer (`models.predictions.payload.answer`) as one flat object: every field of `FIELDS`, whatever the
    account, with
    ``prefix`` before its name; null where it is not known."""
    return {prefix + field.name: field.read(answer) for field in FIELDS}


class View(Asked):
    """How predictions are shown."""

    view: Literal["full", "flat"] = Field("full", description="flat: one object of scalar fields, for a CRM.")
    prefix: Annotated[str, Field(max_length=PREFIX_LIMIT, pattern=PREFIX_PATTERN)] = Field(
        "", description="Stands before the name of every field of the flat view, such as renewcast_."
    )

    @model_validator(mode="after")
    def _prefix_of_flat(self) -> Self:
        if self.prefix and self.view != "flat":
            raise PydanticCustomError("flat_missing", "prefix is of use beside view=flat only")
        return self

    def of(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer in this view."""
        return flat(answer, self.prefix) if self.view == "flat" else answer


class _FlatAnswer(Answer):
    """With `view=flat`: one flat object. All fields are there whatever the account; null is not known. With `prefix`,
    each name has it before it."""

    # A prefix changes the names, so that only the kind of the values can be promised of all fields.
    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Scalar]


def _flat_prediction() -> type[Answer]:
    fields: dict[str, Any] = {
        field.name: (_KINDS[field.kind] | None, Field(None, description=field.says)) for field in FIELDS
    }
    return create_model("FlatPrediction", __base__=_FlatAnswer, __doc__=_FlatAnswer.__doc__, **fields)


FlatPrediction = _flat_prediction()
