"""Parent companies: which accounts belong together.

Each account belongs to its *top account*: the last one on the way from parent to parent. Parents have no date: the ones
that the source has today count at every date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

Parents = Mapping[str, str]
"""The parent of each account that has one."""


def parents_of(accounts: pd.DataFrame) -> dict[str, str]:
    """Return the parents that count: other accounts of the portfolio.

    Parameters
    ----------
    accounts : a row per account with account_id and parent_id (None for none).
    """
    known = set(accounts["account_id"])
    pairs = zip(accounts["account_id"], accounts["parent_id"], strict=True)
    return {account: parent for account, parent in pairs if parent in known and parent != account}


def accounts_in_circles(parents: Parents) -> set[str]:
    """Return the accounts that are their own parent's parent, or further up."""
    circles: set[str] = set()
    finished: set[str] = set()
    for account in parents:
        path: list[str] = []
        place: dict[str, int] = {}
        while account in parents and account not in finished and account not in place:
            place[account] = len(path)
            path.append(account)
            account = parents[account]
        if account in place:
            circles.update(path[place[account] :])
        finished.update(path)
    return circles


def top_accounts(parents: Parents) -> dict[str, str]:
    """Return the top account of every account that has a parent or is one.

    Parameters
    ----------
    parents : the parents, without circles.
    """
    tops: dict[str, str] = {}
    for account in parents:
        path = []
        while account not in tops and account in parents:
            path.append(account)
            account = parents[account]
        tops.update(dict.fromkeys([*path, account], tops.get(account, account)))
    return tops


def descendants(account_id: str, children: Mapping[str, Sequence[str]]) -> list[str]:
    """Return all accounts below an account, without itself.

    Parameters
    ----------
    account_id : the account.
    children : the accounts directly below each, without circles.
    """
    found: list[str] = []
    waiting = list(children.get(account_id, ()))
    while waiting:
        account = waiting.pop()
        found.append(account)
        waiting += children.get(account, ())
    return found
