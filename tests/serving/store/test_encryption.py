"""Secrets of webhooks are encrypted for their row; older stores are migrated."""

from __future__ import annotations

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select, text

from serving.store.database import Store
from serving.store.encryption import FILE, VARIABLE, Cipher, SecretKeyError
from serving.store.schema_revision import SCHEMA_VERSION
from serving.store.tables import webhook_endpoints
from serving.webhooks.delivery_worker import DeliveryWorker
from serving.webhooks.endpoints import add_endpoint, reencrypt_secrets
from serving.webhooks.outbox import Occurrence, enqueue

NOW = datetime(2026, 7, 1, tzinfo=UTC)
HOOK = "https://example.com/hook"


def _everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("store.sqlite*"))


def _delivered(store: Store) -> list[str]:
    """Return the secrets that sign deliveries."""
    signed: list[str] = []
    with store.begin() as connection:
        enqueue(connection, [Occurrence("batch.completed", os.urandom(4).hex(), {})], NOW)
    DeliveryWorker(store, clock=lambda: NOW, sending=lambda delivery, *_: signed.append(delivery.secret) or 204).deliver()
    return signed


def test_a_secret_is_encrypted_and_deliveries_are_signed_with_it(store: Store, tmp_path: Path) -> None:
    with store.begin() as connection:
        _, secret = add_endpoint(connection, HOOK, [])
        stored = connection.execute(select(webhook_endpoints.c.secret)).scalar_one()
    assert secret.startswith("whsec_")
    assert secret[6:] not in stored
    assert len(stored) <= 200
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert _delivered(store) == [secret]
    with pytest.raises(SecretKeyError, match="changed"):
        store.cipher.decrypt(stored, "whe_another")


def test_secrets_of_an_older_store_are_encrypted_and_erased(address: str, tmp_path: Path) -> None:
    older, secret = Store(address, tmp_path), "whsec_" + base64.b64encode(os.urandom(32)).decode()
    with older.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parents[3] / "serving/store/migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        for i in range(30):
            row = {"id": f"whe_{i}", "url": HOOK, "secret": secret if i == 7 else f"whsec_{i}", "events": "", "created_at": NOW}
            connection.execute(webhook_endpoints.insert().values(**row))
    older.close()
    if older.kind == "sqlite":
        assert secret.encode() in _everything(tmp_path)
    newer = Store(address, tmp_path)
    with newer.begin() as connection:
        rows = {row.id: row.secret for row in connection.execute(select(webhook_endpoints))}
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == SCHEMA_VERSION
    assert newer.cipher.decrypt(rows["whe_7"], "whe_7") == secret
    assert not any(value.startswith("whsec_") for value in rows.values())
    newer.close()
    assert secret.encode() not in _everything(tmp_path)


def test_keys_are_replaced_while_another_process_delivers(store: Store, address: str, tmp_path: Path) -> None:
    with store.begin() as connection:
        secret = add_endpoint(connection, HOOK, [])[1]
    other = Store(address, tmp_path)
    assert _delivered(other) == [secret]
    before = (tmp_path / FILE).read_text()
    store.cipher.add_key()
    assert _delivered(other) == [secret]
    with store.begin() as connection:
        assert reencrypt_secrets(connection) == 1
    assert _delivered(other) == [secret]
    store.cipher.forget_other_keys()
    assert _delivered(other) == [secret]
    assert before.strip() not in (tmp_path / FILE).read_text()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    other.close()


def test_without_its_key_nothing_is_signed_and_the_rest_works(store: Store, tmp_path: Path) -> None:
    with store.begin() as connection:
        add_endpoint(connection, HOOK, [])
    (tmp_path / FILE).unlink()
    store.cipher = Cipher(tmp_path)
    assert _delivered(store) == []
    assert not (tmp_path / FILE).exists(), "a new key would hide that the old one is lost"


@pytest.mark.parametrize("wrong", ["x", "", base64.b64encode(b"short").decode(), "ü"])
def test_an_invalid_key_is_refused(tmp_path: Path, wrong: str) -> None:
    (tmp_path / FILE).write_text(wrong, encoding="utf-8")
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(SecretKeyError) as refused:
        Cipher(tmp_path).encrypt("secret", "a")
    assert "secret.key" in refused.value.found
    if wrong:
        with pytest.raises(SecretKeyError, match=VARIABLE):
            Cipher(None, wrong).encrypt("secret", "a")


def test_keys_of_the_environment(tmp_path: Path) -> None:
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    token = Cipher(None, old).encrypt("secret", "a")
    both = Cipher(tmp_path, f"{new},{old}")
    assert both.decrypt(token, "a") == "secret"
    assert Cipher(None, new).decrypt(both.encrypt("secret", "a"), "a") == "secret"
    assert not (tmp_path / FILE).exists()
    for cipher in (Cipher(None, new), Cipher(None), Cipher(tmp_path)):
        with pytest.raises(SecretKeyError):
            cipher.decrypt(token, "a")
    with pytest.raises(SecretKeyError, match=VARIABLE):
        Cipher(None).encrypt("secret", "a")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Cipher(tmp_path).encrypt("secret", "a")
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(SecretKeyError, match="other users can read") as refused:
        Cipher(tmp_path).encrypt("secret", "a")
    assert "chmod 600" in refused.value.cure


def test_several_processes_create_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: Cipher(tmp_path).encrypt("secret", "a"), range(8)))
    assert {Cipher(tmp_path).decrypt(token, "a") for token in tokens} == {"secret"}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
