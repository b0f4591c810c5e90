"""Erasure of one account's data: from the store, and from every file of the home that holds rows of accounts."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.utils.formatting import count_of
from models.home import Home
from models.home_writers import no_other_writer
from models.predictions.account_lookup import find_account
from serving.erasure.home_files import ACCOUNT, Removal, erase_from_files, search_texts
from serving.erasure.store_rows import accounts_in_store, count_mentions, erase_from_store
from serving.snapshots.sidecars import ACCOUNTS, read_sidecar_or_none
from serving.snapshots.snapshot_files import SnapshotFiles
from serving.store.database import Store

STAYS = (
    "the signals at the source: delete the account there first, or the next scoring writes it again",
    "models: they hold no rows and no ids, only a keyed hash of ids of the training portfolio",
    "figures of several accounts together, such as KPIs, cohorts and reviews, which are not computed again",
    "what has left the home: exports, presentations, documents, logs, backups, and what was sent to webhooks",
)
"""What an erasure does not remove."""
NOT_COMPACTED = (
    "the file of the store could not be compacted, because another process uses it, so deleted rows can still be read "
    "in it: stop the service, and run `python -m sqlite3 store.sqlite VACUUM` in the home"
)


@dataclass(frozen=True)
class Erasure:
    """What was removed, or would be.

    Parameters
    ----------
    account_id, name : the account.
    erased : False if nothing was changed.
    removed : by place.
    mentions : files and tables in which a text that people wrote may still name the account.
    notes : what could not be done.
    """

    account_id: str
    name: str | None
    erased: bool
    removed: tuple[Removal, ...]
    mentions: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the erasure as plain data."""
        return {
            "account_id": self.account_id,
            "name": self.name,
            "erased": self.erased,
            "removed": [{"where": each.where, "what": each.what, "count": each.count} for each in self.removed],
            "mentions": list(self.mentions),
            "notes": list(self.notes),
            "stays": list(STAYS),
        }


def erase_account(home: Home, store: Store, text: str, *, write: bool) -> Erasure:
    """Erase the data of one account.

    Parameters
    ----------
    home : the home.
    store : its store.
    text : the account, as `models.predictions.account_lookup.find_account` reads it.
    write : whether to erase; otherwise only what would be removed is returned.

    Raises
    ------
    UnknownAccount : no account of the home is meant, or several can be.
    HomeError : a file cannot be read or written, or a training, scoring or review is writing to the home.
    StoreDown : the store cannot be reached.
    """
    with no_other_writer(home) if write else nullcontext():
        return _erase(home, store, text, write=write)


def _erase(home: Home, store: Store, text: str, *, write: bool) -> Erasure:
    names = known_accounts(home, store)
    account = find_account(text, names)
    name = names[account]
    words = tuple(dict.fromkeys((account, *([name] if name else []))))
    # The files first: as long as the store knows the account, an interrupted run can be repeated with its id.
    removed = erase_from_files(home, account, write=write)
    with store.begin() if write else store.read() as connection:
        removed = [*erase_from_store(connection, account, name, write=write), *removed]
        count = count_mentions(connection, account, words)
    mentions = [f"{count_of(count, 'record')} of other accounts in the store"] if count else []
    if not write:
        return Erasure(account, name, False, tuple(removed), tuple(mentions))
    notes = () if store.compact() else (NOT_COMPACTED,)
    return Erasure(account, name, True, tuple(removed), (*mentions, *search_texts(home, words)), notes)


def known_accounts(home: Home, store: Store) -> dict[str, str | None]:
    """Return every account that the home or its store has data of, with its latest name.

    Raises
    ------
    HomeError : a snapshot cannot be read.
    StoreDown : the store cannot be reached.
    """
    with store.read() as connection:
        names = accounts_in_store(connection)
    snapshots = SnapshotFiles(home)
    for as_of in snapshots.dates():
        try:
            ids = pq.read_table(snapshots.path(as_of), columns=[ACCOUNT])[ACCOUNT].to_pylist()
        except (OSError, ValueError, KeyError, pa.ArrowException):
            # Its erasure reports the file.
            ids = []
        for account in ids:
            names.setdefault(account, None)
        document = read_sidecar_or_none(snapshots, as_of, ACCOUNTS) or {}
        for part in ("former", "accounts"):
            names |= {a: each.get("name") or names.get(a) for a, each in document.get(part, {}).items()}
        names |= {a: each or names.get(a) for a, each in document.get("names", {}).items()}
    return names
