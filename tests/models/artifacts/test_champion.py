import copy
import pickle
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from features.catalogue.catalogue import Catalogue
from features.errors import BundleError, HomeError
from models.artifacts.bundle import Bundle, BundleContents, write_bundle
from models.artifacts.champion import Champion, champion_entry, load_champion
from models.artifacts.champion_pointer import ChampionPointer, read_pointer, write_pointer
from models.health.rubric import Rubric
from models.home import Home

Parts = Callable[..., BundleContents]
WHEN = datetime(2026, 1, 6, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, parts: Parts, catalogue: Catalogue) -> Home:
    """A home with churn version 3 as its champion."""
    home = Home(tmp_path / "home")
    bundle = write_bundle(home.bundle_folder("churn", "3"), parts(), catalogue)
    write_pointer(home, ChampionPointer(churn=champion_entry(home, bundle), promoted_at=WHEN, rubric="small"))
    return home


def test_pointer_names_version_and_folder(home: Home) -> None:
    pointer = read_pointer(home)
    assert pointer is not None
    assert pointer.churn is not None
    assert (pointer.churn.version, pointer.churn.folder) == ("3", "bundles/churn/3")
    assert pointer.expansion is None
    assert pointer.promoted_at == WHEN


def test_homes_can_be_moved(home: Home, catalogue: Catalogue, tmp_path: Path) -> None:
    shutil.move(home.root, tmp_path / "elsewhere")
    champion = load_champion(Home(tmp_path / "elsewhere"), catalogue)
    assert champion.bundles["churn"].manifest.version == "3"
    assert "expansion" not in champion.bundles


@pytest.mark.parametrize("transfer", [lambda champion: pickle.loads(pickle.dumps(champion)), copy.copy, copy.deepcopy])
def test_a_champion_can_be_pickled_and_copied(
    home: Home, catalogue: Catalogue, transfer: Callable[[Champion], Champion]
) -> None:
    champion = load_champion(home, catalogue)
    scorer = champion.bundles["churn"].scorer
    matrix = np.random.default_rng(1).normal(size=(5, len(scorer.features)))
    copied = transfer(champion)
    assert copied.versions == champion.versions
    again = copied.bundles["churn"].scorer
    raw = scorer.raw(matrix)
    np.testing.assert_equal(again.raw(matrix), raw)
    np.testing.assert_equal(again.probability(raw), scorer.probability(raw))
    np.testing.assert_equal(again.contributions(matrix), scorer.contributions(matrix))


def test_rubric_and_peers_come_from_the_bundle(home: Home, catalogue: Catalogue) -> None:
    champion = load_champion(home, catalogue)
    assert champion.rubric.name == "small"
    assert champion.peers == champion.bundles["churn"].peers


def test_without_any_model_there_are_no_peers(rubric: Rubric) -> None:
    assert Champion({}, rubric).peers is None


def test_without_promotion_there_is_no_model_and_the_default_rubric(tmp_path: Path) -> None:
    champion = load_champion(Home(tmp_path))
    assert champion.bundles == {}
    assert champion.rubric.name == "five-dimensions"


def test_bundles_of_another_version_are_rejected(home: Home, parts: Parts, catalogue: Catalogue) -> None:
    shutil.rmtree(home.bundle_folder("churn", "3"))
    write_bundle(home.bundle_folder("churn", "3"), parts(version="4"), catalogue)
    with pytest.raises(BundleError, match="contains version 4\nExpected: version 3"):
        load_champion(home, catalogue)


def test_bundles_of_another_target_are_rejected(home: Home, catalogue: Catalogue) -> None:
    pointer = read_pointer(home)
    assert pointer is not None
    write_pointer(home, ChampionPointer(expansion=pointer.churn, promoted_at=WHEN))
    with pytest.raises(BundleError, match="a churn model\nExpected: expansion"):
        load_champion(home, catalogue)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"promoted_at": "yesterday"}',
        '{"promoted_at": "2026-01-06T00:00:00Z", "more": 1}',
        '{"promoted_at": "2026-01-06T00:00:00Z", "churn": {"version": "3", "folder": "/etc"}}',
        '{"promoted_at": "2026-01-06T00:00:00Z", "churn": {"version": "3", "folder": "bundles/../../3"}}',
    ],
)
def test_broken_pointers_are_named(home: Home, text: str) -> None:
    home.champion_file.write_text(text)
    with pytest.raises(BundleError, match=r"champion\.json"):
        read_pointer(home)


def test_pointer_entries_need_bundles_of_the_home(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="is not in the home"):
        champion_entry(Home(tmp_path), bundle)
