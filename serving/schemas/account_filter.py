"""The filter of accounts, which is the same for pages, routes and commands."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from models.predictions.schema import ResponseModel
from serving.schemas.base import RequestModel
from serving.schemas.field_types import Text

#: The value that selects the accounts without one, such as accounts without a CSM.
WITHOUT = "(none)"

HealthBand = Literal["green", "yellow", "red", "insufficient_data"]
RiskBand = Literal["high", "medium", "low", "(none)"]
Stage = Literal["onboarding", "adoption", "value", "expansion", "advocacy", "(none)"]
Value = Annotated[Text, Field(min_length=1)]
_NONE = f"{WITHOUT}: those without one"


class AccountFilter(RequestModel):
    """Which accounts count: those that match every field that is given."""

    csm: Value | None = Field(default=None, description=f"Only the accounts of this customer success manager; {_NONE}.")
    segment: Value | None = Field(
        default=None, description=f"Only the accounts of this segment; {WITHOUT}: unknown ARR."
    )
    region: Value | None = Field(default=None, description=f"Only the accounts in this region; {_NONE}.")
    product: Value | None = Field(default=None, description=f"Only the accounts that hold this product; {_NONE}.")
    parent: Value | None = Field(
        default=None,
        description=f"Only this account and all accounts below it; {WITHOUT}: those that belong to no other.",
    )
    health: HealthBand | None = Field(default=None, description="Only the accounts with this health band.")
    risk: RiskBand | None = Field(
        default=None, description=f"Only the accounts with this band of churn risk; {WITHOUT}: not scored."
    )
    stage: Stage | None = Field(
        default=None, description=f"Only the accounts in this stage of their lifecycle; {WITHOUT}: unknown."
    )

    @property
    def account_filter(self) -> AccountFilter:
        """The filter alone, without the other parameters of a request."""
        return AccountFilter.model_construct(**{name: getattr(self, name) for name in FILTER_FIELDS})

    @property
    def chosen(self) -> dict[str, str]:
        """The fields that are given, with their values, in order."""
        return {name: value for name in FILTER_FIELDS if (value := getattr(self, name)) is not None}

    @property
    def applied(self) -> dict[str, str | None] | None:
        """The filter as a field of an answer (`AppliedFilter`); None if there is none."""
        chosen = self.chosen
        return {name: chosen.get(name) for name in FILTER_FIELDS} if chosen else None


FILTER_FIELDS = tuple(AccountFilter.model_fields)
"""The names of the fields, in the order in which they are shown."""
EVERYONE = AccountFilter()
"""The filter that selects every account."""


class PageFilter(AccountFilter):
    """The filter in the URL of a page: forms also send empty fields, which do not count."""

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        return {name: value for name, value in fields.items() if value != "" or name not in FILTER_FIELDS}


class AppliedFilter(ResponseModel):
    """The filter of an answer. Null: not filtered by this field."""

    csm: str | None
    segment: str | None
    region: str | None
    product: str | None
    parent: str | None
    health: str | None
    risk: str | None
    stage: str | None
