"""The flat view: one answer as scalar fields, to be mapped into the fields of a CRM one by one."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic_core import PydanticCustomError

from models.predictions.columns import Scalar, flat_columns, flat_view
from models.predictions.schema import Prediction, ResponseModel
from serving.schemas.base import RequestModel

#: CRMs take field names of 40 characters (Salesforce, HubSpot), and the longest of ours has 23.
PREFIX_LIMIT = 16
#: Salesforce takes no two underscores in a row.
PREFIX_PATTERN = r"^([A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*_?)?$"

_KINDS: dict[str, Any] = {"text": str, "number": float, "whole": int, "truth": bool}


class ViewQuery(RequestModel):
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
        return flat_view(answer, Prediction, self.prefix) if self.view == "flat" else answer


class _FlatAnswer(ResponseModel):
    """With `view=flat`: one flat object. All fields are there whatever the account; null is not known. With `prefix`,
    each name has it before it."""

    # A prefix changes the names, so that only the kind of the values can be promised of all fields.
    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Scalar]


def flat_model(schema: type[BaseModel]) -> type[ResponseModel]:
    """The schema of the flat view of an answer."""
    fields: dict[str, Any] = {
        column.name: (_KINDS[column.kind] | None, Field(None, description=column.description))
        for column in flat_columns(schema)
    }
    return create_model("FlatPrediction", __base__=_FlatAnswer, __doc__=_FlatAnswer.__doc__, **fields)


FlatPrediction = flat_model(Prediction)
