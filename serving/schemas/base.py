"""The base class of request models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """Base class of requests: types are strict, and unknown fields are rejected."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
