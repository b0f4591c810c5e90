"""The TOML text of a rubric's next version: the text in force with other weights and limits, every other line kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from models.health.rubric_schema import Bands, RubricError, RubricFile, WeightProfile
from models.peer_groups.rule_files import parse

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(#.*)?$")
_ENTRY = re.compile(r"^(\s*)([A-Za-z0-9_-]+)(\s*=\s*)([^#]*?)(\s*(?:#.*)?)$")
_TEXT = re.compile(r"""^["'](.*)["']$""")


def revise_rubric_text(
    text: str,
    version: str,
    weights: Mapping[str, float],
    bands: Mapping[str, float],
    note: str,
    profiles: Sequence[WeightProfile] = (),
) -> str:
    """The text of another version.

    Parameters
    ----------
    text : the TOML in force.
    version : the new one's.
    weights : of every dimension, summing to 100. Learned weights become fixed ones: people have agreed on them.
    bands : where green and yellow begin.
    note : becomes the comment in the first line; it holds no line break.
    profiles : all of the rubric's, in its order, with the weights that they come to have; none leaves them as they are.

    Raises
    ------
    RubricError
        The text is written so that the lines to change cannot be told; nothing but those may have changed.
    """
    lines, place, dimension, profile = [f"# {' '.join(note.split())}"], "", "", -1
    for line in text.splitlines():
        if header := _HEADER.match(line):
            place = header[2]
            dimension = "" if place == "dimensions" else dimension
            profile += place == "profiles"
        elif entry := _ENTRY.match(line):
            key, value = entry[2], entry[4].strip()
            own = profiles[profile].weights if 0 <= profile < len(profiles) else {}
            if place == "dimensions" and key == "name" and (named := _TEXT.match(value)):
                dimension = named[1]
            told: str | None = None
            if not place and key == "version":
                told = f'"{version}"'
            elif not place and key == "weights":
                told = '"fixed"'
            elif place == "bands" and key in bands:
                told = _number(bands[key])
            elif place == "dimensions" and key == "weight" and dimension in weights:
                told = _number(weights[dimension])
            elif place == "profiles" and key == "weights" and own and value.startswith("{"):
                told = "{ " + ", ".join(f"{name} = {_number(weight)}" for name, weight in own.items()) + " }"
            elif place == "profiles.weights" and key in own:
                told = _number(own[key])
            line = line if told is None else f"{entry[1]}{key}{entry[3]}{told}{entry[5]}"
        lines.append(line)
    out = "\n".join(lines) + "\n"
    _check(text, out, version, weights, bands, profiles)
    return out


def _check(
    text: str,
    out: str,
    version: str,
    weights: Mapping[str, float],
    bands: Mapping[str, float],
    profiles: Sequence[WeightProfile],
) -> None:
    file = "the rubric in force"
    old, new = (parse(each, file, RubricFile, RubricError, tag_at=4) for each in (text, out))
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
        raise RubricError(
            f"{file} is written so that its weights and limits cannot be replaced line by line",
            "a line of its own for version, for each limit of [bands], and for name and weight of each [[dimensions]], "
            "the name first; for the weights of each [[profiles]] one line too, or a line each",
            "write it so, as the shipped rubrics are, and review again",
        )


def _number(value: float) -> str:
    return f"{value:g}" if abs(value - round(value, 6)) < 1e-9 else repr(float(value))
