"""Names that look the same are one person; names that differ are two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BadRequest
from models.reviews.person_names import same_person, tidy_name


@pytest.mark.parametrize(
    "other",
    [
        "ada lovelace", "ADA  LOVELACE", "AdaLovelace", "Ada-Lovelace", " Ada Lovelace.",
        "Ａｄａ Lovelace", "Ada\u200bLovelace", "Ada\u2060 Lovelace", "Áda Lovelace", "Ada Love\u0301lace", "A\u0336da Lovelace",
        "Аdа Lovelace", "Αda Lovelace", "Ada Lovеlасе", "Ada Lοvelace", "𝐀𝐝𝐚 𝓛ovelace", "ᗅda Lovelace", "Ada Iovelace", "Ada L0velace",
    ],
)  # fmt: skip
def test_names_that_look_the_same_are_one_person(other: str) -> None:
    assert same_person("Ada Lovelace", other)
    assert same_person(other, "Ada Lovelace")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada Lovelace", "Grace Hopper"), ("Tina", "Rina"), ("Ben", "Bea"), ("Jan", "Ian"), ("Tom", "Tim"),
        ("admin 1", "admin 2"), ("Иван", "Пётр"), ("王芳", "王红"), ("!!", "??"), ("Ana", "Anna"),
    ],
)  # fmt: skip
def test_different_names_are_two_people(one: str, other: str) -> None:
    assert not same_person(one, other)


@given(st.text(min_size=1, max_size=20), st.sampled_from([str.upper, str.casefold, lambda t: " ".join(t), lambda t: t + "\u200d"]))
def test_case_spaces_and_zero_width_characters_do_not_matter(name: str, change) -> None:  # type: ignore[no-untyped-def]
    if any(each.isalnum() for each in name):
        assert same_person(name, name)
        assert same_person(change(name), name) or (change is str.upper and not name.isascii())


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\x1bb", "a\u202eb", "a\nb\x00"])
def test_names_that_cannot_be_stored_are_rejected(name: str) -> None:
    with pytest.raises(BadRequest, match="cannot be stored"):
        tidy_name("owner", name)


def test_names_get_single_spaces() -> None:
    assert tidy_name("owner", "  Ada \n Lovelace ") == "Ada Lovelace"
