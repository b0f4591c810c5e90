"""Tickets as Zendesk holds them.

A ticket's row shows its state today. When it was solved, and with which priority it began, is in the history of its
fields. The organization is that of the requester, and names Salesforce's account by its 15 characters.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from training.simulation.tools.identifiers import AccountIds, iso

#: Zendesk closes a solved ticket after some days.
CLOSED_AFTER = pd.Timedelta(days=4)
#: Ratings of at least this many points of five are good.
GOOD_FROM = 4


def zendesk_tables(
    accounts: pd.DataFrame, support: pd.DataFrame, ids: Mapping[str, AccountIds], end: pd.Timestamp
) -> dict[str, pd.DataFrame]:
    """Return Zendesk's tables by name.

    Parameters
    ----------
    accounts, support : the tables of the data contract.
    ids : the ids of each account.
    end : nothing is known from this instant on.
    """
    own = [ids[name] for name in accounts["account_id"]]
    organizations = pd.DataFrame(
        {
            "id": [each.zendesk for each in own],
            "name": accounts["name"],
            "external_id": [each.salesforce[:15] for each in own],
            "created_at": iso(accounts["created_at"]),
        }
    )
    users = pd.DataFrame(
        {
            "id": [_requester(each) for each in own],
            "organization_id": [each.zendesk for each in own],
            "role": "end-user",
            "created_at": iso(accounts["created_at"]),
        }
    )
    return {
        "organization": organizations,
        "user": users,
        "ticket": _tickets(support, ids, end),
        "ticket_field_history": _field_history(support, end),
        "satisfaction_rating": _ratings(support, end),
    }


def _requester(ids: AccountIds) -> int:
    return ids.zendesk + 1


def _number(ticket: str) -> int:
    return int(ticket.removeprefix("T"))


def _tickets(support: pd.DataFrame, ids: Mapping[str, AccountIds], end: pd.Timestamp) -> pd.DataFrame:
    solved, closed = support["resolved_at"], support["resolved_at"] + CLOSED_AFTER
    status = pd.Series("open", index=support.index).mask(solved < end, "solved").mask(closed < end, "closed")
    return pd.DataFrame(
        {
            "id": support["ticket_id"].map(_number),
            # Half of the tickets name the organization; the others only have a requester.
            "organization_id": [
                ids[name].zendesk if number % 2 else None for number, name in enumerate(support["account_id"])
            ],
            "requester_id": [_requester(ids[name]) for name in support["account_id"]],
            "created_at": iso(support["occurred_at"]),
            "updated_at": iso(closed.where(closed < end, solved).where(solved < end, support["occurred_at"])),
            "status": status,
            "priority": support["severity"],
            "type": "question",
            "subject": support["topic"],
        }
    ).astype({"organization_id": "Int64"})


def _field_history(support: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
    """Return the values of priority and status, and when each was set."""
    steps = [
        ("priority", support["severity"], support["occurred_at"]),
        ("status", pd.Series("new", index=support.index), support["occurred_at"]),
        ("status", pd.Series("solved", index=support.index), support["resolved_at"]),
        ("status", pd.Series("closed", index=support.index), support["resolved_at"] + CLOSED_AFTER),
    ]
    parts = [
        pd.DataFrame({"ticket_id": support["ticket_id"], "field_name": field, "value": value, "updated": at})
        for field, value, at in steps
    ]
    history = pd.concat(parts, ignore_index=True)
    history = history[history["updated"] < end].sort_values("updated", kind="stable")
    return history.assign(ticket_id=history["ticket_id"].map(_number), updated=iso(history["updated"]))


def _ratings(support: pd.DataFrame, end: pd.Timestamp) -> pd.DataFrame:
    rated = support[support["csat"].notna() & (support["resolved_at"] < end)]
    return pd.DataFrame(
        {
            "id": range(1, len(rated) + 1),
            "ticket_id": rated["ticket_id"].map(_number),
            "score": (rated["csat"] >= GOOD_FROM).map({True: "good", False: "bad"}),
            "created_at": iso(rated["resolved_at"]),
        }
    )
