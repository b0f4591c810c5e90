"""Two models side by side: how they are named, which figures and settings are shown, and when differences are paired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import BadRequest
from features.utils.console import Console
from models.artifacts.champion_pointer import ChampionEntry, ChampionPointer, write_pointer
from models.artifacts.identity_file import write_identity_file
from models.artifacts.portfolio_identity import PortfolioIdentity, SignalsPortfolio
from models.home import Home
from training.cli.tables.run_comparison import print_comparison
from training.evaluation.comparison import compare_candidates
from training.evaluation.headline_metrics import HEADLINE
from training.evaluation.test_predictions import ScoredTestRows
from training.registry import mlflow_tracking as tracking
from training.registry.run_comparison import RunComparison, compare_runs
from training.registry.stored_predictions import PREDICTIONS, predictions_table

# MLflow uses a deprecated SQLAlchemy call.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


class _Registry:
    """A home with trainings of a churn model that were not fitted."""

    def __init__(self, root: Path) -> None:
        self.home, self.runs = Home(root), dict[str, str]()
        signals = SignalsPortfolio("acme", "contractual", ("accounts",), [f"a{i}" for i in range(100)], [None] * 100)
        self.identity = PortfolioIdentity.of(signals)
        write_identity_file(self.home, self.identity)

    def train(
        self,
        version: str,
        rows: ScoredTestRows,
        config: Mapping[str, Any],
        ridge: float = 1.0,
        store: bool = True,
        parent_only: bool = False,
    ) -> None:
        """Log what a training logs, without fitting anything."""
        comparison = compare_candidates(rows.y, rows.p, rows.accounts, rows.arr, rows.known_rate, resamples=50)
        report = {
            "data_through": "2026-09-30", "catalogue_version": "c1",
            "targets": {
                "churn": {
                    "judgement": comparison.as_dict(), "origins": ["2026-01-05"], "newest_snapshots": {"90": "2026-06-01"},
                    "settings": {"ridge": ridge, "small_trees": {"leaves": 6}},
                }
            },
        }  # fmt: skip
        tags = {tracking.version_tag("churn"): version, tracking.failed_gates_tag("churn"): ""}
        with tracking.run(self.home, f"training {version}") as run:
            run.document("report.json", report)
            run.document("config.json", dict(config))
            if not parent_only:
                with run.child("churn") as child:
                    child.tags(tags)
                    if store:
                        child.table(PREDICTIONS, predictions_table(rows, "blend", self.identity))
                run.tags({tracking.child_run_tag("churn"): child.run_id})
            run.tags(tags)
        self.runs[version] = run.run_id

    def point(self, version: str) -> None:
        children = tracking.connect(self.home).MlflowClient().get_run(self.runs[version]).data.tags
        run_id = children[tracking.child_run_tag("churn")]
        entry = ChampionEntry(version=version, folder=f"bundles/churn/{version}-{run_id[:8]}")
        write_pointer(self.home, ChampionPointer(churn=entry, promoted_at=datetime.now(UTC)))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> _Registry:
    """Five trainings. Version 2 ranks perfectly, 3 has another horizon, 4 stored no predictions, 5 is of an old release."""
    registry, rng = _Registry(tmp_path_factory.mktemp("compared")), np.random.default_rng(1)
    y = (rng.random(400) < 0.2).astype(float)
    config = {"horizon_days": 90, "grace_days": 30, "folds": 2, "seed": 0}
    vague, sharp = np.clip(0.2 + 0.1 * (y - 0.2) + rng.normal(0, 0.05, 400), 0.02, 0.9), 0.05 + 0.8 * y
    registry.train("1", _rows(y, vague), config)
    registry.train("2", _rows(y, sharp), config | {"folds": 5}, ridge=0.5)
    registry.train("3", _rows(y, sharp), config | {"horizon_days": 60})
    registry.train("4", _rows(y, sharp), config, store=False)
    registry.train("5", _rows(y, sharp), config, parent_only=True)
    registry.point("2")
    return registry


def _rows(y: np.ndarray[Any, Any], p: np.ndarray[Any, Any]) -> ScoredTestRows:
    accounts = np.array([f"a{i}" for _ in range(4) for i in range(100)], dtype=object)
    when = pd.Series(pd.date_range("2026-01-05", periods=4, freq="7D", tz="UTC").repeat(100))
    nothing = np.zeros(400)
    return ScoredTestRows(accounts, when, accounts, y, nothing, {"blend": p}, np.full(400, 0.2), nothing == 0)


def _printed(comparison: RunComparison) -> str:
    out = StringIO()
    print_comparison(comparison, Console(file=out, width=80))
    return out.getvalue()


def test_differences_are_paired_on_the_rows_of_both_backtests(registry: _Registry) -> None:
    comparison = compare_runs(registry.home, "1", "champion")
    churn = comparison.targets["churn"]
    assert churn.paired is not None
    assert (churn.paired.rows, churn.paired.accounts) == (400, 100)
    assert list(churn.paired.differences) == list(HEADLINE)
    value, low, high = churn.paired.differences["log_loss"]
    assert low < value < high < 0
    # All rows are common, so the difference is that of the figures.
    for name in HEADLINE:
        assert churn.difference(name)[0] == pytest.approx(churn.figure(churn.b, name)[0] - churn.figure(churn.a, name)[0])
    assert churn.words.startswith("B is better by log loss, on 400 snapshots of 100 accounts")
    assert churn.settings == {"folds": (2, 5), "ridge": (1.0, 0.5)}
    stated = comparison.as_dict()["targets"]["churn"]
    assert stated["b"]["champion"] is True
    assert stated["a"]["newest_snapshot"] == "2026-06-01"
    assert stated["figures"]["roc_auc"]["b"]["value"] == 1.0
    text = _printed(comparison)
    for words in ("2 (champion)", "B minus A", "lift 10%", "folds", "2026-09-30", "B is better by log loss"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("other", "reason"),
    [("3", "their horizon_days differ"), ("4", "has no predictions.parquet"), ("5", "has no predictions.parquet")],
)
def test_a_comparison_that_cannot_be_paired_says_why(registry: _Registry, other: str, reason: str) -> None:
    churn = compare_runs(registry.home, "churn/1", other).targets["churn"]
    assert churn.paired is None
    assert reason in churn.unpaired_reason
    value, low, _ = churn.difference("roc_auc")
    assert value == pytest.approx(churn.figure(churn.b, "roc_auc")[0] - churn.figure(churn.a, "roc_auc")[0])
    assert np.isnan(low)
    assert "not paired: " in _printed(compare_runs(registry.home, "churn/1", other))


def test_a_run_is_named_by_the_beginning_of_its_id(registry: _Registry) -> None:
    first, second = (registry.runs[version] for version in ("1", "2"))
    churn = compare_runs(registry.home, first, second[:8]).targets["churn"]
    assert (churn.a.version, churn.b.version) == ("1", "2")
    assert churn.a.run_id == first
    assert compare_runs(registry.home, churn.a.model_run_id, "2").targets["churn"].a.version == "1"


@pytest.mark.parametrize(
    ("a", "b", "problem"),
    [
        ("9", "1", "there is no completed training or version '9'"),
        ("sales/1", "1", "'sales/1' names no model"),
        ("expansion/champion", "1", "there is no champion"),
        ("2", "champion", "2 and champion are the same model"),
    ],
)
def test_mistakes_are_explained(registry: _Registry, a: str, b: str, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem) as raised:
        compare_runs(registry.home, a, b)
    assert raised.value.expected


def test_stored_predictions_hold_no_account_ids(registry: _Registry) -> None:
    table = predictions_table(_rows(np.tile([0.0, 1.0], 200), np.full(400, 0.2)), "blend", registry.identity)
    assert table["account"].dtype == np.uint64
    assert table["account"].nunique() == 100
    assert list(table.columns) == ["account", "as_of", "outcome", "known_rate", "probability"]
