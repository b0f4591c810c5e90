"""The specs as one page for people. ``python tests/spec/render.py`` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tables import Case, Table, Topic
else:
    Case = Table = Topic = Any

PAGE = Path(__file__).resolve().parents[2] / "features" / "POINT_IN_TIME.md"
REGENERATE = "python tests/spec/render.py"

OPENING = f"""\
# What a snapshot knows

A snapshot says what was known of an account at an instant, its `as_of`, and nothing that came later. These tables are the
specification of that: the tests read the same files (`tests/spec/*.md`) and compare every value with what is computed.
This page is made from them by `{REGENERATE}`; it is not edited by hand.

## How to read the tables
"""


RULES_PAGE = Path(__file__).resolve().parents[2] / "models" / "RULES.md"
RULES_OPENING = f"""\
# What follows from the rules

Worked examples of the health scores, alerts, early warnings, onboarding, expansion and plays that ship as files
(`models/rubrics`, `models/rules`). The tests read the same tables (`tests/spec/rules/*.md`) and hold every figure against
what is computed. This page is made from them by `{REGENERATE}`; it is not edited by hand.

## How to read the tables
"""


def rules_page(topics: Iterable[Topic], how_to_read: str) -> str:
    """The whole page of the rules as Markdown."""
    return page(topics, how_to_read, RULES_OPENING)


def page(topics: Iterable[Topic], how_to_read: str, opening: str = OPENING) -> str:
    """The whole page as Markdown."""
    topics = tuple(topics)
    contents = "\n".join(f"- [{t.title}](#{_anchor(t.title)})" for t in topics)
    parts = [opening, how_to_read, "## Topics\n", contents + "\n", *(_topic(t) for t in topics)]
    return "\n".join(parts)


def _anchor(title: str) -> str:
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def _topic(topic: Topic) -> str:
    return "\n".join([f"## {topic.title}\n", topic.prose, *(_case(case) for case in topic.cases)])


def _case(case: Case) -> str:
    parts = [f"### {case.title}\n", f"{case.prose}\n"]
    if getattr(case, "not_yet", ""):
        parts.append(f"**Not yet so:** {case.not_yet}\n")
    parts += [f"`{t.name}`\n\n{_table(t)}" for t in (*case.tables, case.expected)]
    return "\n".join(parts)


def _table(table: Table) -> str:
    lines = [table.columns, *table.rows]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(table.columns))]
    head, *rows = ("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines)
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([head, rule, *rows]) + "\n"


if __name__ == "__main__":
    import rules
    import tables

    PAGE.write_text(page(tables.read_topics(), tables.HOW_TO_READ), encoding="utf-8")
    RULES_PAGE.write_text(rules_page(rules.read_topics(), rules.HOW_TO_READ), encoding="utf-8")
