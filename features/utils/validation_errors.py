"""Pydantic's validation errors in words, without the values that were rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def first_validation_error(error: ValidationError, noun: str = "key") -> str:
    """Return the first problem as ``key plans.0.name: Field required``, without the rejected value.

    Parameters
    ----------
    error : the error of the whole input.
    noun : the word before the path of the invalid field.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{noun} {'.'.join(map(str, first['loc']))}: {first['msg']}"
