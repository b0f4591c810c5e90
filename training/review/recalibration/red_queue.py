"""The red queue: number of red accounts per date, compared with the capacity of the team."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.review.labelled_rows import ReviewRows
from training.review.recalibration.schemas import RedQueue

QUARTER = pd.Timedelta(days=91)


def red_queue(rows: ReviewRows, yellow: float, capacity: int | None) -> RedQueue:
    """Count the red accounts on the dates of the newest 91 days, with or without a has_score outcome.

    Parameters
    ----------
    rows : rows with scores.
    yellow : the score below which an account is red.
    capacity : accounts that the team can look after on a date; None if unknown.

    Returns
    -------
    The queue.
    """
    has_score = ~np.isnan(rows.score)
    frame = pd.DataFrame({"account": rows.accounts, "at": rows.as_of, "red": rows.score < yellow})[has_score]
    if frame.empty:
        return RedQueue(0.0, 0, 0, 0.0, capacity, False)
    frame = frame.drop_duplicates(["account", "at"]).sort_values(["account", "at"], kind="stable")
    before = frame.groupby("account")["red"].shift(1)
    frame["enters"] = frame["red"] & before.eq(False)
    newest = frame[frame["at"] > frame["at"].max() - QUARTER]
    by_date = newest.groupby("at").agg(red=("red", "sum"), enters=("enters", "sum"))
    dates = np.sort(frame["at"].unique())
    step = float(np.median(np.diff(dates) / np.timedelta64(7, "D"))) if len(dates) > 1 else 1.0
    typical = float(by_date["red"].median())
    return RedQueue(
        typical=typical,
        most=int(by_date["red"].max()),
        latest=int(by_date["red"].iloc[-1]),
        entering=float(by_date["enters"].mean()) / step,
        capacity=capacity,
        over=capacity is not None and typical > capacity,
    )
