"""Names of people: tidied for the record, and compared so that two that look alike count as one person."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from features.errors import BadRequest

MAX_NAME_LENGTH = 200
"""Characters of a name."""


def tidy_name(what: str, name: str) -> str:
    """A name with single spaces.

    Parameters
    ----------
    what : whose name it is, for the message, such as ``owner``.

    Raises
    ------
    BadRequest
        It is empty, too long, or holds characters that do not print.
    """
    tidied = " ".join(name.split())
    if not tidied or len(tidied) > MAX_NAME_LENGTH or not tidied.isprintable():
        raise BadRequest(f"the {what} has no name that can be kept", f"a name of 1 to {MAX_NAME_LENGTH} characters")
    return tidied


def same_person(one: str, other: str) -> bool:
    """Whether two names are equal, or look so, and so have to be taken for one person.

    Case, spaces, punctuation, accents and characters without a width make no difference, nor do letters of another
    script or width that look alike (the skeletons of Unicode Technical Standard 39).

    Examples
    --------
    >>> same_person("Ada Lovelace", "ADA  Lovеlace")  # with a Cyrillic е
    True
    >>> same_person("Ada Lovelace", "Grace Hopper")
    False
    """
    return bool(_skeletons(one) & _skeletons(other))


def _skeletons(name: str) -> frozenset[str]:
    """What a name looks like, by two ways to take case: a capital I looks like a small l, a small i does not."""
    plain = unicodedata.normalize("NFKD", name)
    ways = (_look_alike(plain.casefold()), _look_alike(plain).casefold(), plain.casefold())
    found = {_letters(unicodedata.normalize("NFKD", way)) for way in ways}
    # A name of signs alone is compared as it is.
    return frozenset(each or plain for each in found)


def _letters(text: str) -> str:
    return "".join(each for each in text if unicodedata.category(each)[0] in "LN")


def _look_alike(text: str) -> str:
    table = _prototypes()
    return "".join(table.get(each, each) for each in text)


@lru_cache(maxsize=1)
def _prototypes() -> dict[str, str]:
    """By character, the one that stands for all that look like it.

    The library keeps Unicode's table both ways. A character with one counterpart maps to it, unless that has no other
    either: then the first of the two stands for both.
    """
    # Takes a megabyte, and only who signs needs it.
    from confusable_homoglyphs.confusables import confusables_data

    found: dict[str, str] = {}
    for one, alike in confusables_data.items():
        if len(one) != 1 or len(alike) != 1:
            continue
        other = alike[0]["c"]
        found[one] = min(one, other) if len(confusables_data.get(other, ())) == 1 else other
    return found
