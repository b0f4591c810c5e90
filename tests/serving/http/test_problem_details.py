"""Every error has a status, and pointers contain only names of the contract."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from features import errors
from features.errors import RenewcastError
from serving.http.problem_details import HTTP_PROBLEMS, PROBLEM_TYPES, json_pointer, validation_faults


def test_every_error_class_has_a_status() -> None:
    classes = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, RenewcastError)}
    assert classes <= set(PROBLEM_TYPES)
    assert {kind.status for kind in PROBLEM_TYPES.values()} <= set(HTTPStatus)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in PROBLEM_TYPES.values()] + [code for code, _ in HTTP_PROBLEMS.values()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("place", "pointer"),
    [
        (("body",), ""),
        (("body", "as_of"), "/as_of"),
        (("body", "signals", "usage", 3, "minutes"), "/signals/usage/3/minutes"),
        (("body", "signals", "a name of the caller's"), "/signals"),
        (("query", "as_of"), "/query/as_of"),
        (("query", "a name of the caller's"), "/query"),
        (("path", "account_id"), "/path/account_id"),
    ],
)
def test_pointers(place: tuple[str | int, ...], pointer: str) -> None:
    assert json_pointer(place) == pointer


@pytest.mark.parametrize(
    ("kind", "place", "pointer"),
    [
        ("less_than_equal", ("query", "share"), "/query/share"),
        ("float_parsing", ("query", "per_week"), "/query/per_week"),
        ("missing", ("query", "quarter"), "/query/quarter"),
        ("extra_forbidden", ("query", "what a caller sent"), "/query"),
        ("string_type", ("body", "what a caller sent"), ""),
    ],
)
def test_a_fault_names_the_parameter_that_the_route_has(kind: str, place: tuple[str, ...], pointer: str) -> None:
    (fault,) = validation_faults([{"type": kind, "loc": place, "msg": "no"}])
    assert fault.pointer == pointer
