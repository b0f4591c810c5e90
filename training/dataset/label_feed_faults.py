"""Which feed the labels stand on, and whether it was sound while a model learned from it.

A feed of features that has faults makes a weaker model, and the judgement on later dates shows it. A feed of labels
that has faults makes the judgement wrong too: without the newest subscriptions, accounts that stayed look as if they
had left, in training and in the test alike. So this one is held to more than being named.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from features.definitions.windows import YEAR
from features.feed_health.feed_health import Feeds

LOOK_BACK = timedelta(days=YEAR)
"""How long before the first snapshot a row still counts: the longest window of the features, and the usual contract."""


def label_feed(contractual: bool) -> str:
    """The table that says what became of an account."""
    return "subscriptions" if contractual else "orders"


def label_feed_faults(feeds: Feeds, contractual: bool, first: datetime) -> list[str] | None:
    """What is wrong with the feed of the labels: that it went stale, or that its unit or volume jumped, a line each.

    Parameters
    ----------
    feeds : as they are at the end of the data.
    contractual : whether accounts are active by subscription; otherwise by orders.
    first : the first snapshot of the training. What jumped more than `LOOK_BACK` before it no longer counts.

    Returns
    -------
    list of str or None
        None if the feed could not be looked at.
    """
    feed = feeds.tables.get(label_feed(contractual))
    if feed is None:
        return None
    since = (first - LOOK_BACK).date()
    return [*([feed.stale_words()] if feed.stale else []), *(j.words() for j in feed.jumps if j.start >= since)]
