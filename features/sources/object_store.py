"""Open an object store as a source: its objects are copied to a private folder and read there.

PyArrow's clients for S3 and Google Cloud Storage list and copy the objects. The engine that reads the copies stays
confined to this machine. The clients find credentials in the environment (``AWS_ACCESS_KEY_ID``, ``~/.aws``,
``GOOGLE_APPLICATION_CREDENTIALS``, …).
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
    WILDCARDS,
    DataFiles,
    contract_table_name,
    data_files,
    format_of,
    glob_paths,
    is_hidden,
    matching_files,
    open_folder,
)
from features.utils.atomic_files import make_temporary_folder, remove_temporary_folder

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_Result = TypeVar("_Result")

OBJECT_LIMIT = 10_000
"""Maximum number of objects copied from one address."""
BYTE_LIMIT = 20 * 2**30
"""Maximum number of bytes copied from one address."""
CONNECT_SECONDS, RESPONSE_SECONDS, MAX_ATTEMPTS = 3.0, 5.0, 3
"""Timeouts for a connection and a response, and the number of attempts: about 20 seconds in total."""
CHUNK_BYTES, MAX_PARALLEL = 2**22, 8
"""Bytes read at a time, and objects copied in parallel."""
OPTIONS = {
    "s3": ("region", "scheme", "endpoint_override", "anonymous"),
    "gs": ("scheme", "endpoint_override", "anonymous"),
}
"""Options allowed after ``?`` in an address; none of them is a secret."""

# The store's messages may quote the address or a request, so they are replaced by our own.
_DENIED = (
    r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE|INVALID_CLIENT_TOKEN|HTTP status 40[13]|PERMISSION_DENIED"
    r"|Permission denied|UNAUTHENTICATED|credential|metadata\.google|Forbidden|EXPIRED_TOKEN"
)
_ABSENT = r"NO_SUCH_BUCKET|NO_SUCH_KEY|NOT_FOUND|HTTP status 404|not found|does not exist"
_UNREACHABLE = r"NETWORK_CONNECTION|curlCode|Could ?n.t connect|timed out|Timeout|UNAVAILABLE|Retry policy exhausted"


@dataclass(frozen=True)
class StoreAddress:
    """A parsed address of objects.

    Parameters
    ----------
    scheme : one of those of `OPTIONS`.
    bucket, key : the bucket, and the prefix, object or pattern in it.
    options : the options after ``?``.
    login : name and password before the bucket, if given; never shown.
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
        """The address without name and password, which can be opened with credentials from the environment."""
        options = urlencode(self.options, safe=":/")
        return f"{self.scheme}://{self.bucket}/{self.key}" + (f"?{options}" if options else "")

    @property
    def fixed(self) -> tuple[str, tuple[str, ...]]:
        """Bucket and key before the first pattern, as a PyArrow path, and the remaining parts."""
        parts = self.key.split("/") if self.key else []
        n_fixed = next((i for i, p in enumerate(parts) if any(c in p for c in WILDCARDS)), len(parts))
        return "/".join([self.bucket, *parts[:n_fixed]]), tuple(parts[n_fixed:])


def parse_address(address: str) -> StoreAddress:
    """Parse ``address``.

    Raises
    ------
    SignalsError
        If it is invalid; the message does not repeat it, because it may contain a secret.
    """
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()
    place, _, query = rest.partition("?")
    authority, _, key = place.partition("/")
    login, _, bucket = authority.rpartition("@")
    user, _, password = login.partition(":")
    allowed = OPTIONS[scheme]
    options = parse_qsl(query, keep_blank_values=True)
    valid = all(name in allowed and value and "@" not in value for name, value in options)
    valid = valid and dict(options).get("scheme", "https") in ("http", "https")
    parts = key.rstrip("/").split("/") if key.rstrip("/") else []
    # A secret with an unescaped slash would end up in the key, and leave its colon in the bucket.
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket)
        or not valid
        or (query and not options)
        or any(part in ("", ".", "..") or "\0" in part for part in parts)
        or "**" in key
    ):
        raise SignalsError(
            f"invalid {scheme} address",
            f"{scheme}://BUCKET/PREFIX, then ? and any of {', '.join(f'{name}=…' for name in allowed)}",
            "set credentials in the environment; use * and [...] as patterns, not ? or **",
        )
    credentials = (unquote(user), unquote(password)) if login else None
    return StoreAddress(scheme, bucket, "/".join(parts), tuple(options), credentials)


class Copies:
    """Copies of one source's objects in private temporary folders.

    Attributes
    ----------
    folders : the temporary folders and their origins.
    objects, size : the number of copied objects and their bytes.
    """

    def __init__(self) -> None:
        self.folders: dict[Path, str] = {}
        self.objects = 0
        self.size = 0
        self.lock = Lock()
        self._owner = os.getpid()

    def new_folder(self, origin: str) -> Path:
        """Create an empty folder for copies from ``origin`` that only this user can read."""
        try:
            folder = make_temporary_folder()
        except OSError as error:
            raise _unwritable_error(error) from None
        self.folders[folder] = origin
        return folder

    def with_origins(self, error: SignalsError) -> SignalsError:
        """Return ``error`` with the names of the objects instead of their copies."""
        texts = [error.found, error.expected, error.cure]
        for folder, origin in self.folders.items():
            texts = [text.replace(str(folder), origin) for text in texts]
        return SignalsError(*texts)

    def remove(self) -> None:
        """Remove all copies. A forked process leaves them to its parent."""
        if os.getpid() == self._owner:
            while self.folders:
                remove_temporary_folder(self.folders.popitem()[0])

    def bind_to(self, connection: Backend) -> None:
        """Remove the copies when ``connection`` is closed or garbage-collected, or when the process ends."""
        if not self.folders:
            return
        end = weakref.finalize(connection, self.remove)
        disconnect, reference = type(connection).disconnect, weakref.ref(connection)

        def close() -> None:
            try:
                if backend := reference():
                    disconnect(backend)
            finally:
                end()

        connection.disconnect = close


@contextmanager
def temporary_copies() -> Iterator[Copies]:
    """Yield `Copies` that are removed if the block fails; the error names the objects."""
    copies = Copies()
    try:
        yield copies
    except SignalsError as error:
        renamed = copies.with_origins(error)
        copies.remove()
        raise renamed from None
    except BaseException:
        copies.remove()
        raise


def open_store(address: str) -> Source:
    """Open the contract's tables at ``address``: a prefix is read like a folder, a pattern selects objects.

    Parameters
    ----------
    address : ``s3://BUCKET/PREFIX`` or ``gs://BUCKET/PREFIX``, with `OPTIONS`.

    Returns
    -------
    Source
        The copies are removed when its connection is closed or the process ends. Their paths change each time, so
        nothing can be cached for them: `Source.files` is empty.

    Raises
    ------
    SignalsError
        If nothing is found, the store cannot be reached, access is denied, or there is too much data.
    """
    place = parse_address(address)
    notes: list[str] = []

    def choose(entries: list[Any]) -> list[Any]:
        chosen = [e for e in entries if contract_table_name(e.base_name, folder=_is_folder(e))]
        notes.extend(_ignored_note(e.base_name) for e in entries if e not in chosen and not is_hidden(e.base_name))
        return chosen

    with temporary_copies() as copies:
        folder, paths = _copy_entries(place, copies, choose)
        source = open_folder(folder, files=paths)
        copies.bind_to(source.connection)
    return replace(source, origin=place.origin, notes=[*notes, *source.notes], files={})


def copy_entries(address: str, copies: Copies) -> list[Path]:
    """Copy all data files at ``address``, and return the copied files and folders of the prefix or pattern.

    Raises
    ------
    SignalsError
        As in `open_store`.
    """

    def choose(entries: list[Any]) -> list[Any]:
        return [entry for entry in entries if _is_folder(entry) or _is_data(entry.base_name)]

    _, paths = _copy_entries(parse_address(address), copies, choose)
    return paths


def _copy_entries(
    place: StoreAddress, copies: Copies, choose: Callable[[list[Any]], list[Any]]
) -> tuple[Path, list[Path]]:
    """Copy the chosen entries; return the folder of the copies, and the copies of the entries."""
    base, rest = place.fixed
    folder = copies.new_folder(f"{place.scheme}://{base}")
    store = _Store(place)
    chosen = choose(store.matching(base, rest) if rest else store.entries(base))
    for entry in chosen:
        if _is_folder(entry):
            _make_folder(_target_path(folder, base, entry.path, place))
    store.copy([each for e in chosen for each in store.below(e)], base, folder, copies)
    return folder, glob_paths(folder.joinpath(*rest)) if rest else sorted(folder.iterdir())


def copy_files(address: str, copies: Copies) -> DataFiles:
    """Copy the object, the data files below the prefix, or those that match the pattern at ``address``.

    Raises
    ------
    SignalsError
        As in `open_store`, or if the format is unknown or there are several formats.
    """
    place = parse_address(address)
    base, rest = place.fixed
    store = _Store(place)
    pick: Callable[[Path], DataFiles] = matching_files if rest else data_files
    if rest:
        objects = [entry for entry in store.matching(base, rest) if not _is_folder(entry)]
    else:
        one = store.entry(base)
        objects = store.below(one)
        if not _is_folder(one):
            base, rest = base.rpartition("/")[0], (one.base_name,)
    folder = copies.new_folder(f"{place.scheme}://{base}")
    store.copy(objects, base, folder, copies)
    return pick(folder.joinpath(*rest))


class _Store:
    """The client for one address, with its errors replaced by our own messages."""

    def __init__(self, place: StoreAddress) -> None:
        self.place = place
        self.system = self._call(lambda: _client(place))
        if place.scheme == "gs":
            self._call(self._check_connection)

    def _check_connection(self) -> None:
        """Send one request with a short timeout, because the client for ``gs`` waits two minutes for a response."""
        failed: list[Exception] = []

        def request() -> None:
            try:
                self.system.get_file_info(self.place.fixed[0])
            except (OSError, pa.ArrowException) as error:
                failed.append(error)

        thread = Thread(target=request, daemon=True)
        thread.start()
        thread.join(RESPONSE_SECONDS * MAX_ATTEMPTS)
        if thread.is_alive():
            raise TimeoutError("timed out")
        if failed:
            raise failed[0]

    def entries(self, path: str) -> list[Any]:
        """Return the sorted direct contents of the folder ``path``."""
        return self._listed(path, recursive=False)

    def entry(self, path: str) -> Any:
        """Return the object or folder ``path``."""
        from pyarrow import fs

        info = self._call(lambda: self.system.get_file_info(path))
        if info.type == fs.FileType.NotFound:
            raise self._not_found()
        return info

    def below(self, entry: Any) -> list[Any]:
        """Return the object itself, or all data files in the folder ``entry``."""
        if not _is_folder(entry):
            return [entry]
        inside = self._listed(entry.path, recursive=True)
        return [e for e in inside if not _is_folder(e) and _is_data(e.path[len(entry.path) :].lstrip("/"))]

    def matching(self, base: str, parts: Iterable[str]) -> list[Any]:
        """Return the entries below ``base`` that match the pattern ``parts``, without hidden ones."""
        *outer, last = parts
        folders = [base]
        for part in outer:
            inside = [e for folder in folders for e in self._listed(folder, recursive=False)]
            folders = [e.path for e in inside if _is_folder(e) and _matches(e.base_name, part)]
        inside = [e for folder in folders for e in self._listed(folder, recursive=False)]
        matching = [e for e in inside if _matches(e.base_name, last)]
        if not matching:
            raise self._not_found()
        return matching

    def copy(self, objects: Iterable[Any], base: str, folder: Path, copies: Copies) -> None:
        """Copy ``objects`` below ``base`` into ``folder``, with their subfolders.

        Raises
        ------
        SignalsError
            If there are too many objects, they are too large, or they cannot be read or written.
        """
        objects = list(objects)
        copies.objects += len(objects)
        size = copies.size + sum(e.size or 0 for e in objects)
        if copies.objects > OBJECT_LIMIT or size > BYTE_LIMIT:
            raise self._too_much(copies.objects, size)

        def copy_one(entry: Any) -> None:
            target = _target_path(folder, base, entry.path, self.place)
            _make_folder(target.parent)
            with self._call(lambda: self.system.open_input_stream(entry.path)) as stream:
                try:
                    with target.open("xb") as file:
                        while chunk := self._call(lambda: stream.read(CHUNK_BYTES)):
                            with copies.lock:
                                copies.size += len(chunk)
                            if copies.size > BYTE_LIMIT:
                                raise self._too_much(copies.objects, copies.size)
                            file.write(chunk)
                except OSError as error:
                    raise _unwritable_error(error) from None

        pool = ThreadPoolExecutor(MAX_PARALLEL)
        try:
            for copied in [pool.submit(copy_one, entry) for entry in objects]:
                copied.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _listed(self, path: str, *, recursive: bool) -> list[Any]:
        from pyarrow import fs

        listed = self._call(lambda: self.system.get_file_info(fs.FileSelector(path, recursive=recursive)))
        return sorted(listed, key=lambda e: str(e.path))

    def _call(self, request: Callable[[], _Result]) -> _Result:
        try:
            return request()
        except FileNotFoundError:
            raise self._not_found() from None
        except (OSError, pa.ArrowException) as error:
            # The order matters: a connection error may mention the credentials that were tried.
            message, where = str(error), self.place.origin
        if re.search(_UNREACHABLE, message):
            raise SignalsError(
                f"{where} cannot be reached",
                "a store that responds within a few seconds",
                "check the network, and endpoint_override and scheme in the address",
            )
        if re.search(_DENIED, message):
            raise SignalsError(
                f"the credentials in the environment do not allow access to {where}",
                "permission to list the bucket and read its objects",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (GOOGLE_APPLICATION_CREDENTIALS for gs), "
                "or add ?anonymous=true for a public bucket",
            )
        if re.search(_ABSENT, message):
            raise self._not_found()
        raise SignalsError(
            f"{where} cannot be read", "a bucket that can be listed and read", "check the region, endpoint and bucket"
        )

    def _not_found(self) -> SignalsError:
        return SignalsError(
            f"nothing was found at {self.place.origin}",
            "an existing bucket, and objects with the prefix or pattern",
            "check the bucket, the prefix and the region",
        )

    def _too_much(self, objects: int, size: int) -> SignalsError:
        return SignalsError(
            f"{self.place.origin} has {objects:,} objects with a total of {size / 2**30:,.1f} GiB",
            f"at most {OBJECT_LIMIT:,} objects and {BYTE_LIMIT / 2**30:,.0f} GiB",
            "use a narrower prefix or pattern, or copy the files and use their folder",
        )


def _client(place: StoreAddress) -> Any:
    """Return PyArrow's file system for ``place``."""
    from pyarrow import fs

    options: dict[str, Any] = dict(place.options)
    options["anonymous"] = options.get("anonymous", "").lower() == "true"
    if place.scheme == "gs":
        return fs.GcsFileSystem(**options, retry_time_limit=timedelta(seconds=RESPONSE_SECONDS * (MAX_ATTEMPTS - 1)))
    if place.login:
        options |= {"access_key": place.login[0], "secret_key": place.login[1]}
    if "region" not in options:
        custom_endpoint = "endpoint_override" in options or {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} & set(
            os.environ
        )
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        options["region"] = region if custom_endpoint else fs.resolve_s3_region(place.bucket)
    timeouts = {"connect_timeout": CONNECT_SECONDS, "request_timeout": RESPONSE_SECONDS}
    return fs.S3FileSystem(
        **options, **timeouts, retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=MAX_ATTEMPTS)
    )


def _is_folder(entry: Any) -> bool:
    from pyarrow import fs

    return bool(entry.type == fs.FileType.Directory)


def _is_data(relative: str) -> bool:
    path = PurePosixPath(relative)
    return not any(map(is_hidden, path.parts)) and format_of(path) is not None


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and not is_hidden(name)


def _target_path(folder: Path, base: str, path: str, place: StoreAddress) -> Path:
    """Return the target of the object ``path`` below ``base``, which is always inside ``folder``."""
    parts = path[len(base) :].removeprefix("/").split("/")
    if any(part in ("", ".", "..") or "\0" in part or len(os.fsencode(part)) > 255 for part in parts):
        raise SignalsError(
            f"{place.origin} has an object with a name that is not a valid file name",
            "names without empty parts, . and .., and at most 255 bytes per part",
            "rename the object, or use a narrower prefix",
        )
    return folder.joinpath(*parts)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable_error(error) from None


def _unwritable_error(error: OSError) -> SignalsError:
    return SignalsError(
        f"the copies of the objects cannot be written ({os.strerror(error.errno) if error.errno else 'unknown'})",
        "enough free space in the temporary folder",
        "free some space, or set TMPDIR to another folder; an object and a prefix cannot have the same name",
    )


def _ignored_note(name: str) -> str:
    return f"{name} is not a table of the contract and was ignored"
