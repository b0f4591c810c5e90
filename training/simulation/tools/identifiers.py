"""Ids of one account in several tools, and the instants and amounts that they write."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass

import pandas as pd

_BASE_62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_CHECKSUM = string.ascii_uppercase + string.digits[:6]


@dataclass(frozen=True)
class AccountIds:
    """The ids of one account.

    Parameters
    ----------
    stripe : Stripe's customer.
    second_stripe : a second customer, which pays for add-ons; empty for most accounts.
    salesforce : the account in Salesforce, 18 characters.
    merged : a duplicate that was merged into it in Salesforce; empty for most accounts.
    zendesk : the organization in Zendesk.
    """

    stripe: str
    second_stripe: str
    salesforce: str
    merged: str
    zendesk: int


def account_ids(accounts: pd.Series) -> dict[str, AccountIds]:
    """Return the ids of each account id."""
    return {name: _ids(name, number) for number, name in enumerate(accounts, 1)}


def _ids(account: str, number: int) -> AccountIds:
    return AccountIds(
        stripe=token("cus_", account),
        second_stripe=token("cus_", f"{account} add-ons") if number % 12 == 0 else "",
        salesforce=salesforce_id("001", account),
        merged=salesforce_id("001", f"{account} duplicate") if number % 15 == 0 else "",
        zendesk=360_000_000_000 + number * 37,
    )


def token(prefix: str, text: str) -> str:
    """Return an id that starts with ``prefix`` and depends on ``text`` only."""
    return prefix + _base_62(text, 14)


def salesforce_id(prefix: str, text: str) -> str:
    """Return an id of 18 characters: 15 that differ by case, and three that make it unique without case."""
    return with_checksum(prefix + _base_62(text, 12))


def with_checksum(short: str) -> str:
    """Return the 18 characters of a Salesforce id of 15."""
    parts = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(_CHECKSUM[sum(1 << i for i, c in enumerate(part) if c.isupper())] for part in parts)


def _base_62(text: str, length: int) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE_62[digit])
    return "".join(digits)


def epoch_seconds(instants: pd.Series) -> pd.Series:
    """Return UTC instants as whole seconds since 1970; missing ones stay missing."""
    seconds: pd.Series = instants.dt.as_unit("s").astype("int64").where(instants.notna()).astype("Int64")
    return seconds


def iso(instants: pd.Series) -> pd.Series:
    """Return UTC instants as text in ISO 8601; missing ones stay missing."""
    text: pd.Series = instants.dt.strftime("%Y-%m-%dT%H:%M:%SZ").where(instants.notna(), None)
    return text
