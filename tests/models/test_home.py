import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from features.errors import HomeError
from models.home import HOME_MARKERS, UNRELATED, Home, current_home


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


@pytest.mark.parametrize("name", ["plain", "a b", "a?b", "a#b", "a%b", "a%20b", "a'b", 'a"b', "ä", "a@b:1", "a&x=1"])
def test_the_tracking_address_names_the_file_in_the_home(tmp_path: Path, name: str) -> None:
    address = make_url(Home(tmp_path / name).tracking_uri)
    assert address.get_backend_name() == "sqlite"
    assert (address.database, dict(address.query)) == (str(tmp_path / name / "mlflow.db"), {})


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


OTHER_FILES = ("notes.txt", "signals", ".bashrc")


@pytest.mark.parametrize("other", OTHER_FILES)
@pytest.mark.parametrize("own", [(), ("texts.json",), ("snapshots", "mlflow.db")])
def test_a_folder_of_other_files_is_refused_and_left_alone(tmp_path: Path, other: str, own: tuple[str, ...]) -> None:
    for name in (other, *own):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    before = {path: path.stat().st_mode for path in (tmp_path, *tmp_path.iterdir())}
    for use in (Home.ensure, Home.make_private, Home.require_own):
        with pytest.raises(HomeError, match=f"1 of its {1 + len(own)} entries are other files") as refused:
            use(Home(tmp_path))
        assert refused.value.expected
        assert "RENEWCAST_HOME" in refused.value.cure
    assert {path: path.stat().st_mode for path in (tmp_path, *tmp_path.iterdir())} == before


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
@pytest.mark.parametrize("marker", HOME_MARKERS)
def test_other_files_in_a_home_keep_their_modes(tmp_path: Path, marker: str) -> None:
    deep = tmp_path / "signals" / "deep"
    deep.mkdir(parents=True)
    own = tmp_path / "snapshots" / "old.parquet"
    own.parent.mkdir()
    for file in (deep / "usage.csv", tmp_path / marker, own):
        file.write_text("")
        file.chmod(0o644)
    for folder in (tmp_path, deep.parent, deep, own.parent):
        folder.chmod(0o755)
    Home(tmp_path).ensure()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, *tmp_path.rglob("*"))}
    assert modes == {
        **dict.fromkeys((tmp_path, deep.parent, deep), 0o755),
        **{deep / "usage.csv": 0o644, tmp_path / marker: 0o600, own.parent: 0o700, own: 0o600},
    }


@pytest.mark.parametrize("names", [(), UNRELATED, ("snapshots", "texts.json"), (".store.sqlite-1.unfinished.json",)])
def test_an_empty_folder_and_one_of_own_entries_become_a_home(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text("")
    tmp_path.chmod(0o755)
    Home(tmp_path).ensure()
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert os.name != "posix" or stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_file_in_place_of_the_home_is_reported(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(HomeError, match="is a file"):
        Home(tmp_path / "home").ensure()
    with pytest.raises(HomeError, match="cannot write"):
        Home(tmp_path / "home" / "below").ensure()
