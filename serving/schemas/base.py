"""What all shapes of requests and answers have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """Something that a caller sends: every field of the right type, and none that is not known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
