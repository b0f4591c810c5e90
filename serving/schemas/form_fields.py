"""Reading of HTML forms: browsers also send empty fields, and numbers as text."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Request
from pydantic import BeforeValidator, Field
from starlette.exceptions import HTTPException

from features.errors import BadRequest
from models.predictions.payload import format_instant
from serving.schemas.base import RequestModel
from serving.schemas.field_types import AsOfInstant
from serving.schemas.query_params import SnapshotQuery

#: The maximum size of a form in bytes, and its maximum number of fields. A note can take 9 bytes per character.
FORM_LIMIT, FIELDS_LIMIT = 32_768, 20
FORM = "application/x-www-form-urlencoded"


async def form_fields(request: Request) -> dict[str, str]:
    """Read the fields of an HTML form: percent-encoded UTF-8. If a name is repeated, the first value counts.

    Raises
    ------
    BadRequest : the form has the wrong content type or character set, cannot be decoded, or has too many fields.
    HTTPException : 413, the form is too large.
    """
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.partition("=")[2].strip().strip('"').lower()
    if kind.strip().lower() != FORM or charset not in ("", "utf-8", "utf8"):
        raise BadRequest("the form has the wrong content type", f"{FORM} in UTF-8", "submit the form on the page")
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
            "the form cannot be read",
            f"percent-encoded UTF-8, at most {FIELDS_LIMIT} fields",
            "submit the form on the page",
        ) from None
    return {name: values[0] for name, values in fields.items()}


def empty_to_none(value: Any) -> Any:
    """Return None for an empty field, which browsers send too."""
    return None if value == "" else value


def digits_to_int(value: Any) -> Any:
    """Return digits as a number, and any other value unchanged."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


MarginPercent = Annotated[
    int | None, BeforeValidator(lambda value: digits_to_int(empty_to_none(value))), Field(ge=1, le=100)
]
"""The gross margin in percent as a field of a form; None if it is empty."""


class MarginQuery(RequestModel):
    """The gross margin in percent of lifetime values, as forms send it; without one it is 100."""

    margin: MarginPercent = None

    @property
    def margin_percent(self) -> int:
        """The margin in percent."""
        return self.margin or 100

    @property
    def margin_share(self) -> float:
        """The margin as a share."""
        return self.margin_percent / 100

    @property
    def page_margin(self) -> dict[str, int | None]:
        """The parameter in URLs of pages, which leave out the default."""
        return {"margin": None if self.margin_percent == 100 else self.margin_percent}

    @property
    def api_margin(self) -> dict[str, float | None]:
        """The parameter in URLs of the API, which leave out the default."""
        return {"margin": None if self.margin_percent == 100 else self.margin_share}


class SnapshotPageQuery(SnapshotQuery):
    """The snapshot of a page. If the field is empty or missing, the latest."""

    as_of: Annotated[AsOfInstant | None, BeforeValidator(empty_to_none)] = None

    @property
    def when(self) -> str | None:
        """The requested date, as it appears in URLs; None for the latest."""
        return None if self.as_of is None else format_instant(self.as_of)
