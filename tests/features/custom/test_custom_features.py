"""Custom features are computed as declared, and mistakes in the file are reported with their location."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.contract.current_contract import reset_declarations
from features.custom.current_catalogue import current_catalogue, with_custom_features
from features.errors import BadRequest
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid

EXAMPLE = Path(__file__).resolve().parents[3] / "notebooks" / "examples" / "own-features.toml"
AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
NAN = float("nan")
Read = Callable[[str], Catalogue]

TABLES: dict[str, list[dict[str, Any]]] = {
    "accounts": [{"account_id": a, "created_at": "2024-01-01"} for a in ("a", "b")],
    "subscriptions": [
        {"account_id": a, "started_at": "2024-01-01", "ended_at": end, "arr": 12.0, "seats": 4, "plan": plan, "end_reason": why}
        for a, end, plan, why in (("a", None, "pro", None), ("a", "2026-06-01", "add", "cancelled"), ("b", None, "pro", None))
    ],
    "usage": [
        {"account_id": a, "occurred_at": at, "user_id": user, "feature": feature, "minutes": minutes}
        for a, at, user, feature, minutes in (
            ("b", "2024-01-02", "z", "exports", 1.0),
            ("a", "2026-06-30", "u", "exports", 45.0),
            ("a", "2026-06-29", "v", "reports", 5.0),
            ("a", "2026-06-28", "v", "it's", 30.0),
            ("a", "2026-05-01", "u", "exports", None),
            ("a", "2026-07-01", "u", "exports", 99.0),
        )
    ],
    "engagement": [
        {"account_id": "a", "occurred_at": "2026-06-21", "kind": "community", "outcome": "posted"},
        {"account_id": "a", "occurred_at": "2026-06-29", "kind": "email", "outcome": "ignored"},
    ],
    "support": [
        {"account_id": a, "ticket_id": t, "occurred_at": at, "resolved_at": resolved, "severity": "low", "csat": csat, "escalated": e}
        for a, t, at, resolved, csat, e in (
            ("b", "0", "2024-01-05", "2024-01-06", 5.0, False),
            ("a", "1", "2026-06-01", "2026-06-20", 2.0, True),
            ("a", "2", "2026-06-01", "2026-07-01", 1.0, False),
        )
    ],
    "relationship": [
        {"account_id": "a", "contact_id": c, "occurred_at": at, "role": "admin", "event": event}
        for c, at, event in (("x", "2025-01-01", "joined"), ("y", "2025-01-01", "joined"), ("y", "2026-01-01", "left"))
    ],
    "outcomes": [
        {"account_id": "a", "occurred_at": at, "kind": "roi_reported", "value": value}
        for at, value in (("2024-03-01", 1.5), ("2026-03-01", 2.5), ("2026-08-01", 9.0))
    ],
}  # fmt: skip


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that builds the catalogue from the text of a custom feature file."""

    def read_text(text: str) -> Catalogue:
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        return with_custom_features(tmp_path / "mine.toml")

    return read_text


def _feature(**keys: Any) -> str:
    """Return one TOML entry with default keys, overridden by ``keys``."""
    entry = {"name": '"own.x"', "table": '"usage"', "measure": '"count"', "unit": '"uses"', "words": '"uses in {w} days"'}
    entry |= {"windows": "[28]"} | keys
    return "[[features]]\n" + "".join(f"{key} = {value}\n" for key, value in entry.items() if value is not None)


def _values(make_signals: Any, catalogue: Catalogue) -> dict[str, float]:
    """Return the custom features of account a."""
    frame = snapshot(make_signals(TABLES, "2027-01-01"), Grid.single(AS_OF), catalogue=catalogue)
    assert frame.columns.tolist() == ["account_id", "as_of", *catalogue]
    row = frame.set_index("account_id").loc["a"]
    return {name: row[name] for name in catalogue if name not in CATALOGUE}


def test_the_example_file_is_computed_as_declared(make_signals: Any) -> None:
    values = _values(make_signals, with_custom_features(EXAMPLE))
    assert values == pytest.approx(
        {
            "own.exports_28d": 2,
            "own.exports_91d": 3,
            # Two in 28 days against one in the 63 before.
            "own.exports_trend_28d": (2 / 28) / (1 / 63),
            "own.long_sessions_share_91d": 2 / 4,
            # The second ticket is resolved exactly at as_of, so its mark is not known yet.
            "support.bad_marks_182d": 1,
            "own.days_since_community": 10,
            "own.admins": 1,
        }
    )


MEASURED: list[tuple[dict[str, Any], float]] = [
    ({"where": '{ feature = "exports" }'}, 1),
    ({"where": '{ feature = "it\'s" }'}, 1),
    ({"where": '{ feature = ["exports", "reports"], minutes = { max = 5 } }'}, 1),
    ({"where": "{ minutes = { min = 5, max = 30 } }"}, 2),
    ({"where": "{ minutes = { known = false } }", "windows": "[91]"}, 1),
    ({"measure": '"sum"', "value": '"minutes"'}, 80),
    ({"measure": '"distinct"', "key": '"user_id"', "windows": "[91]"}, 2),
    ({"measure": '"distinct"', "key": '"user_id"', "against_days_ago": "28", "windows": "[45]"}, 2 / 1),
    ({"measure": '"sum"', "value": '"minutes"', "per": '"usage.active_users_{w}d"'}, 40),
    ({"measure": '"newest"', "windows": None, "words": '"days"', "where": '{ user_id = "v" }'}, 2),
    ({"measure": '"oldest"', "windows": None, "words": '"days"', "unit": None}, 61),
    ({"measure": '"latest"', "windows": None, "words": '"x"', "table": '"outcomes"', "value": '"value"'}, 2.5),
    ({"measure": '"count"', "table": '"support"', "where": "{ escalated = true }", "windows": "[91]"}, 1),
    ({"measure": '"count"', "table": '"support"', "where": "{ resolved_at = { known = true } }"}, 1),
    ({"measure": '"count"', "table": '"subscriptions"', "where": '{ end_reason = "cancelled" }', "windows": "[91]"}, 1),
    ({"measure": '"sum"', "table": '"subscriptions"', "value": '"seats"', "windows": "[364]"}, 0),
    # The feed never had a topic: unknown rather than zero.
    ({"measure": '"count"', "table": '"support"', "where": '{ topic = "price" }'}, NAN),
    ({"table": '"orders"'}, NAN),
]  # fmt: skip


@pytest.fixture(scope="module")
def measured(make_signals: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Return account a's value of each entry of MEASURED by its position, without window suffixes."""
    file = tmp_path_factory.mktemp("own") / "mine.toml"
    file.write_text("\n".join(_feature(name=f'"own.x{i}_"', **keys) for i, (keys, _) in enumerate(MEASURED)), encoding="utf-8")
    return {name.split("_")[0]: value for name, value in _values(make_signals, with_custom_features(file)).items()}


@pytest.mark.parametrize(("place", "value"), [(i, value) for i, (_, value) in enumerate(MEASURED)])
def test_every_measure_counts_what_was_known(measured: dict[str, float], place: int, value: float) -> None:
    assert measured[f"own.x{place}"] == pytest.approx(value, nan_ok=True), MEASURED[place]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"table": '"use"'}, r"mine.toml: feature own.x, key table: use is not a table that can be measured.*\n.*one of .*usage"),
        ({"table": '"accounts"'}, "accounts is not a table that can be measured"),
        ({"name": '"support.x"'}, r"the name begins with the name of another table\n.*own.… or usage.…"),
        ({"name": '"Own X"'}, r"feature Own X, key name.*\n.*own.exports"),
        ({"name": '"usage.events"'}, "usage.events_28d is also the name of a built-in feature"),
        ({"measure": '"median"'}, "key measure: Input should be 'count', 'sum'"),
        ({"color": "1"}, r"key color: Extra inputs are not permitted\n.*name, table, measure"),
        ({"words": None}, r"key words: Field required"),
        ({"words": '"uses"', "windows": None}, r"key words: all windows would have the same text\n.*\{w\}"),
        ({"unit": None}, "key unit: missing"),
        ({"windows": "[0]"}, r"key windows.0: Input should be greater than or equal to 1"),
        ({"windows": "[28, 28]"}, "own.x_28d is also the name of another feature in the file"),
        ({"direction": '"bad"'}, "key direction: Input should be 'raises_risk' or 'lowers_risk'"),
        ({"value": '"minutes"'}, r"key value: not allowed here\n.*count takes neither"),
        ({"measure": '"sum"'}, r"key value: missing\n.*sum takes value"),
        ({"measure": '"sum"', "value": '"feature"'}, r"feature is not a number\n.*quantity, minutes"),
        ({"measure": '"distinct"', "key": '"minutes"'}, r"minutes is not a text\n.*user_id, feature"),
        ({"measure": '"newest"'}, "newest uses the whole history and takes no windows"),
        ({"where": '{ color = "x" }'}, r"key where: usage has no column color\n.*one of .*feature"),
        ({"where": '{ account_id = "x" }'}, "no column account_id"),
        ({"where": '{ minutes = "x" }'}, r"key where.minutes: not a valid value for this column\n.*a number"),
        ({"where": "{ minutes = nan }"}, "not a valid value for this column"),
        ({"where": f"{{ minutes = {{ min = {10**400} }} }}"}, "an invalid condition"),
        ({"where": "{ minutes = true }"}, "not a valid value for this column"),
        ({"where": "{ feature = [] }"}, "not a valid value for this column"),
        ({"where": "{ feature = { min = 1 } }"}, r"an invalid condition\n.*\{known = true\}"),
        ({"where": "{ minutes = { over = 1 } }"}, r"an invalid condition\n.*\{min = 1, max = 2\}"),
        ({"where": "{ occurred_at = 2026-01-01 }"}, "instants can only be selected by windows"),
        ({"table": '"support"', "where": '{ severity = "huge" }'}, "severity is one of low, normal, high, urgent"),
        ({"table": '"support"', "where": "{ csat = { known = false } }"}, "rows with unknown values in this column cannot be selected"),
        ({"per": '"usage.event_{w}d"'}, r"key per: there is no numeric feature usage.event_28d\n.*usage.events_28d"),
        ({"per": '"contract.plan"'}, "there is no numeric feature contract.plan"),
        ({"per": '"contract.seats"', "trend_days": "91"}, "only one of per, against_days_ago and trend_days"),
        ({"trend_days": "28"}, "not longer than the longest window"),
        ({"measure": '"distinct"', "key": '"user_id"', "trend_days": "91"}, "do not add up"),
    ],
)  # fmt: skip
def test_mistakes_are_reported_with_their_location(read: Read, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(_feature(**keys))
    assert re.search(f"(?s){message}", str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("mine.toml: feature ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("= 3", "mine.toml is not valid TOML"),
        ("", "key features: Field required"),
        ("[[feature]]\n", "key features: Field required"),
        ("features = [3]", "feature number 1: Input should be a valid dictionary"),
        ("[[features]]\n[[features]]\nname = 'own.b'", "feature number 1, key name: Field required"),
    ],
)
def test_files_with_another_structure_are_rejected(read: Read, text: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        read(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"none.toml cannot be read.*\n.*\n.*RENEWCAST_FEATURES"):
        with_custom_features(tmp_path / "none.toml")


def test_the_version_covers_definitions_and_not_only_names(read: Read) -> None:
    base = read(_feature(where='{ feature = "exports" }'))
    assert base.version == read("# the same\n" + _feature(where='{ feature = "exports" }')).version
    others = [
        CATALOGUE,
        read(_feature(where='{ feature = "reports" }')),
        read(_feature(where='{ feature = "exports" }', per='"contract.seats"')),
        read(_feature(where='{ feature = "exports" }', against_days_ago="28")),
    ]
    assert len({catalogue.version for catalogue in (base, *others)}) == 5


def test_built_in_features_come_first_and_are_unchanged(read: Read) -> None:
    catalogue = read(_feature())
    assert list(catalogue)[: len(CATALOGUE)] == list(CATALOGUE)
    own = catalogue["own.x_28d"]
    assert (own.dimension, own.concept, own.words) == ("usage", "x", "uses in 28 days")
    assert catalogue.custom_text == _feature()
    assert CATALOGUE.custom_text == ""


@pytest.fixture
def _empty_cache() -> Iterator[None]:
    reset_declarations()
    yield
    reset_declarations()


@pytest.mark.usefixtures("_empty_cache")
@pytest.mark.parametrize("value", [None, "", str(EXAMPLE)])
def test_the_environment_names_the_file(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("RENEWCAST_FEATURES", raising=False)
    else:
        monkeypatch.setenv("RENEWCAST_FEATURES", value)
    assert ("own.exports_28d" in current_catalogue()) == bool(value)
    assert value or current_catalogue() is CATALOGUE
