"""A person's statement for the record: who decides, and why, with their limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from features.errors import BadRequest

WHO_LIMIT, WHY_LIMIT = 200, 2000
Person = Annotated[str, Field(min_length=1, max_length=WHO_LIMIT)]
Reason = Annotated[str, Field(min_length=1, max_length=WHY_LIMIT)]


def require_statement(who: str, why: str) -> None:
    """Check the author and the reason of a decision before anything is changed.

    Parameters
    ----------
    who, why : the author and the reason.

    Raises
    ------
    BadRequest
        If one is missing or too long.
    """
    if not why.strip() or not who.strip():
        raise BadRequest("the author or the reason is missing", "--why TEXT and --by NAME")
    for name, text, limit in (("the author", who, WHO_LIMIT), ("the reason", why, WHY_LIMIT)):
        if len(text) > limit:
            raise BadRequest(f"{name} has {len(text):,} characters", f"at most {limit:,}")
