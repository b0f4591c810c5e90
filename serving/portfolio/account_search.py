"""Find accounts of a published snapshot by name."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from features.errors import UnknownAccount
from models.predictions.account_lookup import find_account
from models.predictions.payload import account_row, format_instant
from models.predictions.schema import ResponseModel
from serving.snapshots.scored_snapshot import ScoredSnapshot

#: The maximum number of candidates in an answer.
CANDIDATES_LISTED = 100


class NamedAccount(ResponseModel):
    """An account with its name."""

    account_id: str
    name: str | None = Field(description="Null: unknown.")


class AccountSearch(ResponseModel):
    """The account that a name means, or the accounts that it may mean."""

    as_of: str
    account: NamedAccount | None = Field(description="The account that is meant; null: none, or more than one.")
    candidates: list[NamedAccount] = Field(
        description="Without one account: those whose name starts with the text, or else those with a similar name."
    )


def account_by_name(scored: ScoredSnapshot, text: str) -> str:
    """Return the id of the account of a snapshot that a person means.

    Parameters
    ----------
    scored : the snapshot.
    text : as `models.predictions.account_lookup.find_account` reads it.

    Returns
    -------
    str

    Raises
    ------
    UnknownAccount : the snapshot contains no such account, or several can be meant.
    """
    assessment = scored.assessment
    account = find_account(text, assessment.known_names, assessment.places)
    account_row(assessment, account)
    return account


def search_accounts(scored: ScoredSnapshot, text: str) -> dict[str, Any]:
    """Return the account that a text means, or the candidates, as `AccountSearch`."""
    names = scored.assessment.known_names
    answer: dict[str, Any] = {"as_of": format_instant(scored.as_of), "account": None, "candidates": []}
    try:
        account = account_by_name(scored, text)
    except UnknownAccount as error:
        active = [each for each in error.candidates if each.account_id in scored.assessment.places]
        return answer | {"candidates": [each._asdict() for each in active[:CANDIDATES_LISTED]]}
    return answer | {"account": {"account_id": account, "name": names[account]}}
