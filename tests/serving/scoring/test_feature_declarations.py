"""Extra tables and Python features have the same values in a snapshot, a scored portfolio and a request."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from features.contract.current_contract import current_tables
from features.custom.current_catalogue import current_catalogue
from features.errors import BundleError
from features.signals.signals import OpenSignals, read_signals
from features.snapshots.snapshot import snapshot
from features.sources.base import from_tables
from features.utils.dates import Grid
from models.artifacts.bundle import BundleContents, bundle_schema, load_bundle, write_bundle
from models.artifacts.champion import champion_entry
from models.artifacts.champion_pointer import ChampionPointer, write_pointer
from models.health.rubric import load_rubric
from models.home import Home
from models.peer_groups.peers import Peers
from serving.common.settings import ServiceSettings
from serving.schemas.signal_rows import row_models
from serving.scoring.score_payload import SignalsScorer
from serving.scoring.score_portfolio import score
from serving.snapshots.live_state import LiveStateManager
from serving.snapshots.snapshot_files import SnapshotFiles

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
USED = ("own.posts_91d", "own.weekday", "own.gap", "contract.arr")
DECLARED = """
import renewcast

renewcast.table(name="own_posts", time="posted_at", identity="post_id", columns={"votes": "int"})
renewcast.measure(name="own.posts", table="own_posts", measure="count", unit="posts", words="posts", windows=[91], dimension="engagement")


@renewcast.feature(name="own.weekday", reads={"usage": ["occurred_at", "minutes"], "accounts": []}, days=91, unit="day", words="mean weekday")
def weekday(rows, as_of):
    usage = rows["usage"]
    return usage["occurred_at"].dt.day_of_week.groupby(usage["account_id"]).mean() + rows["accounts"].groupby("account_id").size() / 7


@renewcast.feature(name="own.gap", reads={"own_posts": ["posted_at", "votes"]}, days=182, unit="days", words="days since the post with most votes")
def gap(rows, as_of):
    best = rows["own_posts"].sort_values(["votes", "posted_at"]).groupby("account_id").last()
    return (as_of - best["posted_at"]).dt.total_seconds() / 86400
"""  # fmt: skip


@pytest.fixture
def own_tables(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The small company, with posts of which some have several versions."""
    rng = np.random.default_rng(3)
    posts = []
    for row in tables["accounts"][:-1]:
        account = row["account_id"]
        posts.append({"account_id": account, "post_id": f"{account}-old", "posted_at": "2024-01-01", "votes": 1})
        for k in range(int(rng.integers(0, 8))):
            at = AS_OF - pd.Timedelta(days=int(rng.integers(1, 150)))
            post = {"account_id": account, "post_id": f"{account}-{k}", "posted_at": at.isoformat(), "votes": int(rng.integers(0, 9))}
            posts.append(post)
            if k % 3 == 0:
                posts.append(post | {"votes": 20, "loaded_at": (at + pd.Timedelta(days=30)).isoformat()})
    return tables | {"own_posts": posts}


@pytest.fixture
def opened(declare: Callable[..., Path], own_tables: Any, make_signals: Callable[..., OpenSignals]) -> OpenSignals:
    declare(DECLARED, "own.py")
    return make_signals(own_tables, "2026-07-01")


@pytest.fixture
def home(opened: OpenSignals, tmp_path: Path) -> Home:
    """A home with a champion that uses the features."""
    catalogue, home = current_catalogue(), Home(tmp_path / "home")
    frame = snapshot(opened, Grid.single(AS_OF), catalogue=catalogue)
    many = pd.concat([frame] * 10, ignore_index=True)[list(USED)].to_numpy(float)
    label = np.random.default_rng(1).random(len(many)) < 1 / (1 + np.exp(np.nan_to_num(many[:, 0]) - np.nan_to_num(many[:, 1])))
    parameters = {"objective": "binary", "num_leaves": 8, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(many, label, feature_name=list(USED)), 10)
    numbers = [name for name, feature in catalogue.items() if feature.kind == "number"]
    parts = BundleContents(
        target="churn",
        version="1",
        horizon_days=90,
        grace_days=30,
        trained_through=datetime(2026, 1, 1, tzinfo=UTC),
        created_at=datetime(2026, 6, 1, tzinfo=UTC),
        catalogue_version=catalogue.version,
        base_rate=0.3,
        metrics={"roc_auc": 0.8},
        gates={},
        model_text=booster.model_to_string(),
        calibrator={"kind": "sigmoid", "parameters": {"a": 1.0, "b": 0.0}, "resamples": [{"a": 1.0 + i / 50, "b": 0.0} for i in range(20)]},
        schema=bundle_schema(USED, {}, Peers.of(frame, numbers), catalogue),
        rubric=load_rubric(),
    )
    bundle = write_bundle(home.bundle_folder("churn", "1"), parts)
    write_pointer(home, ChampionPointer(promoted_at=datetime(2026, 6, 1, tzinfo=UTC), churn=champion_entry(home, bundle)))
    return home


@pytest.mark.slow
def test_requests_files_and_snapshots_agree(opened: OpenSignals, home: Home, own_tables: Any, to_arrow: Any, tmp_path: Path) -> None:
    catalogue = current_catalogue()
    expected = snapshot(opened, Grid.single(AS_OF), catalogue=catalogue).set_index("account_id")[list(USED)]
    assert expected.notna().sum().min() >= 20
    score(opened, AS_OF, tmp_path / "rows.ndjson", home)
    published = SnapshotFiles(home, catalogue).at(AS_OF).frame.set_index("account_id")[list(USED)]
    pd.testing.assert_frame_equal(published, expected, check_exact=True)
    scored = {row["account_id"]: row for row in map(json.loads, (tmp_path / "rows.ndjson").read_text().splitlines())}
    probabilities = {account: row["churn_probability"] for account, row in scored.items()}
    assert len(set(probabilities.values())) > 10
    state, models = LiveStateManager(home, ServiceSettings()).current(), row_models(current_tables())
    for account in ("a00", "a05", "a17"):
        own = {name: [row for row in rows if row["account_id"] == account] for name, rows in own_tables.items()}
        alone = read_signals(from_tables({n: to_arrow(n, rows) for n, rows in own.items()}, "a test"), AS_OF, datetime(2024, 1, 1, tzinfo=UTC))
        values = snapshot(alone, Grid.single(AS_OF), catalogue=catalogue).set_index("account_id")[list(USED)]
        pd.testing.assert_frame_equal(values, expected.loc[[account]], check_exact=True)
        validated = {name: [models[name].model_validate(row) for row in rows] for name, rows in own.items()}
        body: Any = SimpleNamespace(account_id=account, as_of=AS_OF, history_from=datetime(2024, 1, 1, tzinfo=UTC), signals=SimpleNamespace(rows=validated.get))
        answer = SignalsScorer(body, state, rows_limit=1000)()
        assert answer["churn"]["probability"] == probabilities[account]
        del validated["own_posts"]
        unknown = {warning["code"]: warning for warning in SignalsScorer(body, state, rows_limit=1000)()["warnings"]}
        assert "own_posts" in json.dumps(unknown)


def test_a_model_of_another_file_is_refused(home: Home, declare: Callable[..., Path]) -> None:
    folder = home.bundle_folder("churn", "1")
    assert load_bundle(folder).scorer.features == USED
    declare(DECLARED.replace("/ 7", "/ 8"), "own.py")
    with pytest.raises(BundleError, match=r"own.weekday had another definition.*own.gap had another definition.*\n.*RENEWCAST_FEATURES"):
        load_bundle(folder)
    declare("import renewcast\n", "own.py")
    with pytest.raises(BundleError, match=r"own\.posts_91d is not in the catalogue"):
        load_bundle(folder)
