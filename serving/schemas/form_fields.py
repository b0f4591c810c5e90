"""How forms and their fields are read: browsers send empty ones too, and numbers as text."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Request
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException

from features.errors import BadRequest
from models.predictions.payload import format_instant
from serving.schemas.predictions import SnapshotQuery
from serving.schemas.signal_rows import AsOfInstant

#: A larger form (bytes) is not read, nor one of more fields.
FORM_LIMIT, FIELDS_LIMIT = 8192, 20
FORM = "application/x-www-form-urlencoded"


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of an HTML form, as browsers send it: percent-encoded UTF-8. Of several of one name, the first.

    Raises
    ------
    BadRequest : it is of another kind or character set, cannot be decoded, or has too many fields.
    HTTPException : 413, it is too large.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.partition("=")[2].strip().strip('"').lower()
    if kind.strip().lower() != FORM or charset not in ("", "utf-8", "utf8"):
        raise BadRequest("the form is of another kind", f"{FORM} in UTF-8", "send it from the page")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_LIMIT:
            raise HTTPException(413)
    try:
        fields = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS_LIMIT,
            separator="&",
        )
    except ValueError:
        raise BadRequest(
            "the form cannot be read", f"percent-encoded UTF-8, at most {FIELDS_LIMIT} fields", "send it from the page"
        ) from None
    return {name: values[0] for name, values in fields.items()}


def empty_to_none(value: Any) -> Any:
    """An empty field of a form as one that was left out: forms send these too."""
    return None if value == "" else value


def digits_to_int(value: Any) -> Any:
    """Digits as a number."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


class SnapshotPageQuery(SnapshotQuery):
    """Which snapshot a page is of: empty too is the latest."""

    as_of: Annotated[AsOfInstant | None, BeforeValidator(empty_to_none)] = None

    @property
    def when(self) -> str | None:
        """The date that was asked for as addresses bear it; None where it was the latest."""
        return None if self.as_of is None else format_instant(self.as_of)
