"""Accounts, people, meetings and emails as Salesforce holds them.

Two accounts that turned out to be one company were merged: the duplicate stays as a deleted row that names the account
it became. Activities from before the merge still name the duplicate.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from training.simulation.tools.identifiers import AccountIds, iso, salesforce_id

#: Salesforce's own column for the customer in Stripe, as a connector or an administrator adds it.
STRIPE_COLUMN = "stripe_customer_id_c"
MEETINGS, EMAILS = ("meeting",), ("email",)


def salesforce_tables(
    accounts: pd.DataFrame, engagement: pd.DataFrame, ids: Mapping[str, AccountIds]
) -> dict[str, pd.DataFrame]:
    """Return Salesforce's tables by name.

    Parameters
    ----------
    accounts, engagement : the tables of the data contract. Meetings and emails are in Salesforce; the rest is not.
    ids : the ids of each account.
    """
    return {
        "account": _accounts(accounts, ids),
        "user": _users(accounts),
        "event": _events(engagement[engagement["kind"].isin(MEETINGS)], ids),
        "task": _tasks(engagement[engagement["kind"].isin(EMAILS)], ids),
    }


def _accounts(accounts: pd.DataFrame, ids: Mapping[str, AccountIds]) -> pd.DataFrame:
    own = [ids[name] for name in accounts["account_id"]]
    frame = pd.DataFrame(
        {
            "id": [each.salesforce for each in own],
            "name": accounts["name"],
            "industry": accounts["industry"],
            "billing_country": accounts["region"],
            "number_of_employees": accounts["employees"],
            "owner_id": accounts["csm"].map(lambda name: salesforce_id("005", name)),
            "type": "Customer",
            "created_date": iso(accounts["created_at"]),
            "is_deleted": False,
            "master_record_id": None,
            STRIPE_COLUMN: [each.stripe for each in own],
        }
    )
    merged = [each for each in own if each.merged]
    duplicates = frame[frame["id"].isin({each.salesforce for each in merged})].assign(
        id=[each.merged for each in merged],
        master_record_id=[each.salesforce for each in merged],
        is_deleted=True,
        **{STRIPE_COLUMN: None},
    )
    return pd.concat([frame, duplicates], ignore_index=True)


def _users(accounts: pd.DataFrame) -> pd.DataFrame:
    names = sorted(accounts["csm"].dropna().unique())
    return pd.DataFrame({"id": [salesforce_id("005", name) for name in names], "name": names, "is_active": True})


def _account_of(activities: pd.DataFrame, ids: Mapping[str, AccountIds]) -> list[str]:
    """Return the account that each activity names: every third one of a merged company names the duplicate."""
    return [
        own.merged if own.merged and position % 3 == 0 else own.salesforce
        for position, own in enumerate(map(ids.__getitem__, activities["account_id"]))
    ]


def _events(meetings: pd.DataFrame, ids: Mapping[str, AccountIds]) -> pd.DataFrame:
    at = iso(meetings["occurred_at"])
    return pd.DataFrame(
        {
            "id": [salesforce_id("00U", f"meeting {number}") for number in range(len(meetings))],
            "account_id": _account_of(meetings, ids),
            "who_id": meetings["contact_id"].map(lambda name: salesforce_id("003", name), na_action="ignore"),
            "subject": "Meeting",
            "event_subtype": "Event",
            "start_date_time": at,
            "activity_date_time": at,
            "created_date": at,
            "is_deleted": False,
        }
    )


def _tasks(emails: pd.DataFrame, ids: Mapping[str, AccountIds]) -> pd.DataFrame:
    at = iso(emails["occurred_at"])
    return pd.DataFrame(
        {
            "id": [salesforce_id("00T", f"email {number}") for number in range(len(emails))],
            "account_id": _account_of(emails, ids),
            "who_id": emails["contact_id"].map(lambda name: salesforce_id("003", name), na_action="ignore"),
            "subject": "Email",
            "task_subtype": "Email",
            "status": "Completed",
            "is_closed": True,
            "completed_date_time": at,
            "activity_date": at.str[:10],
            "created_date": at,
            "is_deleted": False,
        }
    )
