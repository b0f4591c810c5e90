"""One company, many ids: components, canonical ids, counts, and independence of any order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SignalsError
from features.signals.validation import check_source
from features.sources.mapping.identity import join_companies
from tests.features.sources.mapping.conftest import OpenMapped, rows_of

SOURCES = ("crm", "billing", "support")
IDS = st.sampled_from(["1", "2", "3", "4", "5"])
UNIVERSE = st.tuples(*(st.sets(IDS) for _ in SOURCES)).map(lambda ids: dict(zip(SOURCES, ids, strict=True)))
LINKS = st.lists(st.tuples(*(st.none() | IDS for _ in SOURCES)), max_size=8)


@given(UNIVERSE, LINKS, st.randoms(use_true_random=False))
def test_the_order_of_accounts_and_links_has_no_effect(
    universe: dict[str, set[str]], links: list[tuple[str | None, ...]], random: object
) -> None:
    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = join_companies(universe, links, SOURCES)
    second = join_companies({s: sorted(ids, reverse=True) for s, ids in universe.items()}, shuffled, SOURCES)
    assert first == second


@given(UNIVERSE, LINKS)
def test_companies_are_the_connected_components(
    universe: dict[str, set[str]], links: list[tuple[str | None, ...]]
) -> None:
    companies = join_companies(universe, links, SOURCES)
    nodes = {(s, each) for s, ids in universe.items() for each in ids}
    for row in links:
        present = [(s, each) for s, each in zip(SOURCES, row, strict=True) if each is not None]
        nodes |= set(present)
        assert len({companies.account_ids[node] for node in present}) <= 1
    # Independent computation: labels spread along links until nothing changes.
    label = {node: node for node in nodes}
    for _ in nodes:
        for row in links:
            present = [(s, each) for s, each in zip(SOURCES, row, strict=True) if each is not None]
            least = min((label[node] for node in present), default=None)
            old = {label[node] for node in present}
            label = {node: least if each in old and least else each for node, each in label.items()}
    assert set(companies.account_ids) == nodes
    for one in nodes:
        for other in nodes:
            assert (label[one] == label[other]) == (companies.account_ids[one] == companies.account_ids[other])


@given(UNIVERSE, LINKS)
def test_the_id_is_that_of_the_first_source_that_has_one(
    universe: dict[str, set[str]], links: list[tuple[str | None, ...]]
) -> None:
    companies = join_companies(universe, links, SOURCES)
    for match in companies.matches:
        assert match.accounts == len(universe[match.source])
        assert 0 <= match.matched <= match.accounts
    for each in universe["crm"]:
        mates = [i for (s, i), name in companies.account_ids.items() if s == "crm" and i in universe["crm"] and name == companies.account_ids["crm", each]]
        assert companies.account_ids["crm", each] == min(mates)


def test_counts_on_both_sides() -> None:
    universe = {"crm": ["a", "b", "c"], "billing": ["1", "2", "3", "4"]}
    companies = join_companies(universe, [("a", "1"), ("a", "2"), ("b", "3"), ("x", "9")], ("crm", "billing"))
    crm, billing = companies.matches
    assert (crm.accounts, crm.matched, crm.absent, crm.merged) == (3, 2, 1, 0)
    assert (billing.accounts, billing.matched, billing.absent, billing.merged) == (4, 3, 1, 1)
    assert companies.account_ids["billing", "2"] == "a"
    assert companies.account_ids["billing", "4"] == "4"


def test_an_id_of_another_company_gets_the_name_of_its_source() -> None:
    companies = join_companies({"crm": ["7"], "support": ["7", "8"]}, [], ("crm", "support"))
    assert companies.account_ids == {("crm", "7"): "7", ("support", "7"): "support:7", ("support", "8"): "8"}
    assert companies.renamed == 1


FILES = {
    "crm/account": "id name since region\na1 Ann 2024-01-01 -\na2 Bob 2024-02-01 -\na3 Cy 2024-03-01 -",
    "billing/customer": "id name created region\nc1 Ann_Ltd 2023-01-01 EU\nc2 Ann_US 2024-05-01 US\nc3 Bob 2024-02-02 EU\nc4 Dee 2024-02-02 EU",
    "billing/plan": "customer start arr\nc1 2024-01-01 100\nc2 2024-01-01 20\nc3 2024-01-01 3\nc4 2024-01-01 1",
    "support/ticket": "id org opened level\nt1 o1 2025-01-01 low\nt2 o9 2025-01-01 low",
    "app/event": "who at company\nu1 2025-01-01 -\nu2 2025-01-01 -\nu3 2025-01-01 -\nu1 2025-01-01 c4",
    "crm/contact": "email account\nu1 a2\nu2 a1\nu2 a2",
    "links/pairs": "crm billing support\na1 c1 o1\na1 c2 -\na2 c3 -",
}
MAPPING = """
[sources.crm]
uri = "crm"
[sources.billing]
uri = "billing"
[sources.support]
uri = "support"
[sources.app]
uri = "app"
[files]
pairs = "links/pairs.csv"
[[tables.accounts]]
query = "SELECT id AS account_id, name, since AS created_at, region FROM account"
[[tables.accounts]]
query = "SELECT id AS account_id, name, created AS created_at, region FROM customer"
[tables.subscriptions]
from = "billing.plan"
columns = { account_id = "customer", started_at = "start" }
[tables.support]
from = "support.ticket"
columns = { account_id = "org", ticket_id = "id", occurred_at = "opened", severity = "level" }
orphans = "drop"
[tables.usage]
from = "app.event"
ids = "billing"
columns = { user_id = "who", occurred_at = "at", account_id = "company" }
orphans = "drop"
[identity]
accounts = "SELECT crm, billing, support FROM pairs"
users = "SELECT email AS user_id, account AS account_id FROM crm.contact"
"""


def test_sources_are_joined_by_their_companies(open_mapped: OpenMapped) -> None:
    source = open_mapped(MAPPING, FILES)
    assert check_source(source).ok
    assert rows_of(source, "accounts", "account_id", "name", "created_at", "region") == [
        # The earliest creation, the name of the CRM, and the region that only billing knows.
        ("a1", "Ann", "2023-01-01", "EU"),
        ("a2", "Bob", "2024-02-01", "EU"),
        ("a3", "Cy", "2024-03-01", None),
        ("c4", "Dee", "2024-02-02", "EU"),
    ]
    assert rows_of(source, "subscriptions", "account_id", "arr") == [("a1", "100"), ("a1", "20"), ("a2", "3"), ("c4", "1")]
    assert rows_of(source, "support", "account_id", "ticket_id") == [("a1", "t1")]
    # u1 is a contact of a2; u2 has two accounts, and u3 none.
    assert rows_of(source, "usage", "account_id", "user_id") == [("a2", "u1"), ("c4", "u1")]
    notes = "\n".join(source.notes)
    assert "2 of 3 accounts of crm have a partner in another source, 1 have none" in notes
    assert "3 of 4 accounts of billing have a partner in another source, 1 have none" in notes
    assert "1 account of billing merged into another one of billing" in notes
    assert "1 user of several accounts in identity.users" in notes
    assert "usage: 1 of 3 rows of billing without an account got that of their user in identity.users" in notes
    assert "usage: 2 rows without an account left out" in notes
    assert "support: 1 row of 1 account left out that are not in accounts" in notes


def test_another_spine(open_mapped: OpenMapped) -> None:
    source = open_mapped(MAPPING.replace("[identity]", "[identity]\nspine = 'billing'\nunmatched = 'drop'"), FILES)
    assert rows_of(source, "accounts", "account_id", "name") == [("c1", "Ann Ltd"), ("c3", "Bob"), ("c4", "Dee")]
    assert "accounts: 1 row of crm left out (not in the spine)" in source.notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[identity]", "[identity]\nshared = 'error'"), r"identity\.shared: 1 account of billing would be merged"),
        (("SELECT crm, billing,", "SELECT crm AS salesforce, billing,"), r"identity\.accounts: the column salesforce is not the name of a source"),
        (("SELECT crm, billing, support", "SELECT crm"), r"identity\.accounts: it has one column"),
        (("AS account_id FROM crm.contact", "AS a FROM crm.contact"), r"identity\.users: there is no column account_id"),
        (("FROM pairs", "FROM pears"), r"line 29, column 47\): the query of identity\.accounts does not run: it reads pears"),
        (("FROM customer\"", "FROM customer, crm.account a\""), r"reads billing and crm, and it is not clear whose account ids"),
        (("[identity]", "[identity]\nspine = 'crn'"), r"identity\.spine: there is no such source"),
    ],
)  # fmt: skip
def test_mistakes(open_mapped: OpenMapped, change: tuple[str, str], message: str) -> None:
    with pytest.raises(SignalsError, match=message):
        open_mapped(MAPPING.replace(*change), FILES)


TWO_TOOLS = """
[sources.desk]
uri = "desk"
pack = "zendesk"
[sources.app]
uri = "app"
pack = "mixpanel"
[tables]
accounts = "SELECT customer AS account_id, start AS created_at FROM plan"
subscriptions = "SELECT customer AS account_id, start AS started_at, arr FROM plan"
[files]
plan = "bill/plan.csv"
"""
TWO_TOOLS_FILES = {
    "desk/organization": "id name created_at\n900 Org 2024-01-01\n901 Org2 2024-01-01",
    "desk/ticket": "id organization_id requester_id created_at updated_at status priority\n1 900 7 2025-01-01 2025-01-01 open high",
    "desk/user": "id organization_id role created_at updated_at active\n7 900 end-user 2024-01-02 2024-01-02 true\n8 900 end-user 2024-01-02 2024-01-02 true",
    "app/event": "insert_id name time distinct_id\ni1 Export 2025-03-01 7\ni2 Export 2025-03-02 8",
    "app/people": "distinct_id company_id\n7 901",
    "bill/plan": "customer start arr\n900 2024-01-01 100\n901 2024-01-01 100",
}


def test_a_user_of_one_tool_is_not_the_user_of_another_with_the_same_id(open_mapped: OpenMapped) -> None:
    source = open_mapped(TWO_TOOLS, TWO_TOOLS_FILES)
    assert rows_of(source, "usage", "account_id", "user_id") == [("901", "7")]
    notes = "\n".join(source.notes)
    assert "usage: 1 of 2 rows of app without an account got that of their user in app" in notes
    assert "in desk" not in notes


def test_a_mapping_names_the_tool_that_knows_the_users_of_another(open_mapped: OpenMapped) -> None:
    users = "[identity]\nusers = 'SELECT * FROM desk.pack_users WHERE user_id = 8'\n"
    source = open_mapped(TWO_TOOLS + users, TWO_TOOLS_FILES)
    assert rows_of(source, "usage", "account_id", "user_id") == [("900", "8"), ("901", "7")]
    assert "usage: 1 of 2 rows of app without an account got that of their user in identity.users" in source.notes
    pairs = "accounts = 'SELECT a.account_id AS desk, a.account_id AS app FROM desk.pack_keys a'\n"
    source = open_mapped(TWO_TOOLS + users + pairs, TWO_TOOLS_FILES)
    assert rows_of(source, "usage", "account_id", "user_id") == [("900", "8"), ("901", "7")]


APART = """
[sources.crm]
uri = "crm"
[sources.shop]
uri = "shop"
[[tables.accounts]]
from = "crm.account"
[[tables.accounts]]
from = "shop.account"
[tables.subscriptions]
from = "shop.contract"
"""
TWO = {
    "crm/account": "account_id created_at shop_id\n1 2024-01-01 _\n2 2024-01-01 _\n3 2024-01-01 s4",
    "shop/account": "account_id created_at\n1 2024-01-01\ns4 2024-01-01",
    "shop/contract": "account_id started_at arr\n1 2024-01-01 10\ns4 2024-01-01 20",
}


def test_equal_ids_of_two_sources_stay_apart_if_nothing_joins_them(open_mapped: OpenMapped) -> None:
    source = open_mapped(APART, TWO)
    assert check_source(source).ok
    assert rows_of(source, "accounts", "account_id") == [("1",), ("2",), ("3",), ("s4",), ("shop:1",)]
    assert rows_of(source, "subscriptions", "account_id", "arr") == [("s4", "20"), ("shop:1", "10")]
    assert any("1 account whose id another source uses for another company" in note for note in source.notes)


def test_a_source_may_say_that_its_ids_are_those_of_another(open_mapped: OpenMapped) -> None:
    source = open_mapped(APART.replace('"shop.account"', '"shop.account"\nids = "crm"'), TWO)
    assert rows_of(source, "accounts", "account_id") == [("1",), ("2",), ("3",), ("s4",)]


def test_a_blank_id_joins_nothing(open_mapped: OpenMapped) -> None:
    identity = '[identity]\naccounts = "SELECT account_id AS crm, shop_id AS shop FROM crm.account"\n'
    source = open_mapped(APART + identity, TWO)
    assert rows_of(source, "accounts", "account_id") == [("1",), ("2",), ("3",), ("shop:1",)]
    assert not any("merged into another one" in note for note in source.notes)
    assert rows_of(source, "subscriptions", "account_id", "arr") == [("3", "20"), ("shop:1", "10")]


MERGED = "[identity]\nmerged = 'SELECT account_id, merged_into FROM crm.account'\n"


def test_a_merged_account_keeps_its_partners_in_other_sources(open_mapped: OpenMapped) -> None:
    files = {
        "crm/account": "account_id created_at merged_into\n1 2024-01-01 -\n2 2023-01-01 1\n3 2024-01-01 -",
        "shop/account": "account_id created_at crm_id\ns1 2024-01-01 1\ns2 2024-01-01 2\ns3 2024-01-01 3",
        "shop/contract": "account_id started_at arr\ns1 2024-01-01 10\ns2 2024-01-01 20\ns3 2024-01-01 40",
    }
    links = "accounts = 'SELECT crm_id AS crm, account_id AS shop FROM shop.account'\n"
    source = open_mapped(APART + MERGED + links, files)
    assert rows_of(source, "accounts", "account_id", "created_at") == [("1", "2023-01-01"), ("3", "2024-01-01")]
    assert rows_of(source, "subscriptions", "account_id", "arr") == [("1", "10"), ("1", "20"), ("3", "40")]


def test_equal_ids_of_another_source_are_merged_only_if_they_are_the_same_companies(open_mapped: OpenMapped) -> None:
    crm = "account_id created_at merged_into\n1 2024-01-01 -\n2 2024-01-01 1"
    contract = "account_id started_at arr\n1 2024-01-01 10\n2 2024-01-01 20"
    apart = open_mapped(
        APART + MERGED, {"crm/account": crm, "shop/account": "account_id created_at\n2 2024-01-01\n1 2024-01-01", "shop/contract": contract}
    )
    assert rows_of(apart, "subscriptions", "account_id", "arr") == [("2", "20"), ("shop:1", "10")]
    same = APART.replace('[[tables.accounts]]\nfrom = "shop.account"\n', "") + MERGED
    assert rows_of(open_mapped(same, {"crm/account": crm, "shop/contract": contract}), "subscriptions", "account_id", "arr") == [
        ("1", "10"),
        ("1", "20"),
    ]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT account_id FROM crm.account", "there is no column merged_into"),
        ("SELECT a.account_id, b.account_id AS merged_into FROM crm.account a, shop.account b", "the query reads crm and shop"),
    ],
)
def test_a_query_of_merged_accounts_that_cannot_be_read(query: str, problem: str, open_mapped: OpenMapped) -> None:
    with pytest.raises(SignalsError, match=problem):
        open_mapped(APART + f"[identity]\nmerged = '{query}'\n", TWO)
