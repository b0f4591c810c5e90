"""Which account a page is of: its id is in the path, or beside it where a path cannot bear it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from features.errors import BadRequest
from serving.schemas.form_fields import AtDateOrLatest
from serving.schemas.signal_rows import Id

AccountInPath = Annotated[str, Path(max_length=1000)]


class AccountQuery(AtDateOrLatest):
    """Which account, where its id is not in the path, and which snapshot."""

    id: Id | None = None


def requested_account(in_path: str, beside: str | None) -> str:
    """The account's id.

    Raises
    ------
    BadRequest : neither names one.
    """
    if account := in_path or beside:
        return account
    raise BadRequest("no account is named", "/accounts/ID, /accounts/ID/qbr or /accounts/ID/plan")
