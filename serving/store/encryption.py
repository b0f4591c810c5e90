"""Secrets at rest: what the store keeps of them is encrypted (AES-256-GCM) with a key that is not in the store.

The key is that of RENEWCAST_SECRET_KEY or, without one, of the file ``secret.key`` in the home, which is made when
first needed and which its owner alone may read. Several keys may be there: the first encrypts, all decrypt, so that one
can take another's place without a moment in which a delivery fails.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import threading
import uuid
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection

from features.errors import HomeError

VARIABLE = "RENEWCAST_SECRET_KEY"
FILE = "secret.key"
KEY_BYTES, NONCE_BYTES = 32, 12
#: How connections carry the cipher of their store.
OPTION = "renewcast_cipher"
_VERSION = "v1"


class SecretKeyError(HomeError):
    """The key that secrets are encrypted with is missing, unusable or another one."""


class Cipher:
    """Encrypts and decrypts the secrets of one store; safe to use from many threads. Nothing is read before it is used.

    Parameters
    ----------
    folder : where the file of keys is; None where only the environment can give one.
    given : the keys of `VARIABLE`, separated by commas; None without any.
    """

    def __init__(self, folder: Path | None, given: str | None = None) -> None:
        self._folder, self._given = folder, given
        self._lock = threading.Lock()
        self._keys: dict[str, bytes] = {}

    def encrypt(self, text: str, owner: str) -> str:
        """``text`` for the row of ``owner``, readable in no other row.

        Raises
        ------
        SecretKeyError : there is no key, and none can be made.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        with self._lock:
            self._keys = self._read() or self._make()
            name, key = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + AESGCM(key).encrypt(nonce, text.encode(), owner.encode())
        return ".".join((_VERSION, name, urlsafe_b64encode(sealed).decode()))

    def decrypt(self, token: str, owner: str) -> str:
        """What `encrypt` was given for ``owner``.

        Raises
        ------
        SecretKeyError : its key is not there, or it was changed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        version, _, rest = token.partition(".")
        name, _, sealed = rest.partition(".")
        with self._lock:
            if name not in self._keys:
                # Another process may have made or replaced it.
                self._keys = self._read()
            key = self._keys.get(name)
        if version != _VERSION or key is None:
            raise SecretKeyError(
                f"the key that the store's secrets are encrypted with ({name or 'none'}) is not there",
                f"it in {VARIABLE}, or in {FILE} of the home",
                "give it back from a backup; or remove the webhooks and add them again",
            )
        try:
            content = urlsafe_b64decode(sealed)
            return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise SecretKeyError(
                "a secret of the store was changed", "it as it was kept", "remove the webhook and add it again"
            ) from None

    def add_key(self) -> None:
        """Make a new key the first one of the file; those before it still decrypt.

        Raises
        ------
        SecretKeyError : the keys are the environment's, or the file cannot be written.
        """
        if self._given:
            raise SecretKeyError(
                f"{VARIABLE} is set", "keys in a file", f"put a new key before the others in {VARIABLE}, with a comma"
            )
        with self._lock:
            self._write([_new_key(), *self._read().values()])

    def forget_other_keys(self) -> None:
        """Keep the first key of the file alone."""
        with self._lock:
            if not self._given and (keys := self._read()):
                self._write([next(iter(keys.values()))])

    def _read(self) -> dict[str, bytes]:
        """The keys by name, the first one first; none where there is no file yet."""
        if self._given:
            return _parse(self._given.replace(",", "\n"), VARIABLE)
        path = self._path()
        try:
            facts = path.stat()
            if os.name == "posix" and facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise SecretKeyError(f"others may read {path}", "a file for its owner alone", f"chmod 600 {path}")
            return _parse(path.read_text(encoding="ascii"), str(path))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise SecretKeyError(f"{path} cannot be read ({type(error).__name__})", "the file of keys") from None

    def _make(self) -> dict[str, bytes]:
        """The first key; that of another process where one was quicker."""
        self._write([_new_key()], new=True)
        return self._read()

    def _write(self, keys: list[bytes], new: bool = False) -> None:
        path = self._path()
        beside = path.with_name(f".{FILE}-{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(b64encode(key).decode() + "\n" for key in keys)
                file.flush()
                os.fsync(file.fileno())
            if new:
                with suppress(FileExistsError):
                    os.link(beside, path)
                os.unlink(beside)
            else:
                os.replace(beside, path)
        except OSError as error:
            raise SecretKeyError(
                f"{path} cannot be written ({error.strerror})", "a home that can be written", f"or set {VARIABLE}"
            ) from None

    def _path(self) -> Path:
        if self._folder is None:
            raise SecretKeyError("there is no key to encrypt secrets with", f"one in {VARIABLE}", _cure())
        return self._folder / FILE


def cipher_of(connection: Connection) -> Cipher:
    """The cipher of the store that a connection is to."""
    cipher: Cipher = connection.get_execution_options()[OPTION]
    return cipher


def _parse(text: str, place: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for line in text.split():
        try:
            key = b64decode(line, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise SecretKeyError(f"{place} holds what is no key", f"{KEY_BYTES} random bytes in base64 each", _cure())
        keys[hashlib.sha256(key).hexdigest()[:8]] = key
    if not keys:
        raise SecretKeyError(f"{place} holds no key", f"{KEY_BYTES} random bytes in base64", _cure())
    return keys


def _new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _cure() -> str:
    return f"`openssl rand -base64 {KEY_BYTES}` makes one"
