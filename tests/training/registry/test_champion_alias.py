"""The registry's alias follows the champion. If it cannot, the champion still changes, and the alias is updated later."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import renewcast
from models.artifacts.champion_pointer import ChampionEntry, ChampionPointer, read_pointer, write_pointer
from models.home import Home
from training.registry import mlflow_tracking, promotion
from training.registry.champion_alias import sync_alias
from training.registry.runs import completed_runs

NAME = mlflow_tracking.registered_model_name("churn")
# MLflow uses a deprecated SQLAlchemy call.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, tuple[str, ...]]:
    """A home whose registry holds two versions for churn, and the runs that made them."""
    home = Home(tmp_path_factory.mktemp("registered"))
    computed = []
    for version in (1, 2):
        with mlflow_tracking.run(home, f"training {version}") as run:
            client = run.mlflow.MlflowClient()
            if version == 1:
                client.create_registered_model(NAME)
            client.create_model_version(NAME, source=f"{home.artifacts.as_uri()}/model", run_id=run.run_id)
            computed.append(run.run_id)
    return home, tuple(computed)


@pytest.fixture
def home(registered: tuple[Home, tuple[str, ...]]) -> Iterator[Home]:
    """The same home, with version 1 as champion and the alias set to it."""
    home, created = registered
    _point(home, "1", created[0])
    assert sync_alias(home)
    yield home
    (home.root / "champion.json").unlink()


def _entry(version: str, run_id: str) -> ChampionEntry:
    return ChampionEntry(version=version, folder=f"bundles/churn/{version}-{run_id[:8]}")


def _point(home: Home, version: str, run_id: str) -> None:
    write_pointer(home, ChampionPointer(churn=_entry(version, run_id), promoted_at=datetime.now(UTC)))


def _alias(home: Home) -> str:
    client = mlflow_tracking.connect(home).MlflowClient()
    return str(client.get_model_version_by_alias(NAME, mlflow_tracking.ALIAS).version)


def _bundle(home: Home, version: str, run_id: str) -> Any:
    manifest = type("Manifest", (), {"version": version})
    return type("Bundle", (), {"folder": home.bundle_folder("churn", f"{version}-{run_id[:8]}"), "manifest": manifest})


def _promote(home: Home, version: str, run_id: str) -> None:
    promotion.promote(home, {"churn": _bundle(home, version, run_id)}, "five-dimensions", "Ada", "it is better")


def _champion(home: Home) -> str:
    pointer = read_pointer(home)
    assert pointer is not None
    assert pointer.churn is not None
    return pointer.churn.version


def test_the_alias_is_updated_after_a_promotion(home: Home, registered: Any, caplog: pytest.LogCaptureFixture) -> None:
    _promote(home, "2", registered[1][1])
    assert (_champion(home), _alias(home), caplog.text) == ("2", "2", "")


def test_listing_runs_updates_the_alias_after_a_kill(
    home: Home, registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: Home) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "sync_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            _promote(home, "2", registered[1][1])
    assert (_champion(home), _alias(home)) == ("2", "1")
    for _ in range(2):
        assert [run.run_id for run in completed_runs(home)] == list(reversed(registered[1]))
        assert _alias(home) == "2"


def test_an_unreachable_registry_is_a_warning(
    home: Home, registered: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as used:
        # The port is bound, but nothing listens.
        used.bind(("127.0.0.1", 0))
        away = Home(home.root, f"http://127.0.0.1:{used.getsockname()[1]}")
        _promote(away, "2", registered[1][1])
    assert _champion(home) == "2"
    assert "The champion is version 2 for churn; the alias" in caplog.text
    assert "the MLflow store cannot be opened" in caplog.text
    assert _alias(home) == "1"
    assert sync_alias(home)
    assert _alias(home) == "2"


def test_a_registry_that_fails_midway_is_a_warning(
    home: Home, registered: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> str:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_tracking, "set_champion_alias", lost)
        _promote(home, "2", registered[1][1])
    assert "refused the request (ConnectionResetError)" in caplog.text
    assert (_champion(home), _alias(home)) == ("2", "1")


@pytest.mark.parametrize(
    ("version", "run_id", "says"),
    [("7", "0" * 32, "this registry has no version 7"), ("2", "0" * 32, "version 2 of renewcast-churn in this registry is another model")],
)
def test_a_version_of_another_registry_is_a_warning_and_the_alias_stays(
    home: Home, caplog: pytest.LogCaptureFixture, version: str, run_id: str, says: str
) -> None:
    _promote(home, version, run_id)
    assert _champion(home) == version
    assert says in caplog.text
    assert _alias(home) == "1"


def test_without_a_champion_the_registry_is_not_contacted(tmp_path: Path) -> None:
    assert sync_alias(Home(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_command_still_succeeds_and_webhooks_are_sent(
    home: Home,
    registered: Any,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notified: list[list[str]] = []
    bundle = _bundle(home, "2", registered[1][1])
    bundle.manifest.gates = {}

    def lost(*_: object) -> str:
        raise ConnectionResetError

    monkeypatch.setattr(mlflow_tracking, "set_champion_alias", lost)
    monkeypatch.setattr(promotion, "_bundle_of", lambda *_: bundle)
    monkeypatch.setattr("models.home.current_home", lambda: home)
    monkeypatch.setattr(renewcast.webhook_events, "enqueue_latest_promotions", notified.append)
    bundle.rubric = type("Rubric", (), {"name": "five-dimensions"})
    renewcast.promote("churn", "2", "it is better", "Ada")
    assert capsys.readouterr().out == "version 2 is now the champion for churn\n"
    assert "the alias in the model registry could not be updated" in caplog.text
    assert notified == [["churn"]]
