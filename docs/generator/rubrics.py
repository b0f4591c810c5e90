"""The shipped rubrics: dimensions, signals, weights and limits."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.generator.markdown import code, page, table
from docs.generator.toml_tables import comments, introduction
from models.health.rubric import RUBRICS

_INTRODUCTION = """\
A rubric defines a health score from 0 to 100: weighted dimensions, and in each dimension signals that earn points.
These rubrics ship with Renewcast, and `renewcast health --rubric NAME` uses one of them. To add your own, put them into
the subfolder `rubrics` of the folder that `RENEWCAST_RULES` names."""


def rubrics_page() -> str:
    """Every shipped rubric."""
    return page("Rubrics", _INTRODUCTION, *(part for path in sorted(RUBRICS.glob("*.toml")) for part in _rubric(path)))


def _rubric(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    rubric, notes = tomllib.loads(text), comments(text)
    dimensions = rubric["dimensions"]
    settings = [(code(key), str(value)) for key, value in rubric.items() if not isinstance(value, (dict, list))]
    settings += [(code(f"bands.{band}"), f"from {start:g} points") for band, start in rubric["bands"].items()]
    signals = [
        (
            dimension["name"],
            code(signal["feature"]),
            _share(signal, dimension),
            signal["better"],
            _grading(signal),
            notes.get((f"dimensions.{d}.signals.{s}", ""), ""),
        )
        for d, dimension in enumerate(dimensions)
        for s, signal in enumerate(dimension["signals"])
    ]
    profiles = [
        (", ".join(profile["segments"]), ", ".join(f"{name} {weight:g}" for name, weight in profile["weights"].items()))
        for profile in rubric.get("profiles", ())
    ]
    weights = [(d["name"], f"{d['weight']:g}", str(len(d["signals"]))) for d in dimensions]
    headings = ("dimension", "feature", "weight in the score", "better", "points", "note")
    return [
        f"## {rubric['name']}",
        introduction(text),
        table(("setting", "value"), settings),
        f"### Dimensions of {rubric['name']}",
        table(("dimension", "weight", "signals"), weights),
        f"### Weights by segment of {rubric['name']}" if profiles else "",
        table(("segments", "weights"), profiles),
        f"### Signals of {rubric['name']}",
        table(headings, signals),
    ]


def _share(signal: Mapping[str, Any], dimension: Mapping[str, Any]) -> str:
    """The signal's part of 100, if all signals have data."""
    total = sum(each["weight"] for each in dimension["signals"])
    return f"{dimension['weight'] * signal['weight'] / total:.4g}"


def _grading(signal: Mapping[str, Any]) -> str:
    if signal["grade"] == "steps":
        return "; ".join(_step(step) for step in signal["steps"])
    if signal["grade"] == "scale":
        return f"0 at {signal['worst']:g} to 100 at {signal['best']:g}"
    if "green_above" in signal:
        return f"the percentile; green above {signal['green_above']:g}, yellow from {signal['yellow_from']:g}"
    return "the percentile"


def _step(step: Mapping[str, Any]) -> str:
    bounds = (f"{words} {step[key]:g}" for key, words in (("from", "from"), ("up_to", "up to")) if key in step)
    return f"{next(bounds, 'otherwise')}: {step['points']:g} ({step['grade']})"
