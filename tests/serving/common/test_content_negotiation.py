"""Errors use a media type that the caller accepts."""

from __future__ import annotations

import pytest

from serving.common.content_negotiation import JSON, PROBLEM, problem_media_type


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, PROBLEM),
        ("*/*", PROBLEM),
        ("application/json", JSON),
        ("application/json, text/plain", JSON),
        ("application/json, text/plain, */*", PROBLEM),
        ("application/json;q=0.5, application/problem+json", PROBLEM),
        ("application/json, application/problem+json;q=0", JSON),
        ("application/json, */*; q=0.000", JSON),
        ("application/*", PROBLEM),
        ("application/*;q=0, application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("text/html", PROBLEM),
        ("", PROBLEM),
        (";;,,q=", PROBLEM),
    ],
)
def test_plain_json_is_returned_only_to_callers_that_accept_nothing_else(accept: str | None, expected: str) -> None:
    assert problem_media_type(accept) == expected
