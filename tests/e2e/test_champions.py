"""Runs, promotion and rollback through the command line, on a copy of the trained home."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def home(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("champions") / "home"
    shutil.copytree(world.home, place, ignore=shutil.ignore_patterns("mlartifacts", "rollups"))
    return place


def _runs(renewcast: Any, home: Path) -> dict[str, Any]:
    result = renewcast("runs", "--json", home=home)
    assert "could not be updated" not in result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_trained_versions_are_listed_with_their_figures(world: Any, home: Path, renewcast: Any) -> None:
    report = _runs(renewcast, home)
    assert [run["run_id"] for run in report["runs"]] == [world.report["run_id"]]
    churn = report["runs"][0]["outcomes"]["churn"]
    assert churn["version"] == world.report["targets"]["churn"]["version"]
    rows = {row["candidate"]: row for row in world.report["targets"]["churn"]["judgement"]["rows"]}
    auc = next(metric["value"] for metric in rows["blend"]["metrics"] if metric["name"] == "roc_auc")
    assert churn["figures"]["roc_auc"] == pytest.approx(auc)
    failed = [g["name"] for g in world.report["targets"]["churn"]["gates"] if not g["passed"]]
    assert churn["failed"] == failed
    assert churn["champion"] is (not failed), "what passed every gate, and nothing else, was promoted"
    assert [change["who"] for change in report["changes"]] == ["training"] * len(report["changes"])


@pytest.mark.slow
def test_promotion_and_rollback_are_recorded(world: Any, home: Path, renewcast: Any) -> None:
    champions = json.loads((home / "champion.json").read_text())
    target = next(t for t in ("churn", "expansion") if t in champions)
    version = champions[target]["version"]
    refused = renewcast("rollback", target, "--why", "a test", home=home, expect=2)
    assert "has no previous champion" in refused.stderr
    promoted = renewcast("promote", target, version, "--why", "to see it recorded", "--by", "Ada", home=home)
    assert promoted.stderr == "", "the alias could follow"
    renewcast("rollback", target, "--why", "and taken back", "--by", "Grace", home=home)
    changes = [c for c in _runs(renewcast, home)["changes"] if c["target"] == target]
    assert [(c["what"], c["who"], c["why"]) for c in changes[1:]] == [
        ("promoted", "Ada", "to see it recorded"),
        ("rolled_back", "Grace", "and taken back"),
    ]
    assert json.loads((home / "champion.json").read_text())[target] == champions[target]


@pytest.mark.slow
def test_another_registry_gives_a_warning_and_the_champion_changes(
    world: Any, home: Path, renewcast: Any, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "home"
    shutil.copytree(home, elsewhere, ignore=shutil.ignore_patterns("mlflow.db"))
    champions = json.loads((elsewhere / "champion.json").read_text())
    target = next(t for t in ("expansion", "churn") if t in champions)
    result = renewcast("promote", target, champions[target]["version"], "--why", "a test", home=elsewhere)
    assert "is now the champion for" in result.stdout
    assert "the alias in the model registry could not be updated: this registry has no version" in result.stderr
    assert len(json.loads((elsewhere / "champion.json").read_text())["history"]) == len(champions["history"]) + 1


def test_a_person_may_promote_a_version_that_could_not_be_compared(home: Path, renewcast: Any) -> None:
    folder = next((home / "bundles" / "expansion").iterdir())
    sound = (folder / "manifest.json").read_text()
    manifest = json.loads(sound)
    gates = {name: gate | {"passed": True} for name, gate in manifest["gates"].items()}
    gate = {"name": "no_loss_to_champion", "passed": False, "figure": None, "limit": 0.0, "words": "it could not be compared"}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"gates": gates | {"no_loss_to_champion": gate}}))
    renewcast("promote", "expansion", manifest["version"], "--why", "other settings", "--by", "Ada", home=home)
    newest = _runs(renewcast, home)["changes"][-1]
    assert (newest["target"], newest["who"], newest["why"]) == ("expansion", "Ada", "other settings")
    lost = gate | {"figure": 0.004, "words": "it is worse"}
    (folder / "manifest.json").write_text(json.dumps(manifest | {"gates": gates | {"no_loss_to_champion": lost}}))
    refused = renewcast("promote", "expansion", manifest["version"], "--why", "a test", home=home, expect=2)
    assert "no loss to champion: it is worse (0.004, limit 0)" in " ".join(refused.stderr.split())
    (folder / "manifest.json").write_text(sound)


def test_a_version_that_failed_a_gate_is_refused_with_its_figure(home: Path, renewcast: Any) -> None:
    folder = next((home / "bundles" / "churn").iterdir())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["gates"]["calibration_slope"] |= {"passed": False, "figure": 0.31, "limit": 0.6, "words": "too extreme"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    before = (home / "champion.json").read_bytes()
    refused = renewcast("promote", "churn", manifest["version"], "--why", "a test", home=home, expect=2)
    assert "calibration slope: too extreme (0.31, limit 0.6)" in " ".join(refused.stderr.split())
    assert (home / "champion.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "says"), [(["rest", "1"], "no target rest"), (["churn", "99"], "no version 99"), (["churn", "../x"], "no version")]
)
def test_a_missing_version_cannot_be_promoted(home: Path, renewcast: Any, arguments: list[str], says: str) -> None:
    assert says in renewcast("promote", *arguments, "--why", "a test", home=home, expect=2).stderr
