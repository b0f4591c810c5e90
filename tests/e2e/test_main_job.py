"""From signals to explained and calibrated predictions, through the command line and the service."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.catalogue.catalogue import CATALOGUE
from features.custom.current_catalogue import with_custom_features
from features.signals.signals import open_signals
from features.snapshots.snapshot import snapshot
from features.utils.dates import Grid, parse_instant
from models.artifacts.champion import load_champion
from models.explain.reasons import FEW_REASONS, MINIMUM_STABILITY
from models.home import Home, other_entries

SCORED_AT = "2026-09-30"
WITHIN = [f"probability_{days}d" for days in (30, 60, 90, 180)]
COLUMNS = [
    "account_id", "name", "as_of",
    *(f"churn_{c}" for c in ("status", "probability", "low", "high", "risk_score", "band", *WITHIN, "involuntary")),
    *(f"expansion_{c}" for c in ("status", "probability", "low", "high", "risk_score", "band", *WITHIN)),
    "expansion_ready", "health_score", "health_band", "health_rubric",
    "health_meant_churn", "health_change_7d", "segment", "stage", "alerts_raised", "early_warnings", "watch",
    "play", "play_kind", "play_by", "play_due", "play_because", "onboarding_missed", "expansion_type",
    "expansion_withdrawn", "expansion_find_out", "expansion_points",
    *(name for k in range(1, 6) for name in (f"reason_{k}", f"reason_{k}_stability")), "churn_explained_note",
    "churn_model_version", "expansion_model_version",
]  # fmt: skip


def test_training_reports_what_a_person_needs_to_judge_it(world: Any) -> None:
    churn = world.report["targets"]["churn"]
    assert {row["candidate"] for row in churn["judgement"]["rows"]} == {
        "base_rate", "renewal_due", "health_score", "logistic_regression", "lightgbm", "large_lightgbm", "even_blend",
        "blend", "product-relationship-outcomes", "adoption-engagement-business-relationship",
    }  # fmt: skip
    origins = [origin[:10] for origin in churn["origins"]]
    slices = {name: (part["first"][:10], part["last"][:10]) for name, part in churn["data"]["slices"].items()}
    assert origins == sorted(set(origins))
    assert slices["train"][1] < origins[0] <= slices["backtest"][0]
    assert slices["backtest"][1] == slices["all"][1]
    # The model that ships has used every labelled date of each horizon.
    newest = churn["newest_snapshots"]
    assert newest["90"][:10] == slices["all"][1]
    assert newest["30"] >= newest["60"] >= newest["90"] > newest["180"]
    assert {gate["name"] for gate in churn["gates"]} >= {"no_leak", "enough_data", "beats_base_rate"}
    assert next(g for g in churn["gates"] if g["name"] == "no_leak")["passed"]


def test_all_that_commands_write_counts_as_the_home_s_own(world: Any) -> None:
    assert other_entries(os.listdir(world.home)) == []


def test_the_run_reports_more_than_averages(world: Any) -> None:
    plots = {file.name for file in world.home.rglob("*.png")}
    for target, report in world.report["targets"].items():
        assert {
            f"{target}-{what}.png" for what in ("reliability", "gain", "capacity", "beeswarm", "dimensions")
        } <= plots
        assert [part["name"] for part in report["by_horizon"]] == ["30 days", "60 days", "180 days"]
        for part in report["by_horizon"]:
            assert (part["roc_auc"][0] is not None) is part["enough"]
            assert part["enough"] or part["note"], "no horizon is passed over in silence"
        rows = sum(part["rows"] for part in report["by_segment"])
        assert rows == report["judgement"]["size"]["rows"]
        worth = {work["candidate"]: work["caught"][0] for work in report["worked"]}
        assert worth["blend"] > worth["random"]
        assert next(work["lift"] for work in report["worked"] if work["candidate"] == "random") == [1.0, 1.0, 1.0]
        names = [row["candidate"] for row in report["judgement"]["rows"]]
        for part in report["by_segment"]:
            assert part["enough"] is (part["judgement"] is not None)
            if part["enough"]:
                assert [row["candidate"] for row in part["judgement"]["rows"]] == names
        assert (report["involuntary"] is not None) is (target == "churn")


def test_the_card_in_the_bundle_agrees_with_the_run(world: Any) -> None:
    for target, report in world.report["targets"].items():
        card = json.loads((Path(report["bundle"]) / "card.json").read_text(encoding="utf-8"))
        assert (card["target"], card["run_id"]) == (target, world.report["run_id"])
        by_candidate = {
            row["candidate"]: {m["name"]: m["value"] for m in row["metrics"]} for row in report["judgement"]["rows"]
        }
        for rival in card["rivals"]:
            assert all(
                figure["value"] == by_candidate[rival["candidate"]][name] for name, figure in rival["metrics"].items()
            )
        size = report["judgement"]["size"]
        assert [(part["judged"], part["note"]) for part in card["by_horizon"]] == [
            (part["enough"], part["note"]) for part in report["by_horizon"]
        ]
        assert sum(part["rows"] for part in card["reliability"]) == size["rows"]
        assert sum(part["outcomes"] for part in card["reliability"]) == size["rows_with_outcome"]
        assert abs(sum(card["dimensions"].values()) - 1.0) < 1e-9
        involuntary = report["involuntary"]
        assert (
            card["involuntary"] is None if involuntary is None else card["involuntary"]["words"] == involuntary["words"]
        )


def test_custom_features_are_trained_on_and_recorded(world: Any) -> None:
    """All files of this world were made with custom features, and snapshots contain them."""
    own = with_custom_features(world.own_features)
    assert world.report["catalogue_version"] == own.version != CATALOGUE.version
    recorded = [file.read_text(encoding="utf-8") for file in world.home.rglob("features.toml")]
    assert recorded == [world.own_features.read_text(encoding="utf-8")]
    schemas = [json.loads(file.read_text()) for file in (world.home / "bundles").rglob("schema.json")]
    used = [entry for schema in schemas for entry in schema["features"] if "definition" in entry]
    assert {"own.exports_28d", "own.admins"} <= {entry["name"] for entry in used}
    assert all(entry["definition"] == own[entry["name"]].definition for entry in used)
    published = pq.read_schema(next((world.home / "snapshots").glob("*.parquet")))
    assert published.names == ["account_id", "as_of", *own]


@pytest.mark.slow
def test_without_the_custom_features_a_model_that_uses_them_is_refused(
    world: Any, renewcast: Any, tmp_path: Path
) -> None:
    empty = tmp_path / "none.toml"
    empty.write_text("features = []\n", encoding="utf-8")
    out = tmp_path / "scores.csv"
    result = renewcast(
        "score", world.signals, "--as-of", SCORED_AT, "--out", out, home=world.home, expect=2, features=empty
    )
    assert "own.exports_28d is not in the catalogue" in result.stderr
    assert "RENEWCAST_FEATURES" in result.stderr
    assert not out.exists()


def test_a_broken_bundle_is_refused(renewcast: Any, world: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(world.home, home)
    model = next(home.glob("bundles/*/*/model.txt"))
    model.write_text(model.read_text() + "\n")
    out = tmp_path / "x.csv"
    result = renewcast("score", world.signals, "--as-of", SCORED_AT, "--out", out, home=home, expect=2)
    assert "model.txt was changed" in result.stderr
    assert not out.exists()


def test_every_training_run_records_its_leak_check(world: Any) -> None:
    payload = world.report["leakcheck"]
    assert payload["ok"] is True
    assert all(check["looked_at"] for check in payload["checks"])
    (recorded,) = (json.loads(file.read_text(encoding="utf-8")) for file in world.home.rglob("leakcheck.json"))
    assert recorded == payload


def test_scores_have_the_public_columns(world: Any) -> None:
    rows = pd.read_csv(world.scores)
    assert rows.columns.tolist() == COLUMNS
    assert rows["account_id"].is_unique
    assert set(rows["as_of"]) == {SCORED_AT}
    scored = rows[rows["churn_status"] == "scored"]
    assert len(scored) > 100
    assert scored["churn_probability"].between(0, 1).all()
    assert (scored["churn_low"] <= scored["churn_probability"]).all()
    assert (scored["churn_probability"] <= scored["churn_high"]).all()
    for target in ("churn", "expansion"):
        within = scored[[f"{target}_{days}" for days in WITHIN]].dropna()
        assert (np.diff(within.to_numpy(), axis=1) >= 0).all(), "a longer horizon never has the lower probability"
        assert within[f"{target}_probability_180d"].mean() > 1.2 * within[f"{target}_probability_30d"].mean()
        assert within[f"{target}_probability_90d"].equals(scored.loc[within.index, f"{target}_probability"])
    # Only reasons on which the members of the ensemble agree are given.
    assert scored["reason_1"].notna().mean() > 0.5
    assert not (rows["expansion_ready"] & (rows["health_band"] != "green")).any()


def test_probabilities_follow_the_true_ones(world: Any) -> None:
    truth = pq.read_table(world.truth).to_pandas()
    truth = truth[pd.to_datetime(truth["as_of"], utc=True) == pd.Timestamp(SCORED_AT, tz="UTC")]
    rows = pd.read_csv(world.scores).merge(truth, on="account_id")
    for target in ("churn", "expansion"):
        if world.report["targets"][target]["promoted"]:
            scored = rows[rows[f"{target}_probability"].notna()]
            assert scored[f"{target}_probability"].corr(scored[target], method="spearman") > 0.3


@pytest.mark.slow
def test_scoring_again_shuffled_and_with_rows_sent_twice_gives_the_same_bytes(
    world: Any, renewcast: Any, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    rng = np.random.default_rng(0)
    for file in world.signals.glob("*.parquet"):
        table = pq.read_table(file)
        # A repeated row of subscriptions would count as a second one.
        again = 0 if file.stem == "subscriptions" else len(table) // 20
        order = np.concatenate([np.arange(len(table)), rng.integers(0, len(table), again)])
        pq.write_table(table.take(rng.permutation(order)), mixed / file.name)
    renewcast("score", mixed, "--as-of", SCORED_AT, "--out", tmp_path / "mixed.csv", home=world.home)
    assert (tmp_path / "mixed.csv").read_bytes() == world.scores.read_bytes()


@pytest.fixture(scope="module")
def service(world: Any) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "renewcast", "serve", "--port", str(port)],
        env=os.environ
        | {
            "RENEWCAST_HOME": str(world.home),
            "RENEWCAST_FEATURES": str(world.own_features),
            "RENEWCAST_OPEN_LOCALLY": "true",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    break
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(20)


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


def test_the_service_agrees_with_the_file_and_its_reasons_add_up(world: Any, service: str) -> None:
    rows = pd.read_csv(world.scores).sort_values("churn_probability", ascending=False)
    for _, row in rows.head(5).iterrows():
        answer = _get(f"{service}/v1/accounts/{row['account_id']}/prediction")
        assert answer["churn"]["probability"] == pytest.approx(row["churn_probability"], abs=1e-12)
        assert answer["health"]["score"] == pytest.approx(row["health_score"], nan_ok=True)
        texts = [row[f"reason_{k}"] for k in range(1, 6) if isinstance(row[f"reason_{k}"], str)]
        assert [reason["text"] for reason in answer["reasons"]] == texts
        assert all(reason["stability"] >= MINIMUM_STABILITY for reason in answer["reasons"])
        explained = answer["churn"]["explained"]
        assert (explained["note"] is None) is (len(texts) >= FEW_REASONS)
        total = sum(r["contribution_log_odds"] for r in answer["reasons"])
        assert explained["base_log_odds"] + total + explained["rest_log_odds"] == pytest.approx(
            explained["raw_log_odds"], abs=1e-6
        )


def test_an_unknown_account_is_a_problem_of_status_404(service: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        _get(f"{service}/v1/accounts/unknown-SECRET/prediction")
    body = caught.value.read().decode()
    assert caught.value.code == 404
    assert caught.value.headers["content-type"].startswith("application/problem+json")
    assert "SECRET" not in body


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_registered_model_gives_the_same_answers_in_its_own_environment(world: Any, tmp_path: Path) -> None:
    """The environment has only the requirements of the model, and no package of this project."""
    mlflow_uri = Home(world.home).tracking_uri
    own, at = with_custom_features(world.own_features), parse_instant(SCORED_AT)
    frame = snapshot(open_signals(world.signals, at), Grid.single(at), catalogue=own)
    frame.to_parquet(tmp_path / "snapshot.parquet")
    champion = load_champion(Home(world.home), own)
    target, bundle = next(iter(champion.bundles.items()))
    get = (
        "import mlflow; mlflow.set_tracking_uri({uri!r}); "
        "print(mlflow.artifacts.download_artifacts('models:/renewcast-{target}@champion', dst_path={to!r}))"
    ).format(uri=mlflow_uri, target=target, to=str(tmp_path / "model"))
    subprocess.run([sys.executable, "-W", "ignore", "-c", get], check=True, capture_output=True, timeout=300)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=120)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "--no-compile", "-r", tmp_path / "model" / "requirements.txt", "pyarrow"]
    subprocess.run(list(map(str, install)), check=True, capture_output=True, timeout=600)
    ask = (
        "import importlib.util, mlflow.pyfunc, pandas as pd; assert importlib.util.find_spec('models') is None; "
        f"m = mlflow.pyfunc.load_model({str(tmp_path / 'model')!r}); "
        f"m.predict(pd.read_parquet({str(tmp_path / 'snapshot.parquet')!r})).to_csv({str(tmp_path / 'predictions.csv')!r})"
    )
    result = subprocess.run([str(python), "-c", ask], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    predictions = pd.read_csv(tmp_path / "predictions.csv")
    ours = bundle.scorer.predict(frame)
    assert np.abs(predictions["probability"] - ours.probability).max() < 1e-9
    assert np.abs(predictions["low"] - ours.low).max() < 1e-9
    assert len(CATALOGUE) > 100
