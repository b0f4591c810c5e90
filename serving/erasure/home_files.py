"""Removal of an account from the files of a home."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from markupsafe import escape

from features.errors import HomeError
from features.utils.atomic_files import UNFINISHED, new_file, write_file
from features.utils.file_lock import exclusive_lock
from models.artifacts.home_portfolio import LOCK
from models.artifacts.identity_file import read_identity_file, write_identity_file
from models.home import Home
from models.reviews.review_store import DOCUMENT, PAGE
from serving.erasure.json_documents import without_account

#: Folders with tables of accounts.
TABLES = ("snapshots", "mlartifacts")
#: Folders with quarterly reviews, which training also logs.
REVIEWS = ("reviews", "mlartifacts")
ACCOUNT, HASHED = "account_id", "account"
"""The columns with the id of an account, and with its keyed hash (`PortfolioIdentity.hash_accounts`)."""
#: Shorter ids and names occur by chance, so that a search for them says nothing.
SEARCHED_LENGTH = 4
_TEXTS = frozenset({".json", ".html", ".toml", ".md", ".txt", ".csv"})


@dataclass(frozen=True)
class Removal:
    """What an erasure removes from one place.

    Parameters
    ----------
    where : the file or folder relative to the home, or the table of the store.
    what : rows, entries or files.
    count : how many.
    """

    where: str
    what: str
    count: int


def erase_from_files(home: Home, account: str, *, write: bool) -> list[Removal]:
    """Remove an account from the files of a home.

    Each file is replaced atomically, so that an interrupted run can be repeated.

    Parameters
    ----------
    home : the home.
    account : the id of the account.
    write : whether to change the files; otherwise only what would be removed is returned.

    Returns
    -------
    list of Removal

    Raises
    ------
    HomeError : a file cannot be read or written.
    """
    removals = []
    identity = read_identity_file(home)
    digest = None if identity is None else int(identity.hash_accounts([account])[0])
    for path in _files(home, TABLES, "*.parquet"):
        removals.append(_from_table(home, path, account, digest, write))
    for path in _files(home, ("snapshots",), "*.json"):
        removals.append(_from_json(home, path, account, write))
    for path in _files(home, REVIEWS, DOCUMENT):
        removals.append(_from_json(home, path, account, write))
    for path in _files(home, REVIEWS, PAGE):
        removals.append(_from_review_page(home, path, account, write))
    removals.append(_from_identity(home, account, write))
    removals += _cached_files(home, account, write)
    return [each for each in removals if each.count]


def search_texts(home: Home, words: tuple[str, ...]) -> list[str]:
    """Return the text files of a home, relative to it, that contain one of the words, such as a name in a reason."""
    wanted = [word for word in words if len(word) >= SEARCHED_LENGTH]
    if not wanted:
        return []
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for word in wanted for form in _forms(word)))
    found = []
    for path in sorted(home.root.rglob("*")):
        inner = path.relative_to(home.root)
        if path.suffix not in _TEXTS or inner.parts[0] == "demo" or not path.is_file():
            continue
        if pattern.search(path.read_text(encoding="utf-8", errors="replace")):
            found.append(inner.as_posix())
    return found


def _forms(word: str) -> set[str]:
    return {word, json.dumps(word)[1:-1], str(escape(word))}


def _files(home: Home, folders: tuple[str, ...], pattern: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(each for each in (home.root / folder).rglob(pattern) if UNFINISHED not in each.name)


def _from_table(home: Home, path: Path, account: str, digest: int | None, write: bool) -> Removal:
    """Remove the rows of an account from a Parquet file; the file itself if nothing else is in it.

    ``digest`` is the keyed hash by which tables without ids know the account.
    """
    where = path.relative_to(home.root).as_posix()
    try:
        with path.open("rb") as file:
            parquet = pq.ParquetFile(file)
            column, value = _account_column(parquet.schema_arrow, account, digest)
            if column is None:
                return Removal(where, "rows", 0)
            ids = parquet.read(columns=[column])[column]
            count = len(ids) - len(_without(ids, ids, value))
            groups = range(parquet.num_row_groups if write and count else 0)
            tables = [parquet.read_row_group(each) for each in groups]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise HomeError(
            f"{path} cannot be read ({type(error).__name__})", "a table written by Renewcast", "delete the file"
        ) from None
    if tables and count < len(ids):
        # Readers find what they need by the position of its group, so every group stays, even an empty one.
        with new_file(path) as unfinished, pq.ParquetWriter(unfinished, tables[0].schema, compression="zstd") as writer:
            for table in tables:
                rest = _without(table, table[column], value)
                writer.write_table(rest, row_group_size=max(len(rest), 1))
    elif tables:
        path.unlink()
    return Removal(where, "rows", count)


def _without(rows: Any, ids: pa.ChunkedArray, value: str | int | None) -> Any:
    """Return the rows of a table or a column whose id is another one or unknown."""
    return rows.filter(pc.fill_null(pc.not_equal(ids, pa.scalar(value, ids.type)), True))


def _account_column(schema: pa.Schema, account: str, digest: int | None) -> tuple[str | None, str | int | None]:
    """Return the column of a table that says the account, and the value of this one; None without one."""
    if ACCOUNT in schema.names:
        return ACCOUNT, account
    if digest is not None and HASHED in schema.names and schema.field(HASHED).type == pa.uint64():
        return HASHED, digest
    return None, None


def _from_json(home: Home, path: Path, account: str, write: bool) -> Removal:
    where = path.relative_to(home.root).as_posix()
    try:
        text = path.read_text(encoding="utf-8")
        document: Any = json.loads(text)
    except (OSError, ValueError) as error:
        raise HomeError(
            f"{path} cannot be read ({type(error).__name__})", "a document written by Renewcast", "delete the file"
        ) from None
    rest, count = without_account(document, account)
    if write and count:
        # Sidecars are one line, reviews are indented.
        compact = "\n" not in text.strip()
        layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
        write_file(path, json.dumps(rest, ensure_ascii=False, **layout) + ("" if compact else "\n"))
    return Removal(where, "entries", count)


def _from_review_page(home: Home, path: Path, account: str, write: bool) -> Removal:
    """Remove the rows of an account from the tables of a review's page."""
    where = path.relative_to(home.root).as_posix()
    row = re.compile(rf'<tr><th scope="row">{re.escape(str(escape(account)))}</th>.*?</tr>\n?', re.DOTALL)
    rest, count = row.subn("", path.read_text(encoding="utf-8"))
    if write and count:
        write_file(path, rest)
    return Removal(where, "rows", count)


def _from_identity(home: Home, account: str, write: bool) -> Removal:
    """Remove the hash of an account from the identity of the portfolio."""
    removal = Removal(home.portfolio_file.name, "hashes", 0)
    if not home.portfolio_file.exists():
        return removal
    with exclusive_lock(home.root / LOCK):
        identity = read_identity_file(home)
        rest = None if identity is None else identity.without_account(account)
        if rest is None or rest == identity:
            return removal
        if write:
            write_identity_file(home, rest)
    return Removal(removal.where, removal.what, 1)


def _cached_files(home: Home, account: str, write: bool) -> list[Removal]:
    """Remove caches, results of jobs and what interrupted runs have left, since they can contain any account."""
    found = {
        "rollups": [each for each in home.rollups.rglob("*") if each.is_file()],
        "jobs": [each for each in (home.root / "jobs").rglob("*") if each.is_file()],
        home.texts.name: [home.texts] if home.texts.is_file() and _contains(home.texts, account) else [],
        "unfinished files": [
            each
            for each in home.root.rglob(f".*{UNFINISHED}*")
            if each.is_file() and each.relative_to(home.root).parts[0] not in ("demo", "rollups", "jobs")
        ],
    }
    if write:
        for paths in found.values():
            for path in paths:
                path.unlink(missing_ok=True)
    return [Removal(where, "files", len(paths)) for where, paths in found.items()]


def _contains(path: Path, account: str) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(f"'{form}'" in text for form in _forms(account))
