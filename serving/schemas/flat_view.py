"""The flat view: an answer as scalar fields, which can be mapped to the fields of a CRM."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from models.predictions.columns import Scalar, flat_columns, flat_view
from models.predictions.schema import Prediction, ResponseModel
from serving.schemas.base import RequestModel

#: CRMs such as Salesforce and HubSpot allow 40 characters in a field name; the longest name here has 24.
PREFIX_LIMIT = 16
#: Salesforce does not allow two underscores in a row.
PREFIX_PATTERN = r"^([A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_?)?$"

_KINDS: dict[str, Any] = {"text": str, "number": float, "whole": int, "truth": bool}


class ViewQuery(RequestModel):
    """The view of predictions."""

    view: Literal["full", "flat"] = Field(
        "full", description="full: the nested response. flat: one object of scalar fields, for a CRM."
    )
    prefix: Annotated[str, Field(max_length=PREFIX_LIMIT, pattern=PREFIX_PATTERN)] = Field(
        "", description="A prefix for the field names of the flat view, such as renewcast_."
    )

    @model_validator(mode="after")
    def _prefix_of_flat(self) -> Self:
        if self.prefix and self.view != "flat":
            raise PydanticCustomError("flat_missing", "prefix is allowed only with view=flat")
        return self

    def of(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return an answer in this view."""
        return flat_view(answer, Prediction, self.prefix) if self.view == "flat" else answer


class _FlatAnswer(ResponseModel):
    """The response with `view=flat`: one flat object. It has the same fields for every account; null means unknown.
    With `prefix`, each field name starts with it."""

    # A prefix changes the names, so the schema can only state the type of the values.
    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Scalar]


def flat_model(schema: type[BaseModel]) -> type[ResponseModel]:
    """Return the model of the flat view of an answer."""
    fields: dict[str, Any] = {
        column.name: (_KINDS[column.kind] | None, Field(None, description=column.description))
        for column in flat_columns(schema)
    }
    return create_model("FlatPrediction", __base__=_FlatAnswer, __doc__=_FlatAnswer.__doc__, **fields)


FlatPrediction = flat_model(Prediction)
