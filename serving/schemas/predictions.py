"""Request and response models of predictions, probes and problems."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from models.predictions.schema import ResponseModel
from serving.schemas.base import RequestModel
from serving.schemas.field_types import AsOfInstant, Id, Instant
from serving.schemas.flat_view import ViewQuery
from serving.schemas.query_params import SnapshotQuery
from serving.schemas.signal_rows import AccountSignals

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


class PredictionQuery(SnapshotQuery, ViewQuery):
    """The snapshot to answer from, and the view of the prediction."""


class PredictionRequest(RequestModel):
    """One account, by id or with its signals. With signals, ``as_of`` is required: only rows before this instant are
    read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"account_id": "acme"}, SIGNALS_EXAMPLE]})

    account_id: Id
    signals: AccountSignals | None = None
    as_of: AsOfInstant | None = Field(None, validate_default=True)
    history_from: Instant | None = Field(
        None,
        description="The instant from which all tables in the body are complete. By default each table counts as "
        "complete from its first row on, and anything earlier is unknown.",
    )

    @field_validator("as_of", mode="after")
    @classmethod
    def _needed_with_signals(cls, as_of: datetime | None, info: ValidationInfo) -> datetime | None:
        if as_of is None and info.data.get("signals") is not None:
            raise PydanticCustomError("missing", "Field required with signals")
        return as_of

    @field_validator("history_from", mode="after")
    @classmethod
    def _before_as_of(cls, history_from: datetime | None, info: ValidationInfo) -> datetime | None:
        if history_from is None:
            return None
        if "signals" in info.data and info.data["signals"] is None:
            raise PydanticCustomError("signals_missing", "Input is allowed only with signals")
        as_of = info.data.get("as_of")
        if as_of is not None and history_from >= as_of:
            raise PydanticCustomError("not_before_as_of", "Input should be before as_of")
        return history_from


class Liveness(ResponseModel):
    """The process is alive."""

    status: Literal["alive"]


class Readiness(ResponseModel):
    """The readiness of the service. ``degraded``: it answers, but something needs attention; see ``reasons``."""

    status: Literal["ready", "degraded"]
    reasons: list[str]
    as_of: str | None = Field(
        description="The date of the latest snapshot. If null, only requests with signals can be answered."
    )
    accounts: int
    models: dict[str, str | None] = Field(description="The model version by target; null without a model.")


class ProblemFault(ResponseModel):
    """One error in the request. ``pointer`` is a JSON pointer into the body, or /query/NAME, /path/NAME or
    /header/NAME."""

    pointer: str = Field(examples=["/signals/usage/3/minutes"])
    code: str
    detail: str


class Problem(BaseModel):
    """A problem (RFC 9457). It never contains values of the request."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(examples=["urn:renewcast:problem:unknown_account"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Identifies this occurrence of the problem.")
    code: str = Field(examples=["unknown_account"])
    errors: list[ProblemFault]
    more_errors: int | None = Field(None, description="The number of errors that are not listed.")
    retry_after: int | None = Field(None, description="The seconds to wait, as in the Retry-After header.")
    current: dict[str, Any] | None = Field(
        None, description="The present state of an intervention that others have changed, as its GET returns it."
    )
