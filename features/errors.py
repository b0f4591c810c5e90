"""Errors that the user can fix: what was found, what was expected, and the cure.

The command line maps them to exit code 2, the HTTP service to a status. Messages never contain a customer's values;
only `UnknownAccount` lists the accounts that a person may have meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

CANDIDATES_SHOWN = 8
_HIDDEN = "***"
_LOGIN = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*):(?!PASSWORD@)[^\s]*@", re.IGNORECASE)
_NAMED = re.compile(
    r"\b([\w-]*(?:password|passwd|pwd|secret|token|api_?key|access_?key|signature|credential)[\w-]*|sig)"
    r"(\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s&;,'\")]+)",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """Return a text without passwords and keys of addresses, whether or not the address is supported.

    Examples
    --------
    >>> without_credentials("mysql://anna:geheim@host/db and host=db password=geheim")
    'mysql://anna:***@host/db and host=db password=***'
    """
    return _NAMED.sub(rf"\1\2{_HIDDEN}", _LOGIN.sub(rf"\1:{_HIDDEN}@", text))


class RenewcastError(Exception):
    """A mistake in the input or the environment that the user can fix. Passwords in its texts are hidden.

    Parameters
    ----------
    found : the problem and its location (file, table, column, row positions).
    expected : what would be correct.
    cure : what to do about it.
    """

    def __init__(self, found: str, expected: str = "", cure: str = "") -> None:
        self.found = without_credentials(found)
        self.expected = without_credentials(expected)
        self.cure = without_credentials(cure)
        super().__init__(self.found)

    def __str__(self) -> str:
        parts = [self.found]
        if self.expected:
            parts.append(f"Expected: {self.expected}")
        if self.cure:
            parts.append(f"Fix: {self.cure}")
        return "\n".join(parts)


class BadRequest(RenewcastError):
    """An invalid argument, date or request body."""


class SignalsError(RenewcastError):
    """A signals source that cannot be read or violates the data contract."""


class FeatureError(RenewcastError):
    """A feature function that fails, or returns something else than one number for each account.

    Parameters
    ----------
    feature : the name of the feature.
    found, expected, cure : as in `RenewcastError`.
    """

    def __init__(self, feature: str, found: str, expected: str = "", cure: str = "") -> None:
        self.feature = feature
        super().__init__(found, expected, cure)


class BundleError(RenewcastError):
    """A bundle that is missing, damaged, modified, or written for another feature catalogue."""


class HomeError(RenewcastError):
    """A RENEWCAST_HOME or an output path that cannot be read or written."""


class AccountCandidate(NamedTuple):
    """An account that the user may have meant: its id, and its name if it has one."""

    account_id: str
    name: str | None

    def __str__(self) -> str:
        return self.account_id if self.name in (None, "", self.account_id) else f"{self.name} ({self.account_id})"


class UnknownAccount(RenewcastError):
    """An account that is not in the snapshot, or of which only a part of the name is known.

    Parameters
    ----------
    found, expected, cure : as in `RenewcastError`, without a customer's value.
    candidates : the accounts that the user may have meant. They are the only values of customers in an error: they are
        shown to the person who asked, in the terminal, on a page or in Python, and are neither logged nor part of an
        answer of the API.
    """

    def __init__(
        self, found: str, expected: str = "", cure: str = "", candidates: Sequence[AccountCandidate] = ()
    ) -> None:
        self.candidates = tuple(candidates)
        super().__init__(found, expected, cure)

    def __str__(self) -> str:
        if not self.candidates:
            return super().__str__()
        shown = ", ".join(map(str, self.candidates[:CANDIDATES_SHOWN]))
        more = len(self.candidates) - CANDIDATES_SHOWN
        return f"{super().__str__()}\nAccounts: {shown}{f', and {more:,} more' if more > 0 else ''}"


class UnknownSnapshot(RenewcastError):
    """A date without a scored snapshot."""


class InsufficientData(RenewcastError):
    """Too little data to train a model, or for another ``purpose``.

    Parameters
    ----------
    missing : one line for each shortage and its size.
    cure : what to do about it.
    purpose : what the data would be used for.
    expected : what would be enough.
    """

    def __init__(
        self,
        missing: list[str],
        cure: str = "",
        purpose: str = "train a model",
        expected: str = "a portfolio above the sufficiency limits",
    ) -> None:
        self.missing = list(missing)
        super().__init__(f"not enough data to {purpose}: " + "; ".join(missing), expected, cure)
