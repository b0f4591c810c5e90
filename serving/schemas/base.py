"""What all shapes of requests and answers have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Points = Annotated[float, Field(ge=0, le=100)]
Status = Literal["scored", "insufficient_history", "stale_inputs", "out_of_scope", "no_model"]


class Asked(BaseModel):
    """Something that a caller sends: every field of the right type, and none that is not known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """Something that is answered."""

    model_config = ConfigDict(extra="forbid", frozen=True)
