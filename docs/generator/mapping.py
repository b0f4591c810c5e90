"""The format of mapping files, from the model that validates them."""

from __future__ import annotations

from docs.generator.markdown import code, page, table, without_rst
from docs.generator.settings import parameter_texts
from features.sources.mapping import file_schema

_INTRODUCTION = """\
A mapping is a TOML file that says where your tables are, and how they become the tables of the
[data contract](contract.md). `renewcast connect` drafts one:
[Connect your data](../../how-to/connect-your-data.md) shows how. `renewcast connect --schema` prints its JSON Schema,
with which editors complete and check it. Paths are relative to the file.

```toml
[sources.crm]
uri = "exports/salesforce"                  # its tables are crm.account, crm.contact, …
pack = "salesforce"

[sources.billing]
uri = "postgresql://reader@db.example/warehouse?schema=stripe"
pack = "stripe"

[sources.desk]
uri = "duckdb:///desk.duckdb"

[tables.support]                            # without SQL
from = "desk.tickets"
columns = { account_id = "org", ticket_id = "id", occurred_at = "opened", severity = "priority" }
values.severity = { p1 = "urgent", p2 = "high", "*" = "normal" }
time.zone = "Europe/Berlin"
orphans = "drop"

[tables]
pulse = "SELECT account AS account_id, day AS occurred_at, owner AS by, mood AS sentiment FROM desk.pulses"

[identity]                                  # rows of ids that are the same company
accounts = "SELECT account_id AS crm, stripe_customer_id AS billing FROM crm.pack_keys"
```

A query is exactly one `SELECT` in the SQL of DuckDB. It reads the tables of sources (`billing.customer`; without the
source if only one has the table), the names in `[files]`, and what packs give: `billing.pack_accounts` and the other
tables of the contract, `billing.pack_keys` (account ids, with domains, names and ids of other tools) and
`crm.pack_users` (the account of each user). Columns of CSV files are text: cast those that you calculate with."""
_PARTS = (
    ("The file", file_schema.MappingFile),
    ("`[sources.NAME]`, or `[source]` for one", file_schema.SourceEntry),
    ("`[tables.NAME]`", file_schema.TableMapping),
    ("`latest` of a table", file_schema.Latest),
    ("`time` of a table", file_schema.TimeRule),
    ("`[identity]`", file_schema.Identity),
)
_UNITS = (
    (
        "`cents`",
        "minor units: hundredths, or what the row's `currency` has (whole yen, thousandths of a dinar)",
        "amounts, `arr`",
    ),
    ("`monthly`, `quarterly`, `weekly`, `daily`", "an amount per period: times 12, 4, 52 or 365", "`arr`"),
    ("`decimal_comma`", "`1.234,56` is 1234.56", "any number that is text"),
    ("`decimal_point`", "`1,234.56` is 1234.56", "any number that is text"),
    ("`thousands`, `millions`, `percent`", "times 1,000 or 1,000,000, divided by 100", "any number"),
    (
        "`milliseconds`, `seconds`, `minutes`, `hours`, `days`",
        "a duration",
        "`usage.minutes`, `engagement.response_hours`",
    ),
)
_RULES = """\
- A table that a mapping gives replaces that of the packs, unless it has `append = true`. What several sources and parts
  give is united by the names of columns.
- Accounts of several sources with the same id become one: each value is that of the first source that has it, and
  `created_at` is the earliest. The order of sources is that of the file, with `spine` first.
- Ids that are the same company may form chains: every company gets one account id, whatever the order of rows. An id
  that another source uses for another company gets the name of its source before it (`desk:101`).
- Whatever was dropped, added or did not fit is counted in the notes of `renewcast check`. No note shows a value.
- A mapping reads nothing else and writes nothing. Functions that use the clock or random numbers are refused, because
  the same rows must give the same features tomorrow ([ADR 4](../../adr/0004-one-select-per-mapping.md))."""


def mapping_page() -> str:
    """What a mapping file contains."""
    keys = "\n\n".join(f"## {title}\n\n{table(('key', 'meaning'), _keys(part))}" for title, part in _PARTS)
    units = table(("unit", "meaning", "columns"), _UNITS)
    return page("Mapping files", _INTRODUCTION, keys, f"## Units\n\n{units}", f"## What happens to rows\n\n{_RULES}")


def _keys(part: type[file_schema.MappingPart]) -> list[tuple[str, str]]:
    return [(code(name), without_rst(text)) for name, text in parameter_texts(part).items()]
