"""The data dictionary of all features, as Markdown and as tables."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from features.catalogue.catalogue import Catalogue
from features.contract.schema import TABLES
from features.definitions.feature import Feature

if TYPE_CHECKING:
    from features.utils.console import Table

HEADINGS = ("feature", "meaning", "unit", "dimension", "churn", "expansion")
_INTRODUCTION = """# Features

Every column of a snapshot except `account_id` and `as_of`, grouped by table of the data contract. Unknown values are
empty, never zero. The columns "churn" and "expansion" show how a higher value relates to each, where known. A direction
in **bold** is certain, and models are constrained to it.

`renewcast features --markdown` writes this page.
"""


def markdown(catalogue: Catalogue) -> str:
    """Render the dictionary as Markdown, with a section for each table."""
    parts = [_INTRODUCTION]
    for table, features in by_table(catalogue):
        parts += [f"\n## {table}\n\n", _line(HEADINGS), _line(("---",) * len(HEADINGS))]
        parts += [_line((f"`{f.name}`", *_cells(f, strong="**"))) for f in features]
    return "".join(parts)


def tables(catalogue: Catalogue) -> list[Table]:
    """Render the dictionary as terminal tables, one for each table of the contract."""
    from rich.box import HEAVY_HEAD

    from features.utils.console import Table

    rendered = []
    for name, features in by_table(catalogue):
        shown = Table(title=f"{name} ({len(features)})", box=HEAVY_HEAD, padding=(0, 1), expand=True)
        for heading in HEADINGS:
            shown.add_column(heading, overflow="fold")
        for f in features:
            shown.add_row(f.name, *_cells(f))
        rendered.append(shown)
    return rendered


def by_table(catalogue: Catalogue) -> list[tuple[str, list[Feature]]]:
    """Group the features by table, in the order of the data contract, then of the catalogue's extra tables."""
    order = list(dict.fromkeys((*TABLES, *(f.table for f in catalogue.values()))))
    ordered = sorted(catalogue.values(), key=lambda f: order.index(f.table))
    return [(table, list(features)) for table, features in groupby(ordered, key=lambda f: f.table)]


def _cells(f: Feature, strong: str = "") -> tuple[str, ...]:
    directions = ("" if d is None else d.replace("_", " ") for d in (f.direction, f.expansion_direction))
    return f.words, f.unit, f.dimension, *(f"{strong}{g}{strong}" if g and f.monotone else g for g in directions)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
