"""Reading small JSON files that the program has written itself."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from features.errors import HomeError, RenewcastError
from features.utils.validation_errors import first_validation_error
from models.scorer.errors import ScorerError
from models.scorer.strict_files import JSON_LIMIT, read_bounded, read_json

M = TypeVar("M", bound=BaseModel)


def read_json_file(
    file: Path,
    schema: type[M],
    expected: str,
    cure: str,
    *,
    error: type[RenewcastError] = HomeError,
    limit: int = JSON_LIMIT,
    strict: bool = False,
) -> M:
    """Read a JSON file and validate its content.

    Parameters
    ----------
    file : the file, which must exist.
    schema : the model of its content.
    expected, cure : what the file should be, and what to do if it is broken, for messages.
    error : the exception class to raise.
    limit : maximum size in bytes.
    strict : reject duplicate keys too, and numbers that are not finite.

    Returns
    -------
    BaseModel
        The content, as ``schema``.

    Raises
    ------
    RenewcastError
        The file is missing, too large or invalid; the message names the file and the key, never a value.
    """
    try:
        content = read_bounded(file, limit)
        if strict:
            read_json(content, file.name)
        return schema.model_validate_json(content)
    except ScorerError as cause:
        raise error(f"{file}: {cause}", expected, cure) from cause
    except ValidationError as cause:
        raise error(f"{file}: {first_validation_error(cause)}", expected, cure) from None
