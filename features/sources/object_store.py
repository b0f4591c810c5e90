"""Opening an object store as a source: the named objects are copied to a private folder and read there.

PyArrow's own clients of S3 and Google Cloud Storage list and copy; the engine that reads what was copied stays confined
to this machine. Credentials come from the environment, as these clients look for them (``AWS_ACCESS_KEY_ID``,
``~/.aws``, ``GOOGLE_APPLICATION_CREDENTIALS``, …).
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode

import pyarrow as pa

from features.errors import SignalsError
from features.sources.base import Source
from features.sources.files import (
    GLOB,
    DataFiles,
    contract_table,
    data_files,
    format_of,
    hidden,
    matches,
    matching_files,
    open_folder,
)
from features.utils.atomic_files import make_temporary_folder, remove_temporary_folder

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_Answer = TypeVar("_Answer")

OBJECT_LIMIT = 10_000
"""Objects that are copied from one address."""
BYTE_LIMIT = 20 * 2**30
"""Bytes that are copied from one address."""
CONNECTING, ANSWERING, ATTEMPTS = 3.0, 5.0, 3
"""Seconds to wait for a connection and for an answer, and how often it is tried: about 20 seconds in all."""
CHUNK, AT_ONCE = 2**22, 8
"""Bytes that are read at a time, and objects that are copied at the same time."""
OPTIONS = {
    "s3": ("region", "scheme", "endpoint_override", "anonymous"),
    "gs": ("scheme", "endpoint_override", "anonymous"),
}
"""What may stand behind ``?`` in an address; none of them is a secret."""

# What the store says, told in words of ours: its own may quote the address or a request.
_DENIED = (
    r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE|INVALID_CLIENT_TOKEN|HTTP status 40[13]|PERMISSION_DENIED"
    r"|Permission denied|UNAUTHENTICATED|credential|metadata\.google|Forbidden|EXPIRED_TOKEN"
)
_ABSENT = r"NO_SUCH_BUCKET|NO_SUCH_KEY|NOT_FOUND|HTTP status 404|not found|does not exist"
_SILENT = r"NETWORK_CONNECTION|curlCode|Could ?n.t connect|timed out|Timeout|UNAVAILABLE|Retry policy exhausted"


@dataclass(frozen=True)
class StoreAddress:
    """An address of objects, taken apart.

    Parameters
    ----------
    scheme : one of those of `OPTIONS`.
    bucket, key : the bucket, and the prefix, object or pattern in it.
    options : what stands behind ``?``.
    login : name and password before the bucket, if they were given; never shown.
    """

    scheme: str
    bucket: str
    key: str
    options: tuple[tuple[str, str], ...] = ()
    login: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return self.origin

    @property
    def origin(self) -> str:
        """The address without name and password: as it can be opened again with credentials of the environment."""
        options = urlencode(self.options, safe=":/")
        return f"{self.scheme}://{self.bucket}/{self.key}" + (f"?{options}" if options else "")

    @property
    def fixed(self) -> tuple[str, tuple[str, ...]]:
        """Bucket and key up to the first part that is a pattern, as PyArrow names them, and the parts from there on."""
        parts = self.key.split("/") if self.key else []
        firm = next((i for i, p in enumerate(parts) if any(c in p for c in GLOB)), len(parts))
        return "/".join([self.bucket, *parts[:firm]]), tuple(parts[firm:])


def store_address(address: str) -> StoreAddress:
    """Take ``address`` apart.

    Raises
    ------
    SignalsError
        If it cannot be understood; it is not repeated then, since it may hold a secret.
    """
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()
    place, _, query = rest.partition("?")
    authority, _, key = place.partition("/")
    login, _, bucket = authority.rpartition("@")
    user, _, password = login.partition(":")
    allowed = OPTIONS[scheme]
    options = parse_qsl(query, keep_blank_values=True)
    sound = all(name in allowed and value and "@" not in value for name, value in options)
    sound = sound and dict(options).get("scheme", "https") in ("http", "https")
    parts = key.rstrip("/").split("/") if key.rstrip("/") else []
    # A secret with a slash, unescaped, would end up in the key, and leave its colon in the bucket.
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket)
        or not sound
        or (query and not options)
        or any(part in ("", ".", "..") or "\0" in part for part in parts)
        or "**" in key
    ):
        raise SignalsError(
            f"an address of the kind {scheme} that cannot be read",
            f"{scheme}://BUCKET/PREFIX, then ? and any of {', '.join(f'{name}=…' for name in allowed)}",
            "leave credentials to the environment; * and [...] are patterns, ? and ** are not",
        )
    given = (unquote(user), unquote(password)) if login else None
    return StoreAddress(scheme, bucket, "/".join(parts), tuple(options), given)


class Copies:
    """Objects of one source, copied to private temporary folders.

    Parameters
    ----------
    folders : what is there, to be removed, and what it is a copy of.
    objects, size : how many were copied, and their bytes.
    """

    def __init__(self) -> None:
        self.folders: dict[Path, str] = {}
        self.objects = 0
        self.size = 0
        self.counting = Lock()
        self._owner = os.getpid()

    def new_folder(self, origin: str) -> Path:
        """An empty folder for copies from ``origin``, that only this user can enter."""
        try:
            folder = make_temporary_folder()
        except OSError as error:
            raise _unwritable(error) from None
        self.folders[folder] = origin
        return folder

    def retold(self, error: SignalsError) -> SignalsError:
        """``error`` with the names of the objects in place of those of their copies."""
        told = [error.found, error.expected, error.cure]
        for folder, origin in self.folders.items():
            told = [text.replace(str(folder), origin) for text in told]
        return SignalsError(*told)

    def remove(self) -> None:
        """Remove every copy. A process that was forked off leaves them to the one that made them."""
        if os.getpid() == self._owner:
            while self.folders:
                remove_temporary_folder(self.folders.popitem()[0])

    def stay_with(self, connection: Backend) -> None:
        """Keep the copies until ``connection`` is closed or forgotten, or the process ends."""
        if not self.folders:
            return
        end = weakref.finalize(connection, self.remove)
        disconnect, mine = type(connection).disconnect, weakref.ref(connection)

        def close() -> None:
            try:
                if held := mine():
                    disconnect(held)
            finally:
                end()

        connection.disconnect = close


@contextmanager
def copies() -> Iterator[Copies]:
    """Copies that are removed if the block fails; its message names the objects."""
    made = Copies()
    try:
        yield made
    except SignalsError as error:
        told = made.retold(error)
        made.remove()
        raise told from None
    except BaseException:
        made.remove()
        raise


def open_store(address: str) -> Source:
    """The contract's tables at ``address``: below a prefix as in a folder, or the objects that a pattern names.

    Parameters
    ----------
    address : ``s3://BUCKET/PREFIX`` or ``gs://BUCKET/PREFIX``, with `OPTIONS`.

    Returns
    -------
    Source
        The copies go when its connection is closed, or the process ends. They lie elsewhere the next time, so that
        nothing can be kept about them: `Source.files` is empty.

    Raises
    ------
    SignalsError
        If there is nothing there, it cannot be reached or may not be read, or there is too much of it.
    """
    place = store_address(address)
    with copies() as made:
        base, rest = place.fixed
        folder = made.new_folder(f"{place.scheme}://{base}")
        store = _Store(place)
        found = store.matching(base, rest) if rest else store.entries(base)
        named = [e for e in found if contract_table(e.base_name, folder=_is_folder(e))]
        notes = [_passed_over(e.base_name) for e in found if e not in named and not hidden(e.base_name)]
        for entry in named:
            if _is_folder(entry):
                _make(_inside(folder, base, entry.path, place))
        store.copy([each for e in named for each in store.below(e)], base, folder, made)
        source = open_folder(folder, files=matches(folder.joinpath(*rest)) if rest else None)
        made.stay_with(source.connection)
    return replace(source, origin=place.origin, notes=[*notes, *source.notes], files={})


def stored_files(address: str, made: Copies) -> DataFiles:
    """Copies of the object, of the data files below the prefix, or of those that the pattern ``address`` names.

    Raises
    ------
    SignalsError
        As `open_store`, or if they are of an unknown format or of several.
    """
    place = store_address(address)
    base, rest = place.fixed
    store = _Store(place)
    pick: Callable[[Path], DataFiles] = matching_files if rest else data_files
    if rest:
        found = [entry for entry in store.matching(base, rest) if not _is_folder(entry)]
    else:
        one = store.entry(base)
        found = store.below(one)
        if not _is_folder(one):
            base, rest = base.rpartition("/")[0], (one.base_name,)
    folder = made.new_folder(f"{place.scheme}://{base}")
    store.copy(found, base, folder, made)
    return pick(folder.joinpath(*rest))


class _Store:
    """The client of one address; what it fails with is told in words of ours."""

    def __init__(self, place: StoreAddress) -> None:
        self.place = place
        self.system = self._ask(lambda: _client(place))
        if place.scheme == "gs":
            self._ask(self._contact)

    def _contact(self) -> None:
        """Ask once, and wait no longer than a store may take: the client of ``gs`` waits two minutes for an answer."""
        failed: list[Exception] = []

        def ask() -> None:
            try:
                self.system.get_file_info(self.place.fixed[0])
            except (OSError, pa.ArrowException) as error:
                failed.append(error)

        asking = Thread(target=ask, daemon=True)
        asking.start()
        asking.join(ANSWERING * ATTEMPTS)
        if asking.is_alive():
            raise TimeoutError("timed out")
        if failed:
            raise failed[0]

    def entries(self, path: str) -> list[Any]:
        """What lies directly in the folder ``path``, sorted."""
        return self._listed(path, recursive=False)

    def entry(self, path: str) -> Any:
        """The object or folder ``path``."""
        from pyarrow import fs

        info = self._ask(lambda: self.system.get_file_info(path))
        if info.type == fs.FileType.NotFound:
            raise self._absent()
        return info

    def below(self, entry: Any) -> list[Any]:
        """The object itself, or the data files in the folder ``entry`` and in the folders in it."""
        if not _is_folder(entry):
            return [entry]
        inside = self._listed(entry.path, recursive=True)
        return [e for e in inside if not _is_folder(e) and _is_data(e.path[len(entry.path) :].lstrip("/"))]

    def matching(self, base: str, parts: Iterable[str]) -> list[Any]:
        """What the pattern ``parts`` names below ``base``; nothing hidden."""
        *outer, last = parts
        folders = [base]
        for part in outer:
            inside = [e for folder in folders for e in self._listed(folder, recursive=False)]
            folders = [e.path for e in inside if _is_folder(e) and _fits(e.base_name, part)]
        inside = [e for folder in folders for e in self._listed(folder, recursive=False)]
        found = [e for e in inside if _fits(e.base_name, last)]
        if not found:
            raise self._absent()
        return found

    def copy(self, objects: Iterable[Any], base: str, folder: Path, made: Copies) -> None:
        """Copy ``objects`` below ``base`` into ``folder``, with the folders between.

        Raises
        ------
        SignalsError
            If there are too many, they are too large, or they cannot be read or written.
        """
        objects = list(objects)
        made.objects += len(objects)
        size = made.size + sum(e.size or 0 for e in objects)
        if made.objects > OBJECT_LIMIT or size > BYTE_LIMIT:
            raise self._too_much(made.objects, size)

        def copy_one(entry: Any) -> None:
            target = _inside(folder, base, entry.path, self.place)
            _make(target.parent)
            with self._ask(lambda: self.system.open_input_stream(entry.path)) as stream:
                try:
                    with target.open("xb") as file:
                        while chunk := self._ask(lambda: stream.read(CHUNK)):
                            with made.counting:
                                made.size += len(chunk)
                            if made.size > BYTE_LIMIT:
                                raise self._too_much(made.objects, made.size)
                            file.write(chunk)
                except OSError as error:
                    raise _unwritable(error) from None

        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for copied in [pool.submit(copy_one, entry) for entry in objects]:
                copied.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _listed(self, path: str, *, recursive: bool) -> list[Any]:
        from pyarrow import fs

        listed = self._ask(lambda: self.system.get_file_info(fs.FileSelector(path, recursive=recursive)))
        return sorted(listed, key=lambda e: str(e.path))

    def _ask(self, question: Callable[[], _Answer]) -> _Answer:
        try:
            return question()
        except FileNotFoundError:
            raise self._absent() from None
        except (OSError, pa.ArrowException) as error:
            # The order matters: what cannot be reached may be quoted with the credentials that were tried.
            said, where = str(error), self.place.origin
        if re.search(_SILENT, said):
            raise SignalsError(
                f"{where} cannot be reached",
                "a store that answers within some seconds",
                "check the network, and endpoint_override and scheme in the address",
            )
        if re.search(_DENIED, said):
            raise SignalsError(
                f"{where} may not be read with the credentials of the environment",
                "permission to list the bucket and to read its objects",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (GOOGLE_APPLICATION_CREDENTIALS for gs), "
                "or write ?anonymous=true for a public bucket",
            )
        if re.search(_ABSENT, said):
            raise self._absent()
        raise SignalsError(
            f"{where} cannot be read", "a bucket that can be listed and read", "check the region, endpoint and bucket"
        )

    def _absent(self) -> SignalsError:
        return SignalsError(
            f"nothing at {self.place.origin}",
            "a bucket that exists, and objects below the prefix or of the pattern",
            "check the bucket, the prefix and the region",
        )

    def _too_much(self, objects: int, size: int) -> SignalsError:
        return SignalsError(
            f"{self.place.origin} names {objects:,} objects of {size / 2**30:,.1f} GiB",
            f"at most {OBJECT_LIMIT:,} objects and {BYTE_LIMIT / 2**30:,.0f} GiB",
            "name a narrower prefix or pattern, or copy the files and name their folder",
        )


def _client(place: StoreAddress) -> Any:
    """PyArrow's file system for ``place``; nothing but this module needs it."""
    from pyarrow import fs

    options: dict[str, Any] = dict(place.options)
    options["anonymous"] = options.get("anonymous", "").lower() == "true"
    if place.scheme == "gs":
        return fs.GcsFileSystem(**options, retry_time_limit=timedelta(seconds=ANSWERING * (ATTEMPTS - 1)))
    if place.login:
        options |= {"access_key": place.login[0], "secret_key": place.login[1]}
    if "region" not in options:
        elsewhere = "endpoint_override" in options or {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & set(os.environ)
        given = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        options["region"] = given if elsewhere else fs.resolve_s3_region(place.bucket)
    patience = {"connect_timeout": CONNECTING, "request_timeout": ANSWERING}
    return fs.S3FileSystem(**options, **patience, retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS))


def _is_folder(entry: Any) -> bool:
    from pyarrow import fs

    return bool(entry.type == fs.FileType.Directory)


def _is_data(relative: str) -> bool:
    path = PurePosixPath(relative)
    return not any(map(hidden, path.parts)) and format_of(path) is not None


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and not hidden(name)


def _inside(folder: Path, base: str, path: str, place: StoreAddress) -> Path:
    """Where the object ``path`` below ``base`` is copied to: below ``folder``, whatever it is called."""
    parts = path[len(base) :].removeprefix("/").split("/")
    if any(part in ("", ".", "..") or "\0" in part or len(os.fsencode(part)) > 255 for part in parts):
        raise SignalsError(
            f"{place.origin} holds an object whose name cannot be that of a file",
            "names without empty parts, . and .., of at most 255 bytes between two slashes",
            "rename the object, or name a narrower prefix",
        )
    return folder.joinpath(*parts)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> SignalsError:
    return SignalsError(
        f"the copies of the objects cannot be written ({os.strerror(error.errno) if error.errno else 'unknown'})",
        "room for them in the folder for temporary files",
        "free some space, or name another folder in TMPDIR; an object and a prefix cannot share one name",
    )


def _passed_over(name: str) -> str:
    return f"{name} is no table of the contract and was passed over"
