"""Custom features in Python: an extra table, a feature that measures it, and two that functions compute.

RENEWCAST_FEATURES=notebooks/examples/own_features.py renewcast leakcheck SIGNALS

SIGNALS has the tables of the data contract, and a table ``own_posts``: posts of accounts in a community. What each
argument means: `help(renewcast.feature)`, `help(renewcast.table)`, `help(renewcast.measure)`.
"""

import pandas as pd

import renewcast

renewcast.table(
    name="own_posts",
    time="posted_at",
    identity="post_id",
    columns={
        "topic": {"kind": "string", "values": ["question", "idea", "praise"]},
        "answered_at": "instant",
        "score": {"kind": "float", "min": 0, "max": 10, "known_from": "answered_at"},
    },
)

renewcast.measure(
    name="own.questions",
    table="own_posts",
    measure="count",
    where={"topic": "question"},
    unit="posts",
    words="questions in the community in the last {w} days",
    windows=[91],
    dimension="engagement",
)


@renewcast.feature(
    name="own.weekend_share",
    reads={"usage": ["occurred_at"]},
    days=91,
    unit="share",
    words="share of usage events at weekends in the last 91 days",
)
def weekend_share(rows: dict[str, pd.DataFrame], as_of: pd.Timestamp) -> pd.Series:
    """Return the share for each account; an account without events is unknown."""
    usage = rows["usage"]
    return (usage["occurred_at"].dt.day_of_week >= 5).groupby(usage["account_id"]).mean()


@renewcast.feature(
    name="own.days_between_posts",
    reads={"own_posts": ["posted_at"]},
    days=364,
    unit="days",
    words="days between the last two posts in the community",
    direction="raises_risk",
)
def days_between_posts(rows: dict[str, pd.DataFrame], as_of: pd.Timestamp) -> pd.Series:
    """Return the days between the last two posts of each account; with fewer posts it is unknown."""
    # Rows are sorted by account and time.
    days = rows["own_posts"].groupby("account_id")["posted_at"].diff().dt.total_seconds() / 86_400
    return days.groupby(rows["own_posts"]["account_id"]).last()
