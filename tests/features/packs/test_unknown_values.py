"""A value that a pack does not know never silently becomes an active account, a zero or a churn: it is counted and named."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import expressions as sge

from features.errors import SignalsError
from features.packs.inputs import BoundInput, Relation, bind_input, input_sql
from features.packs.options import option_values, with_values
from features.packs.pack import Pack, shipped_pack, shipped_packs
from features.packs.queries import pack_queries
from features.packs.schema import DROP, Derived
from features.sources.mapping.open_mapping import open_mapping

INVENTED = "zz_invented"
PATTERN = "~"
#: Ids, addresses and currencies are no lists of a pack.
KEY = re.compile(r"(^|_)id$|^email$|^currency$")
LISTED = [
    (pack, name, column)
    for pack, each in shipped_packs().items()
    for name, declared in each.file.inputs.items()
    for column, about in declared.columns.items()
    if about.values
]
#: Columns that are compared with literals although any other value may occur, and what the others mean.
OPEN = {
    "amplitude event.event_type": "names of events",
    "hubspot contact_history.field": "names of properties; others are not read",
    "hubspot deal_history.field": "names of properties; others are not read",
    "hubspot ticket_history.field": "names of properties; others are not read",
    "hubspot contact_history.value": "values of any property; a buying role without these words is a user",
    "hubspot deal.name": "free text",
    "hubspot deal.type": "your own types; those that do not say renewal are new terms",
    "hubspot deal.stage_id": "ids of stages; whether they are won comes from their pipeline",
    "hubspot deal_company.type_id": "ids of associations; 5 is the primary company",
    "hubspot contact.role": "compared only after the pack has written it",
    "hubspot deal_pipeline.label": "free text",
    "hubspot meeting.title": "free text",
    "hubspot ticket.priority": "your own priorities; an assumption counts those without the usual words",
    "intercom part.type": "kinds of parts; only closing and opening changes a conversation",
    "mixpanel event.name": "names of events",
    "posthog event.name": "names of events",
    "recurly version.reason": "reasons; all that are not a missing payment are cancellations",
    "salesforce case.priority": "your own priorities; an assumption counts those without the usual words",
    "salesforce case_history.field": "names of fields; others are not read",
    "salesforce contact_relation.role": "your own roles; those without the usual words are users",
    "salesforce contact_role.role": "your own roles; those without the usual words are users",
    "salesforce contact.role": "your own roles; those without the usual words are users",
    "salesforce opportunity_role.role": "your own roles; those without the usual words are users",
    "salesforce contract.status": "your own statuses; an assumption counts those without the usual words",
    "salesforce contract.label": "your own statuses; an assumption counts those without the usual words",
    "salesforce order.status": "your own statuses; an assumption counts those without the usual words",
    "salesforce event.subject": "free text",
    "salesforce event.type": "your own types; any other event is a meeting",
    "salesforce event.subtype": "any other event is a meeting",
    "salesforce task.subject": "free text",
    "salesforce task.type": "your own types; any other task is a task",
    "salesforce task.subtype": "any other task is a task",
    "salesforce opportunity.type": "your own types; those that do not say renewal are new terms",
    "salesforce opportunity.name": "free text",
    "zuora charge.charge_model": "models; a discount says so in its name, and the MRR is read whatever the model is",
    "zuora tier.price_format": "formats; a flat fee says so in its name",
    "zuora version.cancel_reason": "free text; all that do not name a payment are cancellations",
    "zendesk event_change.kind": "kinds of changes; only creations and changes of fields are read",
    "zendesk field_history.field": "names of fields; others are not read",
    "freshdesk ticket_tag.tag": "your own tags",
}


def _bound(pack: Pack, name: str, column: str, value: str) -> tuple[BoundInput, list[Relation], duckdb.DuckDBPyConnection]:
    """Return an input with one row that has ``value``, and every other table that the pack requires, without rows."""
    connection = duckdb.connect()
    relations = []
    for other, declared in pack.file.inputs.items():
        names = [each for each in declared.names if "{" not in each]
        if not names or (other != name and not declared.required):
            continue
        given: dict[str, str | None] = {}
        for own, about in declared.columns.items():
            landed = next((n for n in about.names if "{" not in n and "." not in n), own)
            usual = {"instant": "2026-01-01", "number": "1", "integer": "1", "text": about.values[-1] if about.values else "x"}
            given.setdefault(landed, value if (other, own) == (name, column) else usual.get(about.type))
            if (other, own) == (name, column):
                given[landed] = value
        listed = ", ".join(f'CAST({"NULL" if v is None else repr(v)} AS VARCHAR) AS "{n}"' for n, v in given.items())
        connection.execute(f'CREATE TABLE "{names[0]}" AS SELECT {listed}' + ("" if other == name else " WHERE false"))
        relations.append(Relation(names[0], dict.fromkeys(given, "VARCHAR")))
    declared = pack.file.inputs[name]
    values = option_values(pack, {})
    if any("{" not in each for each in declared.names):
        return bind_input(pack, name, relations, values), relations, connection
    query = "SELECT " + ", ".join(f"{value!r} AS {c}" if c == column else f"NULL AS {c}" for c in declared.columns)
    return BoundInput(declared.model_copy(update={"otherwise": Derived(query=query)}), None, {}), relations, connection


def _read(pack: Pack, name: str, column: str, value: str) -> list[Any]:
    bound, _, connection = _bound(pack, name, column, value)
    rows = connection.execute(f'SELECT "{column}" FROM ({input_sql(bound, option_values(pack, {}), "")})').fetchall()
    return [each for (each,) in rows]


@pytest.mark.parametrize(("pack_name", "name", "column"), LISTED)
def test_an_invented_value_is_read_as_the_pack_states(pack_name: str, name: str, column: str) -> None:
    pack = shipped_pack(pack_name)
    about = pack.file.inputs[name].columns[column]
    assert _read(pack, name, column, INVENTED) == ([] if about.others == DROP else [about.others or None])
    known = with_values(about.values, option_values(pack, {}))[-1]
    assert _read(pack, name, column, f" {known.upper()} ") == [known]


@pytest.mark.parametrize(("pack_name", "name", "column"), [each for each in LISTED if shipped_pack(each[0]).file.inputs[each[1]].names])
def test_an_invented_value_is_counted_with_its_table_and_column(pack_name: str, name: str, column: str) -> None:
    pack = shipped_pack(pack_name)
    for value, count in ((INVENTED, 1), (pack.file.inputs[name].columns[column].values[-1], 0)):
        bound, relations, connection = _bound(pack, name, column, value)
        assert bound.relation is not None
        landed = next(n for n in (*pack.file.inputs[name].columns[column].names, column) if n in bound.relation.columns)
        texts = []
        for each in pack_queries(pack, relations).assumptions:
            if each.finding and f"of {bound.relation.name} whose {landed} " in each.text:
                texts.append(each.sentence({"n": connection.execute(each.query).fetchall()[0][0]}))
        (text,) = texts
        assert text.startswith("1 row of ") if count else text == ""
        assert INVENTED not in text


def _compared(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield each column that is compared with a literal, and the literal; or `PATTERN`."""
    for node in tree.walk():
        pairs: list[tuple[Any, list[Any]]] = []
        if isinstance(node, sge.EQ | sge.NEQ):
            pairs = [(node.this, [node.expression]), (node.expression, [node.this])]
        elif isinstance(node, sge.In):
            pairs = [(node.this, node.expressions)]
        elif isinstance(node, sge.Case) and node.this is not None:
            pairs = [(node.this, [each.this for each in node.args["ifs"]])]
        elif isinstance(node, sge.Like | sge.ILike | sge.RegexpLike):
            pairs = [(node.this, [sge.Literal.string(PATTERN)])]
        for left, literals in pairs:
            texts = [each.this for each in literals if isinstance(each, sge.Literal) and each.is_string]
            for column in left.find_all(sge.Column) if texts else ():
                yield from ((column.name, text) for text in texts if text)


def _statements(pack: Pack) -> Iterator[str]:
    file = pack.file
    for name, declared in file.inputs.items():
        if declared.otherwise:
            yield declared.otherwise.query
        if declared.where and name != "version":
            yield f"SELECT 1 FROM {name} WHERE {declared.where}"
    yield from (each.query for each in file.tables.values())
    yield from (each.query for each in file.assumptions if each.query)


@pytest.mark.parametrize("pack_name", shipped_packs())
def test_every_value_that_a_pack_compares_is_in_the_list_of_its_column(pack_name: str) -> None:
    pack = shipped_pack(pack_name)
    gaps = set()
    for statement in _statements(pack):
        tree = sqlglot.parse_one(re.sub(r"\$([a-z_]+)", r"''", statement.replace("'$.", "'")), read="duckdb")
        read = {table.name for table in tree.find_all(sge.Table)} & set(pack.file.inputs)
        for column, text in _compared(tree):
            for name in read:
                declared = pack.file.inputs[name]
                about = declared.columns.get(column)
                if about is None or about.type != "text" or f"{pack_name} {name}.{column}" in OPEN or KEY.search(column):
                    continue
                if not (declared.names or about.values):
                    continue  # A column that the pack itself writes.
                others = [n for n in read if n != name and column in pack.file.inputs[n].columns]
                listed = {v.lower() for n in (name, *others) for v in pack.file.inputs[n].columns[column].values}
                if not about.values or (text != PATTERN and text.lower() not in listed):
                    gaps.add(f"{name}.{column}: {text}")
    assert not gaps


STRIPE = {
    "customer": "id,name,created\nc1,Acme,2024-01-01\nc2,Beta,2024-01-01\n",
    "subscription": "id,customer_id,status,start_date,current_period_start,current_period_end,cancel_at_period_end,canceled_at,updated\n"
    "s1,c1,active,2024-01-01,2024-04-01,2024-05-01,false,,2024-04-10\n"
    "s2,c2,zz_invented,2024-01-01,2024-04-01,2024-05-01,false,,2024-04-10\n",
    "subscription_item": "id,subscription_id,plan_id,quantity\ni1,s1,monthly,2\ni2,s2,monthly,2\n",
    "price": "id,currency,unit_amount,recurring_interval\nmonthly,usd,1000,month\n",
}


def _stripe_mapping(tmp_path: Path, values: str = "", pack: str = 'pack = "stripe"') -> Path:
    folder = tmp_path / "stripe"
    folder.mkdir()
    for name, text in STRIPE.items():
        (folder / f"{name}.csv").write_text(text)
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(f'[sources.billing]\nuri = "stripe"\n{pack}\n{values}\n')
    return mapping


def test_an_unknown_status_is_a_finding_of_connect_and_check_and_no_active_account(tmp_path: Any) -> None:
    source = open_mapping(_stripe_mapping(tmp_path))
    (note,) = [each for each in source.notes if "does not know" in each]
    assert note == "billing: 1 row of subscription whose status the pack does not know: left out"
    rows = source.tables["subscriptions"].execute()
    assert list(rows.account_id) == ["c1"]
    assert set(source.tables["accounts"].execute().account_id) == {"c1", "c2"}


def test_a_table_that_is_only_counted_is_loaded_from_an_export(tmp_path: Any) -> None:
    mapping = _stripe_mapping(tmp_path)
    (tmp_path / "stripe" / "subscription_history.csv").write_text(STRIPE["subscription"].replace("zz_invented", "active"))
    source = open_mapping(mapping)
    (note,) = [each for each in source.notes if "does not know" in each]
    assert note == "billing: 1 row of subscription whose status the pack does not know: subscription_history is read instead"
    assert set(source.tables["subscriptions"].execute().account_id) == {"c1", "c2"}


@pytest.mark.parametrize(
    ("values", "accounts", "statuses", "noted"),
    [
        ("", {"c1"}, {"active"}, True),
        # By the names of the source or of the pack, in any case.
        ('values.subscription.status = { ZZ_invented = "Paused" }', {"c1", "c2"}, {"active", "paused"}, False),
        ('values.subscriptions.status = { zz_invented = "past_due" }', {"c1", "c2"}, {"active", "past_due"}, False),
        # What the pack knows may mean something else too.
        ('values.subscription.status = { zz_invented = "active", active = "incomplete" }', {"c2"}, {"active"}, False),
    ],
)
def test_a_mapping_says_what_an_unknown_status_means(
    tmp_path: Path, values: str, accounts: set[str], statuses: set[str], noted: bool
) -> None:
    source = open_mapping(_stripe_mapping(tmp_path, values))
    assert any("does not know" in each for each in source.notes) == noted
    rows = source.tables["subscriptions"].execute()
    assert (set(rows.account_id), set(rows.status)) == (accounts, statuses)


@pytest.mark.parametrize(
    ("values", "found", "expected"),
    [
        ('values.subscriptoin.status = { x = "paused" }', "reads no such table", "subscription"),
        ('values.subscription.color = { x = "paused" }', "no list of values", "status"),
        ('values.subscription.customer_id = { x = "paused" }', "no list of values", "status"),
        ('values.subscription.status = { x = "halted" }', "does not know the value halted", "past_due"),
    ],
)
def test_a_meaning_that_the_pack_cannot_use_is_an_error_with_its_place(tmp_path: Any, values: str, found: str, expected: str) -> None:
    with pytest.raises(SignalsError) as refused:
        open_mapping(_stripe_mapping(tmp_path, values))
    assert found in refused.value.found
    assert "mapping.toml (line 4" in refused.value.found
    assert expected in refused.value.expected


def test_meanings_without_a_pack_are_refused(tmp_path: Any) -> None:
    with pytest.raises(SignalsError, match="there is no pack"):
        open_mapping(_stripe_mapping(tmp_path, 'values.subscription.status = { x = "paused" }', pack=""))


@pytest.mark.parametrize(
    ("pack", "tables"),
    [
        ("chargebee", {
            "subscription": "id, customer_id, status, started_at, updated_at, current_term_start, current_term_end, cancelled_at\n"
            "s1, c1, zz_invented, 2024-01-01, 2024-04-01, 2024-04-01, 2024-05-01, ",
            "subscription_item": "subscription_id, item_price_id, item_type, quantity, unit_price, amount\ns1, p, plan, 1, 1000, 1000",
        }),
        ("recurly", {
            # The state before was known; the latest version counts all the same.
            "subscription_history": "id, account_id, state, activated_at, updated_at, expires_at, current_period_started_at, current_period_ends_at, unit_amount, quantity\n"
            "s1, a1, active, 2024-01-01, 2024-02-01, , 2024-02-01, 2024-03-01, 10, 1\n"
            "s1, a1, zz_invented, 2024-01-01, 2024-03-01, , 2024-03-01, 2024-04-01, 10, 1",
        }),
        ("zuora", {
            "subscription": "id, account_id, original_id, version, status, created_date, term_start_date, term_end_date\n"
            "s1, a1, s1, 1, Expired, 2023-01-01, 2023-01-01, 2024-01-01\ns2, a1, s1, 2, zz_invented, 2024-01-01, 2024-01-01, 2025-01-01",
            "rate_plan_charge": "id, subscription_id, charge_number, mrr, effective_start_date, effective_end_date\n"
            "h1, s1, C1, 100, 2023-01-01, 2024-01-01\nh2, s2, C1, 100, 2023-01-01, 2025-01-01",
        }),
    ],
)
def test_a_subscription_with_an_unknown_status_is_neither_active_nor_lost(pack: str, tables: dict[str, str], run_pack: Callable[..., Any]) -> None:
    run = run_pack(pack, tables)
    assert run["subscriptions"].empty
    assert run.stated("the pack does not know").startswith("1 row of subscription")


def test_a_snapshot_with_an_unknown_status_is_no_lost_account(run_pack: Callable[..., Any]) -> None:
    rows = "account_id, snapshot_date, arr, status\na1, 2024-01-31, 100, active\na1, 2024-02-29, 100, zz_invented"
    run = run_pack("snapshots", {"account_snapshots": rows})
    assert run.rows("subscriptions", "ended_at", "arr", "status", order=("started_at",)) == [
        ("2024-02-29", 100.0, "active"), (None, 100.0, None),
    ]
    assert "because a missing account would look like one that left" in run.stated("the pack does not know")


def test_a_ticket_with_an_unknown_status_or_priority_stays_open_and_normal(run_pack: Callable[..., Any]) -> None:
    tables = {
        "organization": "id, name, created_at\no1, Acme, 2024-01-01",
        "ticket": "id, organization_id, requester_id, created_at, updated_at, status, priority\nt1, o1, u1, 2024-02-01, 2024-02-03, zz_invented, zz_invented",
    }
    run = run_pack("zendesk", tables)
    assert run.rows("support", "ticket_id", "resolved_at", "severity") == [("t1", None, "normal")]
    texts = [text for text in run.assumptions if "the pack does not know" in text]
    assert texts == [
        "1 row of ticket whose status the pack does not know: read as open.",
        "1 row of ticket whose priority the pack does not know: counted as normal.",
    ]


def test_words_of_your_own_lists_are_counted_too(run_pack: Callable[..., Any]) -> None:
    tables = {
        "account": "Id, Name, IsDeleted, CreatedDate\n001000000000001, Acme, false, 2024-01-01",
        "contract": "Id, AccountId, StartDate, EndDate, Status\n800000000000001, 001000000000001, 2024-01-01, 2024-12-31, zz_invented\n"
        "800000000000002, 001000000000001, 2024-01-01, 2024-12-31, Activated",
        "case": "Id, AccountId, CreatedDate, Priority\n500000000000001, 001000000000001, 2024-02-01, zz_invented",
    }
    run = run_pack("salesforce", tables, terms="contracts")
    assert list(run["subscriptions"].subscription_id) == ["800000000000002"]
    assert run.stated("contract with a status whose words").startswith("1 contract")
    assert run.stated("of cases whose words").startswith("1 priority")


def _events(*changes: dict[str, str]) -> str:
    return json.dumps([{"type": "Change", **each} for each in changes])


STRIPE_ROW = {"id": "s1", "customer": "c1", "status": "active", "start_date": 1704067200, "cancel_at_period_end": False, "canceled_at": None,
              "current_period_start": 1704067200, "current_period_end": 1735689600}  # fmt: skip
NEW_PRICE = {"id": "p", "currency": "usd", "unit_amount": 1000, "recurring": {"interval": "fortnight", "interval_count": 1}}


@pytest.mark.parametrize(
    ("pack", "tables", "texts"),
    [
        pytest.param("stripe", {
            # Fivetran: the history is read, and the table of today may be older.
            "subscription_history": STRIPE["subscription"].replace("updated", "_fivetran_start").replace("zz_invented", "past_due"),
            "subscription": STRIPE["subscription"],
        }, ["1 row of subscription whose status the pack does not know: subscription_history is read instead."], id="stripe, another table"),
        pytest.param("stripe", {
            "subscription_history": STRIPE["subscription"].replace("updated", "_fivetran_start"),
        }, ["1 row of subscription_history whose status the pack does not know: left out."], id="stripe, history"),
        pytest.param("stripe", {
            "subscriptions": [STRIPE_ROW, {**STRIPE_ROW, "id": "s2", "status": INVENTED}],
            "subscription_items": [{"id": "i1", "subscription": "s1", "quantity": 1, "price": json.dumps(NEW_PRICE)}],
            "invoices": [{"id": "v1", "customer": "c1", "status": INVENTED}],
        }, [
            "1 row of invoices whose status the pack does not know: left out.",
            "1 row of subscription_items whose interval the pack does not know: ARR from invoices, or else unknown, so that the price counts as missing.",
            "1 row of subscriptions whose status the pack does not know: left out.",
        ], id="stripe, airbyte"),
        pytest.param("stripe", {
            "subscription": [{**STRIPE_ROW, "items": json.dumps({"data": [{"id": "i1", "quantity": 1, "price": NEW_PRICE}]})}],
            "invoice": [{"id": "v1", "customer": "c1", "status": "paid", "lines": json.dumps({"data": [{"id": "l1", "type": INVENTED, "amount": 1}]})}],
        }, [
            "1 row of invoice whose type the pack does not know: left out.",
            "1 row of subscription whose interval the pack does not know: ARR from invoices, or else unknown, so that the price counts as missing.",
        ], id="stripe, dlt"),
        pytest.param("chargebee", {
            "subscription": [{"id": "s1", "customer_id": "c1", "status": "active", "current_term_start": 1, "current_term_end": 2, "cancelled_at": None,
                              "subscription_items": json.dumps([{"item_price_id": "p", "item_type": INVENTED}])}],
            "invoice": [{"id": "v1", "customer_id": "c1", "line_items": json.dumps([{"id": "l1", "entity_type": INVENTED}])}],
        }, [
            "1 row of invoice whose entity_type the pack does not know: left out.",
            "1 row of subscription whose item_type the pack does not know: left out.",
        ], id="chargebee, nested"),
        pytest.param("hubspot", {
            "companies": [{"id": "1", "properties": {"name": "Acme"}}],
            "deals": [{"id": "11", "properties": {"dealstage": INVENTED}}, {"id": "12", "properties": {"dealstage": "closedwon"}}],
            "tickets": [{"id": "21", "properties": {"createdate": "2024-01-01", "hs_pipeline_stage": INVENTED, "hs_ticket_priority": INVENTED}}],
            "engagements_meetings": [{"id": "m1", "properties": {"hs_meeting_start_time": "2024-01-01", "hs_meeting_outcome": INVENTED}}],
            "ticket_pipelines": [{"id": "p", "stages": [{"stageId": "4", "metadata": {"ticketState": INVENTED}}]}],
        }, [
            "1 deal with a stage that no pipeline has: neither won nor lost. Only stages named closedwon and closedlost are understood without their pipeline.",
            "1 priority of tickets whose words the pack does not know: counted as normal.",
            "1 row of engagements_meetings whose properties.hs_meeting_outcome the pack does not know: the meeting counts, with an unknown outcome.",
            "1 row of ticket_pipelines whose state the pack does not know: open, unless the stage says that it closes tickets.",
            "1 ticket with a stage that no pipeline has: open unless there is a date on which it was closed.",
        ], id="hubspot, airbyte"),
        pytest.param("hubspot", {
            "companies": [{"id": "1", "name": "Acme"}],
            "deals": [{"id": "11", "dealstage": "9"}, {"id": "12", "dealstage": "1"}],
            "pipelines_deals__stages": [{"id": "1", "metadata__is_closed": "false", "metadata__probability": "0.5"}],
            "pipelines_tickets__stages": [{"id": "4", "metadata__ticket_state": INVENTED}],
        }, [
            "1 deal with a stage that no pipeline has: neither won nor lost. Only stages named closedwon and closedlost are understood without their pipeline.",
            "1 row of pipelines_tickets__stages whose metadata__ticket_state the pack does not know: open, unless the stage says that it closes tickets.",
        ], id="hubspot, dlt"),
        pytest.param("salesforce", {
            "Account": "Id, Name, IsDeleted, CreatedDate\n001000000000001, Acme, false, 2024-01-01",
            "Order": f"Id, AccountId, EffectiveDate, Status\n801000000000001, 001000000000001, 2024-01-01, {INVENTED}",
            "Case": f"Id, AccountId, CreatedDate, Priority\n500000000000001, 001000000000001, 2024-02-01, {INVENTED}",
            "OpportunityHistory": f"Id, OpportunityId, CreatedDate, ForecastCategory\n1, 006000000000001, 2024-02-01, {INVENTED}",
        }, [
            "1 order with a status whose words the pack does not know: running if there is a date of activation, else left out.",
            "1 priority of cases whose words the pack does not know: counted as normal.",
            "1 row of OpportunityHistory whose forecastcategory the pack does not know: an open stage.",
        ], id="salesforce, airbyte"),
        pytest.param("zendesk", {
            "organizations": [{"id": "10", "created_at": "2024-01-01"}],
            "users": [{"id": "1", "organization_id": "10", "role": INVENTED}],
            "tickets": [{"id": "21", "requester_id": "1", "created_at": "2024-01-01", "status": "open", "priority": "low"}],
            "ticket_audits": [{"ticket_id": "21", "created_at": "2024-01-02", "events": _events({"field_name": "status", "value": INVENTED}, {"field_name": "priority", "value": INVENTED})}],
        }, [
            "1 row of ticket_audits whose priority the pack does not know: no change of the ticket.",
            "1 row of ticket_audits whose status the pack does not know: no change of the ticket.",
            "1 row of users whose role the pack does not know: left out.",
        ], id="zendesk, airbyte"),
        pytest.param("zendesk", {
            "organizations": [{"id": "10", "created_at": "2024-01-01"}],
            "tickets": [{"id": "21", "requester_id": "1", "created_at": "2024-01-01", "status": INVENTED, "priority": "low"}],
            "ticket_events": [{"_dlt_id": "e1", "ticket_id": "21", "created_at": "2024-01-02"}],
            "ticket_events__child_events": [{"_dlt_parent_id": "e1", "event_type": "Change", "status": INVENTED, "priority": "high"}],
        }, [
            "1 row of ticket_events or ticket_events__child_events whose status the pack does not know: no change of the ticket.",
            "1 row of tickets whose status the pack does not know: read as open.",
        ], id="zendesk, dlt"),
    ],
)  # fmt: skip
def test_unknown_values_are_counted_in_the_tables_of_every_loader(
    pack: str, tables: dict[str, Any], texts: list[str], run_pack: Callable[..., Any]
) -> None:
    run = run_pack(pack, tables)
    findings = {each.text for each in run.queries.assumptions if each.finding}
    assert sorted(text for text in run.assumptions if "does not know" in text or "no pipeline has" in text) == texts
    assert sum("n:" in text for text in findings) >= len(texts)
    assert not any(INVENTED in text for text in run.assumptions)
