"""The specs as one page for people. ``python tests/spec/render.py`` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fenced import Table, Topic
else:
    Table = Topic = Any

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


MEASURES_PAGE = Path(__file__).resolve().parents[2] / "serving" / "MEASURES.md"
MEASURES_OPENING = f"""\
# The portfolio's measures

Exactly what `renewcast portfolio` and `/v1/portfolio/measures` tell, and worked examples with their arithmetic. The
definitions come from `features/kpi/definitions.py`, the targets from `models/rules/measures.toml`; the tests hold every
figure of the examples (`tests/spec/measures/*.md`) against what is computed. This page is made by `{REGENERATE}`; it is
not edited by hand.

## What they have in common

- Each is a sum over accounts, or the quotient of two. Unknown is null, with the reason, and never zero.
- Things are known as everywhere: rows that happened and arrived before `as_of`; the end of a subscription from that end
  on. The period before is told as it is known at `as_of`, too.
- Unless another period is asked for, it is the trailing twelve months, and the value of the last quarter stands next to
  it. A target is shown for the length of the period that it is compared with.
- The last value is that of a period ago: of the period before, of the month or year that ended where the period starts,
  or of that instant.
- *ARR at the start* is that of the accounts active at the start, just before the instant. An account *churned* where its
  last running subscription ended in the period and none began within 30 days. Until these are over nobody knows: the
  account is left out of numerator and denominator, and counted under `left_out`. Of the last month that would be nearly
  all who ended, so that the churn of a month is told of the month that ended 30 days before.
- Where the source overwrites the terms of contracts (`term_started_at`), those of accounts that renewed since are
  unknown, and those of accounts that left are not. Where they are unknown of more than 1% of the accounts, whatever
  rests on terms is unknown as a whole, and so is every measure by segment.
- An account that left and came back later than that has churned and *returned*; one that never had a contract before is
  *new*. Neither is in the retention of the period.
- Growing and shrinking of one account within the period are set off against each other.
- By segment: an account counts where its ARR was at the start (came it later, at the end); for measures at an instant,
  where it is then. CSM and region are those that the source names today, for they bear no date.
- A target of a year is taken to the power of the period's part of it: 1.10 a year is 1.024 a quarter.
- Without contracts ARR is what was ordered in 365 days, and an account is lost that was active at the start and is not
  at the end; renewals, seats and reasons are unknown.

## Cohorts and lifetime

`renewcast cohorts`, `/v1/portfolio/cohorts` and the page `/cohorts`; worked out by `features/kpi/cohort_retention.py` and
`serving/portfolio/lifetime_value.py`, which name their assumptions.

- A cohort is the accounts whose first subscription began in one quarter. The share that stays 3, 6, 12, 24 and 36 months
  is Kaplan and Meier's estimate with its 80% log-log interval; an account that is still there counts for as long as it
  has been seen. The share of ARR is that of accounts that were seen for the whole time.
- The lifetime is the expected time within five years (or as many as are asked for) by the model's churn hazard, which is
  taken to go on after its last horizon as it was over the whole of it. The lifetime value is ARR times margin over that
  time, with neither growth nor discount.

## Definitions

"""


def measures_page(topics: Iterable[Topic], how_to_read: str, definitions: str) -> str:
    """The whole page of the measures as Markdown."""
    return page(topics, how_to_read, MEASURES_OPENING + definitions + "\n## How to read the examples\n")


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


def _case(case: Any) -> str:
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
    import measures
    import rules
    import tables

    PAGE.write_text(page(tables.read_topics(), tables.HOW_TO_READ), encoding="utf-8")
    RULES_PAGE.write_text(rules_page(rules.read_topics(), rules.HOW_TO_READ), encoding="utf-8")
    told = measures_page(measures.read_topics(tables), measures.HOW_TO_READ, measures.definitions())
    MEASURES_PAGE.write_text(told, encoding="utf-8")
