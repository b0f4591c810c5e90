"""An account is found by what a person types, and never taken for another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import AccountCandidate, UnknownAccount
from models.predictions.account_lookup import MAX_CANDIDATES, find_account

NAMES = {
    "a1": "Acme Corp", "a2": "Acme Ltd", "a10": "Brisk", "Brisk GmbH": None, "gone": "Cobalt", "kept": "Cobalt",
    "b1": "a1", "x": None, "long": "Delta Freight Lines", "ü": "Überflug AG",
}  # fmt: skip
ACTIVE = frozenset(NAMES) - {"gone"}


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("a1", "a1"),  # an id is never read as the name of another account
        ("gone", "gone"),  # also that of an account that is not active
        ("Acme Corp", "a1"),
        ("  acme   CORP ", "a1"),
        ("acme l", "a2"),
        ("Brisk", "a10"),  # a whole name comes before the beginning of another
        ("brisk gmbh", "Brisk GmbH"),
        ("cobalt", "kept"),  # the only active one of two with this name
        ("Delta", "long"),
        ("überflug", "ü"),
        ("U\u0308berflug", "ü"),
    ],
)
def test_one_account_is_meant(text: str, account: str) -> None:
    assert find_account(text, NAMES, ACTIVE) == account


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("Acme", ["a1", "a2"]),
        ("freight", ["long"]),
        ("Delta Frieght Lines", ["long"]),
        ("a", ["a1", "a2", "b1"]),
        ("a9", []),
        ("zzzz", []),
        ("", []),
        ("   ", []),
    ],
)
def test_it_is_not_clear_which_account_is_meant(text: str, candidates: list[str]) -> None:
    with pytest.raises(UnknownAccount) as caught:
        find_account(text, NAMES, ACTIVE)
    found = [each.account_id for each in caught.value.candidates]
    assert found[: len(candidates)] == candidates
    assert len(candidates) == 0 or all(str(each) in str(caught.value) for each in caught.value.candidates)


def test_the_number_of_accounts_is_that_of_the_listed_ones() -> None:
    with pytest.raises(UnknownAccount, match="2 accounts have a name that starts with this"):
        find_account("acme", {**NAMES, "left": "Acme Old"}, ACTIVE)


def test_an_id_is_not_completed() -> None:
    with pytest.raises(UnknownAccount):
        find_account("acc-1", {"acc-10": None, "acc-11": "Other"})


def test_only_the_list_of_candidates_has_values_of_customers() -> None:
    with pytest.raises(UnknownAccount) as caught:
        find_account("acme", NAMES)
    error = caught.value
    assert "Acme" not in error.found + error.expected + error.cure
    assert "Accounts: Acme Corp (a1), Acme Ltd (a2)" in str(error)
    many = {f"a{i}": f"Acme {i}" for i in range(20)}
    with pytest.raises(UnknownAccount, match="and 12 more"):
        find_account("acme", many)
    with pytest.raises(UnknownAccount) as nearest:
        find_account("cme", many)
    assert len(nearest.value.candidates) == MAX_CANDIDATES


@given(
    st.dictionaries(st.text(min_size=1, max_size=4), st.none() | st.text(max_size=4), max_size=8), st.text(max_size=4)
)
def test_a_found_account_has_this_id_or_a_name_that_starts_with_it(names: dict[str, str | None], text: str) -> None:
    account: str | None = None
    candidates: tuple[AccountCandidate, ...] = ()
    try:
        account = find_account(text, names)
    except UnknownAccount as error:
        candidates = error.candidates
    assert all(each.account_id in names for each in candidates)
    assert account == text if text in names else account is None or account in names
