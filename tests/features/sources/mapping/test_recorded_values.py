"""What a source cannot record is unknown, not zero: in a pack, in a mapping, and from several sources."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import ibis
import pandas as pd
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.contract.schema import TABLES
from features.definitions.aggregations import Measure
from features.errors import SignalsError
from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.sources.mapping.recorded_values import united_records, unrecorded_notes
from features.utils.dates import Grid
from tests.features.sources.mapping.conftest import OpenMapped

MEASURES = sorted(
    {measure for f in CATALOGUE.values() if f.term for measure, _ in f.term.needs if measure.counts},
    key=lambda measure: (measure.table, measure.name, measure.ago),
)
OTHERS = {"topic": ("competitor", "feature_request", "access")}
"""Values of columns for which the contract lists none."""


@pytest.mark.parametrize("measure", [m for m in MEASURES if not m.ago], ids=lambda m: f"{m.table}.{m.name}")
def test_a_measure_selects_only_the_values_that_it_states(measure: Measure) -> None:
    schema = TABLES[measure.table]
    values = {c.name: c.values or OTHERS.get(c.name, ()) for c in schema.columns}
    columns = [name for name, some in values.items() if some]
    rows = pd.DataFrame(product(*(values[name] for name in columns)), columns=columns)
    rows = rows.merge(pd.DataFrame({"value": [0.0, 9.0]}), how="cross")
    rows = rows.assign(contact_id="c", occurred_at=pd.Timestamp("2026-01-01"))
    selected = ibis.memtable(rows).filter(lambda t: measure.where(t)).execute()
    assert len(selected) > 0
    for column, stated in measure.counts:
        found = set(selected[column])
        # A holding also needs the rows of other roles, which end it.
        assert set(stated) <= found if type(measure).__name__ == "Holding" else found == set(stated)


def _write(folder: Path, **tables: str) -> None:
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


ACCOUNTS = "account_id,created_at\na,2024-01-01\n"
SUBSCRIPTIONS = "account_id,started_at,arr\na,2024-01-01,1200\n"
ENGAGEMENT = """account_id,occurred_at,kind,outcome
a,2024-01-02,email,replied
a,2025-12-01,meeting,attended
"""


def _features(mapping: Path) -> pd.Series:
    opened = open_signals(mapping)
    frame = snapshot(opened, Grid.single(pd.Timestamp("2026-01-01", tz="UTC").to_pydatetime()))
    opened.close()
    return frame.iloc[0]


def _mapping(tmp_path: Path, records: str) -> Path:
    _write(tmp_path, accounts=ACCOUNTS, subscriptions=SUBSCRIPTIONS, engagement=ENGAGEMENT)
    mapping = tmp_path / "mapping.toml"
    tables = "".join(f'[tables.{name}]\nfrom = "own.{name}"\n' for name in ("accounts", "subscriptions", "engagement"))
    mapping.write_text(f'[sources.own]\nuri = "{tmp_path}"\n{tables}{records}\n', encoding="utf-8")
    return mapping


def test_without_a_statement_every_kind_can_be_recorded(tmp_path: Path) -> None:
    row = _features(_mapping(tmp_path, ""))
    assert row["engagement.qbrs_held_182d"] == 0
    assert row["engagement.meetings_kept_182d"] == 1


def test_what_cannot_be_recorded_is_unknown(tmp_path: Path) -> None:
    row = _features(_mapping(tmp_path, 'records.kind = ["meeting", "email"]\nrecords.outcome = ["attended", "replied"]'))
    assert math.isnan(row["engagement.qbrs_held_182d"])
    assert math.isnan(row["engagement.community_posts_91d"])
    # Missed meetings cannot be recorded, so a share of them cannot be known.
    assert math.isnan(row["engagement.no_shows_91d"])
    assert math.isnan(row["engagement.meetings_kept_share_182d"])
    assert row["engagement.meetings_kept_182d"] == 1
    assert row["engagement.days_since_meeting"] == 31


def test_a_column_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SignalsError, match="kid"):
        open_signals(_mapping(tmp_path, 'records.kid = ["meeting"]'))


def test_several_sources_record_together_what_any_of_them_records() -> None:
    one, other = {"kind": frozenset({"meeting"}), "outcome": frozenset({"attended"})}, {"kind": frozenset({"email"})}
    assert united_records([one, other]) == {"kind": {"meeting", "email"}}
    assert united_records([one, {}]) == {}
    assert united_records([]) == {}


def test_the_check_names_what_cannot_be_recorded() -> None:
    records = {"billing": {"kind": frozenset({"invoice_paid", "payment_failed", "refund", "credit", "dispute"})}}
    assert list(unrecorded_notes(records)) == [
        "billing: the source cannot record the kind invoice_overdue, budget_review; "
        "what counts them is unknown, not zero"
    ]


TOOL = """
title = "Desk"
version = 1
kind = "support"
about = "Meetings and calls."
[inputs.talk]
names = ["talk"]
columns = { org = "text", day = "instant", sort = "text", result = "text" }
[tables.engagement]
query = "SELECT org AS account_id, day AS occurred_at, sort AS kind, result AS outcome FROM talk"
records = { kind = { meeting = [], call = [] }, outcome = { attended = [] } }
"""
OTHER = """
[sources.tool]
uri = "tool"
pack = "tool.toml"
[sources.own]
uri = "own"
[tables.accounts]
from = "own.account"
"""
FILES = {
    "tool/talk": "org day sort result\na 2025-01-01 meeting attended",
    "own/account": "account_id created_at\na 2024-01-01",
    "own/lesson": "account_id occurred_at type\na 2025-02-01 Course",
}
LESSON = '[tables.engagement]\nfrom = "own.lesson"\nappend = true\n'


@pytest.mark.parametrize(
    ("rules", "kinds"),
    [
        ("", {"meeting", "call"}),
        # One kind only, and no column outcome: what the pack states of outcomes stays.
        (LESSON + 'constants.kind = "training"', {"meeting", "call", "training"}),
        (LESSON + 'columns.kind = "type"\nvalues.kind = { course = "training", "*" = "webinar" }', {"meeting", "call", "training", "webinar"}),
        (LESSON + 'columns.kind = "type"\nvalues.kind = { course = "training" }\nrecords.kind = ["webinar"]', {"meeting", "call", "training", "webinar"}),
        # Other values than those named are read as they are.
        (LESSON + 'columns.kind = "type"\nvalues.kind = { course = "training" }', None),
        # The rules of a pack's table change what the pack records.
        ('[tables.engagement]\nvalues.kind = { call = "qbr" }', {"meeting", "qbr"}),
        ('[tables.engagement]\nrecords.kind = ["meeting"]', {"meeting"}),
    ],
)  # fmt: skip
def test_a_table_added_to_a_pack_keeps_what_the_pack_states(
    open_mapped: OpenMapped, tmp_path: Path, rules: str, kinds: set[str] | None
) -> None:
    (tmp_path / "tool.toml").write_text(TOOL, encoding="utf-8")
    records = open_mapped(OTHER + rules, FILES).records["engagement"]
    assert records.get("kind") == kinds
    assert records["outcome"] == {"attended"}


def test_a_column_without_a_statement_may_have_any_value(open_mapped: OpenMapped, tmp_path: Path) -> None:
    (tmp_path / "tool.toml").write_text(TOOL, encoding="utf-8")
    files = FILES | {"own/lesson": "account_id occurred_at Outcome\na 2025-02-01 replied"}
    records = open_mapped(OTHER + LESSON + 'constants.kind = "training"', files).records["engagement"]
    assert set(records) == {"kind"}
