"""Writing the next version of a rubric: the TOML text in force with other weights and limits, and no other change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document: Any = tomlkit.parse(text)
        document["version"] = version
        if "weights" in document:
            document["weights"] = "fixed"
        _set_numbers(document["bands"], {name: at for name, at in bands.items() if name in document["bands"]})
        for dimension in document["dimensions"]:
            if dimension["name"] in weights:
                _set_numbers(dimension, {"weight": weights[dimension["name"]]})
        for table, profile in zip(document.get("profiles", ()), profiles, strict=False):
            for name in set(table["weights"]) - set(profile.weights):
                del table["weights"][name]
            _set_numbers(table["weights"], profile.weights)
        out = f"# {' '.join(note.split())}\n{tomlkit.dumps(document)}"
    except TOMLKitError as error:
        raise _not_editable() from error
    _check(text, out, version, weights, bands, profiles)
    return out


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
