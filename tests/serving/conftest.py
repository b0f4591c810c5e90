"""A small company with forty accounts, two scored dates, and a small champion."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from features.catalogue.catalogue import CATALOGUE, Catalogue
from features.signals.signals import OpenSignals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid
from models.artifacts.bundle import BundleContents, bundle_schema, write_bundle
from models.artifacts.champion import champion_entry
from models.artifacts.champion_pointer import ChampionPointer, write_pointer
from models.artifacts.portfolio_identity import PortfolioIdentity
from models.health.rubric import load_rubric
from models.home import Home
from models.peer_groups.peers import Peers
from models.targets import Target
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from serving.portfolio.publish_kpis import publish_kpis
from serving.scoring.score_portfolio import ScoreSummary, score
from serving.snapshots.snapshot_files import SnapshotFiles

# The name that a browser on this machine uses; Starlette's own, testserver, is not this machine's.
TestClient.__init__ = partialmethod(TestClient.__init__, base_url="http://localhost")  # type: ignore[assignment]
AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
EARLIER = datetime(2026, 6, 1, tzinfo=UTC)
HISTORY_FROM = "2024-01-01"
ACCOUNTS = [f"a{i:02d}" for i in range(40)]
PLANS = ("basic", "pro", "team")
PARENTS = {"a01": "a00", "a02": "a00", "a03": "a01", "a05": "a39"}
"""The parent of a05 has left."""
USED = [
    "usage.active_users_28d", "usage.events_28d", "usage.minutes_28d", "usage.events_trend_28d", "support.tickets_91d",
    "outcomes.nps_last", "contract.arr", "contract.tenure_days", "contract.plan",
]  # fmt: skip

Tables = dict[str, list[dict[str, Any]]]


def _day(offset: int) -> str:
    return (AS_OF - timedelta(days=offset)).strftime("%Y-%m-%dT09:00:00+00:00")


def make_tables() -> Tables:
    """All accounts exist and all feeds are complete since 2024-01-01; a39 left, and a38 was created three days ago."""
    rng = np.random.default_rng(7)
    tables: Tables = {name: [] for name in ("accounts", "subscriptions", "usage", "support", "outcomes")}
    for i, account in enumerate(ACCOUNTS):
        begun = _day(3) if account == "a38" else HISTORY_FROM
        parent = PARENTS.get(account)
        tables["accounts"].append({"account_id": account, "created_at": begun, "industry": "software", "employees": 10 * i, "parent_id": parent})
        arr = float(rng.integers(2_000, 200_000))
        terms = {"arr": arr, "seats": 20 + i, "plan": PLANS[i % 3], "renewal_at": "2027-01-01"}
        if account == "a39":
            terms |= {"ended_at": "2026-03-01", "end_reason": "cancelled"}
        tables["subscriptions"].append({"account_id": account, "started_at": begun, **terms})
        if account == "a38":
            continue
        everything = {"user_id": "u0", "feature": "f0", "quantity": 1.0, "minutes": 1.0}
        tables["usage"].append({"account_id": account, "occurred_at": HISTORY_FROM, **everything})
        for _ in range(int(rng.integers(3, 30))):
            tables["usage"].append(
                {
                    "account_id": account,
                    "occurred_at": _day(int(rng.integers(1, 120))),
                    "user_id": f"u{rng.integers(0, 9)}",
                    "feature": f"f{rng.integers(0, 5)}",
                    "quantity": 1.0,
                    "minutes": round(float(rng.gamma(2.0, 5.0)), 2),
                }
            )
        ticket = {"severity": "normal", "escalated": False, "csat": 4.0, "sentiment": 0.1, "topic": "how"}
        opened = [HISTORY_FROM, *(_day(int(d)) for d in rng.integers(2, 90, rng.integers(0, 4)))]
        for k, at in enumerate(opened):
            resolved = (pd.Timestamp(at) + pd.Timedelta(days=1)).isoformat()
            tables["support"].append(
                {"account_id": account, "occurred_at": at, "ticket_id": f"{account}-{k}", "resolved_at": resolved, **ticket}
            )
        for at in (HISTORY_FROM, _day(10)):
            tables["outcomes"].append(
                {"account_id": account, "occurred_at": at, "kind": "nps", "value": float(rng.integers(0, 11))}
            )
    return tables


CSMS, REGIONS = ("Ana Diaz", "Bo Lind", None), ("EMEA", "Americas")


def with_renewals(tables: Tables) -> Tables:
    """Renewals due soon, later and overdue, accounts that grew, shrank and left, CSMs and regions."""
    accounts = [
        row
        | {
            "name": f"Company {row['account_id']}",
            "csm": CSMS[i % 3],
            "region": REGIONS[i % 2],
            "acquisition_cost": 9000.0,
        }
        for i, row in enumerate(tables["accounts"])
    ]
    subscriptions: list[dict[str, Any]] = []
    for i, row in enumerate(tables["subscriptions"]):
        if row["account_id"] in ("a38", "a39"):
            subscriptions.append(row)
            continue
        renewed = row | {"renewal_at": ("2026-07-20", "2026-09-10", "2027-01-01", "2026-06-10")[i % 4]}
        if i % 5 == 0:
            ended = {"ended_at": "2026-02-01", "renewal_at": "2026-02-01"}
            subscriptions.append(row | ended)
            subscriptions.append(renewed | {"started_at": "2026-02-01", "arr": row["arr"] * (1.4 if i % 2 else 0.7)})
        elif i == 11:
            subscriptions.append(row | {"ended_at": "2026-05-15", "end_reason": "cancelled"})
        else:
            subscriptions.append(renewed)
    return {**tables, "accounts": accounts, "subscriptions": subscriptions}


@pytest.fixture(scope="session")
def tables() -> Tables:
    return make_tables()


@pytest.fixture(scope="session")
def signals(make_signals: Callable[..., OpenSignals], tables: Tables) -> OpenSignals:
    return make_signals(tables, "2026-07-01")


@pytest.fixture(scope="session")
def frame(signals: OpenSignals) -> pd.DataFrame:
    return snapshot(signals, Grid.single(AS_OF))


def booster_text(frame: pd.DataFrame, seed: int) -> str:
    """A small booster on USED: low usage raises the probability of the label."""
    rng = np.random.default_rng(seed)
    many = pd.concat([frame] * 15, ignore_index=True)
    matrix = many[USED].assign(**{"contract.plan": many["contract.plan"].map(PLANS.index)}).to_numpy(float)
    risk = 1.0 - 0.1 * np.nan_to_num(matrix[:, 1]) - 0.2 * (np.nan_to_num(matrix[:, 5], nan=5.0) - 5.0)
    label = rng.random(len(many)) < 1.0 / (1.0 + np.exp(-risk))
    data = lightgbm.Dataset(matrix, label, feature_name=USED, categorical_feature=[len(USED) - 1])
    parameters = {"objective": "binary", "num_leaves": 5, "min_data_in_leaf": 20, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(parameters | {"seed": seed}, data, 12).model_to_string()


@dataclass(frozen=True)
class Champions:
    """Writes champions into homes."""

    frame: pd.DataFrame
    texts: dict[int, str]

    def promote(
        self, home: Home, version: str, seed: int = 1, targets: tuple[Target, ...] = ("churn", "expansion"),
        portfolio: PortfolioIdentity | None = None, expansion_rate: float = 0.3,
    ) -> None:
        """Write a bundle per target and a pointer to them.

        ``expansion_rate`` is the share of accounts that expanded: the lower it is, the higher is the band of an account.
        """
        pointed = {}
        for target in targets:
            folder = home.bundle_folder(target, version)
            contents = replace(self._parts(target, version, seed), portfolio=portfolio)
            if target == "expansion":
                contents = replace(contents, base_rate=expansion_rate)
            pointed[target] = champion_entry(home, write_bundle(folder, contents))
        write_pointer(home, ChampionPointer(promoted_at=datetime(2026, 6, 1, tzinfo=UTC), **pointed))

    def _parts(self, target: Target, version: str, seed: int) -> BundleContents:
        numbers = [name for name, feature in CATALOGUE.items() if feature.kind == "number"]
        return BundleContents(
            target=target,
            version=version,
            horizon_days=90,
            grace_days=30,
            trained_through=datetime(2026, 1, 1, tzinfo=UTC),
            created_at=datetime(2026, 6, 1, tzinfo=UTC),
            catalogue_version=CATALOGUE.version,
            base_rate=0.3,
            metrics={"roc_auc": 0.8},
            gates={},
            model_text=self.texts[seed],
            calibrator={
                "kind": "sigmoid",
                "parameters": {"a": 0.9, "b": -0.2},
                "resamples": [{"a": 0.7 + 0.02 * i, "b": -0.5 + 0.04 * i} for i in range(20)],
            },
            schema=bundle_schema(USED, {"contract.plan": PLANS}, Peers.of(self.frame, numbers), CATALOGUE),
            rubric=load_rubric(),
        )


@pytest.fixture(scope="session")
def champions(frame: pd.DataFrame) -> Champions:
    return Champions(frame, {seed: booster_text(frame, seed) for seed in (1, 2)})


def publish(home: Home, frame: pd.DataFrame, as_of: datetime, catalogue: Catalogue = CATALOGUE) -> Path:
    """Publish the rows as the snapshot of another date."""
    dated = frame.assign(as_of=pd.Series([as_of] * len(frame), dtype="datetime64[us, UTC]"))
    feeds = {"usage": as_of, "support": None}
    return SnapshotFiles(home, catalogue).publish(dated, origin="a test", data_through=as_of, horizon_days=90, feeds=feeds)


@pytest.fixture(scope="session", name="publish")
def publish_fixture() -> Callable[..., Path]:
    return publish


@dataclass(frozen=True)
class ScoredHome:
    """A home in which AS_OF was scored, with its file, and a snapshot of EARLIER in which NPS was lower."""

    home: Home
    summary: ScoreSummary


@pytest.fixture(scope="session")
def scored_home(tmp_path_factory: pytest.TempPathFactory, signals: OpenSignals, champions: Champions) -> ScoredHome:
    root = tmp_path_factory.mktemp("scored")
    home = Home(root / "home")
    champions.promote(home, "1")
    summary = score(signals, AS_OF, root / "rows.ndjson", home)
    snapshots = SnapshotFiles(home)
    publish_kpis(signals, snapshots, AS_OF, snapshots.at(AS_OF).frame, load_rubric(), 90)
    publish(home, champions.frame.assign(**{"outcomes.nps_last": 2.0}), EARLIER)
    return ScoredHome(home, summary)


def _no_store_in_use(event: str, arguments: tuple[Any, ...]) -> None:
    # Closing a file drops all locks that its process holds on it (POSIX). Without SQLite's, another process cuts the
    # shared memory off below the store's own threads: a bus error, long after and somewhere else.
    if event == "open" and str(arguments[0]).endswith("store.sqlite-shm"):
        maps = Path("/proc/self/maps")
        assert not maps.is_file() or str(arguments[0]) not in maps.read_text(), "a store in use is opened as a file"


sys.addaudithook(_no_store_in_use)


def copy_home(home: Home, to: Path) -> Home:
    """Copy a home without its store and jobs, since the store is in use and contains data of other tests."""
    shutil.copytree(home.root, to, ignore=shutil.ignore_patterns("store.sqlite*", "jobs"), dirs_exist_ok=True)
    return Home(to)


@pytest.fixture(scope="session", name="copy_home")
def copy_home_fixture() -> Callable[[Home, Path], Home]:
    return copy_home


@pytest.fixture
def own_home(scored_home: ScoredHome, tmp_path: Path) -> Home:
    """A copy of the shared home that a test may break."""
    return copy_home(scored_home.home, tmp_path / "own")


SETTINGS = ServiceSettings(open_locally=True, retry_seconds=0.05)


@pytest.fixture(scope="session")
def app(scored_home: ScoredHome) -> FastAPI:
    return create_app(scored_home.home, SETTINGS)


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, client=("127.0.0.1", 1)) as opened:
        yield opened


@pytest.fixture(scope="session")
def body_of(tables: Tables) -> Callable[[str], dict[str, Any]]:
    """The request body with an account's signals, complete since HISTORY_FROM."""

    def body(account: str) -> dict[str, Any]:
        own = {name: [row for row in rows if row["account_id"] == account] for name, rows in tables.items()}
        return {"account_id": account, "as_of": "2026-07-01", "history_from": HISTORY_FROM, "signals": own}

    return body
