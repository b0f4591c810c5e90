"""The account of a page: its id is in the path, or in the query string if a path cannot hold it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BeforeValidator

from features.errors import BadRequest
from serving.schemas.account_filter import PageFilter
from serving.schemas.field_types import AsOfInstant, Id
from serving.schemas.form_fields import SnapshotPageQuery, empty_to_none

AccountInPath = Annotated[str, Path(max_length=1000)]


class AccountQuery(SnapshotPageQuery, PageFilter):
    """The account id if it is not in the path, the snapshot date, and the filter that the links carry."""

    id: Id | None = None


class AccountPageQuery(AccountQuery):
    """The account id, the snapshot date, and the earlier date to compare with. An empty date is the default."""

    since: Annotated[AsOfInstant | None, BeforeValidator(empty_to_none)] = None


def requested_account(in_path: str, in_query: str | None) -> str:
    """Return the account id of a request.

    Parameters
    ----------
    in_path, in_query : the id in the path, and in the query.

    Returns
    -------
    str

    Raises
    ------
    BadRequest : there is no account id.
    """
    if account := in_path or in_query:
        return account
    raise BadRequest("the account id is missing", "/accounts/ID, /accounts/ID/qbr or /accounts/ID/plan")
