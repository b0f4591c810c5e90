"""How fields of forms are read: browsers send empty ones too, and numbers as text."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from models.answer import instant_words
from serving.rows import AsOf
from serving.schemas import AtDate


def nothing(value: Any) -> Any:
    """An empty field of a form as one that was left out: forms send these too."""
    return None if value == "" else value


def whole(value: Any) -> Any:
    """Digits as a number."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


class AtDateOrLatest(AtDate):
    """Which snapshot a page is of: empty too is the latest."""

    as_of: Annotated[AsOf | None, BeforeValidator(nothing)] = None

    @property
    def when(self) -> str | None:
        """The date that was asked for as addresses bear it; None where it was the latest."""
        return None if self.as_of is None else instant_words(self.as_of)
