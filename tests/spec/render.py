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
- The growth of an account over a year has one kind: *cross-sell* if more subscriptions run than at the start; else *plan* if
  the plans differ; else *seats* if there are more seats; else *price*. Seats that the source does not have are part of *price*.
- Features of the portfolio are those in use by a tenth of its accounts or more, so that neither a feature of one customer nor
  the names of single pages count. Sign-ins are no features of it.
- A KPI with a cycle of reviews needs `reviews_every_days` of the segment in [segments.toml](rules.md). Accounts of other segments
  are not due.
- The share of customers 90 days after a play, next to that of held-out accounts, does not measure the effect by itself: [Save rate
  and measured effect](../rules.md#save-rate-and-measured-effect) says what is compared, and `renewcast holdout effect` does it.
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

## Leadership

`renewcast leadership`, `/v1/portfolio/leadership`, the page `/leadership` and `renewcast report --pptx` report these for the
trailing twelve months.

- The bridge of ARR goes from the ARR just before the period to the ARR at its end: start + new + returned + expansion -
  contraction - churn - pending + renewed late = end. It adds up to the cent, in total and in every group. Without expansion
  and contraction, the numbers of accounts add up in the same way.
- *New*: ARR at the end of accounts that never had a contract before. *Returned*: of accounts that had left before. An account
  that came and left within the period is in no step.
- *Churn*: ARR at the start of accounts that churned. *Expansion* and *contraction*: the difference of ARR at the end and at
  the start of the other accounts.
- *Pending*: the last ARR of accounts without a contract at the end that may still renew within 30 days. NRR, GRR and logo
  retention leave them out, so their base is the ARR at the start less that of pending accounts. *Renewed late*: accounts that
  were without a contract when the period began and renewed within 30 days.
- An account whose ARR is unknown at one end is in no step, and is counted. With more than 1% of such accounts, the bridge is
  unknown.
- The forecast is that of `renewcast renewals` for the next 90 days. Expected ARR is the ARR now, less expected lost and
  contracted ARR of the accounts due, plus their expected expanded ARR; new accounts and changes of other accounts are not in
  it.
- A start year is the year in which the first contract (or order) of an account began.
- Capacity: an account takes 1 divided by `accounts_per_csm` of its segment in [segments.toml](rules.md), which a portfolio can
  replace. The load of a CSM is the sum over the accounts, and 1 is full. The CSMs that a segment needs are all of its accounts
  divided by the ratio.
- LTV is the lifetime value (see [Cohorts and lifetime](#cohorts-and-lifetime)). LTV:CAC divides it by `accounts.acquisition_cost`,
  over the active accounts for which both are known.
- Payback in months is 12 times the cost of the accounts that began in the period, divided by their ARR at the end times the
  gross margin. Accounts that have left by then count with their cost and without ARR. Without costs, LTV:CAC and payback are
  unknown, never zero.

## Filtered KPIs

`/v1/portfolio/measures`, its trend, the leadership report and their pages and commands take the filter of accounts. Accounts
that have left are included.

- CSM, region and parent company are the current ones. The segment is that of the rules above. So the KPIs of all CSMs, of all
  segments, or of all combinations of them add up to those of the portfolio: numerators, denominators and `left_out`.
- Product, health, churn risk and stage are known only for the active accounts of the date. With one of them, KPIs over a period and
  the bridge are unknown, with the reason, and KPIs at the date are those of the matching accounts.
- `product` selects the accounts that hold a product, with all of their ARR. KPIs by product (`by.product`) have the ARR of the
  product alone: an account that gives it up is lost to it.

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
