"""What MLflow's users expect of a training: a run per target under a parent, params, datasets, metrics, descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import training
from models.home import Home
from training.evaluation.headline_metrics import HEADLINE
from training.registry import mlflow_tracking as tracking
from training.registry.code_version import COMMIT, PACKAGE_VERSION, checkout_commit
from training.registry.stored_predictions import PREDICTIONS

# MLflow uses a deprecated SQLAlchemy call.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
TARGET = "churn"


@pytest.fixture(scope="module")
def client(world: Any) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield tracking.connect(Home(world.home)).MlflowClient()


@pytest.fixture(scope="module")
def parent(world: Any, client: Any) -> Any:
    return client.get_run(world.report["run_id"])


@pytest.fixture(scope="module")
def child(world: Any, client: Any) -> Any:
    return client.get_run(world.report["targets"][TARGET]["run_id"])


def test_each_target_has_a_run_under_that_of_the_training(world: Any, client: Any, parent: Any) -> None:
    children = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    )
    trained = {target: part["run_id"] for target, part in world.report["targets"].items() if "version" in part}
    assert {run.data.tags["renewcast.target"]: run.info.run_id for run in children} == trained
    for target, run_id in trained.items():
        assert parent.data.tags[tracking.child_run_tag(target)] == run_id
        version = world.report["targets"][target]["version"]
        assert client.get_model_version(tracking.registered_model_name(target), version).run_id == run_id
        assert world.report["targets"][target]["bundle"].endswith(f"{version}-{run_id[:8]}")


def test_every_setting_is_a_param(world: Any, parent: Any, child: Any) -> None:
    report, params = world.report["targets"][TARGET], child.data.params
    settings = report["settings"]
    assert float(params["ridge"]) == settings["ridge"]
    for kind in ("small_trees", "large_trees"):
        for name, value in settings[kind].items():
            assert params[f"{kind}.{name}"] == str(value)
    assert {name: float(params[f"weight.{name}"]) for name in report["weights"]} == report["weights"]
    assert float(params["trees_share"]) == report["trees_share"]
    for run in (parent, child):
        assert (run.data.params["folds"], run.data.params["trials"]) == ("2", "1")
        assert run.data.params["data_through"] == world.report["data_through"]


def test_datasets_are_inputs_without_values(world: Any, child: Any) -> None:
    inputs = {entry.tags[0].value: entry.dataset for entry in child.inputs.dataset_inputs}
    assert set(inputs) == {"training", "backtest"}
    for dataset in inputs.values():
        assert json.loads(dataset.source)["uri"] == str(Path(world.signals).absolute())
        assert len(dataset.digest) == 16
        names = [column["name"] for column in json.loads(dataset.schema)["mlflow_colspec"]]
        assert names[-1] == TARGET
        assert "contract.arr" in names
    assert inputs["training"].digest != inputs["backtest"].digest
    size = world.report["targets"][TARGET]["judgement"]["size"]
    assert json.loads(inputs["backtest"].profile)["num_rows"] == size["rows"]
    assert json.loads(inputs["backtest"].profile)["accounts"] == size["accounts"]


def test_metrics_have_bounds_and_the_first_six_have_no_prefix(world: Any, client: Any, parent: Any, child: Any) -> None:
    judgement = world.report["targets"][TARGET]["judgement"]
    rows = {row["candidate"]: {m["name"]: m for m in row["metrics"]} for row in judgement["rows"]}
    logged = child.data.metrics
    for name in HEADLINE:
        figure = rows["blend"][name]
        for key, value in ((name, "value"), (f"{name}_low", "low"), (f"{name}_high", "high")):
            assert logged[key] == pytest.approx(figure[value])
            assert parent.data.metrics[f"{TARGET}/blend/{key}"] == pytest.approx(figure[value])
    assert {key.removesuffix("_low").removesuffix("_high") for key in logged if "/" not in key} == set(HEADLINE)
    assert logged["base_rate/log_loss"] == pytest.approx(rows["base_rate"]["log_loss"]["value"])
    assert logged["base_rate/log_loss_high"] == pytest.approx(rows["base_rate"]["log_loss"]["high"])
    version = client.get_model_version(tracking.registered_model_name(TARGET), world.report["targets"][TARGET]["version"])
    model = client.get_logged_model(version.source.removeprefix("models:/"))
    assert {metric.key for metric in model.metrics} >= set(HEADLINE)


def test_runs_and_versions_are_described(world: Any, client: Any, parent: Any, child: Any) -> None:
    report = world.report["targets"][TARGET]
    name = tracking.registered_model_name(TARGET)
    text = client.get_model_version(name, report["version"]).description
    assert f"Churn within 90 days, version {report['version']}" in text
    assert report["judgement"]["words"] in text
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")][1:] == list(HEADLINE.values())
    assert child.data.tags[tracking.DESCRIPTION] == text
    assert text in parent.data.tags[tracking.DESCRIPTION]
    assert "probability of churn" in client.get_registered_model(name).description


def test_runs_name_the_code(parent: Any, child: Any) -> None:
    commit = checkout_commit(Path(training.__path__[0]).resolve().parent)
    for run in (parent, child):
        assert run.data.tags[PACKAGE_VERSION]
        assert run.data.tags.get(COMMIT, "") == commit
        assert run.data.tags["mlflow.source.name"] == "renewcast train"


def test_predictions_are_stored_by_hashed_account(world: Any, client: Any, child: Any, tmp_path: Path) -> None:
    table = pd.read_parquet(client.download_artifacts(child.info.run_id, PREDICTIONS, str(tmp_path)))
    judgement = world.report["targets"][TARGET]["judgement"]
    assert len(table) == judgement["size"]["rows"]
    brier = next(m["value"] for row in judgement["rows"] if row["candidate"] == "blend" for m in row["metrics"] if m["name"] == "brier")
    assert ((table["probability"] - table["outcome"]) ** 2).mean() == pytest.approx(brier)
    assert table["account"].dtype == "uint64"


def test_a_version_and_the_run_that_registered_it_are_the_same_model(world: Any, renewcast: Any) -> None:
    version = world.report["targets"][TARGET]["version"]
    result = renewcast("runs", "--compare", world.report["run_id"][:8], f"{TARGET}/{version}", home=world.home, expect=2)
    assert "are the same model" in result.stderr
