from pathlib import Path

import pytest

from features.catalogue.catalogue import Catalogue
from features.utils.toml_text import SIZE_LIMIT
from models.health.rubric import Rubric, load_rubric, rubric_from_text
from models.health.rubric_schema import RubricError


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("weight = 60", "weight = 61", "dimensions.weight: the weights sum to 101"),
        ("weight = 60", "weight = -60", "dimensions.0.weight"),
        ("weight = 60", 'weight = "60"', "dimensions.0.weight"),
        ("red = 0", "red = 5", "bands: green begins at 70, yellow at 40, red at 5"),
        ("green = 70", "green = 40", "bands: green begins at 40, yellow at 40, red at 0"),
        ("green = 70", "green = 170", "bands.green"),
        ('name = "small"', "", "name: Field required"),
        ("minimum_coverage = 0.5", "minimum_coverage = 2", "minimum_coverage"),
        ('version = "1"', 'version = "1"\nmood = "good"', "mood"),
        ('version = "1"', 'version = "1"\nparent_health = "best_child"', "parent_health"),
        ('name = "outcomes"', 'name = "usage"', "dimensions.name: usage occurs more than once"),
        (
            '"outcomes.nps_last"',
            '"usage.trend_28d"',
            "dimensions.signals.feature: usage.trend_28d occurs more than once",
        ),
        ('"usage.trend_28d"', '"usage.luck"', "dimensions.0.signals.1.feature: the catalogue has no numeric feature"),
        ('"usage.trend_28d"', '"contract.plan"', "dimensions.0.signals.1.feature: the catalogue has no numeric feature"),
        ('better = "higher"', 'better = "blue"', "dimensions.0.signals.0.better"),
        ('grade = "percentile"', 'grade = "stars"', "dimensions.0.signals.0"),
        ("green_above = 80", "green_above = 30", "dimensions.0.signals.0.green_above is not greater than yellow_from"),
        ("green_above = 80\n", "", "dimensions.0.signals.0: only one of green_above and yellow_from is set"),
        ("green_above = 80", "green_above = 80\nsteps = []", "dimensions.0.signals.0.steps"),
        ("from = 0.5", "from = 1.5", "dimensions.0.signals.1.steps: the bounds are not in order"),
        ("from = 0.5, ", "", "dimensions.0.signals.1.steps: every step but the last needs"),
        ('{grade = "red", points = 0}', '{from = 0, grade = "red", points = 0}', "steps: every step but the last needs"),
        ("from = 0.5", "up_to = 0.5", "dimensions.0.signals.1.steps: better = higher does not allow up_to"),
        ("points = 50", "points = 101", "dimensions.0.signals.1.steps.1.points"),
        ('"yellow", points = 50', '"yellow", points = -1', "dimensions.0.signals.1.steps.1.points"),
        ('"green", points = 100', '"green", points = 10', "steps: a better step earns fewer points"),
    ],
)
def test_mistakes_are_reported_with_file_key_and_cure(
    rubric: Rubric, catalogue: Catalogue, old: str, new: str, key: str
) -> None:
    assert old in rubric.text
    with pytest.raises(RubricError) as caught:
        rubric_from_text(rubric.text.replace(old, new, 1), "mine.toml", catalogue)
    assert caught.value.found.startswith("mine.toml: key ")
    assert key in caught.value.found
    assert caught.value.cure


def test_invalid_toml_is_reported(catalogue: Catalogue) -> None:
    with pytest.raises(RubricError, match=r"mine\.toml is not valid TOML"):
        rubric_from_text("= 3", "mine.toml", catalogue)


def test_custom_rubrics_are_read_from_their_path(rubric: Rubric, catalogue: Catalogue, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(rubric.text)
    assert load_rubric(tmp_path / "mine.toml", catalogue).rules == rubric.rules


@pytest.mark.parametrize(
    ("content", "message"), [(None, "No such file"), (b"\xff", "UTF-8"), (b"#" * (SIZE_LIMIT + 1), "larger than")]
)
def test_unreadable_files_are_reported(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(RubricError, match=message):
        load_rubric(tmp_path / "mine.toml", {})
