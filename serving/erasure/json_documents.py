"""Removal of an account from the JSON documents of a home: data of snapshots, and reviews."""

from __future__ import annotations

from typing import Any

#: Fields that hold a mapping by account, or a list of accounts.
BY_ACCOUNT = frozenset({"accounts", "parents", "names", "former", "products", "first_due", "executives"})
#: The list of groups by company, each named by the id of its top account.
COMPANIES = "parent"
_ID, _PARENT = "account_id", "parent_id"


def without_account(value: Any, account: str) -> tuple[Any, int]:
    """Return a document without the entries of an account, and how many it had.

    Entries are those of mappings and lists of accounts, rows with the account's id, the group of the company that is
    named by it, and the parent of its children, which becomes unknown. Totals over several accounts stay as they are.

    Parameters
    ----------
    value : plain data.
    account : the id of the account.

    Examples
    --------
    >>> without_account({"accounts": {"a": {"arr": 1}, "b": {"arr": 2}}, "rows": [{"account_id": "a"}]}, "a")
    ({'accounts': {'b': {'arr': 2}}, 'rows': []}, 2)
    """
    if isinstance(value, dict):
        return _without_in_mapping(value, account)
    if isinstance(value, list):
        kept, removed = [], 0
        for each in value:
            if isinstance(each, dict) and each.get(_ID) == account:
                removed += 1
                continue
            inner, count = without_account(each, account)
            kept.append(inner)
            removed += count
        return kept, removed
    return value, 0


def _without_in_mapping(value: dict[str, Any], account: str) -> tuple[dict[str, Any], int]:
    if isinstance(value.get(_ID), list):
        return _without_in_columns(value, account)
    result, removed = {}, 0
    for name, each in value.items():
        present = each
        if name in BY_ACCOUNT and isinstance(each, dict):
            # A parent is the value of its children.
            present = {key: own for key, own in each.items() if key != account and own != account}
            removed += len(each) - len(present)
        elif name in BY_ACCOUNT and isinstance(each, list):
            present = [own for own in each if own != account]
            removed += len(each) - len(present)
        elif name == _PARENT and each == account:
            present, removed = None, removed + 1
        elif name == COMPANIES and isinstance(each, list):
            present = [own for own in each if not (isinstance(own, dict) and own.get("group") == account)]
            removed += len(each) - len(present)
        elif name == "rows" and isinstance(each, list):
            # Rows without names, whose first column is the account.
            present = [own for own in each if not (isinstance(own, list) and own[:1] == [account])]
            removed += len(each) - len(present)
        result[name], count = without_account(present, account)
        removed += count
    return result, removed


def _without_in_columns(columns: dict[str, Any], account: str) -> tuple[dict[str, Any], int]:
    """Remove rows from a table that is stored as one list for each column."""
    ids = columns[_ID]
    rest = [place for place, each in enumerate(ids) if each != account]
    if len(rest) == len(ids):
        return columns, 0
    return {name: [values[place] for place in rest] for name, values in columns.items()}, len(ids) - len(rest)
