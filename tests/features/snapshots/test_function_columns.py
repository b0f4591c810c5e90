"""Features of Python functions: they get only rows known before the date, and give one number for each account."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import renewcast
from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.custom.current_catalogue import current_catalogue
from features.errors import BadRequest, FeatureError
from features.signals.signals import open_signals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.sources.open_source import open_source
from features.utils.dates import Grid

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
ROWS: dict[str, list[dict[str, Any]]] = {
    "accounts": [{"account_id": a, "created_at": "2024-01-01", "industry": i} for a, i in (("a", "x"), ("b", "y"), ("c", "x"))],
    "subscriptions": [
        {"account_id": a, "started_at": "2024-01-01", "ended_at": end, "arr": 12.0, "end_reason": "cancelled" if end else None}
        for a, end in (("a", None), ("b", "2026-09-01"), ("c", None))
    ],
    "usage": [
        {"account_id": "b", "occurred_at": "2024-01-02", "quantity": 1.0, "user_id": "z"},
        {"account_id": "a", "occurred_at": "2026-06-27", "quantity": 2.0, "user_id": "u"},
        {"account_id": "a", "occurred_at": "2026-06-29", "quantity": None, "user_id": "v"},
        {"account_id": "a", "occurred_at": "2026-06-29", "quantity": 4.0, "user_id": "u", "loaded_at": "2026-07-01"},
        {"account_id": "a", "occurred_at": "2026-07-01", "quantity": 99.0, "user_id": "u"},
        {"account_id": "b", "occurred_at": "2026-06-30T23:59:59.999999Z", "quantity": 5.0, "user_id": "w"},
        {"account_id": "b", "occurred_at": "2026-06-03", "quantity": 7.0, "user_id": "w"},
        {"account_id": "b", "occurred_at": "2026-06-02T23:59:59Z", "quantity": 8.0, "user_id": "w"},
    ],
    "support": [
        {"account_id": "b", "ticket_id": "0", "occurred_at": "2024-01-05", "severity": "low", "escalated": False},
        {"account_id": "a", "ticket_id": "1", "occurred_at": "2026-06-10", "resolved_at": "2026-06-12", "severity": "low", "csat": 2.0, "escalated": True},
        {"account_id": "a", "ticket_id": "2", "occurred_at": "2026-06-11", "resolved_at": "2026-07-01", "severity": "low", "csat": 5.0},
    ],
}  # fmt: skip
HEAD = "import renewcast\nimport pandas as pd\nimport numpy as np\n"
Declare = Callable[..., Path]


def _function(body: str, **more: Any) -> str:
    """Return a file with one function of usage, with default arguments overridden by ``more``."""
    keys: dict[str, Any] = {"name": "own.x", "reads": {"usage": ["occurred_at", "quantity"]}, "days": 28, "unit": "u", "words": "x"}
    arguments = ", ".join(f"{k}={v!r}" for k, v in (keys | more).items())
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{HEAD}\n@renewcast.feature({arguments})\ndef x(rows, as_of):\n{lines}"


def _own() -> Catalogue:
    return Catalogue(tuple(f for f in current_catalogue().values() if f.name not in CATALOGUE))


def _values(make_signals: Any, grid: Grid | None = None, **more: Any) -> pd.DataFrame:
    """Return the declared features at AS_OF by account."""
    signals = make_signals(ROWS, "2027-01-01", **more)
    return snapshot(signals, grid or Grid.single(AS_OF), catalogue=_own()).set_index("account_id").drop(columns="as_of")


@pytest.fixture
def seen(declare: Declare, make_signals: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, pd.DataFrame]]:
    """Return a function that returns the rows that a function gets."""

    def rows_of(**more: Any) -> dict[str, pd.DataFrame]:
        given: list[dict[str, pd.DataFrame]] = []
        monkeypatch.setattr(np, "collect_rows", given.append, raising=False)
        declare(_function("np.collect_rows(rows)\nassert as_of == pd.Timestamp('2026-07-01', tz='UTC')\nreturn pd.Series(dtype=float)", **more), "own.py")
        _values(make_signals)
        (only,) = given
        return only

    return rows_of


def test_a_function_gets_the_rows_of_the_window_known_before_the_date(seen: Any) -> None:
    usage = seen()["usage"]
    assert usage.columns.tolist() == ["account_id", "occurred_at", "quantity"]
    # In the order of account and instant; the late row, those at the date and those before the window are missing.
    assert usage.astype({"occurred_at": str}).fillna(-1).to_numpy().tolist() == [
        ["a", "2026-06-27 00:00:00.000000+00:00", 2.0],
        ["a", "2026-06-29 00:00:00.000000+00:00", -1],
        ["b", "2026-06-03 00:00:00.000000+00:00", 7.0],
        ["b", "2026-06-30 23:59:59.999999+00:00", 5.0],
    ]


def test_columns_have_one_type_whatever_the_rows_hold(seen: Any) -> None:
    reads = {"support": ["escalated", "severity", "resolved_at", "csat", "topic"], "subscriptions": ["seats"]}
    rows = seen(reads=reads)
    types = {"account_id": "str", "escalated": "boolean", "severity": "str", "resolved_at": "datetime64[us, UTC]", "csat": "float64", "topic": "str"}
    assert rows["support"].dtypes.astype(str).to_dict() == types
    assert str(rows["subscriptions"]["seats"].dtype) == "float64"


def test_values_filled_in_later_are_missing_until_then(seen: Any) -> None:
    rows = seen(reads={"support": ["ticket_id", "resolved_at", "csat"], "subscriptions": ["ended_at", "end_reason"], "accounts": ["industry"]})
    assert rows["support"]["csat"].fillna(-1).tolist() == [2.0, -1]
    assert rows["support"]["resolved_at"].notna().tolist() == [True, False]
    # Tables without events are read whole.
    assert len(rows["subscriptions"]) == 3
    assert rows["subscriptions"][["ended_at", "end_reason"]].isna().all(axis=None)
    assert rows["accounts"]["industry"].tolist() == ["x", "y", "x"]


def test_values_are_unknown_where_the_function_gives_none_or_the_feed_is_too_short(declare: Declare, make_signals: Any) -> None:
    mean = "usage = rows['usage']\nreturn usage.groupby('account_id')['quantity'].sum()"
    declare(_function(mean) + _function(mean, name="own.long", days=3000)[len(HEAD):].replace("def x", "def y"), "own.py")
    values = _values(make_signals)
    assert values["own.x"].fillna(-1).to_dict() == {"a": 2.0, "b": 12.0, "c": -1}
    # Every account is younger than the window, but the feed starts a day after them.
    assert values["own.long"].isna().all()
    declare(_function("return rows['usage'].groupby('account_id')['minutes'].sum()", reads={"usage": ["minutes"]}), "own.py")
    assert _values(make_signals)["own.x"].isna().all(), "the source has no minutes"


def test_a_function_is_called_once_for_each_date(declare: Declare, make_signals: Any) -> None:
    declare(HEAD + "CALLS = []\n" + _function("CALLS.append(as_of)\nreturn pd.Series({'a': float(len(CALLS))})")[len(HEAD):], "own.py")
    grid = Grid(datetime(2026, 6, 3, tzinfo=UTC), 7, 5)
    assert _values(make_signals, grid).loc["a", "own.x"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('SECRET')", r"feature own.x: KeyError at line 7, as of 2026-07-01"),
        ("return int(rows['usage']['account_id'].iloc[0])", r"feature own.x: ValueError at line 7"),
        ("raise SystemExit(3)", "feature own.x: SystemExit at line 7"),
        ("return 1.0", "returned a float"),
        ("return None", "returned a NoneType"),
        ("return rows['usage']", "returned a DataFrame"),
        ("return rows['usage']['quantity']", "an index with something else than the account_id"),
        ("return pd.Series({'SECRET': 1.0})", "an index with something else than the account_id"),
        ("return rows['usage'].set_index('account_id')['quantity']", "an account more than once"),
        ("return pd.Series({'a': 'SECRET'})", "values of type (str|object)"),
        ("return pd.Series({'a': 1j})", "values of type complex128"),
        ("return pd.Series({'a': pd.Timestamp('2026-01-01')})", "values of type datetime64"),
        ("return pd.Series({'a': np.inf})", "an infinite value"),
        ("u = rows['usage']\nreturn u.groupby(['account_id', 'quantity']).size()", "returned an index with 2 levels"),
        ("class Stop(BaseException): pass\nraise Stop('SECRET')", "feature own.x: Stop at line 8"),
    ],
)
def test_hostile_functions_are_reported_without_values(declare: Declare, make_signals: Any, body: str, message: str) -> None:
    declare(_function(body), "own.py")
    with pytest.raises(FeatureError) as caught:
        _values(make_signals)
    assert re.search(message, str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("own.py: feature own.x: ")
    assert "Expected: a pandas Series of numbers by account_id" in str(caught.value)
    assert "SECRET" not in "".join(traceback.format_exception(caught.value)).replace(body, "")


def test_columns_named_like_the_date_or_the_window_do_not_replace_them(declare: Declare, to_arrow: Any) -> None:
    """An extra table may have columns of any name; what a function gets depends on the real date and window."""
    names = ("as_of", "since", "start", "end", "window", "date")
    table = {"name": "own_posts", "time": "posted_at", "columns": dict.fromkeys(names, "instant")}
    body = "p = rows['own_posts']\nassert (p['posted_at'] < as_of).all()\nreturn p.groupby('account_id').size()"
    text = _function(body, reads={"own_posts": ["posted_at", "as_of"]}, dimension="engagement")
    declare(text.replace(HEAD, f"{HEAD}renewcast.table(**{table!r})\n", 1), "own.py")
    posts = [
        {"account_id": "a", "posted_at": when} | dict.fromkeys(names, "2030-01-01")
        for when in ("2024-01-02", "2026-06-01", "2026-06-20", "2026-06-30", "2026-07-01", "2026-08-01")
    ]
    source = from_tables({name: to_arrow(name, rows) for name, rows in (ROWS | {"own_posts": posts}).items()}, "test")
    signals = read_signals(source, datetime(2026, 9, 1, tzinfo=UTC))
    values = snapshot(signals, Grid.single(AS_OF), catalogue=_own()).set_index("account_id")["own.x"]
    assert values["a"] == 2


def test_a_function_cannot_change_the_rows_of_another(declare: Declare, make_signals: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spoil = "u = rows['usage']\nu.loc[:, 'quantity'] = 0.0\nrows.clear()\nprint('SECRET')\nreturn u.groupby('account_id')['quantity'].sum()"
    total = "return rows['usage'].groupby('account_id')['quantity'].sum()"
    declare(_function(spoil) + _function(total, name="own.y")[len(HEAD):].replace("def x", "def y"), "own.py")
    values = _values(make_signals)
    assert (values.loc["a", "own.x"], values.loc["a", "own.y"]) == (0.0, 2.0)
    # What is printed never becomes part of a command's output.
    assert capsys.readouterr().out == ""


def test_types_of_numbers_are_accepted(declare: Declare, make_signals: Any) -> None:
    names = {"i": "'Int64'", "b": "'boolean'", "f": "'float32'"}
    parts = [
        _function(f"return pd.Series([1, pd.NA], ['a', 'b'], dtype='Float64').astype({kind})" if n != "f" else f"return pd.Series([1, np.nan], ['a', 'b'], dtype={kind})", name=f"own.{n}")[len(HEAD):].replace("def x", f"def {n}")
        for n, kind in names.items()
    ]
    declare(HEAD + "".join(parts), "own.py")
    values = _values(make_signals)
    assert values.loc["a"].tolist() == [1.0, 1.0, 1.0]
    assert values.loc["b"].isna().all()
    assert (values.dtypes == np.float64).all()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"name": "support.x"}, r"the name begins with the name of another table\n.*own.… or usage"),
        ({"name": "X"}, r"feature X, key name: String should match.*\n.*own.exports"),
        ({"name": "usage.events_28d"}, "usage.events_28d is also the name of a built-in feature"),
        ({"reads": {"use": ["a"]}}, r"key reads: the table use does not exist\n.*accounts, subscriptions"),
        ({"reads": {"usage": ["color"]}}, r"key reads: usage has no column color\n.*user_id, feature"),
        ({"reads": {"usage": ["loaded_at"]}}, "usage has no column loaded_at"),
        ({"reads": {}}, "key reads: Dictionary should have at least 1 item"),
        ({"days": None}, r"key days: usage is an event table\n.*days = 91"),
        ({"days": 0}, "key days: Input should be greater than or equal to 1"),
        ({"days": 28, "reads": {"accounts": ["industry"]}}, r"key days: it reads no event table\n.*no days"),
        ({"direction": "bad"}, "key direction: Input should be 'raises_risk'"),
        ({"dimension": "x"}, "key dimension: Input should be"),
        ({"words": ""}, "key words: String should have at least 1 character"),
    ],
)
def test_mistakes_in_a_declaration_are_reported(declare: Declare, more: dict[str, Any], message: str) -> None:
    declare(_function("return None", **more), "own.py")
    with pytest.raises(BadRequest) as caught:
        current_catalogue()
    assert re.search(f"(?s){message}", str(caught.value)), str(caught.value)
    assert str(caught.value).startswith("own.py: feature ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = = 1", "own.py: SyntaxError at line 1"),
        ("\nraise ValueError('SECRET')", "own.py: ValueError at line 2"),
        ("import no_such_module_at_all", "own.py: ModuleNotFoundError (no_such_module_at_all) at line 1"),
        ("import renewcast\nrenewcast.feature(color=1)", "own.py: TypeError at line 2"),
        ("import sys\nsys.exit(0)", "own.py: SystemExit at line 2"),
        ("class Stop(BaseException): pass\nraise Stop('SECRET')", "own.py: Stop at line 2"),
        ("import renewcast\nrenewcast.table(name='posts', time='x')", "own.py: table posts, key name"),
        ("import renewcast\nrenewcast.measure(name='own.x', table='use', measure='count', unit='x', words='x')", "own.py: feature own.x, key table"),
        ("import renewcast\nrenewcast.feature(name='own.x', reads={'usage': []}, days=1, unit='x', words='x')(3)", "not on a function"),
    ],
)  # fmt: skip
def test_a_file_that_fails_is_reported_with_its_line(declare: Declare, text: str, message: str) -> None:
    declare(text, "own.py")
    with pytest.raises(BadRequest) as caught:
        current_catalogue()
    assert message in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_a_file_is_compiled_as_written(declare: Declare) -> None:
    """With a byte order mark, as some editors write, and without compiler flags of Renewcast's own modules."""
    text = "\ufefffrom dataclasses import dataclass, fields\n@dataclass\nclass C:\n    x: int\nassert fields(C)[0].type is int\n"
    declare(text, "own.py")
    assert list(_own()) == []


def test_a_missing_file_is_named(declare: Declare) -> None:
    declare("", "own.py").unlink()
    with pytest.raises(BadRequest, match=r"own.py cannot be read.*\n.*a Python file"):
        current_catalogue()


def test_one_file_declares_tables_measures_and_functions(declare: Declare, make_signals: Any) -> None:
    declare(
        HEAD
        + """
renewcast.table(name="own_posts", time="posted_at", columns={"score": {"kind": "float", "known_from": "read_at"}, "read_at": "instant"})
renewcast.measure(name="own.posts", table="own_posts", measure="count", unit="posts", words="posts", windows=[28], dimension="engagement")

for days in (7, 28):
    @renewcast.feature(name=f"own_posts.best_{days}d", reads={"own_posts": ["score"]}, days=days, unit="points", words=f"best in {days} days")
    def best(rows, as_of):
        return rows["own_posts"].groupby("account_id")["score"].max()
""",
        "own.py",
    )
    rows = {name: ROWS[name] for name in ("accounts", "subscriptions")}
    rows["own_posts"] = [
        {"account_id": a, "posted_at": at, "score": score, "read_at": read}
        for a, at, score, read in (("a", "2024-01-02", 0.0, "2024-01-03"), ("a", "2026-06-10", 7.0, "2026-06-12"), ("a", "2026-06-28", 9.0, "2026-07-01"), ("a", "2026-06-25", 3.0, "2026-06-26"))
    ]  # fmt: skip
    frame = snapshot(make_signals(rows, "2027-01-01"), Grid.single(AS_OF), catalogue=_own()).set_index("account_id")
    assert frame.loc["a", ["own.posts_28d", "own_posts.best_7d", "own_posts.best_28d"]].tolist() == [3.0, 3.0, 7.0]


def test_a_changed_file_changes_the_definition(declare: Declare) -> None:
    text = _function("return pd.Series(dtype=float)")
    versions = set()
    for each in (text, text.replace("float", "'float64'"), text.replace("28", "27"), text + "HELPER = 1\n"):
        declare(each, "own.py")
        versions.add((current_catalogue()["own.x"].definition, current_catalogue().version))
    assert len(versions) == 4
    declare(text.replace("\n", "\r\n"), "own.py")
    assert (current_catalogue()["own.x"].definition, current_catalogue().version) in versions, "line endings do not matter"
    assert current_catalogue().custom_suffix == ".py"


def test_declarations_have_no_effect_outside_of_the_file() -> None:
    renewcast.table(name="own_posts", time="posted_at")
    renewcast.measure(name="own.x", table="own_posts", measure="count", words="x")
    function = renewcast.feature(name="own.x", reads={"usage": []}, days=1, unit="x", words="x")(len)
    assert function is len


@pytest.mark.slow
def test_large_feeds_give_the_same_values_as_copied_tables(declare: Declare, portfolios: ModuleType, tmp_path: Path) -> None:
    """Tables that are read in place contain some events several times."""
    functions = {
        "n": "return rows['usage'].groupby('account_id').size()",
        "q": "return rows['usage'].groupby('account_id')['quantity'].sum()",
    }
    parts = [_function(body, name=f"own.{n}", days=182)[len(HEAD):].replace("def x", f"def {n}") for n, body in functions.items()]
    declare(HEAD + "".join(parts), "own.py")
    tables = portfolios.portfolio()
    address = portfolios.as_csv({name: tables[name] for name in ("accounts", "subscriptions", "usage")}, tmp_path)
    grid = Grid(datetime(2025, 6, 2, tzinfo=UTC), 84, 2)
    copied = snapshot(open_signals(address), grid, catalogue=_own())
    signals = read_signals(open_source(address), copied_up_to=0)
    assert "usage" in signals.feeds
    pd.testing.assert_frame_equal(snapshot(signals, grid, catalogue=_own()), copied, check_exact=True)
    assert copied["own.n"].sum() > 100


def test_a_request_that_fails_in_a_function_is_not_the_callers_mistake(tmp_path: Path) -> None:
    from models.home import Home
    from serving.common.settings import ServiceSettings
    from serving.http.problem_details import problem_body

    body = problem_body(FeatureError("own.x", "own.py: feature own.x: KeyError at line 7"), Home(tmp_path), ServiceSettings())
    assert (body["status"], body["code"]) == (500, "feature_failed")
