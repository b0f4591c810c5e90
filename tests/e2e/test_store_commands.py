"""The operational store through the command line."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

SCORED_AT = "2026-09-30"


@pytest.mark.slow
def test_publishing_twice_changes_nothing(renewcast: Any, world: Any, tmp_path: Path) -> None:
    command = ("score", world.signals, "--as-of", SCORED_AT, "--out", tmp_path / "again.csv", "--publish")
    first, again = (renewcast(*command, home=world.home).stdout for _ in range(2))
    accounts = len(world.scores.read_text(encoding="utf-8").splitlines()) - 1
    assert f"published {accounts} predictions" in first
    assert "nothing has changed" in again
    assert (tmp_path / "again.csv").read_bytes() == world.scores.read_bytes()
    with sqlite3.connect(world.home / "store.sqlite") as store:
        assert store.execute("SELECT count(*), count(DISTINCT sequence) FROM predictions").fetchone() == (accounts, accounts)
    store.close()


def test_keys_are_created_listed_and_revoked(renewcast: Any, tmp_path: Path) -> None:
    created = json.loads(renewcast("keys", "create", "the CRM", "--scope", "predict", "--json", home=tmp_path).stdout)
    assert created["key"].startswith("rc_")
    renewcast("keys", "revoke", created["id"], home=tmp_path)
    (listed,) = json.loads(renewcast("keys", "list", "--json", home=tmp_path).stdout)
    assert (listed["name"], listed["scopes"], listed["revoked_at"] is None) == ("the CRM", ["predict"], False)
    assert created["key"].encode() not in (tmp_path / "store.sqlite").read_bytes()
    refused = renewcast("keys", "create", "the CRM", "--scope", "root", home=tmp_path, expect=2)
    assert "predict, write, admin" in refused.stderr


def test_a_new_key_names_its_scopes(renewcast: Any, tmp_path: Path) -> None:
    assert " has the scope predict. The key" in renewcast("keys", "create", "the CRM", home=tmp_path).stdout
    several = renewcast("keys", "create", "the CRM", "--scope", "predict", "--scope", "write", home=tmp_path).stdout
    assert " has the scopes predict and write. The key" in several


def test_webhooks_are_added_listed_and_removed(renewcast: Any, tmp_path: Path) -> None:
    url = "https://hooks.example.com/renewcast"
    created = json.loads(renewcast("webhooks", "add", url, "--event", "health.alert", "--json", home=tmp_path).stdout)
    assert created["secret"].startswith("whsec_")
    output = renewcast("webhooks", "list", "--json", home=tmp_path).stdout
    (listed,) = json.loads(output)
    assert (listed["url"], listed["events"], listed["waiting"]) == (url, ["health.alert"], 0)
    assert created["secret"] not in output
    renewcast("webhooks", "remove", created["id"], home=tmp_path)
    assert "no endpoints" in renewcast("webhooks", "list", home=tmp_path).stdout
    assert "RENEWCAST_WEBHOOKS_ANYWHERE" in renewcast("webhooks", "add", "http://h/", home=tmp_path, expect=2).stderr
