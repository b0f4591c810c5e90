"""Encryption of secrets in the store (AES-256-GCM) with a key that is not in the store.

The key comes from RENEWCAST_SECRET_KEY or else from the file ``secret.key`` in the home, which is created when first
needed and readable by its owner only. There may be several keys: the first one encrypts, all of them decrypt. So a key
can be replaced without interrupting deliveries.
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
#: The execution option that holds the cipher of a connection's store.
OPTION = "renewcast_cipher"
_VERSION = "v1"


class SecretKeyError(HomeError):
    """The key of encrypted secrets is missing, invalid or a different one."""


class Cipher:
    """Encrypts and decrypts the secrets of one store. Thread-safe. Keys are read when first needed.

    Parameters
    ----------
    folder : folder of the key file; None if keys can only come from the environment.
    environment_keys : the value of `VARIABLE`: keys separated by commas; None if it is not set.
    """

    def __init__(self, folder: Path | None, environment_keys: str | None = None) -> None:
        self._folder, self._environment_keys = folder, environment_keys
        self._lock = threading.Lock()
        self._keys: dict[str, bytes] = {}

    def encrypt(self, text: str, owner: str) -> str:
        """Encrypt a text for one row. It cannot be decrypted in another row.

        Parameters
        ----------
        text : the text.
        owner : the id of the row.

        Returns
        -------
        str
            The token.

        Raises
        ------
        SecretKeyError : there is no key, and none can be created.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        with self._lock:
            self._keys = self._read() or self._create()
            name, key = next(iter(self._keys.items()))
        nonce = os.urandom(NONCE_BYTES)
        encrypted = nonce + AESGCM(key).encrypt(nonce, text.encode(), owner.encode())
        return ".".join((_VERSION, name, urlsafe_b64encode(encrypted).decode()))

    def decrypt(self, token: str, owner: str) -> str:
        """Decrypt a token.

        Parameters
        ----------
        token : the token that `encrypt` returned.
        owner : the id of its row.

        Returns
        -------
        str
            The text.

        Raises
        ------
        SecretKeyError : its key is missing, or the token was changed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        version, _, rest = token.partition(".")
        name, _, encrypted = rest.partition(".")
        with self._lock:
            if name not in self._keys:
                # Another process may have created or replaced it.
                self._keys = self._read()
            key = self._keys.get(name)
        if version != _VERSION or key is None:
            raise SecretKeyError(
                f"the key of the store's encrypted secrets ({name or 'none'}) is missing",
                f"this key in {VARIABLE}, or in {FILE} of the home",
                "restore it from a backup; or remove the webhooks and add them again",
            )
        try:
            content = urlsafe_b64decode(encrypted)
            return AESGCM(key).decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, ValueError):
            raise SecretKeyError(
                "a secret of the store was changed", "the secret as stored", "remove the webhook and add it again"
            ) from None

    def add_key(self) -> None:
        """Add a new key as the first one of the file. The other keys still decrypt.

        Raises
        ------
        SecretKeyError : the keys come from the environment, or the file cannot be written.
        """
        if self._environment_keys:
            raise SecretKeyError(
                f"{VARIABLE} is set",
                "keys in a file",
                f"put a new key and a comma before the other keys in {VARIABLE}",
            )
        with self._lock:
            self._write([_new_key(), *self._read().values()])

    def forget_other_keys(self) -> None:
        """Remove all keys but the first from the file."""
        with self._lock:
            if not self._environment_keys and (keys := self._read()):
                self._write([next(iter(keys.values()))])

    def _read(self) -> dict[str, bytes]:
        """Return the keys by name, in order; empty if there is no file yet."""
        if self._environment_keys:
            return _parse(self._environment_keys.replace(",", "\n"), VARIABLE)
        path = self._path()
        try:
            status = path.stat()
            if os.name == "posix" and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise SecretKeyError(
                    f"other users can read {path}", "a file that only its owner can read", f"chmod 600 {path}"
                )
            return _parse(path.read_text(encoding="ascii"), str(path))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise SecretKeyError(f"{path} cannot be read ({type(error).__name__})", "a key file") from None

    def _create(self) -> dict[str, bytes]:
        """Create the first key, or return that of another process that was faster."""
        self._write([_new_key()], new=True)
        return self._read()

    def _write(self, keys: list[bytes], new: bool = False) -> None:
        path = self._path()
        temporary = path.with_name(f".{FILE}-{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.writelines(b64encode(key).decode() + "\n" for key in keys)
                file.flush()
                os.fsync(file.fileno())
            if new:
                with suppress(FileExistsError):
                    os.link(temporary, path)
                os.unlink(temporary)
            else:
                os.replace(temporary, path)
        except OSError as error:
            raise SecretKeyError(
                f"{path} cannot be written ({error.strerror})",
                "a writable home",
                f"make it writable, or set {VARIABLE}",
            ) from None

    def _path(self) -> Path:
        if self._folder is None:
            raise SecretKeyError("the key for encrypting secrets is missing", f"a key in {VARIABLE}", _cure())
        return self._folder / FILE


def cipher_of(connection: Connection) -> Cipher:
    """Return the cipher of a connection's store."""
    cipher: Cipher = connection.get_execution_options()[OPTION]
    return cipher


def _parse(text: str, source: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for line in text.split():
        try:
            key = b64decode(line, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise SecretKeyError(
                f"{source} contains an invalid key", f"{KEY_BYTES} random bytes in base64 for each key", _cure()
            )
        keys[hashlib.sha256(key).hexdigest()[:8]] = key
    if not keys:
        raise SecretKeyError(f"{source} contains no key", f"{KEY_BYTES} random bytes in base64", _cure())
    return keys


def _new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _cure() -> str:
    return f"`openssl rand -base64 {KEY_BYTES}` creates one"
