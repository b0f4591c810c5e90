"""Planted leaks are found by name, and a pipeline without leaks passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.custom.current_catalogue import current_catalogue
from features.definitions.aggregations import Count, Latest, Sum, Term
from features.definitions.feature import Feature
from features.errors import SignalsError
from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import Source, from_tables
from features.utils.dates import Grid
from training.leakage.check import check_source_for_leaks
from training.leakage.report import LeakReport
from training.leakage.snapshot_rebuild import ACTIVE_ACCOUNTS, differing_features
from training.simulation import simulate

Rows = dict[str, list[dict[str, Any]]]

BEGAN, DAY = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=1)
ACCOUNTS, CHURNED, DAYS = 40, 14, 420
SHIPPED = (
    "usage.events_28d", "support.tickets_91d", "support.open_tickets", "billing.failed_91d", "billing.failed_182d",
    "contract.arr", "contract.renewals", "account.industry",
)  # fmt: skip
FEW = Catalogue(tuple(replace(CATALOGUE[name], own_past=None) for name in SHIPPED))


def feature(name: str, table: str, term: Term) -> Feature:
    return Feature(name, table, "support", name, "number", "", None, None, name, term=term)


def churn_of(i: int) -> datetime | None:
    return BEGAN + (140 + 17 * i) * DAY if i < CHURNED else None


def generate_rows() -> Rows:
    """Forty accounts over fourteen months, of which fourteen churn, one after the other; no column shows which."""
    rows: Rows = {name: [] for name in ("accounts", "subscriptions", "usage", "support", "billing")}
    for i in range(ACCOUNTS):
        account, end = f"a{i:02}", churn_of(i)
        rows["accounts"].append({"account_id": account, "created_at": BEGAN.isoformat(), "industry": ["x", "y"][i // 2 % 2]})
        contract = {"account_id": account, "started_at": BEGAN.isoformat(), "arr": 100.0 + 7 * (i % 5)}
        rows["subscriptions"].append(contract | ({"ended_at": end.isoformat(), "end_reason": "cancelled"} if end else {}))
        for day in range(0, DAYS if end is None else (end - BEGAN).days, 4):
            at = BEGAN + day * DAY + timedelta(hours=1 + i % 20)
            rows["usage"].append({"account_id": account, "occurred_at": at.isoformat(), "user_id": f"u{day % 3}"})
            if (day + i) % 5 == 0:
                ticket = {"account_id": account, "ticket_id": f"{i}-{day}", "severity": "low", "occurred_at": at.isoformat()}
                rows["support"].append(ticket | {"resolved_at": (at + (3 + day % 30) * DAY).isoformat(), "csat": 1.0 + day // 20 % 5})
            if (day + i) % 7 == 0:
                bill = {"account_id": account, "kind": ["payment_failed", "invoice_paid"][(day + i) // 7 % 2]}
                rows["billing"].append(bill | {"occurred_at": at.isoformat(), "loaded_at": (at + DAY).isoformat()})
    return rows


@pytest.fixture
def world() -> Rows:
    return generate_rows()


@pytest.fixture(scope="module")
def source_of(to_arrow: Any) -> Callable[[Rows], Source]:
    return lambda rows: from_tables({name: to_arrow(name, some) for name, some in rows.items()}, "a test")


def backdated(*, loaded: bool) -> list[dict[str, Any]]:
    """Payments that failed, entered a fortnight after each churn and dated before it."""
    values = []
    for i in range(CHURNED):
        end = churn_of(i)
        assert end is not None
        for k in range(2, 90, 3):
            row = {"account_id": f"a{i:02}", "kind": "payment_failed", "occurred_at": (end - k * DAY).isoformat()}
            values.append(row | ({"loaded_at": (end + 14 * DAY).isoformat()} if loaded else {}))
    return values


@pytest.fixture(scope="module")
def plain(source_of: Any) -> LeakReport:
    """The leak report of the unaltered data."""
    return check_source_for_leaks(source_of(generate_rows()), FEW)


def subjects(report: LeakReport) -> set[str]:
    return {finding.subject for finding in report.failures}


def test_valid_signals_and_features_pass(plain: LeakReport) -> None:
    assert plain.findings == ()
    assert plain.ok
    assert plain.leaks("churn") == []
    assert plain.accounts == ACCOUNTS
    assert len(plain.dates) >= 5
    lacking = {c.check: c.lacking for c in plain.checks if c.target != "expansion" and c.lacking}
    assert set(lacking) == {"due dates"}, "thirty accounts are too few to compare when renewals come due"
    assert plain.words().startswith("no leak found")


# The measures' names are nowhere else: expressions are kept for the process, by name.
LEAKY = (
    # A resolution is counted once the ticket is known.
    feature("support.leaky_count", "support", Count("support", "leaky_resolved", at="resolved_at").over(91)),
    # A value that is filled in later is read from the start.
    feature("support.leaky_value", "support", Latest("support", "leaky_csat", value=lambda t: t.csat).all_time()),
    # A sum over all of an account's rows, without a bound.
    feature(
        "usage.leaky", "usage",
        Sum("usage", "leaky_all", value=lambda t: t.count().over(ibis.window(group_by=t.account_id))).over(28),
    ),
    # An end is known from the beginning.
    feature(
        "contract.leaky", "subscriptions",
        Count("subscriptions", "leaky_ended", at="started_at", known_at="started_at", where=lambda t: t.ended_at.notnull()).all_time(),
    ),
)  # fmt: skip


def test_only_features_without_a_window_bound_are_reported(world: Rows, source_of: Any) -> None:
    report = check_source_for_leaks(source_of(world), Catalogue((*FEW.values(), *LEAKY)))
    names = {leaky.name for leaky in LEAKY}
    assert subjects(report) == names
    for check in ("future added", "future dropped"):
        assert {f.subject for f in report.failures if f.check == check} == names
    assert all(date in report.dates for f in report.failures for date in f.dates)
    assert not report.ok
    assert all(name in report.words() for name in names)
    assert len(report.leaks("churn") or []) >= 2 * len(names)


def test_a_status_filled_in_after_churn_is_reported(world: Rows, source_of: Any) -> None:
    for row, i in zip(world["accounts"], range(ACCOUNTS), strict=True):
        row["industry"] = "SECRET" if i < CHURNED else row["industry"]
    report = check_source_for_leaks(source_of(world), FEW)
    assert subjects(report) == {"account.industry"}
    assert report.failures[0].check == "separation"
    assert report.leaks("churn") != []
    assert report.leaks("expansion") is None
    assert "SECRET" not in str(report.as_dict())


@pytest.mark.slow
def test_backdated_rows_are_noted_and_not_used(world: Rows, source_of: Any) -> None:
    world["billing"] += backdated(loaded=True)
    report = check_source_for_leaks(source_of(world), FEW)
    assert report.ok
    (note,) = report.notes
    assert (note.check, note.subject, note.severity) == ("arrival", "billing", "note")
    assert "rows are dated in the 90 days before their account's churn and were loaded after it" in note.words
    result = next(a for a in report.arrivals if a["table"] == "billing")
    assert result["after"] >= CHURNED * 30 > 100 * result["expected"]


@pytest.mark.slow
def test_backdated_rows_leak_without_loaded_at(world: Rows, source_of: Any) -> None:
    world["billing"] = [{k: v for k, v in row.items() if k != "loaded_at"} for row in world["billing"]]
    world["billing"] += backdated(loaded=False)
    report = check_source_for_leaks(source_of(world), FEW)
    assert {"billing.failed_91d"} <= subjects(report) <= {"billing.failed_91d", "billing.failed_182d"}
    assert {f.target for f in report.failures} == {"churn"}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report(plain: LeakReport, world: Rows, source_of: Any) -> None:
    for rows in world.values():
        rows.reverse()
    again = check_source_for_leaks(source_of(world), FEW)
    assert again.as_dict() | {"seconds": 0.0} == plain.as_dict() | {"seconds": 0.0}


@pytest.mark.slow
def test_a_short_history_is_rebuilt_and_other_checks_are_skipped(world: Rows, source_of: Any) -> None:
    report = check_source_for_leaks(source_of(world), FEW, data_through=BEGAN + 60 * DAY)
    assert report.ok
    assert report.accounts == ACCOUNTS
    looked = {(c.check, c.target): bool(c.lacking) for c in report.checks}
    assert looked["separation", "churn"]
    assert not looked["future added", None]
    assert "not checked: separation of churn" in report.words()
    assert report.leaks("churn") is None


@pytest.mark.slow
def test_orders_are_checked_too(source_of: Any) -> None:
    orders = [
        {"account_id": f"a{i}", "occurred_at": (BEGAN + (d + i) * DAY).isoformat(), "amount": 10.0 + d % 7}
        for i in range(25)
        for d in range(0, 300 + 12 * i % 120, 9)
    ]
    accounts = [{"account_id": f"a{i}", "created_at": BEGAN.isoformat()} for i in range(25)]
    report = check_source_for_leaks(source_of({"accounts": accounts, "orders": orders}), Catalogue(tuple(f for f in CATALOGUE.values() if f.table == "orders")))
    assert [f for f in report.findings if f.check != "separation"] == []
    assert next(c for c in report.checks if c.check == "arrival").lacking


def test_an_invalid_source_is_a_user_error(world: Rows, source_of: Any) -> None:
    world["usage"].append({"account_id": "a999", "occurred_at": "2025-03-01"})
    with pytest.raises(SignalsError, match="account"):
        check_source_for_leaks(source_of(world), FEW)


@pytest.mark.slow
def test_built_in_features_pass_on_a_simulated_portfolio(tmp_path: Path) -> None:
    simulate(tmp_path / "world", accounts=60, weeks=70, seed=2)
    report = check_source_for_leaks(tmp_path / "world")
    assert report.findings == ()
    assert len(report.arrivals) >= 8


def test_comparison_is_bitwise_and_nan_equals_nan(world: Rows, tmp_path: Path, to_arrow: Any) -> None:
    for name, rows in world.items():
        pq.write_table(to_arrow(name, rows), tmp_path / f"{name}.parquet")
    frame = snapshot(open_signals(tmp_path), Grid.single(BEGAN + 200 * DAY), catalogue=FEW)
    assert differing_features(frame, frame.copy()) == []
    assert differing_features(frame, frame.assign(**{"usage.events_28d": frame["usage.events_28d"] + 1e-12})) == ["usage.events_28d"]
    assert differing_features(frame, frame.assign(**{"contract.arr": float("nan")})) == ["contract.arr"]
    assert differing_features(frame, pd.concat([frame, frame.assign(account_id="z")], ignore_index=True)) == [ACTIVE_ACCOUNTS]


POSTS = """
[[tables]]
name = "own_posts"
time = "posted_at"
identity = "post_id"
[tables.columns]
score = { kind = "float", known_from = "answered_at" }
answered_at = "instant"
topic = "string"
""" + "".join(
    f"""
[[features]]
name = "own.{measure}"
table = "own_posts"
dimension = "engagement"
unit = "posts"
measure = "{measure}"
{more}
"""
    for measure, more in {
        "count": "words = '{w}'\nwindows = [28]",
        "sum": "value = 'score'\nwords = '{w}'\nwindows = [91]",
        "holding": "key = 'topic'\nholds = { topic = 'bug' }\nwords = 'x'",
    }.items()
)


def _posts(*, leaky: bool = False) -> list[dict[str, Any]]:
    """Posts of every account, some late, some with two versions. A leak: they are dated before a churn and entered later."""
    rows = []
    for i in range(ACCOUNTS):
        end = churn_of(i)
        for day in range(0, DAYS if end is None else (end - BEGAN).days, 9):
            at = BEGAN + day * DAY + timedelta(hours=i % 20)
            post = {"account_id": f"a{i:02}", "post_id": f"{i}-{day}", "posted_at": at.isoformat(), "topic": ["bug", "idea"][day % 2]}
            answer = {"answered_at": (at + (2 + day % 40) * DAY).isoformat(), "score": float(day % 5)}
            rows.append(post | answer | ({"loaded_at": (at + 3 * DAY).isoformat()} if day % 4 == 0 else {}))
            if day % 5 == 0:
                rows.append(post | answer | {"topic": "bug", "loaded_at": (at + 20 * DAY).isoformat()})
        if leaky and end is not None:
            rows += [{"account_id": f"a{i:02}", "posted_at": (end - k * DAY).isoformat()} for k in range(1, 90)]
    return rows


@pytest.mark.slow
def test_an_extra_table_is_checked_like_the_contracts(world: Rows, source_of: Any, declare: Callable[..., Path]) -> None:
    declare(POSTS)
    own = Catalogue(tuple(f for f in current_catalogue().values() if f.name.startswith("own.")))
    world = {name: world[name] for name in ("accounts", "subscriptions")}
    report = check_source_for_leaks(source_of(world | {"own_posts": _posts()}), own)
    assert report.failures == ()
    assert {a["table"] for a in report.arrivals} == {"own_posts"}
    report = check_source_for_leaks(source_of(world | {"own_posts": _posts(leaky=True)}), own)
    assert {(f.check, f.subject, f.target) for f in report.failures} == {("separation", "own.count_28d", "churn")}


FUNCTIONS = """
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

import renewcast

FUTURE = pd.DataFrame(json.loads(Path({future!r}).read_text()))
FUTURE["occurred_at"] = pd.to_datetime(FUTURE["occurred_at"])


def declare(function):
    about = dict(reads={{"usage": ["occurred_at", "user_id"]}}, days=91, unit="u", words="x")
    return renewcast.feature(name=f"own.{{function.__name__}}", **about)(function)


@declare
def honest(rows, as_of):
    usage = rows["usage"]
    weekend = (usage["occurred_at"].dt.day_of_week >= 5) & (usage["occurred_at"].dt.month != as_of.month)
    return weekend.groupby(usage["account_id"]).mean() + usage.groupby("account_id")["user_id"].nunique()


@declare
def future_of_accounts(rows, as_of):
    known = FUTURE[FUTURE["account_id"].isin(rows["usage"]["account_id"])]
    return known[known["occurred_at"] >= as_of].groupby("account_id").size().astype(float)


@declare
def future_of_portfolio(rows, as_of):
    total = float((FUTURE["occurred_at"] >= as_of).sum())
    return pd.Series(total, rows["usage"]["account_id"].unique())


@declare
def clock(rows, as_of):
    return (pd.Timestamp(datetime.now(UTC)) - rows["usage"].groupby("account_id")["occurred_at"].max()).dt.days.astype(float)


@declare
def rank(rows, as_of):
    return rows["usage"].groupby("account_id").size().rank(pct=True)


@declare
def needs_many(rows, as_of):
    if rows["usage"]["account_id"].nunique() < 3:
        raise ValueError("SECRET")
    return rows["usage"].groupby("account_id").size()


@declare
def random(rows, as_of):
    import numpy as np

    accounts = rows["usage"]["account_id"].unique()
    return pd.Series(np.random.default_rng().random(len(accounts)), accounts)
"""


@pytest.mark.slow
def test_functions_that_read_anything_else_than_their_rows_are_reported(
    world: Rows, source_of: Any, declare: Callable[..., Path], tmp_path: Path
) -> None:
    world = {name: world[name] for name in ("accounts", "subscriptions", "usage")}
    (tmp_path / "future.json").write_text(json.dumps(world["usage"]))
    declare(FUNCTIONS.format(future=str(tmp_path / "future.json")), "own.py")
    own = Catalogue(tuple(f for f in current_catalogue().values() if f.name.startswith("own.")))
    report = check_source_for_leaks(source_of(world), own)
    found: dict[str, set[str]] = {}
    for finding in report.failures:
        if finding.check != "separation":
            found.setdefault(finding.subject.removeprefix("own."), set()).add(finding.check)
    rebuilds = {"future added", "future dropped", "rows repeated"}
    assert found.pop("random") >= rebuilds
    assert found == {
        "future_of_accounts": {"other ids", "other dates"},
        "future_of_portfolio": {"other dates"},
        "clock": {"other dates"},
        "rank": {"other accounts"},
        "needs_many": {"other accounts"},
    }
    assert {c.check for c in report.checks} >= {"other accounts", "other ids", "other dates"}
    assert "SECRET" not in str(report.as_dict())
    assert "own.rank depends on which other accounts are computed with an account (at 2025" in str(report.as_dict())
    assert "own.needs_many cannot be computed: own.py: feature own.needs_many: ValueError at line" in str(report.as_dict())


def test_the_checks_of_functions_run_only_where_there_are_some(plain: LeakReport) -> None:
    assert not {c.check for c in plain.checks} & {"other accounts", "other ids", "other dates"}
