"""Rule files: errors name the file, the key and a cure; a deployment's own file replaces a shipped one."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.health.rubric import load_rubric, rubric_files
from models.peer_groups.rule_files import SHIPPED_RULES, Rules, RulesError, read_rules
from models.peer_groups.segments import SegmentsFile, segment_names, segment_of
from models.rules.alerts import AlertsFile
from models.rules.business_reviews import BusinessReviewsFile, RoadmapFile
from models.rules.early_warnings import WarningsFile
from models.rules.expansion import ExpansionFile
from models.rules.lifecycle import LifecycleFile
from models.rules.onboarding import OnboardingFile
from models.rules.plays import PlaysFile
from models.rules.success_plans import SuccessPlansFile

KINDS: dict[str, type[Rules]] = {
    "alerts": AlertsFile,
    "warnings": WarningsFile,
    "onboarding": OnboardingFile,
    "expansion": ExpansionFile,
    "plays": PlaysFile,
    "segments": SegmentsFile,
    "lifecycle": LifecycleFile,
    "business_reviews": BusinessReviewsFile,
    "success_plans": SuccessPlansFile,
    "roadmap": RoadmapFile,
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RENEWCAST_RULES", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", KINDS)
def test_a_shipped_file_is_valid_and_has_a_version(name: str) -> None:
    assert read_rules(name, KINDS[name]).version


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("warnings", '"usage.events_trend_28d"', '"usage.luck"', "key warnings.0.all.0.feature: the catalogue has no numeric feature"),
        ("warnings", 'severity = "high"', 'severity = "dire"', "key warnings.0.severity"),
        ("warnings", "at_most = 0.7", "at_most = 0.7, above = 0.1", "key warnings.0.all.0: Value error, exactly one bound is needed"),
        ("warnings", 'cause = "low_engagement"\nnoisy', 'cause = "bad luck"\nnoisy', "key warnings.0.cause"),
        ("alerts", "more_than = 10", "more_than = -1", "key score_drop.more_than"),
        ("alerts", 'to = "csm"', 'recipient = "csm"', "key score_drop.to"),
        ("onboarding", "day = 3", "day = -3", "key steps.0.day"),
        ("expansion", 'code = "new_users"', 'code = "near_limit"', "signals: codes must be unique"),
        ("expansion", '"usage.seats_used_share", "usage.features_used_28d"', '"contract.plan"', "key gate.adoption.0"),
        ("plays", 'severity = "medium"\nwho', 'severity = "high"\nwho', "tiers needs high, medium and low"),
        ("plays", 'cause = "price_concerns"\nlow', 'cause = "low_adoption"\nlow', "plays needs every cause once"),
        ("plays", 'immediate = "high"', "", "severity_of lacks immediate"),
        ("segments", "over = 25000", "over = 250000", "the largest segment must come first"),
        ("segments", "over = 5000\n", "", "every segment except the last needs the key over"),
        ("segments", 'name = "SMB"', 'name = "all"', "a unique name"),
        ("segments", 'version = "2026Q4.1"', "version = ", "segments.toml is not valid TOML"),
        ("lifecycle", 'name = "value"', 'name = "retirement"', "key stages.4.name"),
        ("lifecycle", 'name = "value"', 'name = "adoption"', "a stage is given twice"),
        ("lifecycle", '"usage.seats_used_share"', '"usage.luck"', "key stages.3.any.1.feature: the catalogue has no"),
        ("business_reviews", '"usage.seats_used_share"', '"usage.luck"', "key metrics.1.feature: the catalogue has no"),
        ("business_reviews", "at_least = 0.8", "at_most = 0.8", "better higher has at_least"),
        ("business_reviews", "rest = true", "rest = false", "exactly one part needs rest"),
        ("business_reviews", 'segments = ["enterprise"]', "", "exactly one agenda has no segments"),
        ("success_plans", "first = 2\nlast = 3", "first = 2\nlast = 1", "last must not be before first"),
        ("success_plans", "first = 2\nlast = 3", "first = 1\nlast = 3", "must not overlap"),
        ("success_plans", '"usage.users_so_far"', '"contract.plan"', "key days.1.all.0.feature"),
        ("roadmap", "entries = []", "entries = [{ text = 'x' }]", "key entries.0.title"),
    ],
)
def test_an_error_names_the_file_and_the_key(own: Path, name: str, old: str, new: str, message: str) -> None:
    text = (SHIPPED_RULES / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    (own / f"{name}.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RulesError) as caught:
        read_rules(name, KINDS[name])
    assert f"{name}.toml" in caught.value.found
    assert message in caught.value.found
    assert caught.value.cure


def test_an_own_file_replaces_the_shipped_one_and_is_reloaded_after_a_change(own: Path) -> None:
    file = own / "segments.toml"
    text = (SHIPPED_RULES / "segments.toml").read_text(encoding="utf-8")
    file.write_text(text.replace('"enterprise"', '"strategic"'), encoding="utf-8")
    assert segment_names() == ("strategic", "mid-market", "SMB", "self-serve")
    assert segment_of([2e5])[0] == "strategic"
    file.write_text(text.replace('"enterprise"', '"the largest"'), encoding="utf-8")
    assert segment_of([2e5])[0] == "the largest"


def test_an_own_rubric_is_added_to_the_shipped_ones(own: Path) -> None:
    (own / "rubrics").mkdir()
    text = rubric_files()["five-dimensions"].read_text(encoding="utf-8")
    profile = '\n[[profiles]]\nsegments = ["self-serve"]\nweights = { usage = 60, engagement = 10, support = 10, outcomes = 10, relationship = 10 }\n'
    (own / "rubrics" / "ours.toml").write_text(text.replace('"five-dimensions"', '"ours"') + profile, encoding="utf-8")
    ours = load_rubric("ours")
    assert ours.weights("self-serve")[:3].sum() == pytest.approx(60)
    assert ours.weights("SMB")[:3].sum() == pytest.approx(30)
    assert ours.weights()[:3].sum() == pytest.approx(30)


def test_an_error_names_a_missing_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RENEWCAST_RULES", str(tmp_path / "nowhere"))
    with pytest.raises(RulesError, match="RENEWCAST_RULES is"):
        read_rules("alerts", AlertsFile)
