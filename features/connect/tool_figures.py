"""Figures of tools that have no contracts, to compare with what the tools themselves show."""

from __future__ import annotations

from features.sources.mapping.open_mapping import OpenMapping
from features.sources.mapping.pack_parts import SourcePack
from features.utils.formatting import count_of
from features.utils.sql_text import sql_identifier

_COUNTS = {
    "accounts": {"account": "count(DISTINCT account_id)"},
    "support": {
        "ticket": "count(DISTINCT ticket_id)",
        # The rows of a ticket are its versions.
        "open ticket": "count(DISTINCT ticket_id) FILTER (loaded_at = newest AND resolved_at IS NULL)",
    },
    "usage": {"event": "count(*)", "user": "count(DISTINCT user_id)"},
    "relationship": {"contact": "count(DISTINCT contact_id)"},
}
"""By table of the contract: what is counted, and the SQL of its number."""
_ROWS = {"support": "SELECT *, max(loaded_at) OVER (PARTITION BY ticket_id) AS newest FROM {relation}"}


def tool_figures(opened: OpenMapping) -> tuple[str, ...]:
    """Return a line per tool: "Zendesk Support: 10 accounts, 31 tickets, 4 open tickets, 9 contacts".

    Rows of accounts that the tool itself does not list count, too, because another tool may know these accounts.

    Parameters
    ----------
    opened : the opened mapping.
    """
    lines = {each.pack.file.title: _counts(opened, each) for each in opened.packs}
    return tuple(f"{title}: {', '.join(counts)}" for title, counts in lines.items() if counts)


def _counts(opened: OpenMapping, pack: SourcePack) -> list[str]:
    connection, schema = opened.source.connection.con, sql_identifier(pack.source)
    result = []
    for table, counts in _COUNTS.items():
        if table not in opened.queries[pack.source].tables:
            continue
        relation = f"memory.{schema}.{sql_identifier(f'pack_{table}')}"
        rows = _ROWS.get(table, "SELECT * FROM {relation}").format(relation=relation)
        numbers = connection.execute(f"SELECT {', '.join(counts.values())} FROM ({rows})").fetchone() or ()
        result += [count_of(number, noun) for noun, number in zip(counts, numbers, strict=True)]
    return result
