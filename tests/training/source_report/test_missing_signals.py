"""Only what a source lacks is proposed, by what it is worth elsewhere, and with what would add it."""

from __future__ import annotations

from typing import Any

import pytest

from features.contract.schema import TABLES
from features.feed_health.feed_health import feed_health
from features.signals.validation import check_source
from features.sources.base import from_tables
from training.source_report import signal_values as module
from training.source_report.missing_signals import SIGNAL_COLUMNS, SIGNAL_WORDS, MissingSignal, missing_signals
from training.source_report.signal_values import SignalValue, SignalValues, ValueRange, most_valuable, signal_values
from training.source_report.table_readings import table_readings

ACCOUNTS = [{"account_id": "a", "created_at": "2026-01-05"}]
SUBSCRIPTIONS = [{"account_id": "a", "started_at": "2026-06-01", "arr": 100.0}]
USAGE = [{"account_id": "a", "occurred_at": "2026-06-02"}]


def _value(signal: str, churn: tuple[float, float], expansion: tuple[float, float], alone: tuple[float, float] | None = None, spread: float = 0.0) -> SignalValue:
    full = {"churn": ValueRange(*churn), "expansion": ValueRange(*expansion)}
    own = {"churn": ValueRange(*alone), "expansion": ValueRange(0.0, 0.0)} if alone else {}
    return SignalValue(signal, "contracts", full, own, {"churn": spread, "expansion": 0.0})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that are easy to order."""
    values = {
        "support": _value("support", (0.04, 0.07), (0.01, 0.01), (0.10, 0.30)),
        "usage": _value("usage", (0.05, 0.20), (0.30, 0.50)),
        "usage.user_id": _value("usage.user_id", (0.02, 0.02), (0.10, 0.20)),
        "billing": _value("billing", (0.03, 0.30), (-0.01, 0.01)),
        "company": _value("company", (-0.01, 0.20), (-0.02, 0.30)),
        "outcomes": _value("outcomes", (0.001, 0.002), (0.0, 0.0)),
        "subscriptions.seats": _value("subscriptions.seats", (0.0, 0.0), (0.10, 0.14)),
        "noisy": _value("noisy", (0.10, 0.30), (0.0, 0.0), spread=0.20),
        "steady": _value("steady", (0.01, 0.03), (0.0, 0.0), spread=0.019),
    }
    opinion = {"usage": {"churn": ValueRange(0.2, 0.4)}}
    made = SignalValues("2026-01-01", "Somewhere.", {"contracts": values, "orders": {}}, opinion)
    monkeypatch.setattr(module, "signal_values", lambda: made)
    monkeypatch.setattr("training.source_report.missing_signals.signal_values", lambda: made)


def _missing(to_arrow: Any, **tables: list[dict[str, Any]]) -> tuple[MissingSignal, ...]:
    given = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS} | tables
    source = from_tables({n: to_arrow(n, rows) for n, rows in given.items()}, "a test")
    return missing_signals(feed_health(source), table_readings(source, check_source(source).rows))


@pytest.mark.usefixtures("measured")
def test_the_three_most_valuable_of_what_is_lacking_come_first(to_arrow: Any) -> None:
    missing = _missing(to_arrow, usage=USAGE)
    # 0.17 of users, 0.165 of billing, 0.12 of seats; 0.065 of support is the fourth. The whole table of usage is there.
    assert [each.signal for each in missing] == ["usage.user_id", "billing", "subscriptions.seats"]
    users, billing, _ = missing
    assert billing.worth == "elsewhere worth 3 to 30% for churn and 0 to 1% for expansion"
    assert billing.cure.startswith("add the table billing (account_id, occurred_at and kind)")
    assert "Stripe" in billing.cure
    assert users.cure == "fill usage.user_id"


@pytest.mark.usefixtures("measured")
def test_a_signal_that_is_filled_is_not_proposed_and_an_empty_one_is(to_arrow: Any) -> None:
    seats = [SUBSCRIPTIONS[0] | {"seats": 5}]
    users = [USAGE[0] | {"user_id": "u"}, USAGE[0] | {"occurred_at": "2026-06-03", "user_id": None}]
    signals = {each.signal for each in _missing(to_arrow, subscriptions=seats, usage=users)}
    assert signals == {"billing", "support"}
    empty = [USAGE[0] | {"user_id": None}]
    assert "usage.user_id" in {each.signal for each in _missing(to_arrow, usage=empty)}
    assert "billing" in {each.signal for each in _missing(to_arrow, usage=users, billing=[])}, "a table without rows"


def test_contacts_without_roles_do_not_carry_the_signal_of_roles(
    to_arrow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.source_report.missing_signals.PROPOSED", 20)
    contacts = [{"account_id": "a", "contact_id": "c", "occurred_at": "2026-06-01", "role": "user", "event": "joined"}]
    given = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "relationship": contacts, "usage": USAGE}
    source = from_tables({n: to_arrow(n, rows) for n, rows in given.items()}, "a test")
    feeds, readings = feed_health(source), table_readings(source, check_source(source).rows)
    assert "relationship" not in {each.signal for each in missing_signals(feeds, readings)}
    records = {"relationship": {"role": frozenset({"user"})}}
    lacking = {each.signal: each.cure for each in missing_signals(feeds, readings, records)}
    assert lacking["relationship"] == (
        "record a relationship.role such as champion, executive sponsor and decision maker"
    )


@pytest.mark.usefixtures("measured")
def test_a_table_without_rows_that_is_read_already_is_not_to_be_added(to_arrow: Any) -> None:
    given = {"accounts": ACCOUNTS, "subscriptions": SUBSCRIPTIONS, "usage": USAGE, "billing": []}
    source = from_tables({n: to_arrow(n, rows) for n, rows in given.items()}, "a test")
    feeds, readings = feed_health(source), table_readings(source, check_source(source).rows)
    place = {"billing": "the pack stripe of billing"}
    cures = {each.signal: each.cure for each in missing_signals(feeds, readings, places=place)}
    assert cures["billing"] == "the pack stripe of billing gives no rows of billing: see above what was left out"


@pytest.mark.usefixtures("measured")
def test_without_other_events_a_table_counts_by_what_it_adds_alone(to_arrow: Any) -> None:
    by_signal = {each.signal: each for each in _missing(to_arrow)}
    assert by_signal["support"].worth == "elsewhere worth 10 to 30% for churn and 0% for expansion"
    assert by_signal["usage"].second_opinion == {"churn": ValueRange(0.2, 0.4)}
    assert "usage.user_id" not in by_signal, "the table itself is proposed"


@pytest.mark.usefixtures("measured")
def test_values_that_may_be_zero_or_hardly_count_are_left_out() -> None:
    chosen = most_valuable(["company", "outcomes", "support", "unknown"], True, True, 3)
    assert [value.signal for value, _ in chosen] == ["support"]
    assert most_valuable(["support"], False, True, 3) == [], "not measured without contracts"


@pytest.mark.usefixtures("measured")
def test_a_value_that_does_not_exceed_its_spread_over_seeds_is_left_out() -> None:
    # 20% with a spread of 20 points may be chance; 2% with one of 1.9 points is more.
    chosen = most_valuable(["noisy", "steady"], True, True, 3)
    assert [value.signal for value, _ in chosen] == ["steady"]


@pytest.mark.parametrize("contractual", [True, False])
@pytest.mark.parametrize("has_events", [True, False])
def test_every_proposal_from_the_shipped_values_exceeds_its_spread(contractual: bool, has_events: bool) -> None:
    proposed = most_valuable(list(SIGNAL_WORDS), contractual, has_events, len(SIGNAL_WORDS))
    for value, by_target in proposed:
        assert any(each.low > 0 and each.middle > value.spread[target] for target, each in by_target.items())


def test_the_shipped_values_are_complete_and_in_order() -> None:
    shipped = signal_values()
    assert shipped.about.endswith(".")
    for kind, base in (("contracts", {"usage", "support", "billing"}), ("orders", {"support", "engagement"})):
        values = shipped.values[kind]
        assert base <= set(values) <= set(SIGNAL_WORDS)
        for signal, value in values.items():
            assert set(value.full) == set(value.spread) == {"churn", "expansion"}
            assert bool(value.alone) is ("." not in signal)
            assert all(-1 < each.low <= each.high < 1.5 for ranges in (value.full, value.alone) for each in ranges.values())


def test_signals_are_tables_and_columns_of_the_contract() -> None:
    for signal in SIGNAL_WORDS:
        table, _, column = signal.partition(".")
        assert set(SIGNAL_COLUMNS.get(signal, (column,)) if column else ()) <= set(TABLES[table].names)
