"""The instant at which a loader last wrote a row is not when the row became known: each sync would move it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot.lineage import lineage

from features.connect.table_guesses import guess_columns
from features.packs.pack import Pack, read_pack, shipped_pack, shipped_packs

SYNC = {
    "_fivetran_synced", "_airbyte_extracted_at", "_airbyte_emitted_at", "_dlt_load_id", "_sdc_received_at",
    "_sdc_batched_at", "_sdc_extracted_at",
}  # fmt: skip
MINIMAL = """
title = "Tool"
version = 1
kind = "support"
about = "A tool."
[inputs.ticket]
names = ["ticket"]
required = true
[inputs.ticket.columns]
id = "text"
seen_at = { type = "instant", names = ["updated", "_dlt_load_id"] }
[inputs.state]
names = ["state"]
otherwise = "SELECT id, seen_at AS dated_at FROM ticket"
[inputs.state.columns]
id = "text"
dated_at = "instant"
[tables.support]
query = "SELECT id AS account_id, greatest(dated_at, dated_at) AS loaded_at FROM state"
"""


def _given_columns(pack: Pack, table: str) -> set[str]:
    """Return the columns of the tool from which ``loaded_at`` of a table of the contract is computed."""
    inputs = pack.file.inputs
    schema = {name: dict.fromkeys(each.columns, "VARCHAR") for name, each in inputs.items()}
    queries = {name: each.otherwise.query for name, each in inputs.items() if each.otherwise}
    result: set[str] = set()
    # An input with names is a table of the tool, or its query if there is no such table.
    for sources in (queries, {name: sql for name, sql in queries.items() if not inputs[name].names}):
        tree = lineage("loaded_at", pack.file.tables[table].query, schema=schema, sources=sources, dialect="duckdb")
        for leaf in (node for node in tree.walk() if not node.downstream and node.source.name in inputs):
            name = leaf.name.rpartition(".")[2]
            column = inputs[leaf.source.name].columns[name]
            result |= {name, *column.names}
    return result


@pytest.mark.parametrize("name", shipped_packs())
def test_loaded_at_never_comes_from_a_sync(name: str) -> None:
    pack = shipped_pack(name)
    for table, each in pack.file.tables.items():
        if "loaded_at" in each.query:
            columns = _given_columns(pack, table)
            assert columns
            assert not columns & SYNC


def test_a_sync_behind_other_names_and_queries_is_found(tmp_path: Path) -> None:
    (tmp_path / "tool.toml").write_text(MINIMAL, encoding="utf-8")
    assert _given_columns(read_pack(tmp_path / "tool.toml"), "support") >= {"seen_at", "_dlt_load_id"}


@pytest.mark.parametrize("column", sorted(SYNC))
def test_a_draft_reads_no_sync_as_loaded_at(column: str) -> None:
    columns = dict.fromkeys(["account_id", "user_id", "timestamp", column], "VARCHAR")
    assert "loaded_at" not in guess_columns("usage", "events", columns).matched
