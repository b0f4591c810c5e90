"""Portfolio identity: the company whose accounts a home, a bundle or a run is about.

Account ids are never stored. For each account, a keyed 64-bit hash of the id and a 16-bit hash of the id with the month
of its ``created_at`` are stored; the key is random and belongs to one home. For a large portfolio only the accounts
with the smallest hashes are stored: a uniform sample, from which the overlap of two sets of ids is estimated (bottom-k
sketches, Broder 1997; Cohen and Kaplan 2007).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from models.statements import Person, Reason

BusinessKind = Literal["contractual", "orders"]
RecordedValues = Mapping[str, Mapping[str, Collection[str]]]
"""By table and column, the only values that a source can record; columns that are not named can have any."""
SortedRecords = dict[str, dict[str, Annotated[tuple[str, ...], Field(strict=False)]]]
"""`RecordedValues` as they are stored."""
AccountHashes = npt.NDArray[np.uint64]
MonthHashes = npt.NDArray[np.uint16]

#: Maximum accounts stored in a home (10 bytes each, a third more as text). Smaller portfolios are compared exactly.
HOME_SAMPLE = 65_536
#: Maximum accounts stored in a bundle.
BUNDLE_SAMPLE = 2_048
#: Two sets of accounts belong to one portfolio if the larger one contains at least this share of the smaller one.
MIN_SHARED = 0.2
#: Minimum share of the shared ids that were created in the same month: unrelated companies share short ids such as
#: 1, 2, 3.
MIN_SAME_MONTH = 0.5
#: Minimum number of shared ids for comparing months.
MIN_DATED_ACCOUNTS = 3
NAME_LIMIT = 100
_UNKNOWN_MONTH = 0


class SamePortfolio(BaseModel):
    """A person's statement that signals with other account ids are the same portfolio."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    at: AwareDatetime
    who: Person
    why: Reason


@dataclass(frozen=True)
class SignalsPortfolio:
    """The portfolio that signals are about.

    Parameters
    ----------
    name : the given name, or one from the address of the signals.
    kind : contractual (a table of subscriptions) or orders.
    tables : the tables present.
    ids : the account ids.
    created : when each was created (UTC), None where unknown.
    records : by table and column, the only values that the source of the signals can record.
    """

    name: str
    kind: BusinessKind
    tables: tuple[str, ...]
    ids: Sequence[str]
    created: Sequence[datetime | None]
    records: RecordedValues = field(default_factory=dict)


class Overlap(NamedTuple):
    """The overlap of two sets of accounts.

    ``shared`` is the share of the smaller set's ids that are in the other set; ``known`` is the share of the signals'
    ids that were known; both are None if a sample is empty. ``same_month`` is the share of the shared ids that were
    created in the same month; None if there are too few.
    """

    shared: float | None
    known: float | None
    same_month: float | None

    @property
    def is_same(self) -> bool:
        """Whether the two sets can belong to one portfolio."""
        if self.shared is not None and self.shared < MIN_SHARED:
            return False
        return self.same_month is None or self.same_month >= MIN_SAME_MONTH


class PortfolioIdentity(BaseModel):
    """The portfolio that a home, a bundle or a run belongs to.

    Parameters
    ----------
    id : random; the same in a home and in all of its bundles.
    name : for people.
    kind : contractual or orders.
    tables : the tables that its signals held.
    accounts : how many account ids are known, an estimate where the sample does not hold all of them.
    known_share : the share of the newest signals' ids that were known before; None at first.
    key : of the hashes, hex.
    sample : the hashes in ascending order (uint64, little endian), then the hashes of months (uint16), as base64.
    complete : whether the sample holds every account.
    same : statements that other ids belong to the same portfolio, oldest first.
    records : by table and column, the only values that the source of its newest signals can record, sorted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format_version: Literal[1] = 1
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    name: Annotated[str, Field(min_length=1, max_length=NAME_LIMIT)]
    kind: BusinessKind
    tables: Annotated[tuple[str, ...], Field(strict=False)]
    accounts: Annotated[int, Field(ge=0)]
    known_share: Annotated[float, Field(ge=0, le=1)] | None = None
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sample: Annotated[str, Field(max_length=2 * 10 * HOME_SAMPLE)]
    complete: bool
    same: Annotated[tuple[SamePortfolio, ...], Field(strict=False)] = ()
    records: SortedRecords = Field(default_factory=dict)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        hashes, _ = self.sampled
        if (hashes[1:] <= hashes[:-1]).any():
            raise ValueError("the sample is not in ascending order")
        return self

    @classmethod
    def of(cls, signals: SignalsPortfolio) -> Self:
        """Create an identity from the first signals of a home."""
        key = secrets.token_hex(16)
        hashes, months = _hash_accounts(key, signals)
        base = {"id": secrets.token_hex(16), "name": signals.name, "kind": signals.kind, "key": key}
        source = {"tables": tuple(sorted(signals.tables)), "records": sorted_records(signals.records)}
        sample = _sample_fields(hashes, months, HOME_SAMPLE, complete=True)
        return cls.model_validate(base | source | sample)

    @property
    def sampled(self) -> tuple[AccountHashes, MonthHashes]:
        """The id hashes in ascending order, and the hash of each id with its month; 0 if the month is unknown."""
        return _decode_sample(self.sample)

    @property
    def origin(self) -> dict[str, str]:
        """The tags of a run or a registered version, without any hash."""
        tags = {"": self.id, ".name": self.name, ".kind": self.kind, ".tables": ",".join(self.tables)}
        tags[".accounts"] = str(self.accounts)
        if self.known_share is not None:
            tags[".known_share"] = f"{self.known_share:.4f}"
        return {f"renewcast.portfolio{end}": value for end, value in tags.items()}

    def hash_accounts(self, accounts: Iterable[str]) -> AccountHashes:
        """Return the keyed hash of each account id, in the given order."""
        secret = bytes.fromhex(self.key)
        return np.fromiter((_digest(secret, (account,), 8) for account in accounts), np.uint64)

    def overlap(self, signals: SignalsPortfolio) -> Overlap:
        """Return the overlap of the signals' accounts with the known accounts."""
        hashes, months = self.sampled
        other_hashes, other_months = _hash_accounts(self.key, signals)
        if not self.complete and len(hashes):
            within = other_hashes <= hashes[-1]
            other_hashes, other_months = other_hashes[within], other_months[within]
        if not len(hashes) or not len(other_hashes):
            return Overlap(None, None, None)
        _, ours, theirs = np.intersect1d(hashes, other_hashes, assume_unique=True, return_indices=True)
        dated = (months[ours] != _UNKNOWN_MONTH) & (other_months[theirs] != _UNKNOWN_MONTH)
        agree = None
        if dated.sum() >= MIN_DATED_ACCOUNTS:
            agree = float((months[ours] == other_months[theirs])[dated].mean())
        return Overlap(len(ours) / min(len(hashes), len(other_hashes)), len(ours) / len(other_hashes), agree)

    def with_signals(self, signals: SignalsPortfolio, *, trained: bool = False) -> Self:
        """Return the identity with the accounts and tables of newer signals added.

        Accounts that are gone remain known. Tables that are gone are removed by the next training, with what their
        sources can record.
        """
        other_hashes, other_months = _hash_accounts(self.key, signals)
        hashes, months = self.sampled
        if not self.complete and len(hashes):
            within = other_hashes <= hashes[-1]
            other_hashes, other_months = other_hashes[within], other_months[within]
        # The newest month takes precedence, so it comes first.
        hashes, first = np.unique(np.concatenate([other_hashes, hashes]), return_index=True)
        merged = _sample_fields(
            hashes, np.concatenate([other_months, months])[first], HOME_SAMPLE, complete=self.complete
        )
        tables = signals.tables if trained else {*self.tables, *signals.tables}
        gone = {name: columns for name, columns in self.records.items() if name in {*tables} - {*signals.tables}}
        share = self.overlap(signals).known
        changed = merged | {"tables": tuple(sorted(tables)), "known_share": share}
        changed |= {"records": sorted_records({**gone, **signals.records})}
        return type(self).model_validate(self.model_dump() | changed)

    def without_account(self, account: str) -> Self:
        """Return the identity without the hashes of an account; the identity itself if it does not hold them."""
        hashes, months = self.sampled
        others = hashes != self.hash_accounts([account])[0]
        if others.all():
            return self
        rest = _sample_fields(hashes[others], months[others], HOME_SAMPLE, complete=self.complete)
        return type(self).model_validate(self.model_dump() | rest)

    def for_bundle(self) -> Self:
        """Return the identity as stored in a bundle: a smaller sample, without statements."""
        hashes, months = self.sampled
        smaller = _sample_fields(hashes, months, BUNDLE_SAMPLE, complete=self.complete)
        return type(self).model_validate(self.model_dump() | smaller | {"accounts": self.accounts, "same": ()})


def sorted_records(records: RecordedValues) -> SortedRecords:
    """Return what a source can record in a form that is always the same, for files."""
    return {
        table: {column: tuple(sorted(values)) for column, values in sorted(columns.items())}
        for table, columns in sorted(records.items())
    }


@lru_cache(maxsize=8)
def _decode_sample(sample: str) -> tuple[AccountHashes, MonthHashes]:
    content = base64.b64decode(sample, validate=True)
    rows, rest = divmod(len(content), 10)
    if rest:
        raise ValueError("the sample is cut off")
    return np.frombuffer(content, "<u8", rows), np.frombuffer(content, "<u2", rows, 8 * rows)


def _sample_fields(hashes: AccountHashes, months: MonthHashes, limit: int, *, complete: bool) -> dict[str, object]:
    """Return the fields that hold a sample of accounts; ``hashes`` are in ascending order."""
    count = min(len(hashes), limit)
    content = hashes[:count].astype("<u8").tobytes() + months[:count].astype("<u2").tobytes()
    complete = complete and count == len(hashes)
    # With k hashes up to t of 2**64 there are about (k - 1) 2**64 / t accounts.
    accounts = count if complete or count < 2 else round((count - 1) * 2.0**64 / float(hashes[count - 1]))
    return {"accounts": accounts, "sample": base64.b64encode(content).decode(), "complete": complete}


def _hash_accounts(key: str, signals: SignalsPortfolio) -> tuple[AccountHashes, MonthHashes]:
    """Return the hash of each account in ascending order, and the hash of its id with its month."""
    secret = bytes.fromhex(key)
    hashes = np.fromiter((_digest(secret, (account,), 8) for account in signals.ids), np.uint64, len(signals.ids))
    months = np.fromiter(
        (
            _UNKNOWN_MONTH if at is None else max(_digest(secret, (account, f"{at.year}-{at.month}"), 2), 1)
            for account, at in zip(signals.ids, signals.created, strict=True)
        ),
        np.uint16,
        len(signals.ids),
    )
    unique, first = np.unique(hashes, return_index=True)
    return unique, months[first]


def _digest(key: bytes, parts: Iterable[str], size: int) -> int:
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=size, key=key).digest(), "little")
