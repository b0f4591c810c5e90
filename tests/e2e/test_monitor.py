"""Monitoring through the command line. The champion's training date is moved back, so that there are later dates."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

TRAINED = "2026-01-07T00:00:00Z"


@pytest.fixture(scope="module")
def home(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("monitor") / "home"
    shutil.copytree(world.home, place, ignore=shutil.ignore_patterns("mlartifacts", "rollups"))
    for file in place.glob("bundles/*/*/manifest.json"):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"trained_through": TRAINED}))
    return place


def _look(renewcast: Any, signals: Path, home: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(renewcast("monitor", signals, "--json", home=home).stdout)
    return report


@pytest.mark.slow
def test_predictions_are_compared_with_outcomes(world: Any, home: Path, renewcast: Any) -> None:
    before = (home / "champion.json").read_bytes()
    report = _look(renewcast, world.signals, home)
    assert report["targets"]
    for watched in report["targets"].values():
        assert watched["trained_through"] == "2026-01-07"
        matured = {row["days"]: row for row in watched["matured"]}
        assert list(matured) == [30, 60, 90, 180]
        # With a longer horizon, fewer predictions have matured, and more of them have the outcome.
        assert matured[30]["rows"] > matured[90]["rows"] > matured[180]["rows"] > 0
        assert matured[30]["rate"] < matured[180]["rate"]
        for row in matured.values():
            low, high = row["ratio"][1:]
            assert low < row["ratio"][0] < high
            assert 0.4 < row["ratio"][0] < 2.5
        assert watched["new_outcomes"] > 0
        assert watched["former"] == []
        assert watched["together"] == watched["matured"]
        assert len(watched["feature_psi"]) > 50, "all of them, not those alone that moved"
    assert report["feeds"] == []
    warnings = report["early_warnings"]
    assert warnings["dates"] == 26
    assert warnings["total"]["episodes"] == sum(each["episodes"] for each in warnings["by_code"]) > 20
    assert warnings["total"]["stayed_after_intervention"] > 0
    assert (home / "champion.json").read_bytes() == before, "monitoring changes nothing"


@pytest.mark.slow
def test_the_previous_champion_is_compared_on_its_own_dates(
    world: Any, home: Path, renewcast: Any, tmp_path: Path
) -> None:
    """The previous champion is the same model with an earlier number. It answered from October to the present training."""
    place = tmp_path / "home"
    shutil.copytree(home, place)
    pointer = json.loads((place / "champion.json").read_text())
    target = next(t for t in ("churn", "expansion") if t in pointer)
    folder = f"bundles/{target}/0-earlier"
    shutil.copytree(place / pointer[target]["folder"], place / folder)
    manifest = json.loads((place / folder / "manifest.json").read_text())
    manifest |= {"version": "0", "trained_through": "2025-10-01T00:00:00Z"}
    (place / folder / "manifest.json").write_text(json.dumps(manifest))
    change = next(one for one in pointer["history"] if one["target"] == target)
    earlier = change | {"at": manifest["created_at"], "champion": {"version": "0", "folder": folder}}
    pointer["history"] = [earlier, *pointer["history"]]
    (place / "champion.json").write_text(json.dumps(pointer))
    watched = _look(renewcast, world.signals, place)["targets"][target]
    (former,) = watched["former"]
    assert (former["version"], former["since"], former["until"]) == ("0", "2025-10-01", "2026-01-07")
    assert [row["days"] for row in former["matured"]] == [30, 60, 90, 180]
    for before, own, both in zip(former["matured"], watched["matured"], watched["together"], strict=True):
        assert before["rows"] + own["rows"] == both["rows"]
    printed = " ".join(renewcast("monitor", world.signals, home=place).stdout.split())
    assert "all champions so far, each on the dates when it was in use" in printed
    assert "0 2025-10-01 2026-01-07" in printed
    assert "stayed after an intervention (saved, possibly)" in printed


@pytest.mark.slow
def test_a_changed_unit_is_named_and_retraining_is_not_advised(
    world: Any, home: Path, renewcast: Any, tmp_path: Path
) -> None:
    signals = tmp_path / "signals"
    shutil.copytree(world.signals, signals)
    file = next(iter(signals.rglob("usage*.parquet")), None) or next(iter((signals / "usage").rglob("*.parquet")))
    table = pq.read_table(file)
    late = pc.greater(table["occurred_at"].cast(pa.int64()), pc.subtract(pc.max(table["occurred_at"].cast(pa.int64())), 70 * 86_400_000_000))
    grown = pc.if_else(late, pc.multiply(table["minutes"].cast(pa.float64()), 60.0), table["minutes"].cast(pa.float64()))
    place = table.schema.get_field_index("minutes")
    pq.write_table(table.set_column(place, "minutes", grown), file)
    report = _look(renewcast, signals, home)
    assert any("minutes" in line for line in report["feeds"])
    assert any(
        name.startswith("usage.minutes") and psi is not None and psi > watched["psi_limit"]
        for watched in report["targets"].values()
        for name, psi in watched["feature_psi"].items()
    )
    assert report["retrain"] is False
    # Predictions that use it are marked.
    scored = renewcast("score", signals, "--as-of", "2026-09-30", "--out", tmp_path / "rows.csv", home=home)
    assert "the unit of usage.minutes seems to have changed" in " ".join(scored.stdout.split())
    facts = json.loads(pq.read_schema(next((home / "snapshots").glob("2026-09-30*.parquet"))).metadata[b"renewcast"])
    assert facts["jumped"] == ["usage.minutes"]


def test_without_a_champion_there_is_nothing_to_monitor(world: Any, tmp_path: Path, renewcast: Any) -> None:
    assert "no champion" in renewcast("monitor", world.signals, home=tmp_path / "home", expect=2).stderr
