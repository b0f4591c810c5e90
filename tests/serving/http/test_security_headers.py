"""Security headers of responses."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from serving.html.assets import assets, static

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(("path", "status"), [("/sign-in", 200), ("/nowhere", 404), ("/v1/accounts/a999/health", 404)])
def test_a_page_may_load_only_resources_of_this_service(client: TestClient, path: str, status: int) -> None:
    response = client.get(path, headers=BROWSER)
    assert response.status_code == status
    policy = dict(part.split(" ", 1) for part in response.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in response.headers["permissions-policy"]
    assert response.headers["cache-control"] == "no-store"
    assert not re.search(r"<[^>]+\s(on\w+|style)\s*=", response.text)
    assert not re.search(r"<script(?![^>]+src=)|<style", response.text)


@pytest.mark.parametrize("path", ["/v1/portfolio", "/v1/accounts/a05/prediction", "/v1/accounts/a999/health", "/livez"])
def test_json_is_never_executed_framed_or_cached(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.headers["content-type"].partition(";")[0] in ("application/json", "application/problem+json")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_browser_gets_a_problem_as_a_page_and_a_program_as_json(client: TestClient) -> None:
    path = "/v1/accounts/a999/health"
    displayed, result = client.get(path, headers=BROWSER), client.get(path).json()
    assert displayed.headers["content-type"] == "text/html; charset=utf-8"
    for sentence in result["detail"].replace("'", "&#39;").split(". "):
        assert sentence[1:] in displayed.text
    assert client.get(path, headers={"Accept": "text/html, application/json"}).json()["code"] == result["code"]


def test_a_static_file_has_a_content_address_and_is_cached_for_a_year(client: TestClient) -> None:
    for name in assets():
        response = client.get(static(name))
        assert response.status_code == 200
        assert response.content == assets()[name].content
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert client.get("/static/pages.css").status_code == 404
    assert client.get("/static/..%2Frender.py").status_code == 404
