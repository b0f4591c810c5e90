"""Settings come from RENEWCAST_* once, and an invalid one is named without its value."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from features.errors import BadRequest
from serving.common.settings import ServiceSettings, current_settings


@pytest.fixture(autouse=True)
def _read_again() -> Iterator[None]:
    current_settings.cache_clear()
    yield
    current_settings.cache_clear()


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENEWCAST_BODY_LIMIT_ROWS", "12")
    monkeypatch.setenv("RENEWCAST_WORKERS", "")
    assert current_settings().body_limit_rows == 12
    assert current_settings().workers == ServiceSettings().workers, "an empty variable counts as none"
    monkeypatch.setenv("RENEWCAST_BODY_LIMIT_ROWS", "13")
    assert current_settings().body_limit_rows == 12


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        current_settings().workers = 5  # type: ignore[misc]


def test_every_invalid_variable_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RENEWCAST_WORKERS", "secret-value")
    monkeypatch.setenv("RENEWCAST_REQUEST_SECONDS", "-1")
    with pytest.raises(BadRequest, match=r"(?s)RENEWCAST_REQUEST_SECONDS.*RENEWCAST_WORKERS") as caught:
        current_settings()
    assert "secret-value" not in str(caught.value)
