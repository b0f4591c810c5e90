"""Requests that record interventions, their changes, outcomes and snoozes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from serving.schemas.base import RequestModel
from serving.schemas.field_types import Day, FiniteNumber, Id, Instant, Text

#: The maximum length of a snooze: an account can change completely within a quarter.
SNOOZE_DAYS = 90
#: The maximum number of alerts that led to an intervention.
ALERTS_LIMIT = 20

Result = Literal["saved", "lost", "no_effect"]
Person = Annotated[Text, Field(min_length=1, max_length=200)]
Amount = Annotated[FiniteNumber, Field(ge=0)]


class _Recorded(RequestModel):
    account_id: Id
    occurred_at: Instant = Field(description="The time at which it happened. It must not be in the future.")
    prediction_id: str | None = Field(None, max_length=80, description="The prediction that led to it.")
    note: Text | None = None


class InterventionRequest(_Recorded):
    """An action taken for an account."""

    play: Text | None = Field(None, description="The play that was run.", examples=["executive_change"])
    severity: Literal["low", "medium", "high"] | None = None
    assignee: Person | None = Field(None, description="The person who runs the play.")
    alerts: list[Annotated[Text, Field(max_length=200)]] | None = Field(
        None,
        max_length=ALERTS_LIMIT,
        description="The `key` of each alert that was active. If it is left out, the active alerts of the latest "
        "snapshot are recorded, unless the intervention is older than the snapshot.",
    )
    refuse_if_under_way: bool = Field(
        False, description="Refuse the intervention (409) if one of the same account is under way."
    )
    held_out: bool = Field(
        False, description="The account was deliberately left without action, to measure the effect of plays."
    )
    trial: Text | None = Field(
        None, description="The trial in which the account was assigned at random, to the play or to no action."
    )
    held_out_share: FiniteNumber | None = Field(
        None, gt=0, lt=1, description="The probability with which the account was held out."
    )
    churn_probability: FiniteNumber | None = Field(
        None, ge=0, le=1, description="The churn probability at the assignment."
    )


class InterventionChange(RequestModel):
    """Changes of an intervention. Fields that are left out stay as they are; null removes a value."""

    assignee: Person | None = Field(None, description="The person who runs the play.")
    snoozed_until: Day | None = Field(
        None,
        description=f"The day on which the intervention returns to the list of open ones: after today, and at most "
        f"{SNOOZE_DAYS} days ahead.",
    )
    result: Result | None = Field(
        None,
        description="Closes the intervention, or corrects the result of a closed one. `no_effect`: the account was "
        "neither saved nor lost.",
    )
    arr: Amount | None = Field(None, description="The ARR that was saved or lost, in the currency of the source.")
    note: Text | None = Field(None, description="A note, which is added to the history.")

    @model_validator(mode="after")
    def _has_a_change(self) -> InterventionChange:
        if not self.model_fields_set:
            raise PydanticCustomError("no_change", "Input should have at least one of: " + ", ".join(CHANGE_FIELDS))
        if "result" in self.model_fields_set and self.result is None:
            raise PydanticCustomError("no_result", "A result can be corrected but not removed")
        return self


CHANGE_FIELDS = tuple(InterventionChange.model_fields)


class OutcomeRequest(_Recorded):
    """The outcome for an account."""

    result: Literal["saved", "lost", "no_effect", "expanded", "not_expanded"]
    intervention_id: str | None = Field(None, max_length=80)
    arr: Amount | None = Field(None, description="The ARR that was saved, lost or won, in the currency of the source.")


class SnoozeRequest(RequestModel):
    """A snooze: the plays of an account are hidden until a day."""

    until: Day = Field(
        description=f"The day on which the plays return: at most {SNOOZE_DAYS} days ahead. Today (UTC) ends a snooze."
    )
    play: Text | None = Field(None, description="The play that is snoozed.", examples=["executive_change"])
    note: Text | None = None
