"""A registered estimator in the ONNX format is scored, explained and served like the product's own model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import renewcast
from models.home import Home, current_home
from serving.app.app import create_app
from serving.common.settings import ServiceSettings
from training.registry.promotion import promote

AS_OF = "2026-09-30"
QUICK = {"every_days": 28, "trials": 1, "resamples": 50, "folds": 2, "horizons": [90]}


def _command(*arguments: object) -> str:
    result = CliRunner().invoke(renewcast.app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return str(result.stdout)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_commands_and_service_use_a_registered_estimator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder, home, scores = tmp_path / "signals", tmp_path / "home", tmp_path / "scores.ndjson"
    monkeypatch.setenv("RENEWCAST_HOME", str(home))
    current_home.cache_clear()
    renewcast.simulate(folder, accounts=250, weeks=104, seed=1)
    own = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=0.001, max_iter=300))
    with renewcast.open_signals(folder, data_through=AS_OF) as signals:
        result = renewcast.register(own, signals, name="own", target="expansion", home=home, config=QUICK, promote=False)
        assert result.promoted == ()
        assert not (home / "champion.json").exists()
        assert ("expansion", "own", "roc_auc") in result.metrics.index
        assert result.champion.bundles["expansion"].card is not None
        assert result.champion.bundles["expansion"].card.recipe == "own (Pipeline with LogisticRegression)"
    # Whatever its gates say.
    promote(Home(home), dict(result.champion.bundles), "five-dimensions", "Ada", "a test")

    _command("score", folder, "--as-of", AS_OF, "--out", scores)
    rows = [json.loads(line) for line in scores.read_text().splitlines()]
    scored = [row for row in rows if row["expansion_status"] == "scored"]
    assert len({row["expansion_probability"] for row in scored}) > 50
    assert {row["expansion_model_version"] for row in scored} == {"1"}
    account = scored[0]["account_id"]
    about = ("--as-of", AS_OF, "--account", account, "--json")
    answer = json.loads(_command("health", folder, *about))["expansion"]
    runs = json.loads(_command("runs", "--json"))["runs"]
    assert "roc_auc" in runs[0]["outcomes"]["expansion"]["figures"]

    app = create_app(Home(home), ServiceSettings(open_locally=True))
    with TestClient(app, base_url="http://localhost", client=("127.0.0.1", 1)) as client:
        served = client.get(f"/v1/accounts/{account}/prediction").json()["expansion"]
        assert "registered estimator" in client.get("/model").text
    assert served["probability"] == answer["probability"] == scored[0]["expansion_probability"]
    explained = answer["explained"]
    parts = sum(reason["contribution_log_odds"] for reason in answer["reasons"])
    total = explained["base_log_odds"] + parts + explained["rest_log_odds"]
    assert total == pytest.approx(explained["raw_log_odds"], abs=1e-6)
    assert [reason["code"] for reason in served["reasons"]] == [reason["code"] for reason in answer["reasons"]]
