"""Product usage as Segment writes it to a warehouse: one row per event, and the groups that users belong to."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from pandas.util import hash_pandas_object

from training.simulation.tools.identifiers import AccountIds, token

#: The columns that make two rows the same event.
WITHOUT_ARRIVAL = ("account_id", "occurred_at", "user_id", "feature", "quantity", "minutes")
#: Segment receives an event this long after it happened, if nothing held it up.
RECEIVED_AFTER = pd.Timedelta(seconds=2)


def segment_tables(usage: pd.DataFrame, ids: Mapping[str, AccountIds]) -> dict[str, pd.DataFrame]:
    """Return Segment's tables by name.

    Parameters
    ----------
    usage : the table of the data contract.
    ids : the ids of each account.
    """
    received = usage["loaded_at"].fillna(usage["occurred_at"] + RECEIVED_AFTER)
    tracks = pd.DataFrame(
        {
            # A row that was sent again is the same event.
            "id": [f"ajs-{number:016x}" for number in hash_pandas_object(usage[list(WITHOUT_ARRIVAL)], index=False)],
            "anonymous_id": usage["user_id"].map(lambda user: token("", str(user))),
            "user_id": usage["user_id"],
            "event": usage["feature"].str.lower(),
            "event_text": usage["feature"],
            "original_timestamp": usage["occurred_at"],
            "sent_at": usage["occurred_at"],
            "received_at": received,
            "timestamp": usage["occurred_at"],
        }
    )
    first = usage.groupby(["account_id", "user_id"], as_index=False)["occurred_at"].min()
    groups = pd.DataFrame(
        {
            "id": [f"grp-{number:08d}" for number in range(len(first))],
            "user_id": first["user_id"],
            "group_id": [ids[name].salesforce for name in first["account_id"]],
            "timestamp": first["occurred_at"],
            "received_at": first["occurred_at"] + RECEIVED_AFTER,
        }
    )
    return {"tracks": tracks, "groups": groups}
