"""Find an account by what a person types: its id, its name, or the beginning of its name."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Iterable, Mapping

from features.errors import AccountCandidate, UnknownAccount
from features.utils.formatting import count_of

#: The maximum number of accounts with a similar name.
MAX_CANDIDATES = 8
#: Names at least this similar (`difflib`, 0 to 1) are candidates for a name that no account has.
SIMILARITY = 0.6

AccountNames = Mapping[str, str | None]
"""The name of each account by its id; None if it has none."""


def find_account(text: str, names: AccountNames, active: Collection[str] | None = None) -> str:
    """Return the id of the account that a person means.

    The first of these that holds decides: the account with exactly this id; the one whose name (or id) is this text,
    apart from case and spaces; the only one whose name starts with it. Ids are not completed, because ``acc-1`` that
    has left must not become ``acc-10``. Of several accounts with the same name, the only active one is meant.

    Parameters
    ----------
    text : what was typed.
    names : every known account, active or not.
    active : the accounts that are active; None if all are.

    Returns
    -------
    str
        It may be an account that is not active.

    Raises
    ------
    UnknownAccount : no account, or more than one, is meant. The error has the accounts with such a name, or the
        nearest ones, as candidates.

    Examples
    --------
    >>> names = {"a1": "Acme Corp", "a2": "Acme Ltd", "b": "Brisk"}
    >>> find_account("a1", names), find_account("acme corp", names), find_account("bri", names)
    ('a1', 'a1', 'b')
    """
    if text in names:
        return text
    wanted = _folded(text)
    folded = {account: _folded(name or "") for account, name in names.items()}
    same = [account for account, name in folded.items() if wanted and wanted in (name, _folded(account))]
    starting = [account for account, name in folded.items() if wanted and name.startswith(wanted)]
    for matches, words in ((same, "have this name"), (starting, "have a name that starts with this")):
        among = [account for account in matches if active is None or account in active]
        if len(matches) == 1 or len(among) == 1:
            return among[0] if len(among) == 1 else matches[0]
        if candidates := among or matches:
            raise UnknownAccount(
                f"{count_of(len(candidates), 'account')} {words}",
                "the id of one account, or enough of its name",
                candidates=_candidates(candidates, names),
            )
    raise UnknownAccount(
        "no account has this id or name",
        "the id of an account, its name, or the beginning of its name",
        "check the spelling",
        candidates=_candidates(_nearest(wanted, folded), names),
    )


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _nearest(wanted: str, folded: Mapping[str, str]) -> list[str]:
    """Return the accounts whose name or id contains the text, then those that are spelled nearly alike."""
    if not wanted:
        return []
    inside = [account for account, name in folded.items() if wanted in name or wanted in _folded(account)]
    if len(inside) >= MAX_CANDIDATES:
        return inside[:MAX_CANDIDATES]
    spelled: dict[str, list[str]] = {}
    for account, name in folded.items():
        for each in {name, _folded(account)} - {""}:
            spelled.setdefault(each, []).append(account)
    alike = difflib.get_close_matches(wanted, spelled, MAX_CANDIDATES, SIMILARITY)
    return list(dict.fromkeys([*inside, *(account for each in alike for account in spelled[each])]))


def _candidates(accounts: Iterable[str], names: AccountNames) -> tuple[AccountCandidate, ...]:
    return tuple(AccountCandidate(account, names[account]) for account in accounts)
