"""A small example: a catalogue of seven features, a portfolio, and a bundle that trains on it quickly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from features.catalogue.catalogue import Catalogue
from features.definitions.feature import Feature
from models.artifacts.bundle import Bundle, BundleContents, bundle_schema, write_bundle
from models.artifacts.champion import Champion
from models.explain.comparables import Comparables
from models.health.rubric import Rubric, rubric_from_text
from models.peer_groups.peers import Peers
from models.peer_groups.segments import segment_of
from models.scorer.scorer import Scorer

TREND = "usage.trend_28d"
PLANS = ("basic", "pro", "team")


def _number(name: str, concept: str, unit: str, words: str, own_past: str | None = None) -> Feature:
    table = name.split(".")[0]
    dimension = "usage" if table == "usage" else "outcomes" if table == "outcomes" else "commercial"
    return Feature(name, table, dimension, concept, "number", unit, None, None, words, own_past)


SMALL = Catalogue(
    (
        _number("usage.active_users_7d", "active users", "users", "active users in the last 7 days", TREND),
        _number("usage.active_users_28d", "active users", "users", "active users in the last 28 days", TREND),
        _number("usage.trend_28d", "trend", "ratio", "active users in the last 28 days against the 28 before"),
        _number("outcomes.nps_last", "willingness to recommend", "of 10", "latest NPS answer"),
        _number("contract.arr", "size of contract", "currency", "annual recurring revenue"),
        _number("contract.tenure_days", "tenure", "days", "days as a customer"),
        Feature(
            "contract.plan", "subscriptions", "commercial", "plan", "category", "", None, None, "plan", column="plan"
        ),
    )
)

RUBRIC = """
name = "small"
version = "1"
minimum_coverage = 0.5
[bands]
green = 70
yellow = 40
red = 0
[[dimensions]]
name = "usage"
weight = 60
[[dimensions.signals]]
feature = "usage.active_users_28d"
weight = 40
better = "higher"
grade = "percentile"
green_above = 80
yellow_from = 40
[[dimensions.signals]]
feature = "usage.trend_28d"
weight = 20
better = "higher"
grade = "steps"
steps = [
  {from = 1, grade = "green", points = 100}, {from = 0.5, grade = "yellow", points = 50}, {grade = "red", points = 0}
]
[[dimensions]]
name = "outcomes"
weight = 40
[[dimensions.signals]]
feature = "outcomes.nps_last"
weight = 40
better = "higher"
grade = "steps"
steps = [
  {from = 9, grade = "green", points = 100}, {from = 7, grade = "yellow", points = 50}, {grade = "red", points = 0}
]
"""


def make_portfolio(accounts: int = 300, seed: int = 1) -> pd.DataFrame:
    """Accounts of all sizes at 2026-01-05, some values unknown."""
    rng = np.random.default_rng(seed)
    users = rng.integers(0, 60, accounts).astype(float)
    nps = rng.integers(0, 11, accounts).astype(float)
    nps[rng.random(accounts) < 0.3] = np.nan
    return pd.DataFrame(
        {
            "account_id": [f"a{i:04d}" for i in range(accounts)],
            "as_of": pd.Timestamp("2026-01-05", tz="UTC").as_unit("us"),
            "usage.active_users_7d": np.floor(users * 0.6),
            "usage.active_users_28d": users,
            "usage.trend_28d": rng.lognormal(0.0, 0.3, accounts),
            "outcomes.nps_last": nps,
            "contract.arr": rng.lognormal(10.0, 1.3, accounts),
            "contract.tenure_days": rng.integers(10, 900, accounts).astype(float),
            "contract.plan": pd.Series(rng.choice(PLANS, accounts), dtype="str"),
        }
    )


def train_text(frame: pd.DataFrame, seed: int = 1) -> str:
    """A tiny LightGBM booster on the small catalogue, as text: few users and a low NPS raise churn risk."""
    rng = np.random.default_rng(seed)
    matrix = encoded(frame)
    risk = -0.08 * (matrix[:, 1] - 30) - 0.2 * (np.nan_to_num(matrix[:, 3], nan=5) - 5) + 0.5 * (matrix[:, 6] == 0) - 1
    label = rng.random(len(frame)) < 1 / (1 + np.exp(-risk))
    data = lightgbm.Dataset(matrix, label, feature_name=list(SMALL), categorical_feature=[6])
    parameters = {"objective": "binary", "num_leaves": 6, "verbosity": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(parameters, data, 15).model_to_string()


def encoded(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the feature matrix, built independently: numbers unchanged, the plan as its index in PLANS."""
    columns = [frame[name].to_numpy(float) for name in list(SMALL)[:-1]]
    return np.column_stack([*columns, frame["contract.plan"].map(PLANS.index).to_numpy(float)])


SIGMOID: dict[str, Any] = {
    "kind": "sigmoid",
    "parameters": {"a": 0.9, "b": -0.2},
    "resamples": [{"a": 0.7 + 0.02 * i, "b": -0.5 + 0.04 * i} for i in range(20)],
}


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return SMALL


@pytest.fixture(scope="session")
def portfolio() -> pd.DataFrame:
    return make_portfolio()


@pytest.fixture(scope="session")
def rubric() -> Rubric:
    return rubric_from_text(RUBRIC, "small.toml", SMALL)


@pytest.fixture(scope="session")
def model_text(portfolio: pd.DataFrame) -> str:
    return train_text(portfolio)


@pytest.fixture(scope="session")
def peers(portfolio: pd.DataFrame) -> Peers:
    return Peers.of(portfolio, [name for name, feature in SMALL.items() if feature.kind == "number"])


@pytest.fixture(scope="session")
def parts(model_text: str, peers: Peers, rubric: Rubric) -> Callable[..., BundleContents]:
    """Return a factory of the contents of a churn bundle of version 3; keywords replace a part."""

    def make(**other: Any) -> BundleContents:
        usual: dict[str, Any] = {
            "target": "churn",
            "version": "3",
            "horizon_days": 90,
            "grace_days": 30,
            "trained_through": datetime(2025, 10, 1, tzinfo=UTC),
            "created_at": datetime(2026, 1, 5, 12, tzinfo=UTC),
            "catalogue_version": SMALL.version,
            "base_rate": 0.2,
            "metrics": {"roc_auc": 0.8},
            "gates": {"leakcheck": {"passed": True}},
            "model_text": model_text,
            "calibrator": SIGMOID,
            "schema": bundle_schema(list(SMALL), {"contract.plan": PLANS}, peers, SMALL),
            "rubric": rubric,
        }
        return BundleContents(**(usual | other))

    return make


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, parts: Callable[..., BundleContents]) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("home") / "bundles" / "churn" / "3", parts(), SMALL)


@pytest.fixture(scope="session")
def ensemble(tmp_path_factory: pytest.TempPathFactory, parts: Callable[..., BundleContents]) -> Bundle:
    """An ensemble of three members, each with five of the booster's trees and a linear model of its own."""
    folder: Path = tmp_path_factory.mktemp("home") / "bundles" / "churn" / "4"
    return write_bundle(folder, parts(version="4", **ensemble_parts(parts())), SMALL)


def ensemble_parts(usual: BundleContents) -> dict[str, Any]:
    """Return the schema and the calibrator of the fixture `ensemble`."""
    numbers = {name: [0.0, 0.0, 0.0, 0.0, 0.0] for name, feature in SMALL.items() if feature.kind == "number"}
    starts = [
        {
            "intercept": -1.0 + 0.1 * k,
            "numbers": numbers | {"contract.arr": [0.1 * (k - 1), 10.0, 20_000.0, 0.0, 0.0]},
            "levels": {"contract.plan": [[0.05 * k, 0.0, -0.05], 0.01]},
        }
        for k in range(3)
    ]
    schema = dict(usual.schema) | {"members": [{"trees": 5, "start": start} for start in starts], "trees_share": 0.5}
    frame = make_portfolio()
    calibrator = SIGMOID | {"error": {"variance": 0.04, "weight": 2.0}}
    scorer = Scorer.from_texts(usual.model_text, schema, calibrator)
    contributions = scorer.member_contributions(scorer.encode(frame).matrix)
    comparables = Comparables.of(contributions, segment_of(frame["contract.arr"]))
    return {"schema": schema | {"comparables": comparables.to_json()}, "calibrator": calibrator}


@pytest.fixture(scope="session")
def champion(bundle: Bundle, parts: Callable[..., BundleContents], rubric: Rubric) -> Champion:
    """A champion for churn only."""
    return Champion({"churn": bundle}, rubric)


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle, parts: Callable[..., BundleContents]) -> Champion:
    """A champion for both targets; the same booster serves for expansion."""
    folder: Path = tmp_path_factory.mktemp("home") / "bundles" / "expansion" / "5"
    other = write_bundle(folder, parts(target="expansion", version="5"), SMALL)
    return Champion({"churn": bundle, "expansion": other}, bundle.rubric)
