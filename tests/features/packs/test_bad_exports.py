"""Exports that lack something: one message with what was found, what was expected and how to fix it, or a count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pytest

from features.errors import SignalsError
from features.packs.inputs import Relation
from features.packs.pack import shipped_packs
from features.packs.queries import pack_queries
from features.signals.overwritten_contracts import contract_findings
from features.signals.signals import read_signals
from features.signals.validation import check_source
from features.sources.base import from_tables
from features.utils.dates import parse_instant

#: For each tool, two accounts with a fact each, in the tables and columns that the pack requires. None has a history.
SMALL: Mapping[str, Mapping[str, str]] = {
    "stripe": {
        "customer": "id,created\nc1,2023-01-01\nc2,2023-01-01",
        "subscription": "id,customer_id,status,start_date,current_period_start,current_period_end,cancel_at_period_end,canceled_at\n"
        "s1,c1,active,2023-01-01,2024-01-01,2025-01-01,false,\ns2,c2,active,2023-01-01,2024-01-01,2025-01-01,false,",
        "subscription_item": "id,subscription_id,plan_id,quantity\ni1,s1,p1,1\ni2,s2,p2,1",
        "price": "id,currency,unit_amount,recurring_interval\np1,usd,120000,year\np2,usd,60000,year",
    },
    "chargebee": {
        "customer": "id,company,created_at\nc1,A,2023-01-01\nc2,B,2023-01-01",
        "subscription": "id,customer_id,status,started_at,updated_at,current_term_start,current_term_end,cancelled_at,currency_code,billing_period,billing_period_unit\n"
        "s1,c1,active,2023-01-01,2024-01-01,2024-01-01,2025-01-01,,usd,1,year\ns2,c2,active,2023-01-01,2024-01-01,2024-01-01,2025-01-01,,usd,1,year",
        "subscription_item": "subscription_id,item_price_id,item_type,quantity,amount\ns1,p1,plan,1,120000\ns2,p2,plan,1,60000",
    },
    "recurly": {
        "account": "id,code,created_at,updated_at\na1,A,2023-01-01,2023-01-01\na2,B,2023-01-01,2023-01-01",
        "plan": "id,updated_at,interval_unit,interval_length\np1,2023-01-01,months,12",
        "subscription": "id,account_id,plan_id,state,activated_at,updated_at,expires_at,current_period_started_at,current_period_ends_at,currency,unit_amount,quantity,subtotal\n"
        "s1,a1,p1,active,2023-01-01,2024-01-01,,2024-01-01,2025-01-01,usd,1200,1,1200\ns2,a2,p1,active,2023-01-01,2024-01-01,,2024-01-01,2025-01-01,usd,600,1,600",
    },
    "zuora": {
        "account": "id,name,created_date\na1,A,2023-01-01\na2,B,2023-01-01",
        "subscription": "id,account_id,original_id,version,status,created_date,subscription_start_date,term_start_date,term_end_date,auto_renew\n"
        "s1,a1,s1,3,Active,2024-01-01,2023-01-01,2024-01-01,2025-01-01,true\ns2,a2,s2,3,Active,2024-01-01,2023-01-01,2024-01-01,2025-01-01,true",
        "rate_plan_charge": "id,subscription_id,charge_number,charge_type,mrr,effective_start_date,effective_end_date,created_date,transaction_currency\n"
        "h1,s1,C1,Recurring,100,2023-01-01,2025-01-01,2024-01-01,USD\nh2,s2,C2,Recurring,50,2023-01-01,2025-01-01,2024-01-01,USD",
    },
    "salesforce": {
        "account": "id,name,is_deleted,created_date,system_modstamp\n001000000000001,A,false,2023-01-01,2024-06-01\n001000000000002,B,false,2023-01-01,2024-06-01",
        "opportunity": "id,account_id,stage_name,is_won,is_closed,close_date,amount,currency_iso_code\n"
        "006000000000001,001000000000001,Closed Won,true,true,2024-01-01,1200,USD\n006000000000002,001000000000002,Closed Won,true,true,2024-01-01,600,USD",
        "case": "id,account_id,created_date,last_modified_date,priority\n500000000000001,001000000000001,2024-02-01,2024-02-02,High",
    },
    "hubspot": {
        "company": "id,property_name,property_createdate,property_hs_lastmodifieddate\n1,A,2023-01-01,2024-06-01\n2,B,2023-01-01,2024-06-01",
        "deal": "deal_id,deal_pipeline_stage_id,property_amount,property_closedate,property_createdate,property_deal_currency_code\n"
        "11,closedwon,1200,2024-01-01,2023-12-01,USD\n12,closedwon,600,2024-01-01,2023-12-01,USD",
        "deal_company": "deal_id,company_id\n11,1\n12,2",
        "ticket": "id,property_createdate,property_hs_pipeline_stage,property_hs_ticket_priority,property_hs_lastmodifieddate\n21,2024-02-01,9,HIGH,2024-02-02",
    },
    "snapshots": {
        "account_snapshots": "account_id,snapshot_date,arr,currency,status\na1,2024-01-31,1200,USD,active\na2,2024-01-31,600,USD,active",
    },
    "zendesk": {
        "organization": "id,name,created_at\n1,A,2023-01-01\n2,B,2023-01-01",
        "user": "id,organization_id,role\n5,1,end-user",
        "ticket": "id,organization_id,requester_id,created_at,updated_at,status,priority\n21,1,5,2024-02-01,2024-02-03,solved,high",
    },
    "intercom": {
        "company": "id,company_id,name,created_at\nc1,x1,A,2023-01-01\nc2,x2,B,2023-01-01",
        "contact": "id,role,created_at\np1,user,2023-01-01",
        "contact_company": "contact_id,company_id\np1,c1",
        "conversation": "id,created_at,updated_at,state,source_author_type,source_author_id\nv1,2024-02-01,2024-02-03,closed,user,p1",
    },
    "freshdesk": {
        "company": "id,name,created_at\n1,A,2023-01-01\n2,B,2023-01-01",
        "contact": "id,company_id,created_at\n5,1,2023-01-01",
        "ticket": "id,company_id,requester_id,created_at,updated_at,status,priority,type,stats_resolved_at,stats_closed_at,fr_escalated,is_escalated\n"
        "21,1,5,2024-02-01,2024-02-03,2,3,,,,false,false",
    },
    "segment": {"tracks": "id,user_id,anonymous_id,event,timestamp,received_at,context_group_id\ne1,ann,x,Go,2024-02-01,2024-02-01,a1"},
    "mixpanel": {"event": "insert_id,name,time,distinct_id,company_id\ne1,Go,2024-02-01,ann,a1"},
    "amplitude": {"event": "event_type,_insert_id,user_id,device_id,event_time,server_upload_time\nGo,e1,ann,d1,2024-02-01,2024-02-01"},
    "posthog": {"events": "uuid,event,distinct_id,timestamp,created_at,properties\ne1,Go,ann,2024-02-01,2024-02-01,{}"},
    "pendo": {"feature_event": "visitor_id,account_id,feature_id,timestamp,num_events\nann,a1,f1,2024-02-01,1"},
}  # fmt: skip


def _relations(tables: Mapping[str, str]) -> list[Relation]:
    return [Relation(name, dict.fromkeys(text.splitlines()[0].split(","), "VARCHAR")) for name, text in tables.items()]


def _required(pack: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each table of the small export that the pack requires, its input, and the columns that it requires there."""
    for name, declared in shipped_packs()[pack].file.inputs.items():
        table = next((each for each in declared.names if each in SMALL[pack]), None)
        if table and declared.required:
            header = SMALL[pack][table].splitlines()[0].split(",")
            about = {column: each.names or (column,) for column, each in declared.columns.items() if each.required}
            yield table, name, [next(n for n in names if n in header) for names in about.values()]


def test_every_pack_is_here() -> None:
    assert set(SMALL) == set(shipped_packs())
    for pack, each in shipped_packs().items():
        required = {name for name, declared in each.file.inputs.items() if declared.required}
        assert {name for _, name, _ in _required(pack)} == required, pack


@pytest.mark.parametrize("pack", SMALL)
def test_a_missing_table_or_column_is_one_message_with_its_cure(pack: str) -> None:
    relations = _relations(SMALL[pack])
    for table, name, columns in _required(pack):
        with pytest.raises(SignalsError) as missing:
            pack_queries(shipped_packs()[pack], [each for each in relations if each.name != table])
        assert missing.value.found == f"the pack {pack} needs the table {name}, which is missing"
        assert table in missing.value.expected
        assert "sync this table" in missing.value.cure
        for column in columns:
            renamed = [Relation(r.name, {c + "_x" * (r.name == table and c == column): t for c, t in r.columns.items()}) for r in relations]
            with pytest.raises(SignalsError) as lacking:
                pack_queries(shipped_packs()[pack], renamed)
            assert lacking.value.found.startswith(f"the pack {pack} cannot read the table {table}: it has no column ")
            assert column in lacking.value.expected
            assert "sync this column" in lacking.value.cure


#: What is stated where the tables show today alone, and the accounts, subscriptions, and their ARR that they show.
NO_HISTORY = {
    "stripe": ("2 subscriptions without an invoice: price and quantity are known only from the start of the running term on.", 1800.0),
    "chargebee": ("2 subscriptions without an invoice: price and quantity are known only from the start of the running term on.", 1800.0),
    "recurly": ("2 subscriptions without invoiced charges: price and quantity are known only from the first version on.", 1800.0),
    "salesforce": ("2 won deals without a dated change of the stage: won on the close date, with the amount of today.", 1800.0),
    "hubspot": ("2 won deals without a dated change of the stage: won on the close date, with the amount of today.", 1800.0),
    "zuora": ("", 1800.0),
    "snapshots": ("2 accounts in the first snapshot: what they paid before it is unknown.", 1800.0),
    "zendesk": ("1 solved ticket whose status has no history: solved at the solved time of the metrics, else at the last update.", 0.0),
    "intercom": ("1 closed conversation whose closing has no history: closed at its first version, or at its last update.", 0.0),
    "freshdesk": ("1 ticket whose priority, type and escalation are known only from the last update, because Freshdesk overwrites them.", 0.0),
}
TERMS = [pack for pack, (_, arr) in NO_HISTORY.items() if arr]


@pytest.mark.parametrize("pack", NO_HISTORY)
def test_without_a_history_the_figures_of_today_are_known_and_what_is_lost_is_stated(pack: str, run_pack: Callable[..., Any]) -> None:
    sentence, arr = NO_HISTORY[pack]
    run = run_pack(pack, SMALL[pack])
    assert len(run["accounts"]) == 2
    assert not sentence or sentence in run.assumptions
    if not arr:
        # The ticket: what has no date of its own is known only from the last update.
        assert run["support"].loaded_at.max() > run["support"].occurred_at.max() == run["support"].loaded_at.min()
        return
    rows = run["subscriptions"]
    assert rows[rows.ended_at.isna()].arr.sum() == arr
    source = from_tables({name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in run.tables.items() if len(frame)}, "a pack")
    assert check_source(source).errors == ()
    if pack in ("stripe", "chargebee", "recurly", "zuora"):
        (finding,) = contract_findings(read_signals(source, parse_instant("2024-06-01")))
        assert "2 rows began before their current term, and the earlier terms are lost" in str(finding)


@pytest.mark.parametrize("pack", TERMS)
def test_a_currency_without_a_rate_is_an_error_with_its_place_and_its_cure(pack: str, run_pack: Callable[..., Any]) -> None:
    """The second account is billed in something that no table of rates knows."""
    def wrong(text: str) -> str:
        first, last = text.rsplit("\n", 1)
        return "\n".join([first, last.replace("USD", "DOLLARS").replace("usd", "dollars")])

    run = run_pack(pack, {name: wrong(text) for name, text in SMALL[pack].items()})
    tables = {name: pa.Table.from_pandas(frame, preserve_index=False) for name, frame in run.tables.items() if len(frame)}
    (error,) = check_source(from_tables(tables, "a pack")).errors
    assert (error.table, error.column) == ("subscriptions", "currency")
    assert "rate of exchange" in error.problem
    assert "fx_rates" in error.expected
    assert "dollars" not in str(error).lower()
