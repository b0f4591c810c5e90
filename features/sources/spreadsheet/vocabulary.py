"""The columns that are recognized in a spreadsheet, and the spellings of their names.

Those in English are in `columns.toml`, and those in other languages in `translations.toml`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from features.utils.toml_text import parse_toml, read_toml_text

Kind = Literal[
    "text",
    "date",
    "money",
    "number",
    "count",
    "share",
    "change",
    "flag",
    "flag_or_name",
    "flag_or_amount",
    "status",
    "color",
]
FILE = Path(__file__).with_name("columns.toml")
TRANSLATIONS_FILE = Path(__file__).with_name("translations.toml")
WORDS_FILE = Path(__file__).with_name("words.toml")
_UNITS = re.compile(
    r"\((?:[$€£¥]|usd|eur|gbp|chf|cad|aud|k|m|thousands?|in thousands|%|percent|pct|months?|mo|days?|y/n|yes/no|#|0-10"
    r"|1-5|monate|mois|meses|[a-z]{3} ?[$€£]?k?)\)|[$€£¥#*]|%|\bpct\b|\bpercent(age)?\b",
    re.IGNORECASE,
)
_SPELLINGS = tuple(
    (re.compile(pattern), text)
    for pattern, text in (("licen[cs]e", "license"), ("colou?r", "color"), ("(organ|util|annual)is(?=[ea])", r"\1iz"))
)
"""British spellings, and the American ones of the vocabulary."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_THOUSANDS = re.compile(
    r"\bin (?:thousands|tausend)\b|\(k\)|[$€£]k\b|\bk[$€£]"
    r"|\b(?:usd|eur|gbp) ?k\b|\bteur\b|\bt€|\btsd\b\.?|\('?000s?\)|\b000s\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Field:
    """One column that is recognized.

    Parameters
    ----------
    name : its name here.
    kind : how its values are read.
    about : what it is, in words.
    names : the spellings of its header, as `normalized` returns them.
    feature : the feature with the same meaning, which gets the value; empty for none.
    contract : whether several contracts of one account may have different values.
    past : whether a date after that of the sheet is unknown.
    minimum, maximum : bounds of the values; a column with many others has another meaning.
    reads : how the value is understood where the name leaves it open.
    unused : why the column is not used; empty if it is.
    translations : usual names in other languages, by language.
    """

    name: str
    kind: Kind
    about: str
    names: tuple[str, ...]
    feature: str = ""
    contract: bool = False
    past: bool = False
    minimum: float | None = None
    maximum: float | None = None
    reads: str = ""
    unused: str = ""
    translations: dict[str, tuple[str, ...]] = field(default_factory=dict)


@lru_cache(maxsize=1)
def fields() -> dict[str, Field]:
    """Return the columns that are recognized, by name."""
    entries: dict[str, dict[str, Any]] = parse_toml(read_toml_text(FILE))["columns"]
    languages: dict[str, dict[str, list[str]]] = parse_toml(read_toml_text(TRANSLATIONS_FILE))
    found = {
        name: Field(
            name,
            **entry | {"names": tuple(entry["names"])},
            translations={each: tuple(names[name]) for each, names in languages.items() if name in names},
        )
        for name, entry in entries.items()
    }
    assert all(set(names) <= set(found) for names in languages.values())
    assert all(each.kind in get_args(Kind) for each in found.values())
    return found


@lru_cache(maxsize=1)
def words() -> dict[str, Any]:
    """Return the words of cells and headers (`words.toml`)."""
    return parse_toml(read_toml_text(WORDS_FILE))


def normalized(header: str) -> str:
    """Return a header in lowercase words without punctuation and units.

    Examples
    --------
    >>> normalized("  Renewal_Date ")
    'renewal date'
    >>> normalized("ARR (USD)")
    'arr'
    >>> normalized("customerSince")
    'customer since'
    >>> normalized("Verlängerung am")
    'verlaengerung am'
    """
    text = folded(_UNITS.sub(" ", _THOUSANDS.sub(" ", _CAMEL.sub(" ", header))))
    for pattern, american in _SPELLINGS:
        text = pattern.sub(american, text)
    return " ".join(re.sub(r"[^\w]+|_", " ", text).split())


def folded(text: str) -> str:
    """Return a text in lower case without accents; ä is ae.

    Examples
    --------
    >>> folded("Größe"), folded("Échéance")
    ('groesse', 'echeance')
    """
    if text.isascii():
        return text.casefold()
    plain = unicodedata.normalize("NFC", text).casefold().translate(_UMLAUTS)
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))


def essential(header: str) -> str:
    """Return a normalized header without words that it may have or lack; unchanged if nothing would be left."""
    return " ".join(word for word in header.split() if word not in words()["fillers"]) or header


def in_thousands(header: str) -> bool:
    """Return whether a header says that amounts are in thousands.

    Examples
    --------
    >>> in_thousands("ARR ($k)"), in_thousands("ARR (USD)")
    (True, False)
    """
    return _THOUSANDS.search(header) is not None


@lru_cache(maxsize=1)
def _spellings() -> tuple[dict[str, str], dict[str, str]]:
    exact: dict[str, str] = {}
    loose: dict[str, str] = {}
    for each in fields().values():
        for name in each.names:
            exact.setdefault(name, each.name)
    for each in fields().values():
        for name in each.names:
            short = essential(name)
            if short not in exact or exact[short] == each.name:
                loose.setdefault(short, each.name)
    # The words that may be left out are English ones.
    for each in fields().values():
        for name in (name for names in each.translations.values() for name in names):
            exact.setdefault(normalized(name), each.name)
    return exact, loose


@lru_cache(maxsize=1)
def _loose_translations() -> dict[str, dict[str, str]]:
    """Return, by language, the fields of names without the words that they may have or lack; only of clear ones."""
    result: dict[str, dict[str, str]] = {}
    for language in words()["languages"]:
        found: dict[str, set[str]] = {}
        for each in fields().values():
            for name in each.translations.get(language, ()):
                found.setdefault(_essential_in(language, normalized(name))[0], set()).add(each.name)
        result[language] = {short: next(iter(names)) for short, names in found.items() if len(names) == 1}
    return result


def _essential_in(language: str, header: str) -> tuple[str, bool]:
    """Return a normalized header without the words of a language that it may have or lack.

    It also returns whether one of them says that the header is that of a number or of a date.
    """
    about = words()["languages"][language]
    given = [about["same"].get(word, word) for word in header.split()]
    measures = {*about["number"], *about["date"]}
    kept = [word for word in given if word not in about["fillers"] and word not in measures]
    return " ".join(kept) or header, any(word in measures for word in given)


def _translated_field(name: str) -> str | None:
    """Return the field that a normalized header in another language names, if all languages agree."""
    exact, _ = _spellings()
    found = set()
    for language, loose in _loose_translations().items():
        short, is_measure = _essential_in(language, name)
        each = loose.get(short) or exact.get(short)
        if each and not (is_measure and each in ("account_id", "name")):
            found.add(each)
    return found.pop() if len(found) == 1 else None


def field_of(header: str) -> tuple[str, bool] | None:
    """Return the field that a header names, and whether it is one of its spellings without leaving out words.

    Examples
    --------
    >>> field_of("Renewal Date"), field_of("The renewal"), field_of("Favorite song")
    (('renewal_at', True), ('renewal_at', False), None)
    >>> field_of("Nb de licences")
    ('seats', False)
    """
    name = normalized(header)
    exact, loose = _spellings()
    if not name:
        return None
    if name in exact:
        return exact[name], True
    short = essential(name)
    found = loose.get(short) or exact.get(short) or _translated_field(name)
    return (found, False) if found else None
