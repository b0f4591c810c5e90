"""The data dictionary: every feature, told for people and for programs."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from features.catalogue.catalogue import Catalogue
from features.contract.schema import TABLES
from features.definitions.feature import Feature

if TYPE_CHECKING:
    from features.utils.console import Table

HEADINGS = ("feature", "what it says", "unit", "dimension", "with churn", "with expansion")
_INTRODUCTION = """# Features

Every column of a snapshot beside `account_id` and `as_of`, by the table of the data contract that it comes from. What
is not known is empty, never zero. "With churn" and "with expansion" say how a higher value goes with either, where that
is known; **bold** where it is beyond dispute, so that a model is held to it.

`renewcast features --markdown` writes this page.
"""


def markdown(catalogue: Catalogue) -> str:
    """The dictionary as Markdown, a section for each table."""
    parts = [_INTRODUCTION]
    for table, features in by_table(catalogue):
        parts += [f"\n## {table}\n\n", _line(HEADINGS), _line(("---",) * len(HEADINGS))]
        parts += [_line((f"`{f.name}`", *_told(f, strong="**"))) for f in features]
    return "".join(parts)


def tables(catalogue: Catalogue) -> list[Table]:
    """The dictionary as tables for a terminal, one for each table of the contract."""
    from features.utils.console import Table

    made = []
    for name, features in by_table(catalogue):
        shown = Table(title=f"{name} ({len(features)})", title_justify="left", expand=True)
        for heading in HEADINGS:
            shown.add_column(heading, overflow="fold")
        for f in features:
            shown.add_row(f.name, *_told(f))
        made.append(shown)
    return made


def by_table(catalogue: Catalogue) -> list[tuple[str, list[Feature]]]:
    """The features of each table that has any, in the order of the data contract and of the catalogue."""
    order = list(TABLES)
    found = sorted(catalogue.values(), key=lambda f: order.index(f.table))
    return [(table, list(features)) for table, features in groupby(found, key=lambda f: f.table)]


def _told(f: Feature, strong: str = "") -> tuple[str, ...]:
    goes = ("" if d is None else d.replace("_", " ") for d in (f.direction, f.expansion_direction))
    return f.words, f.unit, f.dimension, *(f"{strong}{g}{strong}" if g and f.monotone else g for g in goes)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
