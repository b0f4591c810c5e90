"""The specs as pages for people, which ``make docs-reference`` writes into the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from docs.generator.markdown import anchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from case_files import Table, Topic
else:
    Table = Topic = Any

REGENERATE = "make docs-reference"

OPENING = f"""\
# What a snapshot knows

A snapshot shows what was known about an account at an instant, its `as_of`, and nothing that came later. The cases below
specify this. The tests read the same files (`tests/spec/*.md`) and compare every value with what is computed.
`{REGENERATE}` writes this page.

## How to read the tables
"""


RULES_OPENING = f"""\
# What follows from the rules

Worked examples of health scores, alerts, early warnings, onboarding, expansion and plays, with the shipped
[rules](rules.md) and [rubrics](rubrics.md). The tests read the same files (`tests/spec/rules/*.md`) and compare every
value with what is computed. `{REGENERATE}` writes this page.

## How to read the tables
"""


MEASURES_OPENING = f"""\
# KPIs

The definition and target of every KPI that `renewcast portfolio` and `/v1/portfolio/measures` report, and worked examples.
The tests read the same files (`tests/spec/measures/*.md`) and compare every value with what is computed. `{REGENERATE}`
writes this page.

## Rules for all KPIs

- A KPI is a sum over accounts, or a sum divided by another. An unknown value is null with the reason, never zero.
- A KPI uses only what was known at `as_of`: rows that had happened and arrived before it. The end of a subscription is
  known from that end on. The value of the period before also uses what is known at `as_of`.
- The period is the last twelve months, unless another one is requested. The value of the last quarter is shown next to
  it. Targets are converted to the length of the period that they are compared with.
- `last` is the value one period earlier: of the period before, of the month or year that ended where the period starts,
  or at that instant.
- *ARR at the start* is the ARR of the accounts that were active just before the period starts.
- An account *churned* if its last running subscription ended in the period and none began within 30 days. Until those
  days are over, this is unknown. Such an account is left out of numerator and denominator and counted in `left_out`. In
  the latest month this would be most of the ended accounts, so monthly churn is that of the month that ended 30 days
  before `as_of`.
- An account that left and came back after more than 30 days has churned and then *returned*. An account that never had
  a contract before is *new*. Neither counts in the retention of the period.
- If one account both grew and shrank within the period, only the difference counts.
- If the source overwrites a contract when it renews (see `term_started_at`), the earlier terms of accounts that renewed
  since then are unknown, while those of accounts that left are known. If they are unknown for more than 1% of the
  accounts, every KPI that depends on terms is unknown, and so is every KPI by segment.
- An account counts in the segment of its ARR at the start, or at the end if it came later. For KPIs at an instant, it
  counts in the segment that it is in then. CSM and region are the current ones, because the source gives no dates for
  them.
- A yearly target is raised to the power of the period's share of a year: 1.10 a year is 1.024 a quarter.
- Without contracts, ARR is the amount ordered in 365 days, and an account is lost if it was active at the start and is
  not at the end. Renewals, seats and reasons are unknown.

## Cohorts and lifetime

`renewcast cohorts`, `/v1/portfolio/cohorts` and the page `/cohorts` report these.

- A cohort is all accounts whose first subscription began in one quarter. The share that stays 3, 6, 12, 24 and 36 months
  is the Kaplan-Meier estimate with its 80% log-log interval. An account that is still a customer counts for as long as
  it has been observed. The share of ARR covers only accounts that were observed for the whole time.
- The lifetime is the expected time as a customer within five years, or another number of years on request. It follows the
  model's churn hazard. After the model's last horizon, the average hazard up to that horizon continues.
- The lifetime value is ARR times margin over that time, without growth and without discounting.

## Definitions

"""


def measures_page(topics: Iterable[Topic], how_to_read: str, definitions: str) -> str:
    """The whole page of the KPIs as Markdown."""
    return page(topics, how_to_read, MEASURES_OPENING + definitions + "\n## How to read the examples\n")


def rules_page(topics: Iterable[Topic], how_to_read: str) -> str:
    """The whole page of the rules as Markdown."""
    return page(topics, how_to_read, RULES_OPENING)


def page(topics: Iterable[Topic], how_to_read: str, opening: str = OPENING) -> str:
    """The whole page as Markdown."""
    topics = tuple(topics)
    contents = "\n".join(f"- [{t.title}](#{anchor(t.title)})" for t in topics)
    parts = [opening, how_to_read, "## Topics\n", contents + "\n", *(_topic(t) for t in topics)]
    return "\n".join(parts)


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
