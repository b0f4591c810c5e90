"""Names of people: normalizing them, and detecting names that look the same."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from features.errors import BadRequest

MAX_NAME_LENGTH = 200
"""Maximum length of a name in characters."""


def tidy_name(what: str, name: str) -> str:
    """Return a name with single spaces.

    Parameters
    ----------
    what : the role of the person, for the message, such as ``owner``.

    Raises
    ------
    BadRequest
        The name is empty, too long, or not printable.
    """
    tidied = " ".join(name.split())
    if not tidied or len(tidied) > MAX_NAME_LENGTH or not tidied.isprintable():
        raise BadRequest(f"the name of the {what} cannot be stored", f"a name of 1 to {MAX_NAME_LENGTH} characters")
    return tidied


def same_person(one: str, other: str) -> bool:
    """Return whether two names are equal or look the same, and so must count as one person.

    Case, spaces, punctuation, accents and zero-width characters make no difference, nor do letters of another script or
    width that look the same (the skeletons of Unicode Technical Standard 39).

    Examples
    --------
    >>> same_person("Ada Lovelace", "ADA  Lovеlace")  # with a Cyrillic е
    True
    >>> same_person("Ada Lovelace", "Grace Hopper")
    False
    """
    return bool(_skeletons(one) & _skeletons(other))


def _skeletons(name: str) -> frozenset[str]:
    """Return what a name looks like, for several treatments of case: I looks like a lowercase l, i does not."""
    plain = unicodedata.normalize("NFKD", name)
    ways = (_look_alike(plain.casefold()), _look_alike(plain).casefold(), plain.casefold())
    skeletons = {_letters(unicodedata.normalize("NFKD", way)) for way in ways}
    # A name without letters or digits is compared as it is.
    return frozenset(each or plain for each in skeletons)


def _letters(text: str) -> str:
    return "".join(each for each in text if unicodedata.category(each)[0] in "LN")


def _look_alike(text: str) -> str:
    table = _prototypes()
    return "".join(table.get(each, each) for each in text)


@lru_cache(maxsize=1)
def _prototypes() -> dict[str, str]:
    """Map each character to the representative of all characters that look like it.

    The library's table has both directions. A character with one counterpart maps to it, unless the counterpart has no
    other either: then the first of the two represents both.
    """
    # Imported here because it takes a megabyte and is only needed to sign.
    from confusable_homoglyphs.confusables import confusables_data

    table: dict[str, str] = {}
    for one, similar in confusables_data.items():
        if len(one) != 1 or len(similar) != 1:
            continue
        other = similar[0]["c"]
        table[one] = min(one, other) if len(confusables_data.get(other, ())) == 1 else other
    return table
