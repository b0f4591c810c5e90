"""Signals to renewals: train, promote, forecast by the command line, score, and forecast by the service."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from models.home import Home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[3]
AT = "2026-01-01"
QUICK = "every_days = 28\ntrials = 1\nresamples = 50\nfolds = 2\n"


@pytest.mark.slow
def test_a_renewal_model_is_trained_and_served(annual_signals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, config = tmp_path / "home", tmp_path / "quick.toml"
    config.write_text(QUICK)
    monkeypatch.setenv("RENEWCAST_HOME", str(home))
    monkeypatch.delenv("RENEWCAST_FEATURES", raising=False)

    def run(*arguments: str | Path) -> str:
        line = [sys.executable, "-m", "renewcast", *map(str, arguments)]
        result = subprocess.run(line, capture_output=True, text=True, timeout=500, cwd=ROOT)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def command(*arguments: str | Path) -> dict[str, Any]:
        return dict(json.loads(run(*arguments, "--json")))

    report = command("train", annual_signals, "--config", config)
    assert report["targets"]["churn"]["promoted"], report["targets"]["churn"]["gates"]
    assert report["renewals"]["used"], report["renewals"]["reason"]
    assert report["renewals"]["stages"][0]["judgement"]["subject"] == "blend"
    forecast = command("renewals", annual_signals, "--as-of", AT, "--days", "120")
    assert 0 < forecast["whole"]["renewal_model_accounts"] < forecast["whole"]["accounts"]
    by_method = {each["account_id"]: each["method"] for each in forecast["accounts"] if not each["overdue"]}
    assert set(by_method.values()) == {"renewal_model", "derivation"}
    past = command("renewals", annual_signals, "--backtest")
    assert past["quarters"]
    run("score", annual_signals, "--as-of", AT, "--out", tmp_path / "scores.csv")
    with TestClient(create_app(Home(home), ServiceSettings(open_locally=True)), base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        answer = client.get("/v1/renewals", params={"days": 120, "limit": 1000}).json()
        card = client.get("/model", headers={"Accept": "text/html"}).text
    assert {each["account_id"]: each["method"] for each in answer["accounts"] if not each["overdue"]} == by_method
    assert "<h3>Renewal model</h3>" in card
