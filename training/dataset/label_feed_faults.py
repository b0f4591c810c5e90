"""Faults of the feed that the labels are computed from.

A faulty feature feed makes a weaker model, and the evaluation on later dates shows it. A faulty label feed makes the
evaluation wrong as well: without the newest subscriptions, accounts that stayed look as if they had left, in training
and in the test. So faults of this feed block promotion instead of only being reported.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from features.definitions.windows import YEAR
from features.feed_health.feed_health import Feeds

LOOK_BACK = timedelta(days=YEAR)
"""How long before the first snapshot a row still matters: the longest feature window, and the usual contract term."""


def label_feed(contractual: bool) -> str:
    """Return the name of the table from which labels are computed."""
    return "subscriptions" if contractual else "orders"


def label_feed_faults(feeds: Feeds, contractual: bool, first: datetime) -> list[str] | None:
    """List the faults of the label feed: it is stale, or its unit or volume jumped.

    Parameters
    ----------
    feeds : feed health at the end of the data.
    contractual : whether subscriptions define active accounts; otherwise orders do.
    first : date of the first training snapshot. Jumps more than `LOOK_BACK` before it do not count.

    Returns
    -------
    list of str or None
        One line per fault; None if the feed could not be checked.
    """
    feed = feeds.tables.get(label_feed(contractual))
    if feed is None:
        return None
    since = (first - LOOK_BACK).date()
    return [*([feed.stale_words()] if feed.stale else []), *(j.words() for j in feed.jumps if j.start >= since)]
