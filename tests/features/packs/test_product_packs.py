"""Segment, Mixpanel, Amplitude, PostHog and Pendo against rows and figures computed by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.packs.inputs import Relation
from features.packs.recognition import recognize

Run = Callable[..., Any]
USE = ("account_id", "user_id", "feature", "occurred_at", "loaded_at")
ORDER = ("occurred_at", "loaded_at")

# -- Segment: Ann browses anonymously on May 1, identifies on May 2 at 9:00 and joins the group acme a minute later.
TRACKS = """
id, user_id, anonymous_id, event, event_text, timestamp, original_timestamp, received_at, context_group_id
e1, , x1, viewed_plan, Viewed Plan, 2026-05-01 10:00:00, 2026-05-01 10:00:00, 2026-05-01 10:00:02,
e2, ann, x1, report_opened, Report Opened, 2026-05-03 08:00:00, 2026-05-03 08:00:00, 2026-05-03 08:00:02,
e2, ann, x1, report_opened, Report Opened, 2026-05-03 08:00:00, 2026-05-03 08:00:00, 2026-05-04 08:00:02,
e3, ann, x1, signed_in, Signed In, 2026-05-09 00:00:00, 2026-05-09 00:00:00, 2026-05-04 07:00:00,
e4, , x9, viewed_plan, Viewed Plan, 2026-05-04 10:00:00, 2026-05-04 10:00:00, 2026-05-04 10:00:02,
e5, bob, x2, report_opened, Report Opened, 2026-05-05 10:00:00, 2026-05-05 10:00:00, 2026-05-05 10:00:02, beta
e6, eve, x3, report_opened, Report Opened, 2026-05-06 10:00:00, 2026-05-06 10:00:00, 2026-05-06 10:00:02,
e7, us1, x4, report_opened, Report Opened, 2026-05-07 10:00:00, 2026-05-07 10:00:00, 2026-05-07 10:00:02, acme
"""
IDENTIFIES = """
id, user_id, anonymous_id, received_at, email
i1, ann, x1, 2026-05-02 09:00:00, ann@acme.example
i2, us1, x4, 2026-05-01 09:00:00, dev@Ours.example
"""
GROUPS = """
id, user_id, anonymous_id, group_id, timestamp, received_at, name, domain
g1, ann, x1, acme, 2026-05-02 09:01:00, 2026-05-02 09:01:00, Acme Inc, acme.example
"""
SEGMENT = {"tracks": TRACKS, "identifies": IDENTIFIES, "groups": GROUPS}


def test_segment_reads_calls_of_known_users(run_pack: Run) -> None:
    run = run_pack("segment", SEGMENT, internal_domains=["ours.example"])
    assert run.rows("usage", *USE, order=ORDER) == [
        # The group of e5 is in the call itself.
        ("acme", "ann", "viewed_plan", "2026-05-01 10:00:00", "2026-05-02 09:01:00"),
        ("acme", "ann", "report_opened", "2026-05-03 08:00:00", "2026-05-03 08:00:02"),
        ("acme", "ann", "report_opened", "2026-05-03 08:00:00", "2026-05-04 08:00:02"),
        ("acme", "ann", "login", "2026-05-04 07:00:00", "2026-05-04 07:00:00"),
        ("beta", "bob", "report_opened", "2026-05-05 10:00:00", "2026-05-05 10:00:02"),
        (None, "eve", "report_opened", "2026-05-06 10:00:00", "2026-05-06 10:00:02"),
    ]
    assert run["usage"]["event_id"].nunique() == 5  # The copy of e2 has its id.
    assert sorted(run.users.itertuples(index=False, name=None)) == [("ann", "acme")]
    assert run.accounts.to_dict("records") == [{"account_id": "acme", "name": "Acme Inc", "domain": "acme.example"}]


def test_segment_states_what_it_assumes(run_pack: Run) -> None:
    run = run_pack("segment", SEGMENT | {"pages": "id,user_id,anonymous_id,timestamp\np1,ann,x1,2026-05-01"}, internal_users=["us1"])
    assert run.stated("never identified").startswith("1 event ")
    assert run.stated("known from then on").startswith("1 anonymous event ")
    assert run.stated("without a group call").startswith("1 user ")
    assert run.stated("after Segment received it").startswith("1 event ")
    assert run.stated("more than once").startswith("1 event ")
    assert run.stated("page or screen").startswith("1 page or screen call ")
    assert run.stated("internal").startswith("1 internal user ")


def test_segment_knows_an_anonymous_visit_only_after_the_sign_in(run_pack: Run) -> None:
    """Without the calls of May 2 and later, nothing before them changes, except that the visit is not known."""
    early = {
        "tracks": "\n".join(TRACKS.strip().splitlines()[:2]),
        "identifies": IDENTIFIES.strip().splitlines()[0],
        "groups": GROUPS.strip().splitlines()[0],
    }
    assert run_pack("segment", early)["usage"].empty
    known = run_pack("segment", SEGMENT)["usage"]
    assert known[known["loaded_at"] < "2026-05-02"].empty


def test_segment_gives_a_shared_device_to_the_next_who_signs_in(run_pack: Run) -> None:
    tracks = """
    id, user_id, anonymous_id, event, timestamp, received_at
    a, , pc, x, 2026-05-01 08:00:00, 2026-05-01 08:00:00
    b, , pc, x, 2026-05-01 12:00:00, 2026-05-01 12:00:00
    c, , pc, x, 2026-05-01 18:00:00, 2026-05-01 18:00:00
    """
    identifies = "user_id,anonymous_id,received_at\nann,pc,2026-05-01 09:00:00\nbob,pc,2026-05-01 13:00:00"
    run = run_pack("segment", {"tracks": tracks, "identifies": identifies})
    assert run.rows("usage", "user_id", "event_id") == [("ann", "a"), ("bob", "b"), ("bob", "c")]
    assert run.stated("several users share").startswith("1 anonymous id ")


def test_segment_follows_a_user_from_group_to_group(run_pack: Run) -> None:
    tracks = "id,user_id,anonymous_id,event,timestamp,received_at\n" + "\n".join(
        f"{n},ann,x,go,2026-05-0{n} 12:00:00,2026-05-0{n} 12:00:00" for n in (1, 3, 5)
    )
    groups = "user_id,group_id,timestamp,received_at\nann,one,2026-05-02,2026-05-02\nann,two,2026-05-04,2026-05-04"
    run = run_pack("segment", {"track": tracks, "group": groups})
    assert run.rows("usage", "account_id", "loaded_at") == [
        ("one", "2026-05-02"), ("one", "2026-05-03 12:00:00"), ("two", "2026-05-05 12:00:00"),
    ]  # fmt: skip


# -- Mixpanel

MIXPANEL = """
insert_id, name, time, distinct_id, distinct_id_before_identity, device_id, mp_processing_time_ms, properties
i1, Report Opened, 2026-05-01 10:00:00, ann, , d1, 1777629605000, "{""company_id"": ""acme""}"
i1, Report Opened, 2026-05-01 10:00:00, ann, , d1, 1777629605000, "{""company_id"": ""acme""}"
i1, Report Opened, 2026-05-02 10:00:00, ann, , d1, 1777716005000, "{""company_id"": ""acme""}"
i3, Viewed, 2026-04-30 10:00:00, $device:d1, , d1, 1777543205000, {}
i4, $identify, 2026-05-01 09:59:00, ann, $device:d1, d1, 1777629545000, {}
i5, Sign In, 2026-05-09 00:00:00, ann, , d1, 1777802405000, "{""company_id"": ""acme""}"
i6, $mp_web_page_view, 2026-05-04 10:00:00, bob, , d2, 406572, {}
i7, Report Opened, 2026-05-05 10:00:00, dev@ours.example, , d3, 1777975205000, "{""company_id"": ""acme""}"
"""
# 1777629605 is 2026-05-01 10:00:05 UTC; a day is 86400 seconds.


def test_mixpanel_reads_events_once_and_devices_as_their_users(run_pack: Run) -> None:
    run = run_pack("mixpanel", {"event": MIXPANEL}, internal_domains=["ours.example"])
    assert run.rows("usage", *USE, order=ORDER) == [
        (None, "ann", "Viewed", "2026-04-30 10:00:00", "2026-05-01 09:59:05"),
        ("acme", "ann", "Report Opened", "2026-05-01 10:00:00", "2026-05-01 10:00:05"),
        ("acme", "ann", "Report Opened", "2026-05-01 10:00:00", "2026-05-01 10:00:05"),
        ("acme", "ann", "Report Opened", "2026-05-02 10:00:00", "2026-05-02 10:00:05"),
        ("acme", "ann", "login", "2026-05-03 10:00:05", "2026-05-03 10:00:05"),
        (None, "bob", None, "2026-05-04 10:00:00", None),
    ]
    assert run["usage"]["event_id"].nunique() == 5
    assert run.users.to_dict("records") == [{"user_id": "ann", "account_id": "acme"}] or len(run.users) == 2
    assert run.stated("more than once").startswith("1 event ")
    assert run.stated("processed it").startswith("1 event ")
    # 406572 is no number of milliseconds since 1970 that a server could have written.
    assert run.stated("unreadable").startswith("1 value ")
    assert run.stated("of Mixpanel itself").startswith("1 event ")


def test_mixpanel_times_are_in_the_zone_of_the_project(run_pack: Run) -> None:
    run = run_pack("mixpanel", {"event": "insert_id,event,time,distinct_id\na,x,2026-07-01 12:00:00,u"}, time_zone="America/New_York")
    assert run.rows("usage", "occurred_at") == [("2026-07-01 16:00:00",)]
    early = [{"insert_id": "a", "event": "x", "time": "2026-07-01", "distinct_id": "u", "mp_processing_time_ms": 406572}]
    assert run_pack("mixpanel", {"event": early}).stated("before 2005").startswith("1 event ")
    epoch = run_pack("mixpanel", {"export": "$insert_id,event,time,distinct_id\na,x,1782907200,u"})
    assert epoch.rows("usage", "occurred_at") == [("2026-07-01 12:00:00",)]


def test_mixpanel_sample_export_agrees_with_the_raw_file(run_export: Run) -> None:
    run = run_export("mixpanel", "mixpanel", account_property="title")
    place = next(each for each in (Path(__file__).resolve().parents[n] for n in (4, 5)) if (each / "shared").is_dir())
    with (place / "shared/data/exports/mixpanel/event.csv").open(encoding="utf-8", newline="") as file:
        raw = list(csv.DictReader(file))
    usage = run["usage"]
    # Five events of three users; three are of spongebob and two of rupaul's drag race.
    assert len(usage) == len(raw) == 5
    assert usage["user_id"].nunique() == len({row["distinct_id"] for row in raw}) == 3
    assert sorted(usage["account_id"]) == sorted(json.loads(row["properties"])["title"] for row in raw)
    assert usage["account_id"].value_counts().to_dict() == {"spongebob": 3, "rupaul's drag race": 2}
    assert sorted(map(str, usage["occurred_at"])) == sorted(row["time"] for row in raw)
    assert usage["event_id"].nunique() == 5  # Some have one insert id and differ in time.
    assert usage["loaded_at"].isna().all()
    assert run.stated("unreadable").startswith("5 values ")


# -- Amplitude

AMPLITUDE = """
device_id, _insert_id, uuid, amplitude_id, user_id, event_type, event_time, server_upload_time, groups, user_properties, is_attribution_event
d1, a, u1, 7, , tour_started, 2026-05-01T10:00:00, 2026-05-01T10:00:05, {}, {}, false
d1, b, u2, 7, ann, report_opened, 2026-05-02T10:00:00, 2026-05-02T10:00:05, "{""company"": [""acme""]}", "{""email"": ""ann@acme.example""}", false
d1, b, u3, 7, ann, report_opened, 2026-05-02T10:00:00, 2026-05-02T10:09:05, "{""company"": [""acme""]}", {}, false
d1, c, u4, 7, ann, session_start, 2026-05-02T10:00:00, 2026-05-02T10:00:05, {}, {}, false
d2, d, u5, 8, , tour_started, 2026-05-03T10:00:00, 2026-05-03T10:00:05, {}, {}, false
d3, e, u6, 9, bob, [Amplitude] Page Viewed, 2026-05-09T10:00:00, 2026-05-04T10:00:05, {}, "{""company_id"": ""beta""}", false
d4, f, u7, 10, eve, logged in, 2026-05-05T10:00:00, 2026-05-08T10:00:05, {}, {}, false
d5, g, u8, 11, us, report_opened, 2026-05-06T10:00:00, 2026-05-06T10:00:05, "{""company"": ""acme""}", "{""email"": ""us@ours.example""}", false
d6, h, u9, 12, zoe, install, 2026-05-06T10:00:00, 2026-05-06T10:00:05, {}, {}, true
"""


def test_amplitude_reads_events_of_users_and_groups(run_pack: Run) -> None:
    run = run_pack("amplitude", {"event": AMPLITUDE}, internal_domains=["ours.example"])
    assert run.rows("usage", *USE, order=ORDER) == [
        ("acme", "ann", "tour_started", "2026-05-01 10:00:00", "2026-05-02 10:00:05"),
        ("acme", "ann", "report_opened", "2026-05-02 10:00:00", "2026-05-02 10:00:05"),
        ("acme", "ann", "report_opened", "2026-05-02 10:00:00", "2026-05-02 10:09:05"),
        ("beta", "bob", None, "2026-05-04 10:00:05", "2026-05-04 10:00:05"),
        (None, "eve", "login", "2026-05-05 10:00:00", "2026-05-08 10:00:05"),
    ]
    assert run["usage"]["event_id"].nunique() == 4
    assert sorted(run.users.itertuples(index=False, name=None)) == [("ann", "acme"), ("bob", "beta"), ("us", "acme")]
    assert run.stated("never signed in").startswith("1 event ")
    assert run.stated("before a sign-in").startswith("1 event ")
    assert run.stated("received it").startswith("1 event ")
    assert run.stated("more than once").startswith("1 event ")
    assert run.stated("of Amplitude itself").startswith("2 events ")


# -- PostHog


def _posthog(*rows: tuple[str, str, str, str, str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("uuid", "event", "distinct_id", "person_id", "timestamp", "created_at")
    return [dict(zip(names, row[:6], strict=True)) | {"properties": json.dumps(row[6])} for row in rows]


POSTHOG = _posthog(
    ("1", "plan viewed", "anon-1", "p0", "2026-05-01T10:00:00Z", "2026-05-01T10:00:02Z", {}),
    ("2", "$identify", "ann", "p1", "2026-05-02T09:00:00Z", "2026-05-02T09:00:02Z", {"$anon_distinct_id": "anon-1"}),
    ("3", "report opened", "ann", "p1", "2026-05-02T10:00:00Z", "2026-05-02T10:00:02Z", {"$groups": {"company": "acme"}}),
    ("3", "report opened", "ann", "p1", "2026-05-02T10:00:00Z", "2026-05-02T10:00:09Z", {"$groups": {"company": "acme"}}),
    ("4", "$pageview", "ann", "p1", "2026-05-09T10:00:00Z", "2026-05-03T10:00:02Z", {}),
    ("5", "report opened", "dev@ours.example", "p2", "2026-05-04T10:00:00Z", "2026-05-04T10:00:02Z", {"$groups": {"company": "acme"}}),
    ("6", "user signed in", "bob", "p3", "2026-05-05T10:00:00Z", "2026-05-05T10:00:02Z", {}),
)
PERSONS = [{"distinct_id": name, "person_id": person, "properties": "{}"} for name, person in (("anon-1", "p1"), ("ann", "p1"), ("bob", "p3"))]


def test_posthog_reads_events_of_persons_and_groups(run_pack: Run) -> None:
    run = run_pack("posthog", {"events": POSTHOG, "persons": PERSONS}, internal_domains=["ours.example"])
    assert run.rows("usage", *USE, order=ORDER) == [
        ("acme", "p1", "plan viewed", "2026-05-01 10:00:00", "2026-05-02 10:00:02"),
        ("acme", "p1", "report opened", "2026-05-02 10:00:00", "2026-05-02 10:00:02"),
        ("acme", "p1", "report opened", "2026-05-02 10:00:00", "2026-05-02 10:00:09"),
        ("acme", "p1", None, "2026-05-03 10:00:02", "2026-05-03 10:00:02"),
        (None, "p3", "login", "2026-05-05 10:00:00", "2026-05-05 10:00:02"),
    ]
    assert run["usage"]["event_id"].nunique() == 4
    assert sorted(run.users.itertuples(index=False, name=None)) == [("p1", "acme"), ("p2", "acme")]
    assert run.stated("received it").startswith("1 event ")
    assert run.stated("more than once").startswith("1 event ")
    assert run.stated("of PostHog itself").startswith("1 event ")


def test_posthog_without_persons_uses_the_person_of_the_event(run_pack: Run) -> None:
    run = run_pack("posthog", {"posthog_event": POSTHOG[:4]})
    assert run.rows("usage", "account_id", "user_id", order=ORDER) == [(None, "p0"), ("acme", "p1"), ("acme", "p1")]


# -- Pendo

PENDO = {
    "feature_event": """
visitor_id, account_id, feature_id, app_id, timestamp, num_events, num_minutes, _fivetran_synced
ann, acme, f1, 1, 2026-05-01 10:00:00, 2, 1, 2026-05-01 12:00:00
ann, acme, f1, 1, 2026-05-01 10:00:00, 5, 3, 2026-05-01 18:00:00
bob, , f2, 1, 2026-05-01 11:00:00, 1, 1, 2026-05-01 18:00:00
_PENDO_T_x, , f1, 1, 2026-05-01 11:00:00, 1, 1, 2026-05-01 18:00:00
dev, ours, f1, 1, 2026-05-01 11:00:00, 1, 1, 2026-05-01 18:00:00
""",
    "page_event": """
visitor_id, account_id, page_id, app_id, timestamp, num_events, num_minutes
ann, acme, g1, 1, 2026-05-01 10:00:00, 4, 12
""",
    "feature_history": "id, name, last_updated_at\nf1, Old name, 2026-01-01\nf1, Export, 2026-02-01",
    "account_history": "id, agent_name, last_updated_at\nacme, Acme Inc, 2026-02-01",
    "visitor_account_history": "visitor_id, account_id\nbob, beta",
}


def test_pendo_reads_hours_when_they_are_over(run_pack: Run) -> None:
    run = run_pack("pendo", PENDO, internal_accounts=["ours"])
    assert run.rows("usage", *USE, "quantity", "minutes", order=("occurred_at", "minutes")) == [
        ("acme", "ann", None, "2026-05-01 10:00:00", "2026-05-01 11:00:00", 4, 12),
        # The later sync replaced the counts of the hour.
        ("acme", "ann", "Export", "2026-05-01 10:00:00", "2026-05-01 11:00:00", 5, None),
        ("beta", "bob", "f2", "2026-05-01 11:00:00", "2026-05-01 12:00:00", 1, None),
    ]
    assert run["usage"]["event_id"].nunique() == 3
    assert sorted(run.users.itertuples(index=False, name=None)) == [("ann", "acme"), ("bob", "beta"), ("dev", "ours")]
    assert run.accounts.to_dict("records") == [{"account_id": "acme", "name": "Acme Inc"}]
    assert run.stated("not signed in").startswith("1 row ")
    assert run.stated("without a name in Pendo").startswith("1 feature ")


# -- All of them

VISITORS = {"visitor_history": "id, email, last_updated_at\nann, ann@acme.example, 2026-01-01"}


@pytest.mark.parametrize(
    ("tool", "tables", "people", "left"),
    [
        # Each option leaves out someone else; domains are compared without regard to case.
        ("segment", SEGMENT, {"internal_users": ["us1"], "internal_accounts": ["beta"], "internal_domains": ["ACME.example"]}, {"eve"}),
        ("mixpanel", {"event": MIXPANEL}, {"internal_users": ["bob"], "internal_domains": ["Ours.Example"]}, {"ann"}),
        ("mixpanel", {"event": MIXPANEL}, {"internal_accounts": ["acme"]}, {"ann", "bob"}),
        ("amplitude", {"event": AMPLITUDE}, {"internal_users": ["eve"], "internal_accounts": ["beta"], "internal_domains": ["OURS.example"]}, {"ann"}),
        ("posthog", {"events": POSTHOG, "persons": PERSONS}, {"internal_users": ["bob"], "internal_domains": ["OURS.example"]}, {"p1"}),
        ("posthog", {"events": POSTHOG, "persons": PERSONS}, {"internal_accounts": ["acme"]}, {"p3"}),
        ("pendo", PENDO | VISITORS, {"internal_users": ["bob"], "internal_domains": ["ACME.example"]}, {"dev"}),
    ],
)  # fmt: skip
def test_your_own_people_are_left_out(run_pack: Run, tool: str, tables: dict[str, Any], people: dict[str, list[str]], left: set[str]) -> None:
    run = run_pack(tool, tables, **people)
    assert set(run["usage"].user_id) == left
    for options in people.values():
        assert not set(run["usage"].account_id.dropna()) & set(options)


#: 2026-05-01 10:00:00 and ten seconds later, in milliseconds.
SENT, RECEIVED = 1777629600000, 1777629610000


@pytest.mark.parametrize(
    ("tool", "table", "row", "known"),
    [
        ("segment", "tracks", {"id": "a", "user_id": "ann", "anonymous_id": "x", "event": "Go", "timestamp": SENT, "received_at": RECEIVED}, "2026-05-01 10:00:10"),
        ("mixpanel", "export", {"$insert_id": "a", "event": "Go", "time": SENT // 1000, "distinct_id": "ann", "$mp_processing_time_ms": RECEIVED}, "2026-05-01 10:00:10"),
        ("amplitude", "events", {"_insert_id": "a", "user_id": "ann", "device_id": "d", "event_type": "Go", "event_time": SENT, "server_upload_time": RECEIVED}, "2026-05-01 10:00:10"),
        ("posthog", "events", {"uuid": "a", "distinct_id": "ann", "event": "Go", "timestamp": SENT, "created_at": RECEIVED, "properties": "{}"}, "2026-05-01 10:00:10"),
        ("pendo", "feature_event", {"visitor_id": "ann", "account_id": None, "feature_id": "Go", "timestamp": SENT, "num_events": 1}, "2026-05-01 11:00:00"),
    ],
)  # fmt: skip
def test_milliseconds_are_instants_and_a_user_without_an_account_keeps_the_events(run_pack: Run, tool: str, table: str, row: dict[str, Any], known: str) -> None:
    run = run_pack(tool, {table: [row]})
    assert run.rows("usage", *USE) == [(None, "ann", "Go", "2026-05-01 10:00:00", known)]


# -- Recognition

_TABLES = {
    "segment": {name: rows.strip().splitlines()[0] for name, rows in SEGMENT.items()},
    "mixpanel": {"event": MIXPANEL.strip().splitlines()[0]},
    "amplitude": {"event": AMPLITUDE.strip().splitlines()[0]},
    "posthog": {"events": ",".join(POSTHOG[0]), "persons": ",".join(PERSONS[0])},
    "pendo": {name: rows.strip().splitlines()[0] for name, rows in PENDO.items()},
}


@pytest.mark.parametrize("tool", _TABLES)
def test_each_tool_is_recognized_by_its_tables(tool: str) -> None:
    relations = [Relation(name, {c.strip(): "VARCHAR" for c in header.split(",")}) for name, header in _TABLES[tool].items()]
    (first, *others) = recognize(relations)
    assert (first.pack.name, first.missing, first.ambiguous) == (tool, (), ())
    assert all(each.missing for each in others)
