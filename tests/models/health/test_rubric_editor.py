"""Editing a rubric retains its comments and layout, and changes only the requested values."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.health.rubric import load_rubric, rubric_from_text
from models.health.rubric_editor import revise_rubric_text
from models.health.rubric_schema import RubricError, WeightProfile

NAMES = ["five-dimensions", "product-relationship-outcomes", "adoption-engagement-business-relationship"]
PLACES = st.one_of(st.integers(0, 100), st.floats(0, 100, allow_subnormal=False))
PROFILE = """
[[profiles]]  # the largest
segments = ["enterprise"]
{weights}
"""


def _with_comments(text: str, every: int) -> str:
    """Add a comment to every n-th line that can have one, n being ``every``."""
    lines = text.splitlines()
    for i in range(0, len(lines), every):
        if lines[i] and "#" not in lines[i]:
            lines[i] += f"  # note {i}"
    return "\n".join(lines) + "\n"


@given(st.sampled_from(NAMES), st.integers(1, 7), st.data())
def test_comments_and_other_values_do_not_change(name: str, every: int, data: st.DataObject) -> None:
    text = _with_comments(load_rubric(name).text, every)
    before = tomllib.loads(text)
    weights = {each["name"]: data.draw(PLACES) for each in before["dimensions"]}
    bands = {"green": data.draw(PLACES), "yellow": data.draw(PLACES)}

    after = revise_rubric_text(text, "2027Q1", weights, bands, "why\nso")

    expected = before | {"version": "2027Q1", "bands": before["bands"] | bands}
    expected["dimensions"] = [each | {"weight": weights[each["name"]]} for each in before["dimensions"]]
    if "weights" in before:
        expected["weights"] = "fixed"
    assert tomllib.loads(after) == expected
    first, *lines = after.splitlines()
    assert first == "# why so"
    for old, new in zip(text.splitlines(), lines, strict=True):
        # In the lines of these keys, only the value differs.
        if re.match(r"(version|weights?|green|yellow) = ", old):
            assert (new.partition(" = ")[0], new.partition("#")[2]) == (old.partition(" = ")[0], old.partition("#")[2])
        else:
            assert new == old


@pytest.mark.parametrize(
    "weights",
    [
        "weights = { usage = 60, engagement = 40 }  # agreed",
        "[profiles.weights]  # agreed\nusage = 60\nengagement = 40",
    ],
)
def test_weights_of_profiles_are_replaced_in_either_form(weights: str) -> None:
    text = load_rubric("five-dimensions").text + PROFILE.format(weights=weights)
    new = WeightProfile(segments=("enterprise",), weights={"usage": 55.5, "support": 44.5})
    after = revise_rubric_text(text, "2027Q1", {}, {}, "why", [new])
    assert tomllib.loads(after)["profiles"] == [{"segments": ["enterprise"], "weights": new.weights}]
    assert "[[profiles]]  # the largest" in after
    assert "# agreed" in after


def test_other_forms_of_toml_keys_are_supported() -> None:
    text = load_rubric("five-dimensions").text
    dotted = text.replace("[bands]\ngreen = 70\nyellow = 40\nred = 0\n", "").replace(
        "minimum_coverage =", 'bands.green = 7e1\nbands."yellow" = 40.0  # half\nbands.red = 0\nminimum_coverage ='
    )
    after = revise_rubric_text(dotted, "2027Q1", {"usage": 30.0}, {"green": 81.25, "yellow": 50.0}, "why")
    assert tomllib.loads(after)["bands"] == {"green": 81.25, "yellow": 50, "red": 0}
    assert 'bands."yellow" = 50  # half' in after


def test_profiles_that_the_rubric_does_not_have_are_rejected() -> None:
    with pytest.raises(RubricError, match="without other changes"):
        revise_rubric_text(
            load_rubric().text,
            "2027Q1",
            {},
            {"green": 70.0},
            "why",
            [WeightProfile(segments=("smb",), weights={"usage": 100})],
        )


def test_a_table_between_two_dimensions_stays_in_its_place() -> None:
    text = load_rubric("five-dimensions").text
    start = text.index("[bands]")
    bands = text[start : text.index("\n\n", start) + 2]
    first, second, third, *rest = text.replace(bands, "").split("[[dimensions]]")
    profile = '[[profiles]]\nsegments = ["smb"]\n\n  [profiles.weights]  # agreed\n  usage = 100\n\n'
    moved = "[[dimensions]]".join([first, second + bands, third + profile, *rest])
    new = WeightProfile(segments=("smb",), weights={"usage": 60, "support": 40})
    after = revise_rubric_text(moved, "2027Q1", {"usage": 35, "support": 10}, {"green": 81.25}, "why", [new])
    expected = moved
    for old, value in (
        ('name = "usage"\nweight = 30', 'name = "usage"\nweight = 35'),
        ('name = "support"\nweight = 15', 'name = "support"\nweight = 10'),
        ("green = 70", "green = 81.25"),
        ("  usage = 100\n", "  usage = 60\n  support = 40\n"),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, value)
    version = re.compile(r"^version = .*$", re.MULTILINE)
    assert after == "# why\n" + version.sub('version = "2027Q1"', expected)


@pytest.mark.parametrize("rule", ["own", "worst_child", "arr_weighted_mean"])
def test_the_rule_for_parents_stays_in_the_next_version(rule: str) -> None:
    rubric = load_rubric("five-dimensions")
    text = rubric.text.replace("\nminimum_coverage", f'\nparent_health = "{rule}"  # agreed in May\nminimum_coverage', 1)
    weights = {dimension.name: dimension.weight for dimension in rubric.rules.dimensions}
    after = revise_rubric_text(text, "2027Q1", weights, {"green": 75, "yellow": 40}, "why")
    assert f'parent_health = "{rule}"  # agreed in May\n' in after
    assert rubric_from_text(after, "next.toml").rules.parent_health == rule
