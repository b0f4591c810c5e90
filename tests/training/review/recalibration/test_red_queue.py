"""The red queue, compared with counts by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training.review.labelled_rows import ReviewRows
from training.review.recalibration.red_queue import red_queue

MONDAYS = pd.date_range("2026-01-05", periods=4, freq="7D", tz="UTC")
#      a   b   c (joins late)
TABLE = [
    [30, 80, None],
    [30, 80, None],
    [80, 35, 20],
    [30, 35, 20],
]


def rows() -> ReviewRows:
    cells = [(name, day, score) for day, line in zip(MONDAYS, TABLE, strict=True) for name, score in zip("abc", line, strict=True) if score is not None]
    account, day, score = zip(*cells, strict=True)
    n = len(cells)
    return ReviewRows(
        points=pd.DataFrame({"usage": np.array(score, dtype=float)}),
        score=np.array(score, dtype=float),
        band=np.full(n, "red", dtype=object),
        churned=np.full(n, np.nan),
        accounts=np.array(account, dtype=object),
        as_of=pd.Series(day),
        later=np.zeros(n, dtype=bool),
        horizon_days=90,
        grace_days=30,
    )


def test_red_accounts_are_counted_by_date() -> None:
    queue = red_queue(rows(), 40, 1)
    # Red: 1, 1, 2, 3; b enters on the third Monday, a again on the fourth; c was red on its first date.
    assert (queue.typical, queue.most, queue.latest, queue.entering) == (1.5, 3, 3, 0.5)
    assert queue.over


def test_a_higher_limit_never_shortens_the_queue() -> None:
    assert [red_queue(rows(), y, None).typical for y in (10, 25, 40, 90)] == sorted(red_queue(rows(), y, None).typical for y in (10, 25, 40, 90))
    assert not red_queue(rows(), 90, None).over


def test_without_scores_the_queue_is_empty() -> None:
    queue = red_queue(rows().only(np.zeros(10, dtype=bool)), 40, 5)
    assert (queue.typical, queue.most, queue.over) == (0.0, 0, False)
