"""Writing the next version of a rubric: the TOML text in force with other weights and limits, and no other change."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

from models.health.rubric_schema import Bands, RubricError, RubricFile, WeightProfile
from models.peer_groups.rule_files import parse_rules

#: The name of the rubric in messages.
FILE = "the rubric in force"


def revise_rubric_text(
    text: str,
    version: str,
    weights: Mapping[str, float],
    bands: Mapping[str, float],
    note: str,
    profiles: Sequence[WeightProfile] = (),
) -> str:
    """Return the text of the next version.

    Parameters
    ----------
    text : the TOML text in force.
    version : the name of the new version.
    weights : the weight of every dimension, summing to 100. Learned weights become fixed, since people approved them.
    bands : the scores at which green and yellow begin.
    note : the comment in the first line, without line breaks.
    profiles : all profiles of the rubric in order, with their new weights; empty to leave them unchanged.

    Raises
    ------
    RubricError
        The text cannot be edited without other changes.
    """
    # Imported here: only signing a review needs it.
    from tomlkit.exceptions import TOMLKitError

    try:
        parts = _revise_parts(text, version, weights, bands, profiles)
        out = f"# {' '.join(note.split())}\n{''.join(parts)}"
    except TOMLKitError as error:
        raise _not_editable() from error
    _check(text, out, version, weights, bands, profiles)
    return out


def _revise_parts(
    text: str,
    version: str,
    weights: Mapping[str, float],
    bands: Mapping[str, float],
    profiles: Sequence[WeightProfile],
) -> Iterator[str]:
    """Yield the parts of the text with the new values.

    Each part is parsed alone: TOML Kit moves a table between two elements of an array of tables behind the array.
    """
    import tomlkit

    profile: WeightProfile | None = None
    remaining = iter(profiles)
    for position, part in enumerate(_parts(text)):
        document: Any = tomlkit.parse(part)
        if position == 0:
            document["version"] = version
            if "weights" in document:
                document["weights"] = "fixed"
        if "bands" in document:
            _set_numbers(document["bands"], {name: at for name, at in bands.items() if name in document["bands"]})
        for dimension in _elements(document.get("dimensions")):
            if dimension["name"] in weights:
                _set_numbers(dimension, {"weight": weights[dimension["name"]]})
        for table in _elements(document.get("profiles")):
            profile = next(remaining, None)
            _set_profile(table, profile)
        if isinstance(document.get("profiles"), dict):
            _set_profile(document["profiles"], profile)
        yield tomlkit.dumps(document)


def _parts(text: str) -> list[str]:
    """Split the text before each table header."""
    starts = [0]
    for header in re.finditer(r"^[ \t]*\[", text, re.MULTILINE):
        # Within a string or an array, the text before is incomplete.
        with suppress(tomllib.TOMLDecodeError):
            tomllib.loads(text[: header.start()])
            starts.append(header.start())
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


def _elements(value: Any) -> list[Any]:
    """Return the elements of an array; no elements if it is a table or None."""
    return list(value) if isinstance(value, list) else []


def _set_profile(table: Any, profile: WeightProfile | None) -> None:
    if profile is not None and "weights" in table:
        for name in set(table["weights"]) - set(profile.weights):
            del table["weights"][name]
        _set_numbers(table["weights"], profile.weights)


def _set_numbers(table: Any, numbers: Mapping[str, float]) -> None:
    """Write numbers into a table of the document, whole numbers without a decimal point; comments are retained."""
    import tomlkit

    for name, number in numbers.items():
        short = f"{number:g}"
        table[name] = tomlkit.value(short if float(short) == number else repr(float(number)))


def _check(
    text: str,
    out: str,
    version: str,
    weights: Mapping[str, float],
    bands: Mapping[str, float],
    profiles: Sequence[WeightProfile],
) -> None:
    """Read the text back and check that only the requested values have changed."""
    old, new = (parse_rules(each, FILE, RubricFile, RubricError, tag_at=4) for each in (text, out))
    wanted = old.model_copy(
        update={
            "version": version,
            "weights": "fixed",
            "bands": Bands(**{**old.bands.model_dump(), **{name: float(at) for name, at in bands.items()}}),
            "dimensions": tuple(
                each.model_copy(update={"weight": float(weights.get(each.name, each.weight))})
                for each in old.dimensions
            ),
            "profiles": tuple(profiles) or old.profiles,
        }
    )
    if new != wanted:
        raise _not_editable()


def _not_editable() -> RubricError:
    return RubricError(
        f"the weights and limits of {FILE} cannot be replaced without other changes",
        "each table in one place: [bands], and each [[dimensions]] and [[profiles]] with its own keys",
        "write it like the shipped rubrics, and run the review again",
    )
