from collections.abc import Iterator
from pathlib import Path

import pytest

from features.errors import HomeError
from models.home import Home, current_home


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    current_home.cache_clear()
    yield
    current_home.cache_clear()


def test_default_home_is_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RENEWCAST_HOME", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    home = current_home()
    assert home.root == tmp_path / ".renewcast"
    assert home.tracking_uri == f"sqlite:///{tmp_path}/.renewcast/mlflow.db"
    assert not home.root.exists()  # asking makes nothing


def test_environment_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENEWCAST_HOME", str(tmp_path / "a"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert current_home() == Home(tmp_path / "a", "http://127.0.0.1:5000")
    assert current_home().tracking_uri == "http://127.0.0.1:5000"
    monkeypatch.setenv("RENEWCAST_HOME", str(tmp_path / "b"))
    assert current_home().root == tmp_path / "a"


def test_paths(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.bundle_folder("churn", "3") == tmp_path / "bundles" / "churn" / "3"
    assert {home.champion_file.parent, home.snapshots.parent, home.artifacts.parent} == {tmp_path}


def test_ensure_creates_the_home_and_leaves_no_test_file(tmp_path: Path) -> None:
    home = Home(tmp_path / "new" / "home").ensure()
    assert list(home.root.iterdir()) == []


def test_a_file_in_place_of_the_home_is_reported(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError, match="is a file"):
        Home(tmp_path / "home").ensure()
    with pytest.raises(HomeError, match="cannot write"):
        Home(tmp_path / "home" / "below").ensure()
